"""Reference cases about a data set of 60 visitors."""

from dataclasses import replace

import numpy as np
import pandas as pd
from classic_cases import normal, of, read, tea
from scipy.special import stdtr

from pytyche_engine import classic
from pytyche_engine.classic.contrast import ArmEstimate, Contrast, welch
from pytyche_engine.classic.metrics import MeanMetric, RatioMetric
from pytyche_engine.classic.moments import Column, Moments
from pytyche_engine.classic.relative import (
    relative_lift,
)


def analysed(data: pd.DataFrame, metric: object) -> dict:
    experiment = classic.setup(data, "variant").add_metrics(metric)
    return classic.run_analysis(experiment).raw_results[0]


def estimates(row: dict) -> tuple[ArmEstimate, ArmEstimate]:
    return tuple(
        ArmEstimate(row[f"{name}_n"], row[f"{name}_mean"], row[f"{name}_var"])
        for name in ("control", "treatment")
    )


@of("tt_D1_mean")
def d1_mean(data: pd.DataFrame) -> dict:
    return tea(*estimates(analysed(data, MeanMetric("y", "y"))))


@of("tt_D1_ratio")
def d1_ratio(data: pd.DataFrame) -> dict:
    return tea(*estimates(analysed(data, RatioMetric("ctr", "clicks", "impressions"))))


@of("tt_D1_mean_z_equalvar")
def d1_equal_variance(data: pd.DataFrame) -> dict:
    """z, and a common variance: of the values, and of the logarithms of the means."""
    c, t = estimates(analysed(data, MeanMetric("y", "y")))

    def common(control: ArmEstimate, treatment: ArmEstimate) -> Contrast:
        freedom = control.n - 1, treatment.n - 1
        both = freedom[0] * control.variance + freedom[1] * treatment.variance
        pooled = both / sum(freedom)
        return normal(welch(replace(control, variance=pooled), replace(treatment, variance=pooled)))

    logs = [replace(a, mean=np.log(a.mean), variance=a.variance / a.mean**2) for a in (c, t)]
    low, high = np.expm1(common(*logs).interval())
    found = common(c, t)
    return {
        **tea(c, t),
        **read(found),
        "rel_effect_size_ci_lower": low,
        "rel_effect_size_ci_upper": high,
        "statistic": found.estimate / found.std_error,
    }


def d1_table(data: pd.DataFrame) -> classic.TwoProportions:
    counts = data.groupby("variant")["converted"].agg(["sum", "size"])
    return classic.TwoProportions(*counts.loc["control"], *counts.loc["treatment"])


def proportions(found: classic.TwoProportions, p_value: float | None) -> dict:
    c, t = found.rates
    return {
        "control": c,
        "treatment": t,
        "effect_size": t - c,
        "rel_effect_size": t / c - 1,
        "effect_size_ci_lower": None,
        "effect_size_ci_upper": None,
        "rel_effect_size_ci_lower": None,
        "rel_effect_size_ci_upper": None,
        "pvalue": p_value,
    }


@of("tt_D1_prop_norm")
def d1_normal(data: pd.DataFrame) -> dict:
    """Pooled variance, and Yates's correction of p-value and intervals."""
    found = d1_table(data)
    low, high = found.pooled.interval()
    c, t = found.rates
    pooled_rate = data["converted"].mean()
    log_se = found.pooled.std_error / pooled_rate
    half = Contrast(0.0, log_se).interval()[1] + found.continuity / c
    return {
        **proportions(found, found.chi_square_p(yates=True)),
        "effect_size_ci_lower": low - found.continuity,
        "effect_size_ci_upper": high + found.continuity,
        "rel_effect_size_ci_lower": t / c * np.exp(-half) - 1,
        "rel_effect_size_ci_upper": t / c * np.exp(half) - 1,
    }


@of("tt_D1_prop_fisher")
def d1_fisher(data: pd.DataFrame) -> dict:
    found = d1_table(data)
    return proportions(found, found.fisher_p())


@of("tt_D1_prop_ll")
def d1_log_likelihood(data: pd.DataFrame) -> dict:
    found = d1_table(data)
    return proportions(found, found.log_likelihood_p())


@of("tt_D1_mwu")
def d1_ranks(data: pd.DataFrame) -> dict:
    values = [data.loc[data["variant"] == name, "y"] for name in ("control", "treatment")]
    found = classic.compare_ranks(*values)
    return {
        "control": found.control_larger,
        "treatment": found.treatment_larger,
        "effect_size": found.difference,
        "pvalue": found.p_value,
        "statistic": found.statistic,
    }


@of("winsor_pooled_upper_95")
def winsorised(inputs: dict, data: pd.DataFrame) -> dict:
    metric = classic.RevenueMetric("y", inputs["column"], upper=inputs["upper"])
    row = analysed(data, metric)
    contrast = Contrast(row["absolute_difference"], row["std_error"], row["dof"])
    return {
        "cap": row["cap"],
        "n_capped": int((data["y"] > row["cap"]).sum()),
        "control_mean": row["control_mean"],
        "treatment_mean": row["treatment_mean"],
        "t": contrast.estimate / contrast.std_error,
        "p_value": row["p_value"],
    }


def peers_power(row: dict) -> float:
    """The peer shifts a central t distribution; ours is the noncentral one."""
    t = Contrast(0.0, 1.0, row["dof"])
    away, limit = abs(row["absolute_difference"]) / row["std_error"], t.critical(0.025)
    return float(stdtr(row["dof"], away - limit) + stdtr(row["dof"], -away - limit))


def peers_relative(row: dict) -> dict:
    """The peer divides the interval of the difference by control's mean."""
    c = row["control_mean"]
    return {"rel_ci_lower": row["ci_lower"] / c, "rel_ci_upper": row["ci_upper"] / c}


def peers_ratio(data: pd.DataFrame) -> dict:
    """The peer adjusts numerator and denominator apart, each by its own pre-period column.

    That is not the best use of the two: our regression takes away more variance.
    """
    columns = [Column(c) for c in ("clicks", "impressions", "pre_clicks", "pre_impressions")]
    experiment = classic.setup(data, "variant").add_metrics(
        RatioMetric("r", "clicks", "impressions", "pre_clicks", "pre_impressions")
    )
    by_arm = {name: m.of(columns) for name, m in experiment.moments({}).items()}
    pooled = by_arm["control"] + by_arm["treatment"]
    s = pooled.covariance
    theta = np.array([s[0, 2] / s[2, 2], s[1, 3] / s[3, 3]])

    def one(m: Moments) -> tuple[ArmEstimate, float]:
        top, bottom = m.mean[:2] - theta * (m.mean[2:] - pooled.mean[2:])
        value = top / bottom
        weights = np.array([1, -value, -theta[0], value * theta[1]]) / bottom
        return ArmEstimate(m.n, value, float(weights @ m.covariance @ weights)), bottom

    (c, _), (t, _) = one(by_arm["control"]), one(by_arm["treatment"])
    contrast = welch(c, t)
    low, high = contrast.interval()
    value = pooled.mean[0] / pooled.mean[1]
    plain = np.array([1, -value, 0, 0]) / pooled.mean[1]
    adjusted = np.array([1, -value, -theta[0], value * theta[1]]) / pooled.mean[1]
    return {
        "metric_name": "ctr_cuped",
        "metric_type": "Ratio",
        "control_mean": c.mean,
        "treatment_mean": t.mean,
        "control_var": c.variance,
        "treatment_var": t.variance,
        "control_n": c.n,
        "treatment_n": t.n,
        "absolute_difference": contrast.estimate,
        "relative_lift": relative_lift(c, t),
        "cuped_applied": True,
        "variance_reduction": 1 - (adjusted @ s @ adjusted) / (plain @ s @ plain),
        "p_value": contrast.p_value(),
        "ci_lower": low,
        "ci_upper": high,
        "std_error": contrast.std_error,
        "dof": contrast.dof,
    }


def d1_metrics() -> list:
    return [
        MeanMetric("y_cuped", "y", "pre_y"),
        classic.ProportionMetric("conv", "converted"),
        RatioMetric("ctr", "clicks", "impressions"),
    ]


@of("xp_D1_raw_results")
def orchestrator(data: pd.DataFrame) -> dict:
    experiment = classic.setup(data, "variant").add_metrics(d1_metrics())
    rows = [*classic.run_analysis(experiment).raw_results, peers_ratio(data)]
    first_columns = list(rows[0])[:18]
    return {
        "raw_results": [{**r, **peers_relative(r), "power": peers_power(r)} for r in rows],
        "columns": first_columns,
    }


@of("xp_D1_corrections")
def orchestrator_corrections(data: pd.DataFrame) -> dict:
    found = {}
    for name in ("bonferroni", "holm", "fdr_bh", "fdr_by", "hochberg"):
        experiment = classic.setup(data, "variant").add_metrics(d1_metrics())
        result = classic.run_analysis(experiment, multi_test_correction=name)
        found[name] = [row["p_value_adjusted"] for row in result.raw_results]
    return found
