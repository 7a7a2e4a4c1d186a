"""The cockpit: its state, what its buttons do, and that everything follows the experiment."""

import json
import time
from types import SimpleNamespace

import pandas as pd
import pytest
from declared import fits
from rounds import ARMS, finished_round, with_rounds

from pytyche_engine.contracts import DataError, PytycheError
from pytyche_engine.jobs import Job
from pytyche_lab.experiments import sequential_experiment
from pytyche_lab.widgets import Cockpit
from pytyche_lab.widgets import cockpit as module
from pytyche_lab.widgets.cockpit_snapshot import coverage_views
from pytyche_lab.widgets.schema.cockpit import CockpitView, CoverageView


def until(holds, seconds=10):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_there_is_one_for_each_experiment():
    exp = with_rounds(finished_round(0), finished_round(1))
    lab = exp.lab()
    assert isinstance(lab, Cockpit)
    assert exp.lab() is lab
    assert lab.round.round["number"] == 2
    assert fits(lab.state, CockpitView)
    json.dumps(lab.state, allow_nan=False)


def test_it_says_what_is_so_before_the_first_round():
    lab = sequential_experiment(schedule=(100,), treatments=ARMS, progress=False).lab()
    assert lab.round is None
    assert lab.state["finished"] == 0
    assert lab.state["frames"] == []  # no source: rounds are brought as frames
    assert "no round" in lab.summary().lower()


def test_an_earlier_round_is_shown_on_request():
    lab = with_rounds(finished_round(0), finished_round(1)).lab()
    lab.asked({"kind": "show", "number": 1})
    assert lab.round.round["number"] == lab.state["shown"] == 1
    lab.asked({"kind": "show", "number": 2})
    assert lab.state["shown"] == 2


def test_what_a_round_says_is_in_its_row():
    lab = with_rounds(finished_round(0), finished_round(1)).lab()
    first = lab.state["rounds"][0]
    assert first["cells"] == ["control 5%", "explore 95%"]
    assert first["policy_accuracy"] == pytest.approx(0.618)


def test_a_run_that_cannot_begin_says_why_and_changes_nothing():
    def broken(_index, _plan):
        raise OSError("the warehouse is down")

    exp = sequential_experiment(
        schedule=(100,), treatments=ARMS, generator=broken, progress=False, name="promo"
    )
    lab = exp.lab()
    assert lab.state["frames"] is None
    lab.asked({"kind": "run"})
    until(lambda: lab.state["problem"])
    assert "the warehouse is down" in lab.state["problem"]
    assert lab.state["busy"] == ""
    assert exp.history == ()


def test_a_frame_of_the_notebook_is_observed(monkeypatch):
    frame = pd.DataFrame({"visitor_id": ["a"]})
    monkeypatch.setattr(module, "data_frames", lambda: {"march": frame})
    exp = sequential_experiment(schedule=(100,), treatments=ARMS, progress=False)
    lab = exp.lab()
    assert lab.state["frames"] == ["march"]
    lab.asked({"kind": "observe", "frame": "march"})
    until(lambda: lab.state["problem"])
    with pytest.raises(PytycheError, match="no data frame named 'gone'"):
        lab.asked({"kind": "observe", "frame": "gone"})
    with pytest.raises(DataError):
        exp.observe(frame)


def test_a_job_is_shown_until_it_ends_well():
    exp = with_rounds(finished_round(0))
    lab = exp.lab()
    job = Job(lambda control: [control.halt_if_asked() or time.sleep(0.01) for _ in range(30)])
    exp._job = job.start()
    exp.watch(job)
    assert lab.fit is not None
    assert lab.state["fitting"]
    until(lambda: lab.fit is None)
    assert not lab.state["fitting"]


def test_a_cancelled_job_stays_in_sight():
    exp = with_rounds(finished_round(0))
    lab = exp.lab()
    job = Job(lambda control: [control.halt_if_asked() or time.sleep(0.01) for _ in range(1000)])
    exp._job = job.start()
    exp.watch(job)
    job.cancel()
    until(lambda: not lab.state["fitting"])
    assert lab.fit is not None


def test_names_are_escaped_where_widgets_cannot_run():
    evil = "<img src=x onerror=alert(1)>"
    lab = with_rounds(finished_round(arms=("control", evil, "free_ship"))).lab()
    assert "<img" not in lab.summary_html()


def test_the_calibration_artifacts_are_read_as_they_are():
    coverage = pd.DataFrame(
        {
            "quantity": ["segment lift"],
            "level": [0.8],
            "n_intervals": [900],
            "before": [0.71],
            "after": [0.8],
            "error": [0.01],
        }
    )
    found = coverage_views([SimpleNamespace(name="shop", coverage=coverage)])
    assert found[0]["before"] == 0.71
    assert fits(found[0], CoverageView)
    assert coverage_views([]) == []
