"""What a running test is analysed from, and the figures that come of it."""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.errors import DesignError


@dataclass(frozen=True, eq=False)
class RunningSums:
    """Sums over the visitors of every period (P of them) and variant (K, control first).

    Attributes:
        weights: (P, K) the shares that visitors had in a period.
        exposures: visitors.
        conversions: visitors with an outcome above 0.
        total: sum of outcomes.
        total_squares: sum of their squares.
        pre_exposures: visitors with a pre-period value.
        pre_total: sum of those.
        pre_squares: sum of their squares.
        pre_cross: sum of outcome times pre-period value.
    """

    weights: Float[np.ndarray, "P K"]
    exposures: Float[np.ndarray, "P K"]
    conversions: Float[np.ndarray, "P K"]
    total: Float[np.ndarray, "P K"]
    total_squares: Float[np.ndarray, "P K"]
    pre_exposures: Float[np.ndarray, "P K"]
    pre_total: Float[np.ndarray, "P K"]
    pre_squares: Float[np.ndarray, "P K"]
    pre_cross: Float[np.ndarray, "P K"]

    def __post_init__(self) -> None:
        shapes = {getattr(self, field.name).shape for field in fields(self)}
        if len(shapes) != 1 or len(self.weights.shape) != 2 or self.weights.shape[1] < 2:
            raise DesignError(f"Sums need one shape (periods, two variants or more), not {shapes}.")


@dataclass(frozen=True)
class RunningDesign:
    """What was fixed before anybody looked.

    Attributes:
        names: of the variants, control first.
        alpha: error level of all comparisons together.
        expected_lift: a relative lift worth finding.
        tau: scale of effects of the sequential test in the outcome's unit, where it is fixed
            already.
        is_bandit: whether weights follow what was seen.
        planned_visitors: how many end the experiment; None for no planned end.
        is_stopped: whether it has ended.
        unit: what an outcome is: ``"conversion"`` or ``"revenue"``.
    """

    names: tuple[str, ...]
    alpha: float
    expected_lift: float
    tau: float | None
    is_bandit: bool
    planned_visitors: int | None
    is_stopped: bool
    unit: str


@dataclass(frozen=True)
class SplitCheck:
    """Whether visitors were split as planned (sample ratio mismatch).

    Attributes:
        p_value: None where there are too few visitors to tell.
        alarm: whether it is too small for chance.
        observed: (K,) shares of visitors.
        expected: (K,) shares that the weights made expected, each period by its own.
        worst: the variant that is furthest off.
    """

    p_value: float | None
    alarm: bool
    observed: tuple[float, ...]
    expected: tuple[float, ...]
    worst: str


@dataclass(frozen=True)
class VariantFigures:
    """A variant by itself: description, not inference, where weights changed.

    Attributes:
        name: of the variant.
        exposures: visitors.
        conversions: how many converted.
        mean: conversions or revenue per visitor; None without visitors.
        low, high: interval of `mean` at `contracts.estimates.INTERVAL_LEVEL`.
    """

    name: str
    exposures: int
    conversions: int
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class RunningComparison:
    """A variant against control.

    Attributes:
        name: of the variant.
        enough: whether both have the visitors and conversions that a verdict needs.
        lift: relative lift; None where control's mean is 0.
        lift_low, lift_high: its interval, valid at any time, at level 1 - alpha.
        log_lr: log-likelihood ratio of the mSPRT, now.
        p_always: always-valid p-value: the smallest of all looks so far.
        p_always_holm: the same adjusted for the number of comparisons.
        p_classical: Welch's p-value, valid once, at a planned end; None in bandit mode.
        p_classical_holm: adjusted likewise.
        variance_reduction: what CUPED took off the variance; None where it was not applied.
        visitors_needed: further visitors until a decision, if the lift stays as it is; None
            where that is more than a hundred times those so far.
    """

    name: str
    enough: bool
    lift: float | None
    lift_low: float | None
    lift_high: float | None
    log_lr: float | None
    p_always: float
    p_always_holm: float
    p_classical: float | None
    p_classical_holm: float | None
    variance_reduction: float | None
    visitors_needed: int | None
