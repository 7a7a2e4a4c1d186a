"""From an experiment to its results."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytyche_engine.classic.adjusted import AdjustedArms, adjusted_arms
from pytyche_engine.classic.balance import CovariateBalanceChecker, check_balance
from pytyche_engine.classic.contrast import Contrast, welch
from pytyche_engine.classic.corrections import (
    adjusted_p_values,
    check_correction,
    interval_alphas,
)
from pytyche_engine.classic.experiment import Experiment, ExperimentState, Target
from pytyche_engine.classic.metrics import ProportionMetric
from pytyche_engine.classic.moments import Column, Moments
from pytyche_engine.classic.proportions import TwoProportions
from pytyche_engine.classic.relative import fieller_interval, relative_lift
from pytyche_engine.classic.result import AnalysisResult, MetricResult
from pytyche_engine.contracts.errors import DataError, DataNotice, DesignError
from pytyche_engine.contracts.warn import warn

_BEFORE_REPORT = [ExperimentState.DESIGNED, ExperimentState.RUNNING, ExperimentState.ANALYZED]


def run_analysis(
    experiment: Experiment,
    control: str = "control",
    treatment: str = "treatment",
    alpha: float = 0.05,
    multi_test_correction: str | None = None,
    covariates: Sequence[str] | None = None,
) -> AnalysisResult:
    """Compare one treatment with control in every registered metric.

    Welch's t-test of (CUPED-adjusted) means, rates or ratios; Fisher's exact test for
    proportions with few conversions; Fieller's intervals of relative lifts. The experiment is
    ANALYZED afterwards, and unchanged if anything is refused.

    Args:
        experiment: a designed experiment with metrics.
        control: label of the arm to compare with.
        treatment: label of the arm to compare.
        alpha: probability of a false positive.
        multi_test_correction: ``"bonferroni"``, ``"holm"``, ``"hochberg"``, ``"fdr_bh"``,
            ``"fdr_by"`` or None.
        covariates: columns to compare the arms in and to adjust every metric for, beside its
            own pre-period column; those given to `setup` unless others are. Text ones have to
            be given to `setup`.

    Raises:
        PhaseOrderError: if the experiment is not designed yet, or closed.
        DesignError: if there are no metrics, a label or the correction is not known, alpha is
            no probability, or both arms are the same. A `ValueError`.
        DataError: if a covariate cannot be used, or an arm has fewer than two visitors.
    """
    return _run(experiment, control, [treatment], alpha, multi_test_correction, covariates)


def run_all_arms(
    experiment: Experiment,
    control: str = "control",
    alpha: float = 0.05,
    multi_test_correction: str | None = None,
    covariates: Sequence[str] | None = None,
) -> AnalysisResult:
    """Compare every treatment with control; a correction is for all comparisons together.

    Args:
        experiment: a designed experiment with metrics.
        control: label of the arm to compare with.
        alpha: probability of a false positive.
        multi_test_correction: as for `run_analysis`.
        covariates: as for `run_analysis`.

    Raises:
        PhaseOrderError, DesignError, DataError: as `run_analysis` does.
    """
    treatments = [arm for arm in experiment.arms if arm != str(control)]
    return _run(experiment, control, treatments, alpha, multi_test_correction, covariates)


@dataclass(frozen=True, eq=False)
class _Comparison:
    target: Target
    treatment: str
    arms: AdjustedArms
    contrast: Contrast
    few: TwoProportions | None
    adjusted: bool

    @property
    def p_value(self) -> float | None:
        return self.contrast.p_value() if self.few is None else self.few.fisher_p()


def _run(
    experiment: Experiment,
    control: str,
    treatments: Sequence[str],
    alpha: float,
    correction: str | None,
    covariates: Sequence[str] | None,
) -> AnalysisResult:
    experiment.require(_BEFORE_REPORT, "An experiment cannot be analysed")
    check_alpha(alpha)
    check_correction(correction)
    if isinstance(covariates, str):
        raise DesignError(f"The covariates are the text {covariates!r}; give a list of columns.")
    control, treatments = str(control), [str(arm) for arm in treatments]
    _check_arms(experiment, control, treatments)
    if not experiment.metrics:
        raise DesignError("No metric is registered; use experiment.add_metrics(...).")
    names = experiment.covariates if covariates is None else tuple(dict.fromkeys(covariates))
    shared = experiment.covariate_columns(names)

    moments = experiment.moments(shared)
    pairs = [(target, arm) for arm in treatments for target in experiment.targets]
    compared = [_compare(t, control, arm, moments, shared) for t, arm in pairs]
    p_values = [c.p_value for c in compared]
    adjusted = p_values if correction is None else adjusted_p_values(p_values, correction)
    alphas = interval_alphas(p_values, adjusted, correction, alpha)
    results = [
        _result(one, control, p, spent, correction)
        for one, p, spent in zip(compared, adjusted, alphas, strict=True)
    ]
    balance = _balance(experiment, control, treatments, moments, shared)
    traffic = experiment.traffic()
    for state in _BEFORE_REPORT[_BEFORE_REPORT.index(experiment.state) :]:
        experiment.transition_to(state)
    if balance is not None and balance.imbalanced:
        worst = balance.imbalanced[0]
        warn(
            f"'{balance.treatment}' and '{control}' are unlike in {len(balance.imbalanced)} "
            f"covariate(s), most in '{worst.covariate}' (SMD {worst.smd:+.3f}); see love_plot().",
            DataNotice,
        )
    return AnalysisResult([r.as_row() for r in results], alpha, balance, correction, traffic)


def check_alpha(alpha: float) -> None:
    """Refuse a significance level that is none.

    Raises:
        DesignError: if it is not between 0 and 1.
    """
    if isinstance(alpha, bool) or not isinstance(alpha, int | float | np.number):
        raise DesignError(f"alpha is {alpha!r}; use a number between 0 and 1, such as 0.05.")
    if not 0 < alpha < 1:
        raise DesignError(f"alpha is {alpha}; use a number between 0 and 1, such as 0.05.")


def _check_arms(experiment: Experiment, control: str, treatments: Sequence[str]) -> None:
    there = ", ".join(f"'{arm}'" for arm in experiment.arms)
    for role, label in [("control", control), *(("treatment", arm) for arm in treatments)]:
        if label not in experiment.arms:
            raise DesignError(f"The {role} label '{label}' is not in the data, which have {there}.")
    if not treatments:
        raise DesignError(f"There is no arm beside '{control}' to compare.")
    if control in treatments:
        raise DesignError(f"Control and treatment are both '{control}'; the data have {there}.")
    for arm in (control, *treatments):
        if (n := experiment.visitors()[arm]) < 2:
            raise DataError(
                f"Arm '{arm}' has {n} visitor(s), and at least two are needed to see any spread",
                column=experiment.treatment_col,
            )


def _compare(
    target: Target,
    control: str,
    treatment: str,
    moments: dict[str, Moments],
    shared: dict[str, tuple[Column, ...]],
) -> _Comparison:
    extra = [column for columns in shared.values() for column in columns]
    covariates = tuple(dict.fromkeys((*target.before, *extra)))
    pair = moments[control], moments[treatment]
    arms = adjusted_arms(target.metric, target.outcome, covariates, *pair)
    few = None
    if isinstance(target.metric, ProportionMetric) and not covariates:
        (c, n_c), (t, n_t) = ((round(m.n * float(m.of(target.outcome).mean[0])), m.n) for m in pair)
        table = TwoProportions(c, n_c, t, n_t)
        few = table if table.few else None
    return _Comparison(
        target, treatment, arms, welch(arms.control, arms.treatment), few, bool(covariates)
    )


def _result(
    one: _Comparison, control: str, p_adjusted: float | None, alpha: float, correction: str | None
) -> MetricResult:
    c, t, contrast = one.arms.control, one.arms.treatment, one.contrast
    relative: tuple[float, float] | tuple[None, None] = (None, None)
    ends: tuple[float | None, float | None]
    if one.few is not None:
        ends = one.few.newcombe_interval(alpha)
        reason = "few_conversions" if c.mean != 0 else "zero_baseline"
        method = "Fisher's exact test"
    else:
        ends = contrast.interval(alpha)
        method = "Welch's t-test" + (" on CUPED-adjusted values" if one.adjusted else "")
        fieller = fieller_interval(c, t, alpha, contrast.dof)
        reason = None
        if not contrast.std_error > 0:
            reason = "zero_variance"
            ends = ends if contrast.estimate == 0 else (None, None)
        elif c.mean == 0:
            reason = "zero_baseline"
        elif fieller is None:
            reason = "unbounded"
        else:
            relative = fieller
    cap = one.target.outcome[0].high
    return MetricResult(
        metric_name=one.target.metric.name,
        metric_type=one.target.metric.kind,
        control_mean=c.mean,
        treatment_mean=t.mean,
        control_var=c.variance,
        treatment_var=t.variance,
        control_n=c.n,
        treatment_n=t.n,
        absolute_difference=contrast.estimate,
        relative_lift=relative_lift(c, t),
        cuped_applied=one.adjusted,
        variance_reduction=one.arms.variance_reduction,
        p_value=one.p_value,
        ci_lower=ends[0],
        ci_upper=ends[1],
        rel_ci_lower=relative[0],
        rel_ci_upper=relative[1],
        power=None if one.few is not None else contrast.power(alpha),
        control=control,
        treatment=one.treatment,
        p_value_adjusted=p_adjusted,
        interval_alpha=alpha,
        std_error=contrast.std_error,
        dof=None if one.few is not None or np.isinf(contrast.dof) else contrast.dof,
        method=method,
        correction=correction,
        cap=cap if np.isfinite(cap) else None,
        reason=reason,
    )


def _balance(
    experiment: Experiment,
    control: str,
    treatments: Sequence[str],
    moments: dict[str, Moments],
    shared: dict[str, tuple[Column, ...]],
) -> CovariateBalanceChecker | None:
    if not shared:
        return None
    levels = experiment.rows.levels
    found = [check_balance(control, arm, moments, shared, levels) for arm in treatments]
    checkers = [checker for checker in found if checker is not None]
    return max(
        checkers, key=lambda b: max((abs(r.smd or 0.0) for r in b.rows), default=0.0), default=None
    )
