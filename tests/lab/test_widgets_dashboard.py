"""The dashboard's snapshot of a round, and what a reader without a kernel sees."""

import json
import math
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from rounds import estimate, finished_round

from pytyche_engine.contracts import BaselinePolicy, Cell, MixPolicy, Plan, Rule, UniformPolicy
from pytyche_engine.contracts.decisions import CellObservation, Decision
from pytyche_engine.contracts.drift import DriftCheck, LiftChange
from pytyche_engine.contracts.health import (
    BalanceCheck,
    ConverterCheck,
    ConverterCount,
    Imbalance,
    SeverityCheck,
    SeverityStatistic,
)
from pytyche_engine.contracts.rules import Threshold
from pytyche_engine.decisions import traffic_split
from pytyche_engine.experiment import Round
from pytyche_engine.experiment.classic_check import classic_check
from pytyche_lab.widgets import RoundDashboard
from pytyche_lab.widgets.classic_snapshot import classic_view
from pytyche_lab.widgets.round_snapshot import history_view, round_view

EVIL = "<img src=x onerror=alert(1)>"


def lamp(finished: Round, name: str) -> dict[str, str]:
    found = next(x for x in round_view(finished, "")["health"] if x["name"].startswith(name))
    return {"status": found["status"], "reading": found["reading"]}


def test_it_holds_the_seeds_columns():
    finished = finished_round()
    view = RoundDashboard(finished, title="Checkout").round
    assert view["title"] == "Checkout"
    for cell, seen in zip(view["cells"], finished.cell_observations, strict=True):
        assert seen.model_rpv is not None
        assert cell["id"] == seen.id
        assert cell["n_visitors"] == seen.n_visitors
        assert cell["observed_rpv"] == seen.observed_rpv
        assert cell["model_rpv"]["mean"] == seen.model_rpv.mean
    assert view["cells"][0]["model_lift"] is None


def test_every_interval_holds_its_mean():
    def intervals(value: object) -> list[dict[str, float]]:
        if isinstance(value, dict):
            if set(value) == {"mean", "low", "high"}:
                return [value]
            return [x for v in value.values() for x in intervals(v)]
        return [x for v in value for x in intervals(v)] if isinstance(value, list) else []

    found = intervals(round_view(finished_round(), ""))
    assert len(found) > 10
    assert all(i["low"] <= i["mean"] <= i["high"] for i in found)


def test_segments_are_ordered_by_gain_and_arms_keep_their_place():
    view = round_view(finished_round(), "")
    gains = [s["gate"]["mean"] for s in view["segments"]]
    assert gains == sorted(gains, reverse=True)
    slots = {a["name"]: a["slot"] for a in view["arms"]}
    assert slots == {"control": 0, "low_promo": 1, "free_ship": 2}
    assert all(slots[s["leader"]["name"]] == s["leader"]["slot"] for s in view["segments"])


def test_options_hold_one_estimand_each():
    finished = finished_round()
    view = round_view(finished, "")
    by_arm = {o["arm"]["name"]: o for o in view["options"]}
    for comparison in finished.analysis.comparisons:
        assert by_arm[comparison.treatment]["lift"] == {
            "mean": comparison.lift.mean,
            "low": comparison.lift.low,
            "high": comparison.lift.high,
        }
    assert by_arm["control"]["lift"] is None
    assert [o["arm"]["name"] for o in view["options"] if o["recommended"]] == ["low_promo"]
    stopped = replace(finished.analysis.recommendation, decision=Decision.STOP)
    view = round_view(
        replace(finished, analysis=replace(finished.analysis, recommendation=stopped)), ""
    )
    assert [o["arm"]["name"] for o in view["options"] if o["recommended"]] == ["control"]


@pytest.mark.parametrize(
    ("policy", "arm", "words"),
    [
        (BaselinePolicy(), "control", "Always control"),
        (UniformPolicy(("control", "free_ship")), None, "Uniform over 2 arms"),
        (UniformPolicy(("free_ship",)), "free_ship", "uniform over ['free_ship']"),
        (MixPolicy({"low_promo": 1.0, "control": 0.0}), "low_promo", "low_promo 100%"),
        (
            MixPolicy({"low_promo": 1.0}, Rule((Threshold("z1", ">", 1.0),))),
            None,
            "low_promo 100% where z1 > 1; control elsewhere",
        ),
    ],
)
def test_a_cell_with_one_arm_is_drawn_in_that_arm(policy: object, arm: str | None, words: str):
    finished = finished_round()
    cells = (Cell("control", policy, 0.5), Cell("explore", BaselinePolicy(), 0.5))  # type: ignore[arg-type]
    view = round_view(replace(finished, plan=replace(finished.plan, cells=cells)), "")
    assert (view["cells"][0]["arm"] or {}).get("name") == arm
    assert view["cells"][0]["policy"] == words


def test_a_cell_without_visitors_has_no_figures():
    finished = finished_round()
    empty = CellObservation(
        "explore", 0, math.nan, None, None, None, "uniform", cell_recorded=False
    )
    view = round_view(replace(finished, cell_observations=(empty,)), "")
    cell = view["cells"][0]
    assert (cell["observed_rpv"], cell["model_rpv"], cell["recorded"]) == (None, None, False)
    json.dumps(view, allow_nan=False)


def test_a_relative_lift_that_is_not_finite_is_left_out():
    finished = finished_round()
    first, second = finished.analysis.comparisons
    broken = replace(first, relative_lift=replace(first.relative_lift, high=math.inf))
    analysis = replace(finished.analysis, comparisons=(broken, second))
    view = round_view(replace(finished, analysis=analysis), "")
    assert view["comparisons"][0]["relative_lift"] is None
    assert view["comparisons"][1]["relative_lift"] is not None


def test_lamps_say_only_what_was_checked():
    finished = finished_round()
    assert lamp(finished, "Interval") == {"status": "none", "reading": "Not checked at this size"}
    assert lamp(finished, "Assignment")["status"] == "ok"
    # All of its visitors sit in the control cell, which was planned for 5 %.
    assert lamp(finished, "Traffic") == {
        "status": "bad",
        "reading": "control: 100 visitors, 5 planned, p < 0.001",
    }
    unknown = replace(
        finished.observations, cell=np.full(100, -1), propensity_recorded=False, cells=()
    )
    silent = traffic_split(finished.plan, unknown)
    health = replace(finished.health, traffic=silent, traffic_over_rounds=silent)
    blind = replace(finished, observations=unknown, health=health)
    assert lamp(blind, "Traffic")["status"] == "none"
    assert lamp(blind, "Assignment")["status"] == "warn"
    assert lamp(finished, "Convergence") == {"status": "ok", "reading": "R-hat ≤ 1.003, ESS ≥ 420"}
    assert lamp(finished, "Drift") == {"status": "none", "reading": "Not watched yet"}
    assert lamp(finished, "Balance") == {"status": "none", "reading": "Nothing to compare"}
    loose = replace(finished, analysis=replace(finished.analysis, converged=False))
    assert lamp(loose, "Convergence")["status"] == "bad"


def test_lamps_of_a_checked_round_are_short_and_name_what_is_wrong():
    finished = finished_round()
    moved = LiftChange(
        "S1", "low_promo", 2, 1, 0.4, -0.3, estimate(-0.7, 0.3), None, "revenue", 0.001, True
    )
    few = ConverterCount("S2", "low_promo", 90, 3, True)
    health = replace(
        finished.health,
        drift=DriftCheck(2, 0.03, (moved,), ()),
        converters=ConverterCheck(44, (few, replace(few, arm="control", few=False))),
        balance=BalanceCheck((Imbalance("depth", "low_promo", 0.02, 0.4, False),), True),
        severity=SeverityCheck(
            600,
            (SeverityStatistic("atom", 0.2, estimate(0.01, 0.01), 0.001, True, "So.", 25.0),),
        ),
    )
    shown = replace(finished, health=health)
    assert lamp(shown, "Drift") == {
        "status": "bad",
        "reading": "low_promo in S1: down since round 2",
    }
    assert lamp(shown, "Converters")["reading"] == "Few in 1 of 2 arms and segments"
    assert lamp(shown, "Balance")["reading"] == "Arms alike, at most 0.02 SD apart"
    assert lamp(shown, "Model fit") == {
        "status": "warn",
        "reading": "Misfits: a common price",
    }


def test_history_ends_with_the_round_shown_and_counts_none_twice():
    first, second, third = (finished_round(i) for i in range(3))
    assert [v["number"] for v in history_view([first, second, third], second)] == [1, 2]
    assert [v["number"] for v in history_view([], second)] == [2]


def test_text_and_html_are_those_of_the_round_and_names_are_escaped():
    finished = finished_round(arms=("control", EVIL, "free_ship"))
    widget = RoundDashboard(finished)
    data, _ = widget._repr_mimebundle_()
    assert data["text/plain"].startswith(repr(finished))
    assert repr(finished.analysis) in data["text/plain"]
    assert "0x" not in data["text/plain"]
    assert "observed RPV" in data["text/html"]
    assert "<img" not in data["text/html"]
    assert "&lt;img" in data["text/html"]


def test_the_title_stands_in_by_the_metric():
    finished = finished_round()
    assert RoundDashboard(finished).round["title"] == finished.metric


def test_an_exhausted_schedule_has_no_next_round():
    finished = finished_round()
    over: Plan = replace(finished.next_recommendation, n_visitors=None)
    assert round_view(replace(finished, next_recommendation=over), "")["next_visitors"] is None


def test_the_widgets_package_is_imported_lazily():
    code = (
        "import sys, pytyche_lab.widgets as w; assert 'anywidget' not in sys.modules; "
        "assert 'SegmentTree' in dir(w)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_classical_tests_are_those_of_the_engine_and_wait_until_asked() -> None:
    view = RoundDashboard(finished_round(0))
    assert view.classic is None
    view.asked({"kind": "classic"})
    deadline = time.monotonic() + 30
    while view.classic is None and time.monotonic() < deadline:
        time.sleep(0.01)
    check = classic_check([finished_round(0)])
    expected = [row for row in check.rows if row.metric == "revenue per visitor"]
    assert [found["p_value"] for found in view.classic["lifts"]] == [r.p_value for r in expected]
    assert [found["lift"]["mean"] for found in view.classic["lifts"]] == [
        row.lift.mean for row in expected
    ]
    assert "classical test" in view.summary_html()
    view.show(finished_round(1), [finished_round(0)])
    assert view.classic is None
    assert "classical test" not in view.summary_html()


def test_what_cannot_be_tested_is_said_in_words() -> None:
    done = finished_round(0)
    lost = replace(done.observations, arm=np.ones_like(done.observations.arm))
    said = classic_view([replace(done, observations=lost)])
    assert said["lifts"] == []
    assert "no treatment" in said["problem"] or "'control'" in said["problem"]
