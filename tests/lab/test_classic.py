"""The classical analysis from the notebook layer: names, charts, rounds."""

import json
import subprocess
import sys
import warnings
from dataclasses import replace
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from rounds import ARMS, finished_round

import pytyche_lab as pt
from pytyche_engine import classic as engine
from pytyche_engine.contracts.classic_check import ClassicCheck
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.observations import Outcome
from pytyche_engine.experiment import Round
from pytyche_engine.experiment.classic_check import classic_check
from pytyche_lab import viz
from pytyche_lab.viz.figure import Figure

HOSTILE = "<img src=x onerror=alert(1)>"


def result(**arguments: object) -> pt.AnalysisResult:
    rng = np.random.default_rng(0)
    n = 800
    arm = np.array(["control", "treatment"] * (n // 2))
    data = pd.DataFrame(
        {
            "arm": arm,
            "age": rng.normal(40, 10, n),
            "y": rng.normal(10, 2, n) + (arm == "treatment"),
            "near_zero": rng.normal(0, 1, n),
        }
    )
    experiment = pt.setup(data, "arm", covariates=["age"])
    experiment.add_metrics([pt.MeanMetric(HOSTILE, "y"), pt.MeanMetric("near", "near_zero")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pt.run_analysis(experiment, **arguments)  # type: ignore[arg-type]


def test_every_name_of_the_engine_is_at_the_top() -> None:
    names = [
        name
        for name, value in vars(engine).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    ]
    assert len(names) > 40
    for name in names:
        assert getattr(pt, name) is getattr(engine, name)
        assert name in dir(pt)


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, pytyche_lab as pt; "
        "heavy = {'scipy', 'statsmodels', 'jax', 'pandas', 'matplotlib', 'altair'}; "
        "assert not heavy & set(sys.modules); pt.setup; "
        "assert not (heavy - {'scipy', 'pandas'} | {'scipy.stats'}) & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_forest_plot_is_of_the_relative_lifts() -> None:
    found = result(multi_test_correction="holm")
    chart = found.plot()
    assert isinstance(chart, Figure)
    first, second = chart.data.itertuples()
    row = found.raw_results[0]
    assert (first.label, first.lift, first.low, first.high) == (
        HOSTILE,
        row["relative_lift"],
        row["rel_ci_lower"],
        row["rel_ci_upper"],
    )
    assert first.significant == "significant"
    assert second.significant == "not significant"
    assert "Holm" in repr(chart)
    assert "near: " in repr(chart)
    bundle = chart._repr_mimebundle_()
    json.dumps(bundle["application/vnd.vegalite.v5+json"])
    assert "<img" not in bundle["image/svg+xml"]


def test_a_title_of_ones_own() -> None:
    assert result().plot(title="My lifts").to_dict()["title"]["text"] == "My lifts"


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(DesignError, match="'plotly'; there are: altair, matplotlib"):
        result().plot(backend="plotly")


def test_results_of_ones_own_are_drawn_as_far_as_they_go() -> None:
    found = pt.AnalysisResult([{"metric_name": "orders", "p_value": 0.01, "relative_lift": 0.1}])
    assert "N/A" in found.summary()["95% CI (Rel)"].tolist()
    assert "orders" in str(found.plot().to_dict())


def test_axes_on_request() -> None:
    figures = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")
    found = result()
    axes = found.plot(backend="matplotlib", figsize=(5, 3))
    assert [t.get_text() for t in axes.get_yticklabels()] == [HOSTILE, "near"]
    assert axes.get_xlabel() == "relative lift, %"
    mine = figures.Figure().subplots()
    assert found.plot(backend="matplotlib", ax=mine) is mine


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(DesignError, match=r"pip install 'pytyche-lab\[matplotlib\]'"):
        result().plot(backend="matplotlib")


def test_the_love_plot_is_of_the_balance() -> None:
    balance = result().balance_checker
    assert balance is not None
    chart = viz.plot_love(balance)
    assert list(chart.data["covariate"]) == ["age"]
    assert chart.data["smd"][0] == balance.rows[0].smd
    assert "age" in repr(chart)


def played(rounds: int = 3, lift: float = 4.0, **changes: object) -> list[Round]:
    """Rounds whose second arm pays, served by their plans."""
    found = []
    for index in range(rounds):
        one = finished_round(index)
        rng = np.random.default_rng(index)
        n = 3000
        cell = (rng.random(n) < 0.95).astype(np.int64)
        arm = np.where(cell == 1, rng.integers(0, 3, n), 0)
        bought = rng.random(n) < 0.2
        observations = replace(
            one.observations,
            visitor_id=np.arange(n).astype(str),
            arm=arm,
            revenue=np.where(bought, rng.gamma(5, 4, n) + lift * (arm == 1), 0.0),
            features=pd.DataFrame(index=range(n)),
            propensity=np.tile([0.05 + 0.95 / 3, 0.95 / 3, 0.95 / 3], (n, 1)),
            round_index=np.full(n, index),
            cell=cell,
            **changes,
        )
        found.append(replace(one, observations=observations))
    return found


def test_a_round_is_compared_by_welch_and_holm() -> None:
    rounds = played()
    check = classic_check(rounds)
    assert isinstance(check, ClassicCheck)
    assert [(r.metric, r.treatment) for r in check.rows] == [
        (metric, arm) for arm in ARMS[1:] for metric in ("revenue per visitor", "conversion")
    ]
    o = rounds[-1].observations
    c, t = (pd.Series(o.revenue[o.arm == k]) for k in (0, 1))
    first = check.rows[0]
    assert first.lift.mean == pytest.approx(t.mean() - c.mean())
    assert first.lift.sd == pytest.approx(np.sqrt(c.var() / len(c) + t.var() / len(t)))
    assert first.p_value is not None
    assert first.p_value_adjusted is not None
    assert first.p_value <= first.p_value_adjusted
    assert first.model == rounds[-1].analysis.comparisons[0].lift
    assert first.aipw is not None
    assert first.aipw.mean == rounds[-1].analysis.comparisons[0].aipw_lift


def test_over_rounds_each_round_is_compared_with_itself() -> None:
    rounds = played()
    # A season: everyone spends more in the last round, and arms have other shares there.
    last = rounds[-1].observations
    rounds[-1] = replace(rounds[-1], observations=replace(last, revenue=last.revenue * 3))
    row = classic_check(rounds).rows[0]
    assert row.over_rounds is not None
    assert row.over_rounds.sd < row.lift.sd
    differences = []
    for one in rounds:
        o = one.observations
        differences.append(o.revenue[o.arm == 1].mean() - o.revenue[o.arm == 0].mean())
    assert row.over_rounds.mean == pytest.approx(np.mean(differences), rel=0.05)
    assert row.p_always_valid is not None


def test_an_effect_is_found_over_rounds_and_nothing_where_there_is_none() -> None:
    found, nothing = (classic_check(played(lift=lift)).rows[0] for lift in (20.0, 0.0))
    assert found.p_always_valid is not None
    assert found.p_always_valid < 0.01
    assert nothing.p_always_valid is not None
    assert nothing.p_always_valid > 0.05
    assert found.agrees is False


def test_an_earlier_round_does_not_see_later_ones() -> None:
    rounds = played()
    assert classic_check(rounds, 2) == classic_check(rounds[:2])


def test_forgotten_rounds_do_not_count() -> None:
    rounds = played()
    rounds[-1] = replace(rounds[-1], remembered_from=1)
    check = classic_check(rounds)
    assert check.first_round == 1
    assert check.rows[0].over_rounds != classic_check(played()).rows[0].over_rounds


def test_routed_visitors_are_left_out() -> None:
    rounds = played(1)
    o = rounds[0].observations
    cell = np.where(np.arange(len(o)) < 1000, 2, o.cell)
    routed = replace(o, cell=cell, cells=(*o.cells, "optimized"))
    row = classic_check([replace(rounds[0], observations=routed)]).rows[0]
    assert row.control_n + row.treatment_n < 2000


def test_binary_outcomes_are_conversions() -> None:
    rounds = played(1, outcome=Outcome.BINARY)
    o = rounds[0].observations
    rounds[0] = replace(rounds[0], observations=replace(o, revenue=(o.revenue > 0).astype(float)))
    rows = classic_check(rounds).rows
    assert {r.metric for r in rows} == {"conversion"}
    assert rows[0].model == rounds[0].analysis.comparisons[0].lift


def test_rounds_without_cells_need_the_same_probabilities_for_everyone() -> None:
    rounds = played(1)
    o = rounds[0].observations
    without = replace(o, cell=np.full(len(o), -1), cells=())
    assert classic_check([replace(rounds[0], observations=without)]).rows
    p = o.propensity.copy()
    p[:10] = [0.2, 0.4, 0.4]
    with pytest.raises(DesignError, match="Record the cells"):
        classic_check([replace(rounds[0], observations=replace(without, propensity=p))])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"round_number": 4}, "no finished round 4; finished rounds: 3"),
        ({"round_number": 0}, "no finished round 0"),
        ({"round_number": "2"}, "no finished round '2'"),
        ({"round_number": 1.5}, "no finished round 1.5"),
        ({"alpha": 2}, "alpha is 2"),
        ({"relative_mde": 0}, "relative_mde"),
        ({"relative_mde": "5%"}, "relative_mde is '5%'"),
    ],
)
def test_what_is_asked_is_checked(arguments: dict, said: str) -> None:
    with pytest.raises(DesignError, match=said):
        classic_check(played(), **arguments)
    with pytest.raises(DesignError, match="finished rounds: 0"):
        classic_check([])


def test_arms_without_visitors_are_named() -> None:
    rounds = played(1)
    o = rounds[0].observations
    check = classic_check([replace(rounds[0], observations=o.take(o.arm != 2))])
    assert check.left_out == (ARMS[2],)
    assert ARMS[2] in repr(check)


def test_it_reads_as_text_and_as_html() -> None:
    arms = ("control", HOSTILE, "free_ship")
    rounds = [
        replace(
            finished_round(arms=arms), observations=replace(played(1)[0].observations, arms=arms)
        )
    ]
    check = classic_check(rounds)
    assert "lift, this round (95% CI)" in repr(check)
    assert "model (80% CI, uncalibrated)" in repr(check)
    assert "SRM" in repr(check)
    page = check._repr_html_()
    assert HOSTILE not in page
    assert "&lt;img" in page
