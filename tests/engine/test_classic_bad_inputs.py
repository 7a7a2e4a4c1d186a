"""What is refused, before anything is computed, and what it says."""

import numpy as np
import pandas as pd
import pytest

from pytyche_engine import classic
from pytyche_engine.classic import (
    ExperimentState,
    MeanMetric,
    PhaseOrderError,
    ProportionMetric,
    RatioMetric,
    RevenueMetric,
    run_all_arms,
    run_analysis,
    setup,
)
from pytyche_engine.contracts.errors import DataError, DesignError, PytycheError


def frame(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "arm": ["control", "treatment"] * (n // 2),
            "y": rng.normal(10, 2, n),
            "before": rng.normal(10, 2, n),
            "bought": rng.integers(0, 2, n),
            "clicks": rng.integers(0, 5, n),
            "views": rng.integers(5, 9, n),
            "city": ["Oslo", "Rome"] * (n // 2),
            "note": [f"note {i}" for i in range(n)],
        }
    )


def designed(**changes: object) -> classic.Experiment:
    return setup(frame().assign(**changes), "arm", "id")


def ready(**changes: object) -> classic.Experiment:
    return designed(**changes).add_metrics(MeanMetric("y", "y"))


def one_alone() -> pd.DataFrame:
    data = frame()
    return data[(data["arm"] == "control") | (data["id"] == 1)]


AT_SETUP = {
    "a dictionary": (lambda: setup({"arm": ["a"]}, "arm"), "dict"),
    "an empty frame": (lambda: setup(frame().head(0), "arm"), "empty"),
    "no such arm column": (lambda: setup(frame(), "variant"), "no treatment column 'variant'"),
    "no such id column": (lambda: setup(frame(), "arm", "user"), "no id column 'user'"),
    "no such covariate": (lambda: setup(frame(), "arm", covariates=["age"]), "covariate column"),
    "a column twice": (
        lambda: setup(pd.concat([frame(), frame()[["arm"]]], axis=1), "arm"),
        "there 2 times",
    ),
    "missing labels": (
        lambda: setup(frame().assign(arm=["a", None] * 20), "arm"),
        "20 missing labels",
    ),
    "labels that read alike": (
        lambda: setup(frame().assign(arm=[1, "1"] * 20), "arm"),
        "read alike",
    ),
    "duplicate ids": (
        lambda: setup(frame().assign(id=[7, *range(1, 39), 7]), "arm", "id"),
        "2 rows repeat an id of 'id', e.g. '7'",
    ),
    "duplicate ids in order": (
        lambda: setup(frame().assign(id=np.arange(40) // 2), "arm", "id"),
        "20 rows repeat",
    ),
    "missing ids": (lambda: setup(frame().assign(id=[None] * 40), "arm", "id"), "missing ids"),
    "an infinite covariate": (
        lambda: setup(frame().assign(before=np.inf), "arm", covariates=["before"]),
        "40 infinite values",
    ),
    "a covariate without values": (
        lambda: setup(frame().assign(before=np.nan), "arm", covariates=["before"]),
        "no value at all",
    ),
    "a covariate of too many texts": (
        lambda: setup(frame(), "arm", covariates=["note"]),
        "40 different texts",
    ),
    "the arm as a covariate": (
        lambda: setup(frame(), "arm", covariates=["arm"]),
        "treatment or id column",
    ),
    "one text for covariates": (lambda: setup(frame(), "arm", covariates="city"), "give a list"),
    "shares of other arms": (
        lambda: setup(frame(), "arm", shares={"control": 0.5, "blue": 0.5}),
        "differ in",
    ),
    "shares below 0": (
        lambda: setup(frame(), "arm", shares={"control": -1, "treatment": 2}),
        "numbers from 0",
    ),
}


@pytest.mark.parametrize("what", AT_SETUP)
def test_setup_refuses(what: str) -> None:
    call, said = AT_SETUP[what]
    with pytest.raises(ValueError, match=said) as found:
        call()
    assert isinstance(found.value, PytycheError)


AT_REGISTRATION = {
    "no such column": (MeanMetric("m", "revenue"), "no metric column 'revenue'"),
    "text": (MeanMetric("m", "city"), "not numbers, e.g. 'Oslo'"),
    "text as covariate": (MeanMetric("m", "y", "city"), "covariate column 'city' holds"),
    "the outcome as covariate": (MeanMetric("m", "y", "y"), "must be known before"),
    "no proportion": (ProportionMetric("m", "clicks"), "other than 0 and 1"),
    "no metric": ("y", "is no metric"),
    "no name": (MeanMetric("", "y"), "name is ''"),
}


@pytest.mark.parametrize("what", AT_REGISTRATION)
def test_registration_refuses(what: str) -> None:
    metric, said = AT_REGISTRATION[what]
    experiment = designed()
    with pytest.raises(ValueError, match=said):
        experiment.add_metrics(metric)
    assert experiment.metrics == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [([np.inf] * 40, "40 infinite values"), ([np.nan, *range(39)], "1 missing values")],
)
def test_values_that_are_none_are_refused_with_their_rows(values: list, said: str) -> None:
    with pytest.raises(DataError, match=said) as found:
        designed(y=values).add_metrics(MeanMetric("m", "y"))
    assert found.value.column == "y"
    assert found.value.rows[0] == 0
    assert found.value.mend


@pytest.mark.parametrize("views", [-1, 0])
def test_a_denominator_has_to_count_something(views: int) -> None:
    with pytest.raises(DataError, match="denominator 'views'"):
        designed(views=views).add_metrics(RatioMetric("m", "clicks", "views"))


def test_names_are_unique_and_all_or_none_are_registered() -> None:
    experiment = designed()
    with pytest.raises(DesignError, match="already"):
        experiment.add_metrics([MeanMetric("m", "y"), MeanMetric("m", "clicks")])
    assert experiment.metrics == ()


def test_words_for_types_are_checked() -> None:
    with pytest.raises(DesignError, match="mean, proportion, ratio, revenue"):
        designed().register_metric("m", "median", value_col="y")
    with pytest.raises(DesignError, match="takes value_col, pre_period_col"):
        designed().register_metric("m", "mean", column="y")


@pytest.mark.parametrize("caps", [{"upper": 0.0}, {"upper": 1.2}, {"lower": 0.9, "upper": 0.5}])
def test_caps_are_quantiles(caps: dict) -> None:
    with pytest.raises(DesignError, match="quantiles"):
        RevenueMetric("m", "y", **caps)


AT_ANALYSIS = {
    "alpha 0": ({"alpha": 0}, "alpha is 0"),
    "alpha 1": ({"alpha": 1}, "alpha is 1"),
    "alpha below 0": ({"alpha": -1}, "alpha is -1"),
    "alpha 1.5": ({"alpha": 1.5}, "between 0 and 1"),
    "alpha nan": ({"alpha": float("nan")}, "alpha is nan"),
    "alpha as text": ({"alpha": "0.05"}, "alpha is '0.05'"),
    "control is treatment": ({"treatment": "control"}, "both 'control'"),
    "unknown control": ({"control": "A"}, "label 'A' is not in the data, which have 'control', "),
    "unknown treatment": ({"treatment": "B"}, "treatment label 'B'"),
    "unknown correction": ({"multi_test_correction": "bonferoni"}, "use one of bonferroni, holm"),
    "an outcome as covariate": ({"covariates": ["y"]}, "an outcome of metric 'y'"),
    "an unknown covariate": ({"covariates": ["age"]}, "no covariate column 'age'"),
}


@pytest.mark.parametrize("what", AT_ANALYSIS)
def test_analysis_refuses_before_anything_is_computed(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, said = AT_ANALYSIS[what]
    experiment = ready()
    monkeypatch.setattr(type(experiment), "moments", None)
    with pytest.raises(ValueError, match=said):
        run_analysis(experiment, **arguments)
    assert experiment.state is ExperimentState.DESIGNED


def test_one_visitor_in_an_arm_is_refused() -> None:
    experiment = setup(one_alone(), "arm", "id").add_metrics(MeanMetric("y", "y"))
    with pytest.raises(DataError, match="Arm 'treatment' has 1 visitor"):
        run_analysis(experiment)


def test_an_analysis_needs_a_metric() -> None:
    with pytest.raises(ValueError, match="No metric is registered"):
        run_analysis(designed())


def test_numbers_as_labels_are_named_as_text() -> None:
    experiment = setup(frame().assign(arm=[0, 1] * 20), "arm").add_metrics(MeanMetric("y", "y"))
    with pytest.raises(ValueError, match="'control' is not in the data, which have '0', '1'"):
        run_analysis(experiment)
    assert run_analysis(experiment, "0", "1").raw_results[0]["treatment"] == "1"


def test_one_arm_is_nothing_to_compare() -> None:
    experiment = setup(frame().assign(arm="control"), "arm").add_metrics(MeanMetric("y", "y"))
    with pytest.raises(DesignError, match="no arm beside 'control'"):
        run_all_arms(experiment)


def test_phases_follow_one_another() -> None:
    experiment = ready()
    assert experiment.state is ExperimentState.DESIGNED
    with pytest.raises(PhaseOrderError, match="leaves out a phase"):
        experiment.transition_to(ExperimentState.ANALYZED)
    with pytest.raises(PhaseOrderError, match="goes back"):
        experiment.transition_to(ExperimentState.CREATED)
    run_analysis(experiment)
    assert experiment.state is ExperimentState.ANALYZED
    run_analysis(experiment)  # once more is no step back
    with pytest.raises(PhaseOrderError, match="Metrics cannot be registered in ANALYZED"):
        experiment.add_metrics(MeanMetric("clicks", "clicks"))
    experiment.transition_to(ExperimentState.REPORTED)
    with pytest.raises(PhaseOrderError, match="cannot be analysed in REPORTED"):
        run_analysis(experiment)
    with pytest.raises(PhaseOrderError, match="closed"):
        experiment.transition_to(ExperimentState.RUNNING)


def test_a_phase_error_comes_before_every_other() -> None:
    experiment = ready()
    run_analysis(experiment)
    experiment.transition_to(ExperimentState.REPORTED)
    with pytest.raises(PhaseOrderError):
        run_analysis(experiment, "nobody", "nobody", alpha=7)


def test_counts_and_totals_are_checked() -> None:
    with pytest.raises(DataError, match="counts 12 of 10 visitors in 'b'"):
        classic.setup_counts({"a": 10, "b": 10}, {"bought": {"a": 1, "b": 12}})
    with pytest.raises(DataError, match="no count for arm 'b'"):
        classic.setup_counts({"a": 10, "b": 10}, {"bought": {"a": 1}})
    with pytest.raises(DataError, match="no totals"):
        classic.setup_moments({})
    with pytest.raises(DesignError, match="smaller than its sum"):
        classic.Moments.from_sums(10, ["y"], [100.0], [[10.0]])
    with pytest.raises(DesignError, match="products of shape"):
        classic.Moments.from_sums(10, ["y"], [100.0], [10.0])
    totals = {a: classic.Moments.from_sums(10, ["y"], [10.0], [[30.0]]) for a in ("a", "b")}
    experiment = classic.setup_moments(totals)
    with pytest.raises(DataError, match="have no 'z'"):
        experiment.add_metrics(MeanMetric("z", "z"))
    with pytest.raises(DesignError, match="cannot be capped"):
        experiment.add_metrics(RevenueMetric("y", "y"))
    experiment.add_metrics(MeanMetric("y", "y"))
    with pytest.raises(DesignError, match="need the visitors themselves"):
        run_analysis(experiment, "a", "b", covariates=["x"])


BAD_DESIGNS = {
    "tau 0": lambda: classic.MixtureTest(0.0),
    "tau nan": lambda: classic.MixtureTest(float("nan")),
    "alpha of a mixture": lambda: classic.MixtureTest(1.0, 2.0),
    "falling information": lambda: classic.GroupSequentialDesign((0.5, 0.4, 1.0)),
    "information beyond 1": lambda: classic.GroupSequentialDesign((0.5, 1.5)),
    "spending": lambda: classic.GroupSequentialDesign((0.5, 1.0), spending="haybittle"),
    "no effect": lambda: classic.plan_means(1.0).visitors(0.0),
    "power of 2": lambda: classic.plan_means(1.0).visitors(0.1, power=2),
    "no spread": lambda: classic.plan_means(0.0),
    "a rate of 1.2": lambda: classic.plan_rates(0.9, 0.3),
    "a correlation of 1": lambda: classic.plan_means(1.0, correlation=1.0),
    "no visitors a day": lambda: classic.duration_days(100, 0),
    "floors that leave no room": lambda: classic.thompson_shares(
        classic.BetaArms.of([1, 2], [10, 10]), floor=0.6
    ),
    "more successes than visitors": lambda: classic.BetaArms.of([11], [10]),
    "shares that do not add up": lambda: classic.Periods.of_counts(
        [[0.5, 0.4]], [[5, 5]], [[1, 1]]
    ),
    "visitors without a share": lambda: classic.Periods.of_counts([[1.0, 0.0]], [[5, 5]], [[1, 1]]),
    "an arm nobody could get": lambda: classic.aipw_path(
        classic.Periods.of_counts([[1.0, 0.0]], [[5, 0]], [[1, 0]])
    ),
    "counts that are none": lambda: classic.check_srm({"a": -1, "b": 2}, {"a": 1, "b": 1}),
    "counts without shares": lambda: classic.sequential_srm([{"a": 1}], []),
    "relative_mde": lambda: classic.analyze_checkpoints(pd.DataFrame(), relative_mde=0.0),
}


@pytest.mark.parametrize("what", BAD_DESIGNS)
def test_a_design_that_contradicts_itself_is_refused(what: str) -> None:
    with pytest.raises(DesignError):
        BAD_DESIGNS[what]()


def test_checkpoints_are_checked() -> None:
    with pytest.raises(DataError, match="no column 'experiment_id'"):
        classic.analyze_checkpoints(frame())
