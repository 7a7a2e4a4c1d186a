"""Whether a round was served as it was planned."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import chdtrc

from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.plans import Plan

ALARM = 0.001
"""Below this p-value a split is not an accident (Fabijan et al. 2019 use 0.0005 to 0.01)."""


@dataclass(frozen=True)
class TrafficSplit:
    """Sample ratio mismatch of one round: counts against what the plan asked for.

    Attributes:
        p_value: probability of a split at least this uneven if the plan was served, corrected
            for the number of tests; None when nothing was recorded to compare.
        worst: the cell or arm furthest from plan, in standard deviations.
        expected, observed: its visitors as planned and as seen.
    """

    p_value: float | None
    worst: str
    expected: float
    observed: int

    @property
    def alarm(self) -> bool:
        """Whether visitors did not arrive as planned."""
        return self.p_value is not None and self.p_value < ALARM


def traffic_split(plan: Plan, observations: Observations) -> TrafficSplit:
    """Compare a round's counts with its plan: cells, and arms where probabilities are recorded.

    Each is a generalised Pearson test, ``(O - E)' V^- (O - E)`` with ``E`` and ``V`` the mean
    and covariance of the counts given every visitor's own probabilities. For probabilities
    that are the same for everyone this is Pearson's chi-square. With both tests, the smaller
    p-value is doubled (Bonferroni).

    Args:
        plan: what was to be served in this round.
        observations: the round's visitors.
    """
    n = len(observations)
    tests: list[_Test] = []
    if n and len(plan.cells) > 1 and (observations.cell >= 0).all():
        # Cells that the plan does not know are counted too, with nothing expected there.
        weight = {cell.id: cell.weight for cell in plan.cells}
        names = tuple(dict.fromkeys((*weight, *observations.cells)))
        position = np.array([names.index(name) for name in observations.cells])
        counts = np.bincount(position[observations.cell], minlength=len(names))
        shares = np.array([weight.get(name, 0.0) for name in names])
        spread = n * (np.diag(shares) - np.outer(shares, shares))
        tests.append(_test(names, counts, n * shares, spread))
    if n and observations.propensity_recorded:
        p = observations.propensity
        counts = np.bincount(observations.arm, minlength=observations.n_arms)
        spread = np.diag(p.sum(axis=0)) - p.T @ p
        tests.append(_test(observations.arms, counts, p.sum(axis=0), spread))
    if not tests:
        return TrafficSplit(None, "", 0.0, 0)
    first = min(tests, key=lambda test: test.p_value)
    return TrafficSplit(
        min(1.0, first.p_value * len(tests)), first.worst, first.expected, first.observed
    )


@dataclass(frozen=True)
class _Test:
    p_value: float
    worst: str
    expected: float
    observed: int


def _test(
    names: tuple[str, ...],
    observed: Int[np.ndarray, " k"],
    expected: Float[np.ndarray, " k"],
    covariance: Float[np.ndarray, "k k"],
) -> _Test:
    difference = observed - expected
    sd = np.sqrt(np.clip(np.diag(covariance), 0, None))
    # Where chance leaves no room, any difference at all is a mismatch.
    fixed = sd < 1e-9 * max(1.0, float(expected.sum()))
    distance = np.where(
        fixed, np.where(np.abs(difference) > 0.5, np.inf, 0.0), np.abs(difference) / (sd + fixed)
    )
    # Of two categories equally far off, the first one is named, whatever the rounding.
    worst = int(np.argmax(np.round(distance, 9)))
    if np.isinf(distance[worst]):
        p_value = 0.0
    else:
        values, vectors = np.linalg.eigh(covariance[np.ix_(~fixed, ~fixed)])
        # Counts add up to n, so one direction has no spread but that of rounding.
        varies = values > 1e-9 * values.max(initial=0.0)
        along = vectors.T @ difference[~fixed]
        statistic = float((along[varies] ** 2 / values[varies]).sum())
        p_value = float(chdtrc(varies.sum(), statistic)) if varies.any() else 1.0
    return _Test(p_value, names[worst], float(expected[worst]), int(observed[worst]))
