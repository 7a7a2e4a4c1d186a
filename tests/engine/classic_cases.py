"""For each reference case, what our functions make of its inputs.

Peers differ in conventions: the variance of a proportion with or without ``n - 1``, z instead of t,
a relative interval that is the absolute one over control's mean. Where ours differs on purpose, the
peer's convention is applied here, to our estimates and standard errors.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pytyche_engine import classic
from pytyche_engine.classic.adjusted import AdjustedArms, adjusted_arms
from pytyche_engine.classic.contrast import ArmEstimate, Contrast, welch
from pytyche_engine.classic.corrections import adjusted_p_values
from pytyche_engine.classic.metrics import MeanMetric, RatioMetric
from pytyche_engine.classic.moments import Column, Moments
from pytyche_engine.classic.relative import (
    delta_contrast,
    fieller_interval,
    log_ratio_interval,
    relative_lift,
)

CASES: dict[str, Callable[..., dict[str, object]]] = {}

Y = Column("y")
PRE = Column("pre")


def of(*ids: str) -> Callable[[Callable[..., dict[str, object]]], Callable[..., dict[str, object]]]:
    def register(function: Callable[..., dict[str, object]]) -> Callable[..., dict[str, object]]:
        for case_id in ids:
            CASES[case_id] = function
        return function

    return register


def arm(given: dict) -> ArmEstimate:
    """A mean from sums, or a proportion with the variance ``p (1 - p)``."""
    n = given["n"]
    if "successes" in given:
        p = given["successes"] / n
        return ArmEstimate(n, p, p * (1 - p))
    if "mean" in given:
        return ArmEstimate(n, given["mean"], given["var"])
    moments = Moments.from_sums(n, ["y"], [given["sum"]], [[given["sum_squares"]]])
    return ArmEstimate(n, float(moments.mean[0]), float(moments.covariance[0, 0]))


def arms(inputs: dict) -> tuple[ArmEstimate, ArmEstimate]:
    return arm(inputs["control"]), arm(inputs["treatment"])


def table(inputs: dict) -> classic.TwoProportions:
    c, t = inputs["control"], inputs["treatment"]
    return classic.TwoProportions(c["successes"], c["n"], t["successes"], t["n"])


def normal(contrast: Contrast) -> Contrast:
    return replace(contrast, dof=np.inf)


def read(contrast: Contrast, alpha: float = 0.05, alternative: str = "two-sided") -> dict:
    low, high = contrast.interval(alpha, alternative)
    return {
        "estimate": contrast.estimate,
        "difference": contrast.estimate,
        "effect_size": contrast.estimate,
        "ci_lower": low,
        "ci_upper": high,
        "effect_size_ci_lower": low,
        "effect_size_ci_upper": high,
        "std_error": contrast.std_error,
        "dof": contrast.dof,
        "p_value": contrast.p_value(alternative),
        "pvalue": contrast.p_value(alternative),
    }


@of("gb_ttest_mean_absolute")
def mean_absolute(inputs: dict) -> dict:
    return read(welch(*arms(inputs)), inputs["alpha"])


@of(
    "gb_ttest_mean_relative_one_sided_greater",
    "gb_ttest_proportion_relative",
    "gb_edge_negative_baseline",
)
def relative(inputs: dict) -> dict:
    found = delta_contrast(*arms(inputs))
    alternative = inputs.get("alternative", "two-sided")
    return {**read(found, inputs.get("alpha", 0.05), alternative), "error_message": None}


@of("gb_edge_both_zero")
def nothing_happens(inputs: dict) -> dict:
    """Through the whole analysis, which says null and a reason where the peer says 0."""
    moments = {}
    for name in ("control", "treatment"):
        g = inputs[name]
        moments[name] = Moments.from_sums(g["n"], ["y"], [g["sum"]], [[g["sum_squares"]]])
    experiment = classic.setup_moments(moments).add_metrics(MeanMetric("y", "y"))
    (row,) = classic.run_analysis(experiment).raw_results
    assert row["relative_lift"] is None
    assert row["rel_ci_lower"] is None
    codes = {"zero_variance": "ZERO_NEGATIVE_VARIANCE"}
    return {
        "estimate": row["absolute_difference"],
        "ci_lower": row["ci_lower"],
        "ci_upper": row["ci_upper"],
        "std_error": row["std_error"],
        "p_value": row["p_value"],
        "error_message": codes[row["reason"]],
    }


def pre_post(inputs: dict) -> list[Moments]:
    both = []
    for name in ("control", "treatment"):
        g = inputs[name]
        products = [
            [g["post_sum_squares"], g["post_pre_sum_of_products"]],
            [g["post_pre_sum_of_products"], g["pre_sum_squares"]],
        ]
        both.append(Moments.from_sums(g["n"], [Y, PRE], [g["post_sum"], g["pre_sum"]], products))
    return both


def cuped(inputs: dict) -> AdjustedArms:
    return adjusted_arms(MeanMetric("y", "y", "pre"), [Y], [PRE], *pre_post(inputs))


@of("gb_cuped_mean_absolute")
def cuped_mean(inputs: dict) -> dict:
    found = cuped(inputs)
    return {**read(welch(found.control, found.treatment)), "theta": found.theta[0]}


@of("sp_cuped_linreg")
def cuped_regression(inputs: dict) -> dict:
    """z, and what the covariate takes away with the divisor n instead of n - 1."""
    both, found = pre_post(inputs), cuped(inputs)
    arms = []
    for moments, one in zip(both, (found.control, found.treatment), strict=True):
        raw = float(moments.covariance[0, 0])
        taken = (one.variance - raw) * (one.n - 1) / one.n
        arms.append(replace(one, variance=raw + taken))
    return read(normal(welch(*arms)))


@of("tt_cuped_suffstats")
def cuped_log_ratio(inputs: dict) -> dict:
    found = cuped(inputs)
    return tea(found.control, found.treatment)


def tea(control: ArmEstimate, treatment: ArmEstimate) -> dict:
    found = welch(control, treatment)
    low, high = log_ratio_interval(control, treatment, 0.05)
    return {
        **read(found),
        "control": control.mean,
        "treatment": treatment.mean,
        "rel_effect_size": relative_lift(control, treatment),
        "rel_effect_size_ci_lower": low,
        "rel_effect_size_ci_upper": high,
        "statistic": found.estimate / found.std_error,
    }


@of("gb_ratio_delta_absolute")
def ratio(inputs: dict) -> dict:
    columns = [Column("num"), Column("den")]
    both = []
    for name in ("control", "treatment"):
        g = inputs[name]
        product = g["num_den_sum_of_products"]
        products = [[g["num_sum_squares"], product], [product, g["den_sum_squares"]]]
        both.append(Moments.from_sums(g["n"], columns, [g["num_sum"], g["den_sum"]], products))
    found = adjusted_arms(RatioMetric("r", "num", "den"), columns, [], *both)
    return {
        **read(welch(found.control, found.treatment)),
        "control_ratio": found.control.mean,
        "treatment_ratio": found.treatment.mean,
        "control_unit_variance": found.control.variance,
        "treatment_unit_variance": found.treatment.variance,
    }


@of("gb_bayes_relative_flat", "gb_bayes_relative_N(0,0.05^2)")
def normal_prior(inputs: dict) -> dict:
    prior = inputs["prior"]
    sd = np.sqrt(prior["variance"]) if prior["proper"] else np.inf
    found = classic.NormalPosterior.of(delta_contrast(*arms(inputs)), prior["mean"], sd)
    low, high = found.interval(inputs["alpha"])
    return {
        "estimate": found.mean,
        "ci_lower": low,
        "ci_upper": high,
        "chance_to_win": found.chance_to_win,
        "risk_control": found.risk_of_control,
        "risk_treatment": found.risk_of_treatment,
    }


@of("gb_midexperiment_power")
def power_left(inputs: dict) -> dict:
    found = classic.visitors_still_needed(
        *arms(inputs), inputs["target_mde"], alpha=inputs["alpha"], power=inputs["target_power"]
    )
    return {
        "power_now": found.power_now,
        "scaling_factor": found.factor,
        "additional_users": found.visitors,
    }


@of("sp_ztest_binary_absolute")
def wald(inputs: dict) -> dict:
    return read(table(inputs).wald)


@of("sp_chisq_binary")
def chi_square(inputs: dict) -> dict:
    found = table(inputs)
    return {**read(found.wald), "p_value": found.chi_square_p()}


@of("sp_ztest_nim")
def non_inferiority(inputs: dict) -> dict:
    found = table(inputs)
    margin = -inputs["nim"] * found.rates[0]
    return {
        **read(found.wald, 0.05, "greater"),
        "p_value": found.wald.p_value("greater", null=margin),
    }


@of("sp_multiarm_holm")
def several_arms(inputs: dict) -> dict:
    p = [
        table({"control": inputs["control"], "treatment": inputs[name]}).wald.p_value()
        for name in ("t1", "t2")
    ]
    adjusted = adjusted_p_values(p, inputs["correction"])
    return {
        "levels": ["t1", "t2"],
        "p_value": p,
        "adjusted_p_value": adjusted,
        "is_significant": [q < 0.05 for q in adjusted],
    }


def baseline_variance(p: float, effect: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """Visitors an arm if both arms had control's variance."""
    return classic.plan_means(np.sqrt(p * (1 - p)), alpha=alpha).visitors(effect, power) / 2


@of("sp_sample_size_binomial")
def sample_size(inputs: dict) -> dict:
    n = int(np.ceil(baseline_variance(inputs["baseline"], inputs["mde_abs"])))
    return {"total": 2 * n, "per_group": [n, n]}


@of("cf_power_two_proportions")
def three_conventions(inputs: dict) -> dict:
    p0, p1 = inputs["p0"], inputs["p1"]
    sds = [np.sqrt(p * (1 - p)) for p in (p0, p1)]
    return {
        "pooled_null_unpooled_alt": classic.plan_rates(p0, p1 - p0).visitors(p1 - p0) / 2,
        "unpooled_both": classic.plan_means(sds[0], sd_treatment=sds[1]).visitors(p1 - p0) / 2,
        "baseline_variance_both_arms": baseline_variance(p0, p1 - p0),
    }


@of("xp_design_experiment")
def designs(inputs: dict) -> dict:
    first, second = inputs["cases"]
    p, sd = first["baseline_value"], second["standard_deviation"]
    effect = second["baseline_value"] * second["mde"]
    rho = second["pre_post_correlation"]
    return {
        "n": [
            baseline_variance(p, p * first["mde"]),
            classic.plan_means(sd).visitors(effect) / 2,
        ],
        "cuped_n": classic.plan_means(sd, correlation=rho).visitors(effect) / 2,
    }


@of(
    "sm_multitest_bonferroni",
    "sm_multitest_simes-hochberg",
    "sm_multitest_fdr_bh",
    "sm_multitest_fdr_tsbh",
    "sm_multitest_holm-sidak",
)
def corrected(inputs: dict) -> dict:
    adjusted = adjusted_p_values(inputs["p_values"], inputs["method"])
    return {"adjusted": adjusted, "reject": [p <= inputs["alpha"] for p in adjusted]}


@of("sc_fdr_bh")
def false_discovery(inputs: dict) -> dict:
    return {
        "bh": adjusted_p_values(inputs["p_values"], "fdr_bh"),
        "by": adjusted_p_values(inputs["p_values"], "fdr_by"),
    }


@of("sm_two_proportions_zero_cell")
def zero_cell(inputs: dict) -> dict:
    found = table(inputs)
    return {
        "ci_newcomb": found.newcombe_interval(),
        "ci_score": found.score_interval(),
        "fisher_p": found.fisher_p(),
        "boschloo_p": found.boschloo_p(),
    }


@of("sc_welch_extreme_tail")
def extreme_tail(inputs: dict) -> dict:
    p = [Contrast(t, 1.0, inputs["df"]).p_value() for t in inputs["t"]]
    return {"p_value": p, "log10_p": np.log10(p)}


@of("cf_relative_ci_four_ways")
def four_ways(inputs: dict) -> dict:
    n = 10**12  # so many that t is normal
    c, t = (
        ArmEstimate(n, inputs[name]["mean"], inputs[name]["var_of_mean"] * n)
        for name in ("control", "treatment")
    )
    return {
        "naive_abs_over_mean": np.array(welch(c, t).interval()) / c.mean,
        "delta": delta_contrast(c, t).interval(),
        "log_ratio": log_ratio_interval(c, t, 0.05),
        "fieller": fieller_interval(c, t, 0.05),
    }
