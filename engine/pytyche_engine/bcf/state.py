"""The sampler's state: two forests of shared topology, scalars and residuals.

Model, for visitor i with arm z (design, section 4)::

    conversion   c* = offset + b0 + t[z] + m[z] f_mu(x) + d[z] f_tau[z](x) + N(0, 1)
    severity     (log y - centre) / scale = the same form with its own values, + N(0, sigma^2)

Each tree has one topology and a leaf value per channel, each forest a multiplier per channel
and arm (``m[z]``, spread around a common ``m``, and ``d[z]``). A t prior on the multipliers makes
a forest's scale half-t, so that the data choose it, near zero or large (Gelman 2006, parameter
expansion). A channel is one of the two equations; binary
outcomes use the first alone, continuous ones the second alone.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float32, Int32, Shaped, UInt, UInt8
from scipy.special import ndtri

from pytyche_engine.bcf.bartz_adapter import Module, StepConfig, field
from pytyche_engine.bcf.layout import RowLayout
from pytyche_engine.contracts.errors import FitError
from pytyche_engine.contracts.observations import Outcome

Channel = Literal["conversion", "severity"]

CHANNELS: dict[Outcome, tuple[Channel, ...]] = {
    Outcome.HURDLE: ("conversion", "severity"),
    Outcome.BINARY: ("conversion",),
    Outcome.CONTINUOUS: ("severity",),
}


class ForestGroup(Module):
    """Forests that see disjoint rows, advanced together: mu (one group) or tau (one an arm).

    Tree arrays are stacked over groups first: ``trees = groups * trees_per_group``. The names
    that bartz's tree moves read (``var_tree`` to ``log_s``) are bartz's.
    """

    var_tree: UInt[Array, "trees half"]
    split_tree: UInt[Array, "trees half"]
    affluence_tree: Bool[Array, "trees half"]
    leaf_tree: Float32[Array, "trees channels size"]
    to_prune: Bool[Array, " trees"]
    move_node: Int32[Array, " trees"]
    max_split: UInt[Array, " p"]
    blocked_vars: UInt[Array, " q"]
    """Columns that these trees may not split on, padded with p."""
    p_nonterminal: Float32[Array, " size"]
    p_propose_grow: Float32[Array, " half"]
    log_s: None
    min_leaf: Int32[Array, ""]
    leaf_precision: Float32[Array, ""]
    """Prior precision of a leaf: trees per group, so that the forest's prior sd is 1."""
    leaf_indices: UInt8[Array, "trees_per_group rows"] = field(data=-1)
    """The leaf of each row in its own group's trees."""
    counts: Int32[Array, "channels arms_per_group trees size"]
    """Rows of each channel and arm per leaf; valid at leaves and at the last move's nodes."""
    multiplier: Float32[Array, "channels arms"]
    """What `fit` is multiplied by at each arm's rows."""
    multiplier_variance: Float32[Array, "channels groups"]
    """Prior variance of each group's multiplier (mu: of the common one), sampled."""
    multiplier_prior: Float32[Array, " groups"]
    """Scale^2 of the half-t prior that this variance makes."""
    fit: tuple[Float32[Array, " rows"], ...] = field(data=-1)
    """Per channel, the forest's value at each row, before the multiplier."""
    n_groups: int = field(static=True)


class HurdleState(Module):
    """Everything that one chain carries. ``run_mcmc`` reads and advances `config`.

    With a mesh in `config`, rows (fields marked ``data``) are spread over its devices.
    """

    X: UInt8[Array, "p rows"] = field(data=-1)
    valid: Float32[Array, " rows"] = field(data=-1)
    """1 for visitors, 0 for padding."""
    arm: UInt8[Array, " rows"] = field(data=-1)
    converted: Bool[Array, " rows"] = field(data=-1)
    z: Float32[Array, " rows"] | None = field(data=-1)
    """Latent conversion, less its offset; None without that channel."""
    resid: tuple[Float32[Array, " rows"], ...] = field(data=-1)
    """Per channel, target less everything fitted; 0 at padding."""
    mu: ForestGroup
    tau: ForestGroup
    intercept: Float32[Array, " channels"]
    arm_effect: Float32[Array, "channels arms"]
    arm_variance: Float32[Array, " channels"]
    """Prior variance of `arm_effect`, sampled."""
    sigma2: Float32[Array, ""]
    """Error variance of severity, in squared latent units."""
    offset: Float32[Array, ""]
    """Probit intercept that conversion is centred on."""
    arm_rows: Float32[Array, "channels arms"]
    """Visitors of each arm in each channel."""
    arm_prior: Float32[Array, " 2"]
    """(degrees of freedom, scale^2) of the arm variance."""
    loading_variance: Float32[Array, " channels"]
    """Prior variance of the arms' multipliers of mu around the common one, sampled."""
    loading_prior: Float32[Array, ""]
    """Scale^2 of the half-t prior that this variance makes."""
    multiplier_df: Float32[Array, ""]
    """Degrees of freedom of the half-t priors."""
    sigma_prior: Float32[Array, " 2"]
    """(degrees of freedom, scale) of sigma^2."""
    config: StepConfig
    layout: RowLayout = field(static=True)
    channels: tuple[Channel, ...] = field(static=True)

    @property
    def has_chains(self) -> bool:
        """False: one chain a state. bartz asks for it."""
        return False

    @property
    def lengths(self) -> tuple[int, ...]:
        """Rows of each channel: all for conversion, the prefix of converters for severity."""
        return tuple(
            self.layout.n_rows if c == "conversion" else self.layout.n_severity_rows
            for c in self.channels
        )

    def over_devices(self, part: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
        """Add up what every device found on its own rows."""
        return lax.psum(part, "data") if self.config.data_sharded else part


MOST_TIMES = 3.0
"""No draw's mean revenue of converters is over this many times the largest revenue in the data.

Of an arm that nobody spent anything under, the data say nothing of what converters spend. The prior
of its effect has heavy tails on the log scale, so that one draw in hundreds would be astronomic and
would carry the posterior mean with it. Where every arm has orders it should hardly ever be met.
"""

_NO_MEAN = 1e6
"""A log-normal whose mean is over so many times the largest revenue seen has none to speak of."""


@dataclass(frozen=True, eq=False)
class LatentScale:
    """How latent units become probabilities and money.

    Attributes:
        offset: probit of the conversion rate of the data.
        centre: mean of converters' log revenue.
        scale: its standard deviation.
        most: log of the largest mean revenue of converters that is believed; see `MOST_TIMES`.
    """

    offset: float
    centre: float
    scale: float
    most: float = math.inf

    @classmethod
    def of(cls, revenue: Any) -> "LatentScale":
        """Learn the scale from revenue. Works with any currency unit.

        Raises:
            FitError: if amounts differ by so many powers of ten that they have no mean.
        """
        positive = revenue[revenue > 0]
        # Half a visitor is added on each side so that rates of 0 and 1 stay finite.
        rate = (len(positive) + 0.5) / (len(revenue) + 1.0)
        logs = np.log(positive) if len(positive) else np.zeros(1)
        spread = float(logs.std())
        if logs.mean() + spread**2 / 2 > logs.max() + math.log(_NO_MEAN):
            raise FitError(
                f"Revenue goes from {positive.min():.3g} to {positive.max():.3g}. Amounts that "
                "differ by so many powers of ten have no mean that could be estimated. Check that "
                "revenue has one unit in all rows."
            )
        return cls(
            offset=float(ndtri(rate)),
            centre=float(logs.mean()),
            # One converter, or one price for all: any positive scale will do.
            scale=spread if spread > 1e-6 else 1.0,
            most=float(logs.max()) + math.log(MOST_TIMES),
        )
