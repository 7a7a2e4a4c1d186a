"""Simulated trials whose truth is known, for the studies of the sampler and of intervals.

A `DataSet` names a population, a size, an allocation and a seed; `generate` draws it.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pytyche_engine.contracts.arms import propensity_columns
from pytyche_engine.contracts.door import read_round
from pytyche_engine.contracts.features import prepare_features
from pytyche_engine.contracts.observations import ColumnMapping, Observations
from pytyche_engine.contracts.truth import GroundTruth
from pytyche_engine.sources.templates import TEMPLATES, Drawn, Population, with_prognosis

Allocation = Literal["balanced", "round3"]

ARMS = ("control", "a", "b")
POPULATIONS = (
    "clustered_realistic",
    "constant",
    "reversal",
    "interaction_only",
    "nonlinear",
    "sparse_benefit",
)
"""Templates that the coverage studies run over."""

FRESH = 2_000
"""Visitors of the same population that no fit has seen."""

CONSTANT_EFFECTS = "constant_effects"
"""The clustered population with the same effects for everyone (the prototype's test data)."""
CONSTANT_RATES = np.array([0.050, 0.062, 0.045])
CONSTANT_ORDERS = np.array([50.0, 54.0, 48.0])

ROUND3_SHARES = np.array(
    [[0.10, 0.82, 0.08], [0.02, 0.58, 0.40], [0.02, 0.90, 0.08], [0.06, 0.60, 0.34]]
)
"""Shares of the arms among optimized visitors, a row for each kind of `_kind`."""
ROUND3_CONTROL, ROUND3_EXPLORE = 0.05, 0.05

LOG_SD = 0.5
"""Standard deviation of log order values."""


@dataclass(frozen=True)
class DataSet:
    """A simulated trial.

    Attributes:
        template: a name in `TEMPLATES`, or CONSTANT_EFFECTS.
        effect_scale: multiplies the template's effects; CONSTANT_EFFECTS does not read it.
        n: visitors.
        n_arms: K, 2 or 3.
        allocation: ``"balanced"``, or ``"round3"``: 5 % control, 5 % explore, 90 % by kind.
        prognostic: whether visitors also differ under control.
        seed: same seed, same visitors.
    """

    template: str
    effect_scale: float
    n: int
    n_arms: int = 3
    allocation: Allocation = "round3"
    prognostic: bool = False
    seed: int = 0

    @property
    def scenario(self) -> str:
        """What the data sets of all seeds and allocations have in common."""
        return f"{self.template} es={self.effect_scale:g} n={self.n}"

    @property
    def key(self) -> str:
        """The data set in words."""
        mark = " prognostic" if self.prognostic else ""
        return f"{self.scenario} K={self.n_arms} {self.allocation}{mark} seed={self.seed}"


@dataclass(frozen=True, eq=False)
class Trial:
    """A drawn data set with its truth, row for row.

    Attributes:
        observations: what a fit may see.
        truth: what was planted for those visitors.
        fresh: features of FRESH more visitors, as the fit expects them.
        fresh_propensity: how they would have been assigned.
        fresh_truth: what was planted for them.
    """

    observations: Observations
    truth: GroundTruth
    fresh: pd.DataFrame
    fresh_propensity: Float[np.ndarray, "fresh arms"]
    fresh_truth: GroundTruth


def generate(data: DataSet) -> Trial:
    """Draw a data set."""
    # Scenarios of one seed do not share their luck.
    rng = np.random.default_rng([data.seed, *data.scenario.encode()])
    arms = ARMS[: data.n_arms]
    drawn, fresh = (_draw(data, n, rng) for n in (data.n, FRESH))
    propensity = _propensity(data, drawn.features)
    arm = _choose(propensity, rng)
    rows = np.arange(data.n)
    converted = rng.random(data.n) < drawn.conversion[rows, arm]
    noise = np.exp(LOG_SD * rng.standard_normal(data.n) - LOG_SD**2 / 2)
    names = propensity_columns(arms)
    frame = pd.DataFrame(
        {
            "visitor_id": rows.astype(str),
            "arm": np.array(arms, dtype=object)[arm],
            "revenue": converted * drawn.severity[rows, arm] * noise,
            **dict(zip(names, propensity.T, strict=True)),
            **drawn.features,
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the door's notices
        observations = read_round(
            frame, columns=ColumnMapping(cell=None, propensity=names), arms=arms
        )
    return Trial(
        observations,
        GroundTruth(arms, drawn.conversion, drawn.severity),
        prepare_features(fresh.features, observations.schema),
        _propensity(data, fresh.features),
        GroundTruth(arms, fresh.conversion, fresh.severity),
    )


def _draw(data: DataSet, n: int, rng: np.random.Generator) -> Drawn:
    constant = data.template == CONSTANT_EFFECTS
    population = Population(
        effect_scale=0.0 if constant else data.effect_scale,
        n_arms=data.n_arms,
        baseline_rate=0.05,
        baseline_severity=50.0,
        channel_mode="mirror",
        n_nuisance=5,
    )
    drawn = TEMPLATES["clustered_realistic" if constant else data.template](n, population, rng)
    conversion, severity = drawn.conversion, drawn.severity
    if constant:
        conversion = np.tile(CONSTANT_RATES[: data.n_arms], (n, 1))
        severity = np.tile(CONSTANT_ORDERS[: data.n_arms], (n, 1))
    drawn = Drawn(drawn.features, conversion, severity)
    return with_prognosis(drawn) if data.prognostic else drawn


def _kind(x: pd.DataFrame) -> Int[np.ndarray, " n"]:
    """Which of four kinds of visitors a round-3 policy takes each one for."""
    recency, depth = x["session_recency"].to_numpy(), x["browse_depth"].to_numpy()
    loyal = x["is_returning"].to_numpy().astype(bool) & (x["device_type"] == "mobile").to_numpy()
    return np.select([recency < -0.5, loyal, depth >= 3.5], [0, 1, 2], 3)


def _propensity(data: DataSet, x: pd.DataFrame) -> Float[np.ndarray, "n arms"]:
    n, K = len(x), data.n_arms
    if data.allocation == "balanced":
        return np.full((n, K), 1 / K)
    shares = np.column_stack([ROUND3_SHARES[:, : K - 1], ROUND3_SHARES[:, K - 1 :].sum(axis=1)])
    optimized = 1 - ROUND3_CONTROL - ROUND3_EXPLORE
    propensity = optimized * shares[_kind(x)] + ROUND3_EXPLORE / K
    propensity[:, 0] += ROUND3_CONTROL
    return propensity


def _choose(
    propensity: Float[np.ndarray, "n arms"], rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
    above = rng.random(len(propensity))[:, None] > np.cumsum(propensity, axis=1)
    return np.minimum(above.sum(axis=1), propensity.shape[1] - 1)


def segments(x: pd.DataFrame) -> dict[str, Bool[np.ndarray, " n"]]:
    """Eight fixed segments, chosen before any data: two partitions into four."""
    mobile = (x["device_type"] == "mobile").to_numpy()
    returning = x["is_returning"].to_numpy().astype(bool)
    recent = x["session_recency"].to_numpy() >= 1.5
    deep = x["browse_depth"].to_numpy() >= 3
    return {
        "mobile, returning": mobile & returning,
        "mobile, new": mobile & ~returning,
        "other device, returning": ~mobile & returning,
        "other device, new": ~mobile & ~returning,
        "recent, deep": recent & deep,
        "recent, shallow": recent & ~deep,
        "not recent, deep": ~recent & deep,
        "not recent, shallow": ~recent & ~deep,
    }
