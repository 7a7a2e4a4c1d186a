"""Whether a round was served as it was planned."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import chdtrc, logsumexp

from pytyche_engine.contracts.health import TrafficSplit as TrafficSplit
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.plans import Plan

TILTS = tuple(sign * 0.005 * 2.0**step for sign in (-1, 1) for step in range(9))
"""Log factors by which a cell's or an arm's visitors may be too many or too few.

From half a per cent to a factor of 3.6, each twice the one before: a factor between two of them
is found with at most an eighth more visitors than if it were one of them.
"""


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
    tests = [
        (_test(c.names, c.observed, c.expected, c.covariance), c.kind)
        for c in _counts(plan, observations)
    ]
    if not tests:
        return TrafficSplit(None, "", 0.0, 0)
    first, kind = min(tests, key=lambda test: test[0].p_value)
    return TrafficSplit(
        min(1.0, first.p_value * len(tests)), first.worst, first.expected, first.observed, kind
    )


def traffic_over_rounds(rounds: Sequence[tuple[Plan, Observations]]) -> TrafficSplit:
    """Compare the counts of all rounds so far with their plans, to be looked at every round.

    Each visitor counts against the probabilities of the own round, so plans may change from
    round to round and follow what was seen. The test is by an e-process: wagers at fair odds
    that one cell (or arm) gets ``u`` times its visitors, the others less in proportion,

        log E[a, u] = N[a] log u - sum_i log(1 + (u - 1) p[i, a])

    for each cell ``a`` and each ``log u`` of `TILTS`. If the plans were served, every wager has
    mean 1 after any number of rounds given the past, so the mean of all of them exceeds
    ``1 / alpha`` in any round with probability alpha at most (Ville 1939), and
    ``1 / max E`` is an always-valid p-value. Lindon and Malek (2022) mix the same likelihood
    ratios over a Dirichlet prior of the shares, which needs shares that stay; a factor ``u``
    means the same in every plan. With shares that stay, a loss of 2 to 20 % in one of 2 to 4
    arms took 0.99 to 1.14 times the visitors of the Dirichlet mixture with the concentration
    that suited it best, and half of one with a concentration that did not.
    Cells and arms are two e-processes, and their mean is a third.

    A cell that a later plan adds gets its part of what the wagers on the others have become.

    Args:
        rounds: each round's plan and visitors, in order.

    Returns:
        The split over all rounds that had something recorded. ``worst`` is the one furthest
        from plan over all of them.
    """
    wagers: dict[Literal["cell", "arm"], _Wagers] = {}
    largest = 0.0  # log of what the e-process begins with
    for plan, observations in rounds:
        for counts in _counts(plan, observations):
            wagers.setdefault(counts.kind, _Wagers()).add(counts)
        # What has not been recorded so far has the 1 that every wager begins with.
        wealth = [w.log_wealth for w in wagers.values()] + [0.0] * (2 - len(wagers))
        largest = max(largest, float(logsumexp(wealth) - np.log(2)))
    if not wagers:
        return TrafficSplit(None, "", 0.0, 0)
    kind = max(wagers, key=lambda kind: wagers[kind].log_wealth)
    worst = wagers[kind].worst()
    return TrafficSplit(float(np.exp(-largest)), *worst, kind)


@dataclass(frozen=True, eq=False)
class _Counts:
    """How many of a round's visitors each cell or arm has, and should have.

    Attributes:
        probability: (rows, k) the probabilities that visitors have of each name.
        visitors_per_row: one, or all of them where they have the same.
        impossible: whether a visitor is where nobody could get.
    """

    kind: Literal["cell", "arm"]
    names: tuple[str, ...]
    observed: Int[np.ndarray, " k"]
    expected: Float[np.ndarray, " k"]
    covariance: Float[np.ndarray, "k k"]
    probability: Float[np.ndarray, "rows k"]
    visitors_per_row: int
    impossible: bool


def _counts(plan: Plan, observations: Observations) -> list[_Counts]:
    n = len(observations)
    found = []
    if n and len(plan.cells) > 1 and (observations.cell >= 0).all():
        # Cells that the plan does not know are counted too, with nothing expected there.
        weight = {cell.id: cell.weight for cell in plan.cells}
        names = tuple(dict.fromkeys((*weight, *observations.cells)))
        position = np.array([names.index(name) for name in observations.cells])
        counts = np.bincount(position[observations.cell], minlength=len(names))
        shares = np.array([weight.get(name, 0.0) for name in names])
        found.append(
            _Counts(
                kind="cell",
                names=names,
                observed=counts,
                expected=n * shares,
                covariance=n * (np.diag(shares) - np.outer(shares, shares)),
                probability=shares[None, :],
                visitors_per_row=n,
                impossible=bool((counts[shares <= 0] > 0).any()),
            )
        )
    if n and observations.propensity_recorded:
        p = observations.propensity
        found.append(
            _Counts(
                kind="arm",
                names=observations.arms,
                observed=np.bincount(observations.arm, minlength=observations.n_arms),
                expected=p.sum(axis=0),
                covariance=np.diag(p.sum(axis=0)) - p.T @ p,
                probability=p,
                visitors_per_row=1,
                impossible=bool((p[np.arange(n), observations.arm] <= 0).any()),
            )
        )
    return found


@dataclass
class _Wagers:
    """What wagers on each name have become, and its counts, over the rounds added so far."""

    log_value: dict[str, Float[np.ndarray, " tilts"]] = field(default_factory=dict)
    totals: dict[str, Float[np.ndarray, " 3"]] = field(default_factory=dict)
    """Observed, expected, variance."""

    @property
    def log_wealth(self) -> float:
        return float(logsumexp(np.array(list(self.log_value.values()))))

    def add(self, counts: _Counts) -> None:
        new = [name for name in counts.names if name not in self.log_value]
        if new:
            old, m = len(self.log_value), len(self.log_value) + len(new)
            wealth = self.log_wealth if old else 0.0
            for name in self.log_value:
                self.log_value[name] = self.log_value[name] + np.log(old / m)
            each = np.full(len(TILTS), wealth - np.log(m) - np.log(len(TILTS)))
            self.log_value |= dict.fromkeys(new, each)
            self.totals |= dict.fromkeys(new, np.zeros(3))
        tilts = np.array(TILTS)
        for k, name in enumerate(counts.names):
            # A policy has few parts, so probabilities take few values.
            values, rows = np.unique(counts.probability[:, k], return_counts=True)
            visitors = rows * counts.visitors_per_row
            fair = np.array([visitors @ np.log1p(np.expm1(t) * values) for t in TILTS])
            gain = np.inf if counts.impossible else counts.observed[k] * tilts - fair
            self.log_value[name] = self.log_value[name] + gain
            self.totals[name] = self.totals[name] + np.array(
                [counts.observed[k], counts.expected[k], counts.covariance[k, k]]
            )

    def worst(self) -> tuple[str, float, int]:
        """The name furthest from plan in standard deviations, expected and observed."""
        observed, expected, variance = np.array(list(self.totals.values())).T
        worst = int(np.argmax(np.round(_distances(observed, expected, variance)[0], 9)))
        return list(self.totals)[worst], float(expected[worst]), int(observed[worst])


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
    distance, fixed = _distances(observed, expected, np.diag(covariance))
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


def _distances(
    observed: Float[np.ndarray, " k"] | Int[np.ndarray, " k"],
    expected: Float[np.ndarray, " k"],
    variance: Float[np.ndarray, " k"],
) -> tuple[Float[np.ndarray, " k"], Bool[np.ndarray, " k"]]:
    """How many standard deviations counts are off, and where chance leaves no room at all."""
    difference = np.abs(observed - expected)
    sd = np.sqrt(np.clip(variance, 0, None))
    # There, any difference at all is a mismatch.
    fixed = sd < 1e-9 * max(1.0, float(expected.sum()))
    return np.where(
        fixed, np.where(difference > 0.5, np.inf, 0.0), difference / (sd + fixed)
    ), fixed
