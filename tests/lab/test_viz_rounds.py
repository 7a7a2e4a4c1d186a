"""Charts of rounds: the tree, the evolution, interim lifts, truth and drift."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rounds import ARMS, estimate, finished_round, routed

import pytyche_lab as pt
from pytyche_engine.allocation import Floors
from pytyche_engine.allocation.edit import duplicated
from pytyche_engine.contracts.drift import DriftCheck, LiftChange
from pytyche_engine.contracts.truth import GroundTruth
from pytyche_engine.jobs import FitEvent, InterimLift, Stage

EVIL = "<img src=x onerror=alert(1)>"
DONE = finished_round()
FEATURES = pd.DataFrame({"browse_depth": [2.0, 2.0, 0.5, 0.5], "channel": ["paid"] * 4})
TRUTH = GroundTruth(
    ARMS, np.full((4, 3), 0.1), np.array([[10.0, 14.0, 8.0]] * 2 + [[10.0, 6.0, 9.0]] * 2)
)


def drift(alarm: bool = True) -> DriftCheck:
    change = LiftChange(
        segment="everyone",
        arm="low_promo",
        round_index=2,
        since=1,
        before=0.4,
        after=-0.1,
        size=estimate(-0.5, 0.2),
        conversion=None,
        channel="revenue",
        p_value=0.001,
        alarm=alarm,
    )
    return DriftCheck(2, 0.05, (change,), (("S1", "free_ship"),))


def events() -> list[FitEvent]:
    return [
        FitEvent(
            Stage.SAMPLE,
            iteration=i,
            interim=(InterimLift("low_promo", 0.2, 0.2 - 1 / i, 0.2 + 1 / i, 1.01, 90.0),),
        )
        for i in (10, 20, 40)
    ]


CHARTS = {
    "arms": lambda: pt.viz.plot_arm_intervals(DONE.analysis.comparisons),
    "tree": lambda: pt.viz.plot_policy_tree(DONE.analysis.segments, routed(DONE)),
    "evolution": lambda: pt.viz.plot_evolution([DONE, replace(DONE, plan=routed(DONE))]),
    "interim": lambda: pt.viz.plot_interim(events(), arms=ARMS),
    "truth": lambda: pt.viz.plot_truth(DONE.analysis.all_segments, FEATURES, TRUTH),
    "drift": lambda: pt.viz.plot_drift(drift(), arms=ARMS),
}


@pytest.mark.parametrize("name", CHARTS)
def test_it_shows_saves_and_has_its_numbers(name, tmp_path):
    chart = CHARTS[name]()
    assert len(chart.data) > 0
    bundle = chart.picture()
    assert bundle["image/svg+xml"].startswith("<svg")
    assert bundle["text/plain"] == repr(chart)
    assert "0x" not in repr(chart)
    for kind in ("svg", "png", "html"):
        chart.save(tmp_path / f"chart.{kind}")
        assert (tmp_path / f"chart.{kind}").stat().st_size > 500


def test_the_trees_leaves_have_shares_that_add_up():
    data = CHARTS["tree"]().data
    leaves = data[data["kind"] == "leaf"]
    assert leaves.groupby("segment")["share"].sum().tolist() == pytest.approx([1, 1])
    assert data[data["kind"] == "question"]["feature"].tolist() == ["browse_depth"]


def test_the_evolution_has_a_panel_a_round():
    chart = CHARTS["evolution"]()
    assert len(chart.to_dict()["vconcat"]) == 2
    assert "No tree shipped yet" in repr(chart).splitlines()[1]
    assert set(chart.data["round"]) == {1}


def test_a_copy_of_optimized_adds_nothing_to_its_leaves():
    plan, _ = duplicated(routed(DONE), "optimized", Floors(0.05, 0.05))
    chart = pt.viz.plot_evolution([replace(DONE, plan=plan)])
    leaves = chart.data[chart.data["kind"] == "leaf"]
    assert leaves.groupby("segment")["share"].sum().tolist() == pytest.approx([1, 1])
    assert repr(chart).count("S1 (") == 1


def test_the_truth_is_of_the_segments_own_visitors():
    data = CHARTS["truth"]().data.set_index("segment")
    assert data.loc["S1", "truth"] == pytest.approx(0.4)
    assert bool(data.loc["S1", "held"])
    assert data.loc["S2", "truth"] == pytest.approx(0.1 * (9 - 10))
    assert data.loc["everyone", "n_visitors"] == 4


def test_drift_says_what_is_an_alarm():
    assert pt.viz.plot_drift(drift(), arms=ARMS).data["alarm"].tolist() == ["alarm"]
    assert pt.viz.plot_drift(drift(False), arms=ARMS).data["alarm"].tolist() == ["within chance"]
    assert "free_ship in S1" in repr(CHARTS["drift"]())


def test_interim_lifts_are_in_the_order_of_the_events():
    data = CHARTS["interim"]().data
    assert data["iteration"].tolist() == [10, 20, 40]
    assert (data["high"] - data["low"]).is_monotonic_decreasing
    assert "after 40 iterations" in repr(CHARTS["interim"]())
    assert "No draws are kept yet" in repr(pt.viz.plot_interim([]))


def test_names_stay_data():
    done = finished_round(arms=("control", EVIL, "free_ship"))
    chart = pt.viz.plot_arm_intervals(done.analysis.comparisons)
    assert "<img" not in chart.picture()["image/svg+xml"]
