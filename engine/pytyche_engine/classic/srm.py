"""Sample ratio mismatch: counts of visitors against the probabilities that they were given.

`check_srm` looks once, `sequential_srm` at every look. Both take counts; rounds of a sequential
experiment are counted in `decisions.traffic` and tested here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import chdtrc, gammaln

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.health import TrafficSplit

TILTS = tuple(sign * 0.005 * 2.0**step for sign in (-1, 1) for step in range(9))
"""Log factors by which a cell's or an arm's visitors may be too many or too few.

From half a per cent to a factor of 3.6, each twice the one before: a factor between two of them
is found with at most an eighth more visitors than if it were one of them.
"""

FEWEST = 20
"""Expected visitors below which the chi-square distribution is not relied on."""


@dataclass(frozen=True, eq=False)
class SplitCounts:
    """How many visitors each cell or arm has, and should have.

    Attributes:
        kind: which of the two is counted.
        names: of the cells or arms.
        observed, expected: (k,) visitors.
        covariance: (k, k) of the counts, given every visitor's own probabilities.
        probability: (rows, k) the probabilities that visitors have of each name.
        visitors_per_row: (rows,) how many visitors have them.
        impossible: whether a visitor is where nobody could get.
    """

    kind: Literal["cell", "arm"]
    names: tuple[str, ...]
    observed: Int[np.ndarray, " k"]
    expected: Float[np.ndarray, " k"]
    covariance: Float[np.ndarray, "k k"]
    probability: Float[np.ndarray, "rows k"]
    visitors_per_row: Int[np.ndarray, " rows"]
    impossible: bool

    @classmethod
    def of(
        cls,
        kind: Literal["cell", "arm"],
        names: Sequence[str],
        observed: Int[np.ndarray, " k"],
        probability: Float[np.ndarray, "rows k"],
        visitors_per_row: Int[np.ndarray, " rows"],
        impossible: bool | None = None,
    ) -> "SplitCounts":
        """Counts with what they should be.

        Args:
            kind: which of the two is counted.
            names: of the cells or arms.
            observed: their visitors.
            probability: of each row of visitors, of each name.
            visitors_per_row: how many visitors a row stands for.
            impossible: whether a visitor is where nobody could get, if more is known of that
                than these probabilities tell.
        """
        expected = visitors_per_row @ probability
        covariance = np.diag(expected) - probability.T @ (visitors_per_row[:, None] * probability)
        if impossible is None:
            impossible = bool((observed[expected <= 0] > 0).any())
        return cls(
            kind,
            tuple(names),
            observed,
            expected,
            covariance,
            probability,
            visitors_per_row,
            impossible,
        )

    def __add__(self, other: "SplitCounts") -> "SplitCounts":
        """Those of two periods together; every visitor keeps the own probabilities."""
        return SplitCounts(
            self.kind,
            self.names,
            self.observed + other.observed,
            self.expected + other.expected,
            self.covariance + other.covariance,
            np.concatenate([self.probability, other.probability]),
            np.concatenate([self.visitors_per_row, other.visitors_per_row]),
            self.impossible or other.impossible,
        )


def check_srm(observed: Mapping[str, int], shares: Mapping[str, float]) -> TrafficSplit:
    """Whether visitors arrived by the planned shares, looked at once.

    Pearson's chi-square, or exact binomial tests of each arm against the rest (Bonferroni)
    where an arm expects fewer than `FEWEST` visitors. An arm that should have visitors and has
    none counts as 0.

    Args:
        observed: visitors of each arm.
        shares: planned shares; they are normalised to add up to 1.

    Raises:
        DesignError: if counts or shares are none.

    Examples:
        >>> split = check_srm({"control": 5_000, "new": 4_500}, {"control": 0.5, "new": 0.5})
        >>> split.alarm, split.worst
        (True, 'control')
    """
    return split_test(_planned([observed], [shares])[0])


def check_srm_periods(
    observed: Sequence[Mapping[str, int]], shares: Sequence[Mapping[str, float]]
) -> TrafficSplit:
    """The same where shares changed: a ramp, or a bandit.

    Each period's visitors are expected by that period's shares, ``sum_t n_t w_t`` in all.
    Against the latest shares alone every change of them would be an alarm.

    Args:
        observed: for each period visitors of each arm.
        shares: for each period the shares that were served.

    Raises:
        DesignError: if counts or shares are none, or their numbers differ.
    """
    periods = _planned(observed, shares)
    together = periods[0]
    for period in periods[1:]:
        together = together + period
    return split_test(together)


def sequential_srm(
    observed: Sequence[Mapping[str, int]], shares: Sequence[Mapping[str, float]]
) -> tuple[TrafficSplit, ...]:
    """The split after each period, with p-values that hold at every look (see `Wagers`).

    Args:
        observed: for each period its own visitors of each arm, not the total so far.
        shares: for each period the shares that were served.

    Raises:
        DesignError: if counts or shares are none, or their numbers differ.
    """
    wagers, largest, found = Wagers(), 0.0, []
    for period in _planned(observed, shares):
        wagers.add(period)
        largest = max(largest, wagers.log_wealth)
        found.append(TrafficSplit(float(np.exp(-largest)), *wagers.worst(), "arm"))
    return tuple(found)


def dirichlet_log_odds(
    observed: Sequence[Sequence[int]], shares: Sequence[float], concentration: float = 100.0
) -> Float[np.ndarray, " looks"]:
    """Log Bayes factor against fixed shares after each period (Lindon and Malek 2022).

    A Dirichlet prior around the shares against the shares themselves; ``exp(-max)`` of it so
    far is an always-valid p-value. It is what other tools report. `sequential_srm` also allows
    shares to change, and needs no concentration.

    Args:
        observed: (looks, k) visitors of each period.
        shares: (k,) probabilities.
        concentration: of the prior; the larger, the smaller the deviations it looks for.
    """
    counts, p = np.cumsum(np.asarray(observed), axis=0), np.asarray(shares, dtype=float)
    prior = concentration * p
    marginal = gammaln(prior + counts).sum(axis=1) - gammaln(prior).sum()
    total = gammaln(concentration) - gammaln(concentration + counts.sum(axis=1))
    odds: Float[np.ndarray, " looks"] = total + marginal - counts @ np.log(p)
    return odds


def share_intervals(
    observed: Sequence[int],
    shares: Sequence[float],
    alpha: float = 0.05,
    concentration: float = 100.0,
) -> Float[np.ndarray, "k 2"]:
    """Confidence sequences of the true shares: all that `dirichlet_log_odds` does not reject.

    For one share the others are taken as well as they can be: in proportion to their counts.

    Args:
        observed: (k,) visitors so far.
        shares: (k,) probabilities that the prior is around.
        alpha: error over all looks.
        concentration: of the prior.
    """
    from scipy.optimize import brentq

    counts, p = np.asarray(observed, dtype=float), np.asarray(shares, dtype=float)
    n, prior = counts.sum(), concentration * p
    marginal = (gammaln(prior + counts) - gammaln(prior)).sum()
    marginal += gammaln(concentration) - gammaln(concentration + n) - np.log(1 / alpha)
    intervals = np.empty((len(counts), 2))
    for k, mine in enumerate(counts):
        others = np.delete(counts, k)
        others = others[others > 0]
        rest = float((others * np.log(others / (n - mine))).sum()) if n > mine else 0.0

        def excess(x: float, mine: float = mine, rest: float = rest) -> float:
            return marginal - mine * np.log(x) - (n - mine) * np.log1p(-x) - rest

        middle, edge = np.clip(mine / n, 1e-12, 1 - 1e-12), 1e-15
        intervals[k, 0] = 0.0 if excess(edge) < 0 else brentq(excess, edge, middle, xtol=1e-12)
        intervals[k, 1] = (
            1.0 if excess(1 - edge) < 0 else brentq(excess, middle, 1 - edge, xtol=1e-12)
        )
    return intervals


def split_test(counts: SplitCounts) -> TrafficSplit:
    """Generalised Pearson test of counts, ``(O - E)' V^- (O - E)``.

    ``E`` and ``V`` are the mean and covariance of the counts given every visitor's own
    probabilities. For probabilities that are the same for everyone this is Pearson's
    chi-square, and there exact tests take its place where few visitors are expected.
    """
    difference = counts.observed - counts.expected
    distance, fixed = _distances(counts.observed, counts.expected, np.diag(counts.covariance))
    # Of two categories equally far off, the first one is named, whatever the rounding.
    worst = int(np.argmax(np.round(distance, 9)))
    if np.isinf(distance[worst]):
        p_value = 0.0
    elif len(counts.probability) == 1 and counts.expected[~fixed].min(initial=np.inf) < FEWEST:
        p_value = _exact(counts)
    else:
        values, vectors = np.linalg.eigh(counts.covariance[np.ix_(~fixed, ~fixed)])
        # Counts add up to n, so one direction has no spread but that of rounding.
        varies = values > 1e-9 * values.max(initial=0.0)
        along = vectors.T @ difference[~fixed]
        statistic = float((along[varies] ** 2 / values[varies]).sum())
        p_value = float(chdtrc(varies.sum(), statistic)) if varies.any() else 1.0
    return TrafficSplit(
        p_value,
        counts.names[worst],
        float(counts.expected[worst]),
        int(counts.observed[worst]),
        counts.kind,
    )


@dataclass
class Wagers:
    """An e-process of counts: what wagers at fair odds on each name have become.

    A wager is that one cell (or arm) gets ``u`` times its visitors, the others less in
    proportion,

        log E[a, u] = N[a] log u - sum_i log(1 + (u - 1) p[i, a])

    for each cell ``a`` and each ``log u`` of `TILTS`. If visitors arrive by their recorded
    probabilities, every wager has mean 1 after any number of periods given the past, so the
    mean of all of them exceeds ``1 / alpha`` in any period with probability alpha at most (Ville
    1939), and ``1 / max E`` is an always-valid p-value. Lindon and Malek (2022) mix the same
    likelihood ratios over a Dirichlet prior of the shares, which needs shares that stay; a
    factor ``u`` means the same in every plan. With shares that stay, a loss of 2 to 20 % in one
    of 2 to 4 arms took 0.99 to 1.14 times the visitors of the Dirichlet mixture with the
    concentration that suited it best, and half of one with a concentration that did not.

    A cell that a later plan adds gets its part of what the wagers on the others have become.
    """

    log_value: dict[str, Float[np.ndarray, " tilts"]] = field(default_factory=dict)
    totals: dict[str, Float[np.ndarray, " 3"]] = field(default_factory=dict)
    """Observed, expected, variance."""

    @property
    def log_wealth(self) -> float:
        """Log of the mean of all wagers."""
        values = np.array(list(self.log_value.values()))
        largest = values.max()
        # As logsumexp does, which takes ten times as long for so few numbers.
        return (
            float(largest + np.log(np.exp(values - largest).sum())) if largest < np.inf else np.inf
        )

    def add(self, counts: SplitCounts) -> None:
        """Settle the wagers of one more period."""
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
            values, visitors = counts.probability[:, k], counts.visitors_per_row
            if len(values) > 1:
                values, of = np.unique(values, return_inverse=True)
                visitors = np.bincount(of, visitors)
            fair = np.log1p(np.outer(np.expm1(tilts), values)) @ visitors
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


def _planned(
    observed: Sequence[Mapping[str, int]], shares: Sequence[Mapping[str, float]]
) -> list[SplitCounts]:
    """Counts and shares of each period, put in one order."""
    if len(observed) != len(shares) or not observed:
        raise DesignError(
            f"There are counts of {len(observed)} periods and shares of {len(shares)}; give both "
            "for each period."
        )
    names = tuple(dict.fromkeys(name for each in (*shares, *observed) for name in each))
    return [_period(names, seen, planned) for seen, planned in zip(observed, shares, strict=True)]


def _period(
    names: tuple[str, ...], observed: Mapping[str, int], shares: Mapping[str, float]
) -> SplitCounts:
    counts = np.array([observed.get(name, 0) for name in names])
    weight = np.array([shares.get(name, 0.0) for name in names], dtype=float)
    if (counts < 0).any() or not np.array_equal(counts, np.round(counts)):
        raise DesignError(f"Counts of visitors are {dict(observed)}; use whole numbers from 0.")
    if not np.isfinite(weight).all() or (weight < 0).any() or weight.sum() <= 0:
        raise DesignError(f"Planned shares are {dict(shares)}; use numbers from 0, one above it.")
    counts = counts.astype(np.int64)
    visitors = np.array([counts.sum()])
    return SplitCounts.of("arm", names, counts, (weight / weight.sum())[None, :], visitors)


def _exact(counts: SplitCounts) -> float:
    """Binomial tests of each category against the rest, two categories needing one only."""
    from scipy.stats import binomtest

    n = int(counts.visitors_per_row[0])
    if n == 0:
        return 1.0
    tested = [
        binomtest(int(seen), n, float(p)).pvalue
        for seen, p in zip(counts.observed, counts.probability[0], strict=True)
        if 0 < p < 1
    ]
    return float(min(1.0, min(tested) * (1 if len(tested) == 2 else len(tested))))


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
