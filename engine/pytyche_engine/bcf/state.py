"""The sampler's state: two forests of shared topology, scalars and residuals.

Model, for visitor i with arm z (design, section 4)::

    conversion   c* = offset + b0 + t[z] + m f_mu(x) + d[z] f_tau[z](x) + N(0, 1)
    severity     (log y - centre) / scale = the same form with its own values, + N(0, sigma^2)

Each tree has one topology and a leaf value per channel, each forest a multiplier per channel
(``m``, ``d[z]``: a normal prior on the multiplier makes the forest's scale half-normal, so that
the data choose it; Gelman 2006, parameter expansion). A channel is one of the two equations;
binary outcomes use the first alone, continuous ones the second alone.
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float32, Int, Int32, UInt, UInt8
from scipy.special import ndtr, ndtri

from pytyche_engine.bcf.bartz_adapter import (
    AutoBatchedReduction,
    Module,
    StepConfig,
    field,
    make_p_nonterminal,
    tree_depths,
)
from pytyche_engine.bcf.layout import RowLayout, arrange
from pytyche_engine.bcf.settings import Settings
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
    blocked_vars: UInt[Array, " q"] | None
    p_nonterminal: Float32[Array, " size"]
    p_propose_grow: Float32[Array, " half"]
    log_s: None
    min_leaf: Int32[Array, ""]
    leaf_precision: Float32[Array, ""]
    """Prior precision of a leaf: trees per group, so that the forest's prior sd is 1."""
    leaf_indices: UInt8[Array, "trees_per_group rows"]
    """The leaf of each row in its own group's trees."""
    counts: Int32[Array, "channels trees size"]
    """Rows of each channel per leaf; valid at leaves and at the last move's nodes."""
    multiplier: Float32[Array, "channels groups"]
    multiplier_scale: Float32[Array, ""]
    """Prior sd of `multiplier`."""
    fit: tuple[Float32[Array, " rows"], ...]
    """Per channel, the forest's value at each row, before the multiplier."""
    n_groups: int = field(static=True)


class HurdleState(Module):
    """Everything that one chain carries. ``run_mcmc`` reads and advances `config`."""

    X: UInt8[Array, "p rows"]
    valid: Float32[Array, " rows"]
    """1 for visitors, 0 for padding."""
    converted: Bool[Array, " rows"]
    z: Float32[Array, " rows"] | None
    """Latent conversion, less its offset; None without that channel."""
    resid: tuple[Float32[Array, " rows"], ...]
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
    sigma_prior: Float32[Array, " 2"]
    """(degrees of freedom, scale) of sigma^2."""
    config: StepConfig
    layout: RowLayout = field(static=True)
    channels: tuple[Channel, ...] = field(static=True)


@dataclass(frozen=True, eq=False)
class LatentScale:
    """How latent units become probabilities and money.

    Attributes:
        offset: probit of the conversion rate of the data.
        centre: mean of converters' log revenue.
        scale: its standard deviation.
    """

    offset: float
    centre: float
    scale: float

    @classmethod
    def of(cls, revenue: Any) -> "LatentScale":
        """Learn the scale from revenue. Works with any currency unit."""
        positive = revenue[revenue > 0]
        # Half a visitor is added on each side so that rates of 0 and 1 stay finite.
        rate = (len(positive) + 0.5) / (len(revenue) + 1.0)
        logs = np.log(positive) if len(positive) else np.zeros(1)
        spread = float(logs.std())
        return cls(
            offset=float(ndtri(rate)),
            centre=float(logs.mean()),
            # One converter, or one price for all: any positive scale will do.
            scale=spread if spread > 1e-6 else 1.0,
        )


def init_state(
    X: UInt8[np.ndarray, "p n"],
    max_split: UInt8[np.ndarray, " p"],
    arm: Int[np.ndarray, " n"],
    revenue: Any,
    n_arms: int,
    outcome: Outcome,
    scale: LatentScale,
    settings: Settings,
    rng: np.random.Generator,
) -> HurdleState:
    """A chain's first state: trees without splits, scalars from their priors' centres.

    The latent conversion starts at a draw given the offset alone; chains differ by ``rng``.
    """
    channels = CHANNELS[outcome]
    converted = revenue > 0 if outcome is not Outcome.CONTINUOUS else np.ones(len(revenue), bool)
    if outcome is Outcome.BINARY:
        layout, rows = arrange(arm, np.zeros(len(revenue), bool), n_arms)
    else:
        layout, rows = arrange(arm, converted, n_arms)
    present = rows >= 0
    lengths = channel_lengths(layout, channels)
    row_converted = np.where(present, converted[rows], False)
    start = rng.normal(0, 0.05, size=(len(channels), n_arms)).astype(np.float32)
    row_arm = np.concatenate([np.full(b.stop - b.start, b.arm) for b in layout.blocks])

    z = None
    resid = []
    for c, (channel, length) in enumerate(zip(channels, lengths, strict=True)):
        fitted = start[c][row_arm[:length]]
        if channel == "conversion":
            u = rng.uniform(1e-4, 1, size=layout.n_rows)
            rate = ndtr(scale.offset)
            draw = np.where(row_converted, ndtri(1 - u * rate), ndtri(u * (1 - rate)))
            z = np.where(present, draw, 0).astype(np.float32)
            resid.append(np.where(present, z - fitted, 0).astype(np.float32))
        else:
            value = np.where(present[:length], revenue[rows[:length]], 1.0)
            logs = (np.log(np.where(value > 0, value, 1.0)) - scale.centre) / scale.scale
            resid.append(np.where(present[:length], logs - fitted, 0).astype(np.float32))

    counts = np.zeros((len(channels), n_arms), dtype=np.float32)
    for c, length in enumerate(lengths):
        np.add.at(counts[c], row_arm[:length][present[:length]], 1)
    # A padded row is in the unused heap node 0, which no move ever touches.
    roots = present.astype(np.uint8)
    X_rows = np.where(present, X[:, rows], 0).astype(np.uint8)

    def forest(n_groups: int, trees: int, split: tuple[float, float], spread: float) -> ForestGroup:
        return _init_forest(
            X_rows.shape[0],
            max_split,
            roots,
            counts.sum(axis=1, keepdims=True) if n_groups == 1 else counts,
            lengths,
            n_groups,
            trees,
            split,
            spread,
            settings,
        )

    return HurdleState(
        X=jnp.asarray(X_rows),
        valid=jnp.asarray(present, dtype=jnp.float32),
        converted=jnp.asarray(row_converted),
        z=None if z is None else jnp.asarray(z),
        resid=tuple(map(jnp.asarray, resid)),
        mu=forest(1, settings.num_trees_mu, settings.mu_split, settings.mu_scale),
        tau=forest(n_arms, settings.num_trees_tau, settings.tau_split, settings.tau_scale),
        intercept=jnp.zeros(len(channels), jnp.float32),
        arm_effect=jnp.asarray(start),
        arm_variance=jnp.full(len(channels), settings.arm_scale**2, jnp.float32),
        sigma2=jnp.float32(1.0),
        offset=jnp.float32(scale.offset),
        arm_rows=jnp.asarray(counts),
        arm_prior=jnp.array([settings.arm_scale_df, settings.arm_scale**2], jnp.float32),
        sigma_prior=jnp.array([settings.sigma_df, settings.sigma_scale], jnp.float32),
        config=StepConfig(
            steps_done=jnp.int32(0),
            sparse_on_at=None,
            resid_reduction_config=AutoBatchedReduction(),
            count_reduction_config=AutoBatchedReduction(),
            prec_reduction_config=AutoBatchedReduction(),
            prec_count_num_trees=1,
            sequential_unroll=1,
            augment=False,
            mesh=None,
        ),
        layout=layout,
        channels=channels,
    )


def channel_lengths(layout: RowLayout, channels: tuple[Channel, ...]) -> tuple[int, ...]:
    """Rows of each channel: all for conversion, the prefix of converters for severity."""
    return tuple(layout.n_rows if c == "conversion" else layout.n_severity_rows for c in channels)


def _init_forest(
    p: int,
    max_split: UInt8[np.ndarray, " p"],
    roots: UInt8[np.ndarray, " rows"],
    counts: Any,
    lengths: tuple[int, ...],
    n_groups: int,
    trees_per_group: int,
    split: tuple[float, float],
    spread: float,
    settings: Settings,
) -> ForestGroup:
    size = 2**settings.max_depth
    half = size // 2
    trees = n_groups * trees_per_group
    channels = len(lengths)
    p_level = jnp.pad(make_p_nonterminal(settings.max_depth, *split), (0, 1))
    count_tree = np.zeros((channels, n_groups, trees_per_group, size), dtype=np.int32)
    count_tree[..., 1] = counts[:, :, None]
    growable = np.zeros((trees, half), dtype=bool)
    growable[:, 1] = bool((max_split > 0).any())
    blocked = np.flatnonzero(max_split == 0)
    return ForestGroup(
        var_tree=jnp.zeros((trees, half), jnp.uint8 if p <= 256 else jnp.uint16),
        split_tree=jnp.zeros((trees, half), jnp.uint8),
        affluence_tree=jnp.asarray(growable),
        leaf_tree=jnp.zeros((trees, channels, size), jnp.float32),
        to_prune=jnp.zeros(trees, bool),
        move_node=jnp.zeros(trees, jnp.int32),
        max_split=jnp.asarray(max_split),
        blocked_vars=jnp.asarray(blocked, jnp.uint16) if len(blocked) else None,
        p_nonterminal=p_level[tree_depths(size)],
        p_propose_grow=p_level[tree_depths(half)],
        log_s=None,
        min_leaf=jnp.int32(settings.min_leaf),
        leaf_precision=jnp.float32(trees_per_group),
        leaf_indices=jnp.asarray(np.broadcast_to(roots, (trees_per_group, len(roots)))),
        counts=jnp.asarray(count_tree.reshape(channels, trees, size)),
        multiplier=jnp.full((channels, n_groups), 0.3 * spread, jnp.float32),
        multiplier_scale=jnp.float32(spread),
        fit=tuple(jnp.zeros(length, jnp.float32) for length in lengths),
        n_groups=n_groups,
    )
