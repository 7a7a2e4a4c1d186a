"""What can be said of an A/B test or a bandit at any time, from sums alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from pytyche_engine.classic.contrast import Contrast
from pytyche_engine.classic.running_figures import (
    RunningComparison,
    RunningDesign,
    RunningSums,
    SplitCheck,
    VariantFigures,
)
from pytyche_engine.classic.running_verdict import Verdict, verdict_on
from pytyche_engine.classic.sequential import FEWEST_CONVERSIONS, FEWEST_VISITORS, MixtureTest
from pytyche_engine.classic.srm import check_srm_periods
from pytyche_engine.contracts.estimates import INTERVAL_LEVEL


@dataclass(frozen=True)
class RunningAnalysis:
    """All that is said at a look.

    Attributes:
        split: whether visitors were split as planned.
        variants: each by itself, control first.
        comparisons: each but control, against control.
        log_lr_limit: what the log-likelihood ratio has to reach for the first decision.
        tau: scale of effects of the sequential test; to be kept for the next looks.
        cuped: whether and why pre-period values were used or not, in a sentence.
        verdict: what to do, and why.
    """

    split: SplitCheck
    variants: tuple[VariantFigures, ...]
    comparisons: tuple[RunningComparison, ...]
    log_lr_limit: float
    tau: float | None
    cuped: str
    verdict: Verdict


def analyse_running(
    sums: RunningSums, design: RunningDesign, previous_p: Sequence[float] | None = None
) -> RunningAnalysis:
    """Analyse what has come in so far.

    With fixed weights a variant and control are compared by their means. A bandit's are
    compared within each period, in which weights were the same, and the differences are added
    up with weights n_t n_c / (n_t + n_c) (Mantel-Haenszel). These depend on the counts alone,
    so given the past every term has the true difference as its mean, however the weights came
    about and however the baseline drifts. Pooled means have neither property.

    The sequential test is the mixture SPRT (Johari et al. 2017) on the difference d with
    variance V: ``log L = (log(V / (V + tau^2)) + tau^2 d^2 / (V (V + tau^2))) / 2``.

    Args:
        sums: over all periods.
        design: what was fixed.
        previous_p: (K - 1,) always-valid p-values of the look before.
    """
    comparisons = [_estimate(sums, k, design) for k in range(1, sums.weights.shape[1])]
    tau = design.tau
    if tau is None and all(c.enough for c in comparisons):
        # Of all variants together: under the hypothesis tested this says nothing of differences.
        tau = design.expected_lift * float(sums.total.sum() / sums.exposures.sum())
    test = MixtureTest(tau, design.alpha) if tau is not None else None
    log_lr = [
        None if test is None else float(test.log_lr(c.difference, c.variance)) for c in comparisons
    ]
    before = [1.0] * len(comparisons) if previous_p is None else list(previous_p)
    p_always = [
        p if value is None or not c.enough else min(p, float(np.exp(min(-value, 0.0))))
        for c, value, p in zip(comparisons, log_lr, before, strict=True)
    ]
    p_classical = [None if design.is_bandit else c.p_classical() for c in comparisons]
    always_holm = holm(p_always)
    classical_holm = holm(p_classical)
    limit = float(np.log(len(comparisons) / design.alpha))
    n_visitors = float(sums.exposures.sum())
    found = []
    for i, c in enumerate(comparisons):
        lift, low, high = c.lift(test)
        adjusted = always_holm[i]
        assert adjusted is not None  # noqa: S101 - none of them is
        found.append(
            RunningComparison(
                name=design.names[i + 1],
                enough=c.enough,
                lift=lift,
                lift_low=low,
                lift_high=high,
                log_lr=log_lr[i],
                p_always=p_always[i],
                p_always_holm=adjusted,
                p_classical=p_classical[i],
                p_classical_holm=classical_holm[i],
                variance_reduction=c.variance_reduction,
                visitors_needed=None if test is None else c.needed(test, limit, n_visitors),
            )
        )
    split = check_split(sums, design.names)
    return RunningAnalysis(
        split=split,
        variants=_figures(sums, design),
        comparisons=tuple(found),
        log_lr_limit=limit,
        tau=tau,
        cuped=_cuped_words(sums, comparisons),
        verdict=verdict_on(split, found, design, int(n_visitors)),
    )


def check_split(sums: RunningSums, names: Sequence[str]) -> SplitCheck:
    """Compare visitors with what the weights made expected, each period by its own."""
    n = sums.exposures.sum(axis=1)
    seen = n > 0  # a period that has just begun has nothing to be compared
    if not seen.any():
        empty = (0.0,) * len(names)
        return SplitCheck(None, False, empty, empty, names[0])
    found = check_srm_periods(
        [dict(zip(names, map(int, row), strict=True)) for row in sums.exposures[seen]],
        [dict(zip(names, row.tolist(), strict=True)) for row in sums.weights[seen]],
    )
    observed, expected = sums.exposures.sum(axis=0), n @ sums.weights
    return SplitCheck(
        found.p_value,
        found.alarm,
        tuple((observed / n.sum()).tolist()),
        tuple((expected / n.sum()).tolist()),
        found.worst,
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """`corrections.adjusted_p_values` by Holm (1979), for a server.

    That one is statsmodels', which collects all of Python's garbage on every call: half a second
    in which a server answers nobody.
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[i] = largest
    return adjusted


@dataclass(frozen=True)
class _Estimate:
    """A difference to control in the outcome's unit, with what goes with it."""

    difference: float
    control: float  # mean of control, over the periods as the difference is
    variance: float  # of the difference
    variance_control: float
    dof: float
    enough: bool
    variance_reduction: float | None

    def p_classical(self) -> float | None:
        if not self.enough:
            return None
        return Contrast(self.difference, float(np.sqrt(self.variance)), self.dof).p_value()

    def lift(self, test: MixtureTest | None) -> tuple[float | None, float | None, float | None]:
        """The relative lift and its always-valid interval, by the delta method."""
        if not self.control > 0:
            return None, None, None
        lift = self.difference / self.control
        # The control's mean is below the line as well as above it.
        variance = self.variance + self.variance_control * ((1 + lift) ** 2 - 1)
        if test is None or not variance > 0:
            return lift, None, None
        half = float(test.half_width(variance)) / self.control
        return lift, lift - half, lift + half

    def needed(self, test: MixtureTest, limit: float, n_visitors: float) -> int | None:
        """Further visitors until the limit, if difference and spread stay as they are."""
        times = np.geomspace(1, 100, 200)
        reached = np.flatnonzero(test.log_lr(self.difference, self.variance / times) >= limit)
        return int(n_visitors * (times[reached[0]] - 1)) if len(reached) else None


def _estimate(sums: RunningSums, k: int, design: RunningDesign) -> _Estimate:
    """Compare variant k with control."""
    pair = [0, k]
    y, n = sums.total[:, pair], sums.exposures[:, pair]
    enough = bool(
        (n.sum(axis=0) >= FEWEST_VISITORS).all()
        and (sums.conversions[:, pair].sum(axis=0) >= FEWEST_CONVERSIONS).all()
    )
    squares = sums.total_squares[:, pair]
    if not design.is_bandit:
        y, n, squares = (part.sum(axis=0, keepdims=True) for part in (y, n, squares))
    both = (n > 0).all(axis=1)
    if not both.any():
        return _Estimate(0.0, 0.0, 0.0, 0.0, np.inf, False, None)
    y, n, squares = y[both], n[both], squares[both]
    mean = y / n
    inside = np.maximum(squares - y * mean, 0.0)
    shift, reduction = np.zeros_like(mean), None
    if _has_pre(sums, pair):
        parts = [getattr(sums, f)[:, pair] for f in ("pre_total", "pre_squares", "pre_cross")]
        if not design.is_bandit:
            parts = [part.sum(axis=0, keepdims=True) for part in parts]
        x, xx, xy = (part[both] for part in parts)
        sxx, sxy = np.maximum(xx - x * x / n, 0.0), xy - x * mean
        if sxx.sum() > 0:
            theta = sxy.sum() / sxx.sum()
            before = inside.sum()
            inside = np.maximum(inside - 2 * theta * sxy + theta**2 * sxx, 0.0)
            reduction = float(1 - inside.sum() / before) if before > 0 else 0.0
            shift = theta * (x / n)
    difference = (mean[:, 1] - shift[:, 1]) - (mean[:, 0] - shift[:, 0])
    if design.is_bandit:
        h = n.prod(axis=1) / n.sum(axis=1)
        # The spread of a period is that of both arms: the smaller one may have a visitor or two.
        left = n.sum(axis=1) - 2
        s2 = inside.sum(axis=1) / np.maximum(left, 1)
        share = h / h.sum()
        v = (share**2)[:, None] * s2[:, None] / n
        dof = float(left.sum())
    else:
        share = np.ones(1)
        v = inside / np.maximum(n - 1, 1) / n
        dof = _satterthwaite(v[0], n[0])
    return _Estimate(
        difference=float(share @ difference),
        control=float(share @ mean[:, 0]),
        variance=float(v.sum()),
        variance_control=float(v[:, 0].sum()),
        dof=dof,
        enough=enough,
        variance_reduction=reduction,
    )


def _has_pre(sums: RunningSums, pair: Sequence[int]) -> bool:
    return bool((sums.pre_exposures[:, pair] == sums.exposures[:, pair]).all())


def _cuped_words(sums: RunningSums, comparisons: Sequence[_Estimate]) -> str:
    known, n = float(sums.pre_exposures.sum()), float(sums.exposures.sum())
    if known == 0:
        return "Not applied: no pre-period values were sent."
    if known < n:
        return (
            f"Not applied: {n - known:,.0f} of {n:,.0f} visitors came without a pre-period value."
        )
    taken = [c.variance_reduction for c in comparisons if c.variance_reduction is not None]
    if not taken:
        return "Not applied: the pre-period values are all the same."
    return f"Applied: {100 * min(taken):.0f}% less variance or better."


def _satterthwaite(v: Float[np.ndarray, " 2"], n: Float[np.ndarray, " 2"]) -> float:
    below = float((v**2 / np.maximum(n - 1, 1)).sum())
    return float(v.sum() ** 2 / below) if below > 0 else np.inf


def _figures(sums: RunningSums, design: RunningDesign) -> tuple[VariantFigures, ...]:
    z = float(ndtri((1 + INTERVAL_LEVEL) / 2))
    found = []
    for k, name in enumerate(design.names):
        n = float(sums.exposures[:, k].sum())
        conversions, total = int(sums.conversions[:, k].sum()), float(sums.total[:, k].sum())
        if n == 0:
            found.append(VariantFigures(name, 0, 0, None, None, None))
            continue
        mean = total / n
        if design.unit == "conversion":
            # Wilson (1927): stays within 0 and 1, and has a width where nobody converted.
            middle = (mean + z * z / (2 * n)) / (1 + z * z / n)
            half = z / (1 + z * z / n) * np.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
        else:
            spread = max(float(sums.total_squares[:, k].sum()) - n * mean**2, 0.0)
            middle, half = mean, z * np.sqrt(spread / max(n - 1, 1) / n)
        ends = float(middle - half), float(middle + half)
        found.append(VariantFigures(name, int(n), conversions, mean, *ends))
    return tuple(found)
