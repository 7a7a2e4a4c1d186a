"""The classical analysis against other ways to the same numbers."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pytyche_engine import classic
from pytyche_engine.classic import (
    MeanMetric,
    ProportionMetric,
    RatioMetric,
    RevenueMetric,
    run_all_arms,
    run_analysis,
    setup,
)
from pytyche_engine.classic.contrast import ArmEstimate, welch
from pytyche_engine.classic.corrections import (
    CORRECTIONS,
    adjusted_p_values,
    interval_alphas,
)
from pytyche_engine.classic.moments import Column, moments_by_arm
from pytyche_engine.classic.relative import fieller_interval, log_ratio_interval
from pytyche_engine.contracts.errors import DataNotice

HOSTILE = "<img src=x onerror=alert(1)>"


def trial(n: int = 3000, seed: int = 0, lift: float = 0.4) -> pd.DataFrame:
    """Three arms; `y` follows `before`, which is missing for some."""
    rng = np.random.default_rng(seed)
    arm = rng.choice(["control", "treatment", "other"], n, p=[0.4, 0.4, 0.2])
    before = rng.gamma(2, 5, n)
    y = 3 + 0.8 * before + rng.normal(0, 2, n) + lift * (arm == "treatment")
    views = rng.poisson(8, n) + 1
    return pd.DataFrame(
        {
            "arm": arm,
            "y": y,
            "before": before,
            "holes": np.where(rng.random(n) < 0.3, np.nan, before),
            "city": rng.choice(["Oslo", "Rome", None], n, p=[0.5, 0.4, 0.1]),
            "bought": (rng.random(n) < 0.1).astype(int),
            "views": views,
            "clicks": rng.binomial(views, 0.2),
            "views_before": views + rng.poisson(1, n),
            "clicks_before": rng.binomial(views, 0.2),
            "spent": np.where(rng.random(n) < 0.1, rng.lognormal(3, 1.5, n), 0.0),
        }
    )


def row(data: pd.DataFrame, metric: object, **arguments: object) -> dict:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNotice)
        found = run_analysis(setup(data, "arm").add_metrics(metric), **arguments)
    return found.raw_results[0]


def same(found: dict, expected: dict, rel: float) -> None:
    """Equal but for rounding."""
    assert set(found) == set(expected)
    for key, value in expected.items():
        about = pytest.approx(value, rel=rel) if isinstance(value, float) else value
        assert found[key] == about, key


def values(data: pd.DataFrame, column: str = "y") -> list[np.ndarray]:
    return [data.loc[data["arm"] == a, column].to_numpy() for a in ("control", "treatment")]


def test_one_pass_gives_the_moments_of_numpy() -> None:
    rng = np.random.default_rng(0)
    n = 20_001  # more than one block, and a rest
    raw = {"a": rng.normal(1e6, 1, n), "b": rng.integers(0, 9, n)}
    arm = rng.integers(-1, 2, n)
    columns = (Column("a"), Column("b"), Column("a", high=1e6))
    for k, found in enumerate(moments_by_arm(arm, 2, [columns], raw)):
        mine = arm == k
        table = np.stack([raw["a"], raw["b"], np.minimum(raw["a"], 1e6)])[:, mine]
        assert found.n == mine.sum()
        np.testing.assert_allclose(found.mean, table.mean(axis=1), rtol=1e-13)
        np.testing.assert_allclose(found.covariance, np.cov(table), rtol=1e-8, atol=1e-9)


def test_only_products_that_are_needed_are_taken() -> None:
    raw = {"a": np.arange(5.0), "b": np.arange(5.0)}
    (found,) = moments_by_arm(np.zeros(5, int), 1, [(Column("a"),), (Column("b"),)], raw)
    assert np.isnan(found.cross[0, 1])
    assert found.cross[0, 0] == 10


def test_moments_add_up() -> None:
    rng = np.random.default_rng(0)
    raw = {"a": rng.normal(5, 1, 900), "b": rng.normal(0, 3, 900)}
    columns = [(Column("a"), Column("b"))]
    first, second = moments_by_arm(rng.integers(0, 2, 900), 2, columns, raw)
    (both,) = moments_by_arm(np.zeros(900, int), 1, columns, raw)
    np.testing.assert_allclose((first + second).mean, both.mean)
    np.testing.assert_allclose((first + second).cross, both.cross)


def test_a_mean_is_welchs_test() -> None:
    data = trial()
    found = row(data, MeanMetric("y", "y"))
    c, t = values(data)
    peer = stats.ttest_ind(t, c, equal_var=False)
    interval = peer.confidence_interval(0.95)
    assert found["p_value"] == pytest.approx(peer.pvalue, rel=1e-10)
    assert (found["ci_lower"], found["ci_upper"]) == pytest.approx((interval.low, interval.high))
    assert found["dof"] == pytest.approx(peer.df)


@pytest.mark.parametrize("covariates", [["before"], ["before", "views"], ["city"], ["holes"]])
def test_cuped_is_a_regression(covariates: list[str]) -> None:
    """Residuals of a pooled regression on covariates, compared by Welch's test."""
    data = trial()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNotice)
        experiment = setup(data, "arm", covariates=covariates).add_metrics(MeanMetric("y", "y"))
        (found,) = run_analysis(experiment).raw_results
    two = data[data["arm"] != "other"]
    design = pd.get_dummies(two[covariates], dummy_na="city" in covariates, dtype=float)
    if "holes" in covariates:
        design["missing"] = two["holes"].isna().astype(float)
        design["holes"] = two["holes"].fillna(0)
    x = np.column_stack([np.ones(len(two)), design])
    theta = np.linalg.lstsq(x, two["y"].to_numpy(), rcond=None)[0]
    residual = two["y"] - x @ theta + two["y"].mean()
    c, t = (residual[two["arm"] == a] for a in ("control", "treatment"))
    peer = stats.ttest_ind(t, c, equal_var=False)
    assert found["cuped_applied"]
    assert found["p_value"] == pytest.approx(peer.pvalue, rel=1e-6)
    assert found["control_mean"] == pytest.approx(c.mean())
    assert found["control_var"] == pytest.approx(c.var())
    reduction = 1 - residual.var() / two["y"].var()
    assert found["variance_reduction"] == pytest.approx(reduction, rel=1e-6)
    # Nobody is dropped, whatever is missing.
    assert found["control_n"] + found["treatment_n"] == len(two)


def test_theta_is_of_the_two_arms_compared() -> None:
    data = trial()
    alone = row(data[data["arm"] != "other"], MeanMetric("y", "y", "before"))
    beside = row(data, MeanMetric("y", "y", "before"))
    assert beside["absolute_difference"] == pytest.approx(alone["absolute_difference"], rel=1e-12)


def test_missing_covariates_are_not_dropped_and_take_variance_away() -> None:
    data = trial()
    plain, filled, full = (
        row(data, MeanMetric("y", "y", before))["std_error"] for before in (None, "holes", "before")
    )
    assert full < filled < 0.9 * plain


def test_a_constant_or_repeated_covariate_adds_nothing() -> None:
    data = trial().assign(one=1.0, again=lambda d: 3 * d["before"])
    alone = row(data, MeanMetric("y", "y", "before"))
    for extra in (["one"], ["again"], ["one", "again"]):
        more = row(data, MeanMetric("y", "y", "before"), covariates=extra)
        assert more["p_value"] == pytest.approx(alone["p_value"], rel=1e-6)
    nothing = row(data, MeanMetric("y", "y", "one"))
    assert nothing["p_value"] == pytest.approx(row(data, MeanMetric("y", "y"))["p_value"])


def test_a_ratio_is_as_uncertain_as_its_bootstrap() -> None:
    data = trial(1500)
    rng = np.random.default_rng(1)
    for metric in (
        RatioMetric("ctr", "clicks", "views"),
        RatioMetric("ctr", "clicks", "views", "clicks_before", "views_before"),
    ):
        found = row(data, metric)
        estimates = [
            row(data.iloc[rng.integers(0, len(data), len(data))], metric)["absolute_difference"]
            for _ in range(150)
        ]
        assert found["std_error"] == pytest.approx(np.std(estimates), rel=0.2)


def test_a_cap_is_of_all_arms_together_and_fixed_at_registration() -> None:
    data = trial()
    found = row(data, RevenueMetric("spent", "spent", upper=0.99))
    cap = np.quantile(data["spent"], 0.99)
    assert found["cap"] == cap
    assert found["treatment_mean"] == pytest.approx(
        np.minimum(values(data, "spent")[1], cap).mean()
    )
    assert row(data, RevenueMetric("spent", "spent", upper=1.0))["cap"] is None


def test_few_conversions_get_an_exact_test() -> None:
    experiment = classic.setup_counts(
        {"control": 45, "treatment": 40}, {"bought": {"control": 0, "treatment": 3}}
    )
    (found,) = run_analysis(experiment).raw_results
    assert found["method"] == "Fisher's exact test"
    assert found["p_value"] == pytest.approx(0.10003037359522123)
    assert found["ci_lower"] == pytest.approx(-0.01775327673390438)
    assert found["relative_lift"] is None
    assert found["reason"] == "zero_baseline"


def test_counts_rows_and_totals_agree() -> None:
    data = trial()
    from_rows = row(data, ProportionMetric("bought", "bought"))
    by_arm = data.groupby("arm")["bought"].agg(["size", "sum"])
    counts = classic.setup_counts(
        by_arm["size"].to_dict(),
        {"bought": by_arm["sum"].to_dict()},
        shares={"control": 2, "treatment": 2, "other": 1},
    )
    same(run_analysis(counts).raw_results[0], from_rows, 1e-9)
    totals = {
        arm: classic.Moments.from_sums(
            len(part),
            ["y", "before"],
            [part["y"].sum(), part["before"].sum()],
            (part[["y", "before"]].T @ part[["y", "before"]]).to_numpy(),
        )
        for arm, part in data.groupby("arm")
    }
    metric = MeanMetric("y", "y", "before")
    from_totals = run_analysis(classic.setup_moments(totals).add_metrics(metric)).raw_results[0]
    same(from_totals, row(data, metric), 1e-6)


def test_the_frame_is_neither_changed_nor_watched() -> None:
    data = trial()
    before = data.copy()
    experiment = setup(data, "arm").add_metrics(MeanMetric("y", "y", "holes"))
    first = run_analysis(experiment).raw_results
    pd.testing.assert_frame_equal(data, before)
    data["y"] = 0.0
    assert run_analysis(experiment).raw_results == first


@pytest.mark.parametrize("mean", [1.0, -1.0])
def test_relative_intervals_are_in_order_and_agree_with_the_test(mean: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        c = ArmEstimate(50, mean + rng.normal(0, 0.2), 2.0)
        t = ArmEstimate(60, mean + rng.normal(0, 0.2), 1.0)
        contrast = welch(c, t)
        interval = fieller_interval(c, t, 0.05, contrast.dof)
        if interval is None:
            continue
        low, high = interval
        assert low < (t.mean - c.mean) / abs(c.mean) < high
        assert (low > 0 or high < 0) == (contrast.p_value() < 0.05)


def test_relative_intervals_cover() -> None:
    """Skewed values and a large lift, where dividing by control's mean covers 91 %."""
    rng = np.random.default_rng(0)
    n, runs, lift = 500, 4000, 0.5
    c, t = rng.exponential(1, (runs, n)), rng.exponential(1 + lift, (runs, n))
    covered = np.zeros((runs, 3), dtype=bool)
    for i in range(runs):
        arms = [ArmEstimate(n, x[i].mean(), x[i].var(ddof=1)) for x in (c, t)]
        naive = np.array(welch(*arms).interval()) / arms[0].mean
        for j, interval in enumerate(
            [fieller_interval(*arms, 0.05), log_ratio_interval(*arms, 0.05), naive]
        ):
            covered[i, j] = interval[0] < lift < interval[1]
    fieller, log_ratio, naive = covered.mean(axis=0)
    assert 0.94 < fieller < 0.965
    assert 0.94 < log_ratio < 0.965
    assert naive < 0.925


def test_a_control_near_zero_has_no_bounded_lift() -> None:
    data = pd.DataFrame(
        {"arm": ["control", "treatment"] * 50, "y": np.tile([1.0, 3.0, -1.0, 2.0], 25)}
    )
    found = row(data, MeanMetric("y", "y"))
    assert found["relative_lift"] is None
    assert found["rel_ci_lower"] is None
    assert found["reason"] == "zero_baseline"
    assert found["p_value"] < 1e-10
    data["y"] += 0.01
    found = row(data, MeanMetric("y", "y"))
    assert found["relative_lift"] == pytest.approx(250)
    assert found["reason"] == "unbounded"


@pytest.mark.parametrize("n", [5, 1971])
def test_values_that_do_not_vary_have_no_test(n: int) -> None:
    """Uneven arms: what rounding leaves of sums of squares is no variance either."""
    data = pd.DataFrame(
        {"arm": ["control", "treatment"] * n + ["control"], "y": [1.1, 2.2] * n + [1.1]}
    )
    found = row(data, MeanMetric("y", "y"))
    assert found["p_value"] is None
    assert found["ci_lower"] is None
    assert found["relative_lift"] == pytest.approx(1.0)
    assert found["reason"] == "zero_variance"
    assert found["control_var"] == 0


def test_power_is_that_of_the_noncentral_t() -> None:
    contrast = classic.Contrast(1.0, 0.5, 14.0)
    rng = np.random.default_rng(0)
    t = (rng.normal(2, 1, 400_000)) / np.sqrt(rng.chisquare(14, 400_000) / 14)
    simulated = (np.abs(t) > stats.t.isf(0.025, 14)).mean()
    assert contrast.power() == pytest.approx(simulated, abs=0.003)


@pytest.mark.parametrize("method", CORRECTIONS)
def test_corrected_intervals_say_what_corrected_tests_say(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # statsmodels collects garbage after each Holm correction.
    monkeypatch.setattr("gc.collect", lambda: 0)
    rng = np.random.default_rng(0)
    for _ in range(300):
        z = rng.normal(rng.choice([0, 2, 3], 6), 1)
        p = list(2 * stats.norm.sf(np.abs(z)))
        adjusted = adjusted_p_values(p, method)
        for one, q, alpha in zip(
            z, adjusted, interval_alphas(p, adjusted, method, 0.05), strict=True
        ):
            leaves_out_0 = abs(one) > stats.norm.isf(alpha / 2)
            assert leaves_out_0 == (q < 0.05)


@pytest.mark.parametrize("method", ["bonferroni", "holm", "hochberg"])
def test_corrections_bound_the_error_of_all_together(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gc.collect", lambda: 0)
    rng = np.random.default_rng(0)
    wrong = np.mean(
        [min(adjusted_p_values(list(rng.random(5)), method)) <= 0.05 for _ in range(2000)]
    )
    assert 0.03 < wrong < 0.065


def test_p_values_that_are_none_do_not_count() -> None:
    assert adjusted_p_values([0.01, None, 0.04], "bonferroni") == [0.02, None, 0.08]


def test_all_arms_are_one_family() -> None:
    data = trial()
    experiment = setup(data, "arm").add_metrics([MeanMetric("y", "y"), MeanMetric("v", "views")])
    found = run_all_arms(experiment, multi_test_correction="bonferroni")
    assert [(r["treatment"], r["metric_name"]) for r in found.raw_results] == [
        (arm, name) for arm in experiment.arms if arm != "control" for name in ("y", "v")
    ]
    for r in found.raw_results:
        assert r["p_value_adjusted"] == pytest.approx(min(1, 4 * r["p_value"]))
        assert r["interval_alpha"] == 0.05 / 4
    assert "Treatment" in found.summary()


def test_a_correction_widens_intervals_of_one_metric_too() -> None:
    one = row(trial(), MeanMetric("y", "y"), multi_test_correction="holm")
    assert one["correction"] == "holm"
    assert one["p_value_adjusted"] == one["p_value"]


def result(alpha: float = 0.1, correction: str | None = "holm") -> classic.AnalysisResult:
    experiment = setup(trial(lift=2), "arm", covariates=["before", "city"])
    experiment.add_metrics(
        [
            MeanMetric("y", "y", "before"),
            ProportionMetric(HOSTILE, "bought"),
            RevenueMetric("spent", "spent"),
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNotice)
        return run_analysis(experiment, alpha=alpha, multi_test_correction=correction)


def test_the_summary_has_the_documented_columns() -> None:
    found = result(correction=None).summary()
    assert list(found.columns) == [
        "Metric",
        "Type",
        "Control Mean",
        "Treatment Mean",
        "Relative Lift",
        "90% CI (Rel)",
        "p-value",
        "Post-hoc Power",
        "CUPED",
        "Var Reduction",
    ]
    first = found.iloc[0]
    assert first["Type"] == "Mean"
    assert first["p-value"] == "<0.0001***"
    assert first["Relative Lift"].startswith("+")
    assert first["90% CI (Rel)"].startswith("[+")
    assert first["CUPED"] == "Yes"


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (0.0005, "0.0005***"),
        (0.005, "0.0050**"),
        (0.03, "0.0300*"),
        (0.05, "0.0500"),
        (None, "N/A"),
    ],
)
def test_stars(p: float | None, said: str) -> None:
    one = {**result(correction=None).raw_results[0], "p_value": p}
    assert classic.AnalysisResult([one]).summary()["p-value"][0] == said


@pytest.mark.parametrize(("alpha", "head"), [(0.05, "95% CI (Rel)"), (0.001, "99.9% CI (Rel)")])
def test_labels_follow_alpha(alpha: float, head: str) -> None:
    assert head in result(alpha).summary()


def test_raw_and_adjusted_stand_side_by_side() -> None:
    found = result()
    assert {"p-value", "p-value (Holm)"} < set(found.summary())
    assert "Holm" in repr(found)
    assert found.df_raw[["p_value", "p_value_adjusted"]].notna().all().all()
    pd.testing.assert_frame_equal(found.summary(formatted=False), found.df_raw)


def test_what_is_not_defined_is_not_available() -> None:
    counts = classic.setup_counts(
        {"control": 9, "treatment": 9}, {"b": {"control": 0, "treatment": 5}}
    )
    found = run_analysis(counts)
    first = found.summary().iloc[0]
    assert (first["Relative Lift"], first["95% CI (Rel)"], first["Post-hoc Power"]) == ("N/A",) * 3
    assert "control's mean is 0" in repr(found)
    assert json.loads(found.to_json())["metrics"][0]["relative_lift"] is None


def test_json_holds_plain_values() -> None:
    found = json.loads(result().to_json(indent=2))
    assert found["alpha"] == 0.1
    assert found["correction"] == "holm"
    assert found["metrics"][0]["cuped_applied"] is True
    assert found["traffic"] is None
    assert found["covariate_balance"]["before"]["smd"] == pytest.approx(0, abs=0.1)
    odd = {"x": np.float64("nan"), "n": np.int64(3), "b": np.True_, "t": (np.inf,)}
    plain = {"x": None, "n": 3, "b": True, "t": [None]}
    assert classic.AnalysisResult([odd]).to_dict()["metrics"] == [plain]


def test_no_results_are_an_empty_summary() -> None:
    empty = classic.AnalysisResult([])
    assert len(empty.summary()) == len(empty.df_raw) == 0
    assert "Metric" in empty.summary()
    assert empty.love_plot().startswith("No covariates")


def test_names_are_escaped() -> None:
    page = result()._repr_html_() + result().summary()._repr_html_()
    assert HOSTILE not in page
    assert "&lt;img" in page
    assert HOSTILE in repr(result())


def test_the_split_is_checked_against_planned_shares() -> None:
    data = trial()
    shares = {"control": 0.4, "treatment": 0.4, "other": 0.2}
    fair = setup(data, "arm", shares=shares).add_metrics(MeanMetric("y", "y"))
    assert not run_analysis(fair).traffic.alarm
    unfair = setup(data, "arm", shares=dict.fromkeys(shares, 1)).add_metrics(MeanMetric("y", "y"))
    found = run_analysis(unfair)
    assert found.traffic.alarm
    assert "ALARM" in repr(found)
    assert "not checked" in repr(result())


def test_balance_is_of_those_with_a_value() -> None:
    data = trial()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNotice)
        experiment = setup(data, "arm", covariates=["holes", "city"])
        balance = run_analysis(experiment.add_metrics(MeanMetric("y", "y"))).balance_checker
    rows = {r.covariate: r for r in balance.rows}
    assert set(rows) == {"holes", "holes missing", "city = Rome", "city = missing"}
    c, t = (data.loc[data["arm"] == a, "holes"].dropna() for a in ("control", "treatment"))
    assert rows["holes"].mean_control == pytest.approx(c.mean())
    assert rows["holes"].variance_treatment == pytest.approx(t.var())
    assert rows["holes"].smd == pytest.approx(
        (t.mean() - c.mean()) / np.sqrt((c.var() + t.var()) / 2)
    )
    share = (data.loc[data["arm"] == "treatment", "city"] == "Rome").mean()
    assert rows["city = Rome"].mean_treatment == pytest.approx(share)


def test_an_imbalance_warns_and_shows_in_the_love_plot() -> None:
    data = trial().assign(age=lambda d: 30 + 2 * (d["arm"] == "treatment") + np.arange(len(d)) % 7)
    experiment = setup(data, "arm", covariates=["age", "before"]).add_metrics(MeanMetric("y", "y"))
    with pytest.warns(DataNotice, match="most in 'age'"):
        found = run_analysis(experiment)
    assert found.love_plot().isascii()
    age, before = (line for line in found.love_plot().splitlines()[2:4])
    assert "X" in age
    assert age.rstrip().endswith("+1.000") or "+0.9" in age
    assert "o" in before.split("  ")[1]
    assert "&#x27;treatment&#x27;" in found.balance_checker._repr_html_()


def test_an_aa_check_keeps_its_promise_and_finds_what_breaks_it() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {"arm": "control", "y": rng.normal(0, 1, 400), "x": rng.normal(0, 1, 400), "rare": 0.0}
    )
    experiment = setup(data, "arm", covariates=["x"]).add_metrics(MeanMetric("y", "y"))
    check = classic.aa_check(experiment, splits=400, seed=1)
    assert not check.off("y")
    assert 0.02 < check.false_positive_rate("y") < 0.09
    assert check.uniform_p("y") > 0.001
    assert "as promised" in repr(check)
    broken = classic.AACheck(0.05, {"y": check.p_values["y"] / 4})
    assert broken.off("y")
    assert "too many" in repr(broken)
    again = classic.aa_check(experiment, splits=400, seed=1)
    np.testing.assert_array_equal(again.p_values["y"], check.p_values["y"])
