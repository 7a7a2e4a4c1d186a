"""Charts of calibration and rehearsals, and the lab's names for them."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

import pytyche_lab as pt
from pytyche_engine.calibration import CalibrationError, Scenario, SweepDesign, calibrate
from pytyche_engine.calibration.sweep import SweepResult
from pytyche_engine.jobs import FitEvent, Job, Stage
from pytyche_engine.rehearsal import Rehearsal
from pytyche_lab import terminal
from pytyche_lab.viz import plot_calibration, plot_rehearsal
from pytyche_lab.widgets.fit_progress import progress_view


@pytest.fixture(scope="module")
def artifact():
    """Of a made-up sweep whose posteriors are too narrow by half."""
    rng, levels = np.random.default_rng(0), (np.arange(100) + 0.5) / 100
    scenarios = tuple(Scenario("constant", scale) for scale in (0.0, 0.1, 0.2))
    mean = rng.normal(size=90) * 2
    rows = pd.DataFrame(
        {
            "scenario": [scenarios[i % 3].key for i in range(90)],
            "sim": [i // 3 for i in range(90)],
            "conversion_rate": 0.05,
            "quantity": "ate",
            "arm": "treatment_1",
            "group": "everyone",
            "truth": 0.0,
            "mean": mean,
            "sd": 1.0,
            "control": 2.5,
            "grid": [(m + ndtri(levels)).tolist() for m in mean],
        }
    )
    result = SweepResult(SweepDesign(2_000), scenarios, 30, 0, rows, {}, 0, {})
    return calibrate(result, "made-up")


def test_the_curve_and_the_ecdf_are_those_of_the_artifact(artifact):
    chart = plot_calibration(artifact)
    spec = chart.to_dict()
    curve, ecdf = spec["hconcat"]
    drawn = pd.DataFrame(spec["datasets"][curve["layer"][1]["data"]["name"]])
    ate = artifact.coverage[artifact.coverage["quantity"] == "ate"]
    for when in ("before", "after"):
        assert drawn[drawn["when"] == when]["coverage"].tolist() == ate[when].tolist()
    lines = pd.DataFrame(spec["datasets"][ecdf["layer"][1]["data"]["name"]])
    band = pd.DataFrame(spec["datasets"][ecdf["layer"][0]["data"]["name"]])
    outside = {
        when: (
            (mine["difference"].to_numpy() < band["low"].to_numpy())
            | (mine["difference"].to_numpy() > band["high"].to_numpy())
        ).any()
        for when, mine in lines.groupby("when")
    }
    assert outside == {"before": True, "after": False}
    assert "90.0% intervals: " in repr(chart)
    bundle = chart._repr_mimebundle_()
    assert bundle["text/plain"] == repr(chart)
    assert bundle["image/svg+xml"].startswith("<svg")
    json.dumps(bundle["application/vnd.vegalite.v5+json"])


def test_what_cannot_be_plotted_says_why(artifact):
    with pytest.raises(CalibrationError, match="says nothing of 'gates'; it has ate"):
        plot_calibration(artifact, "gates")


def test_the_rehearsal_chart_says_what_the_table_says():
    runs = pd.DataFrame(
        {
            "design": ["<b>a</b>"] * 4,
            "run": [0, 0, 1, 1],
            "round": [1, 2, 1, 2],
            "n_cumulative": [100, 300, 100, 300],
            "found": [False, True, False, True],
            "gain_over_ab": 1.0,
            "regret_best_arm": 1.0,
            **dict.fromkeys(
                ("graduated", "false_graduation", "false_ship", "missed_win", "decided"), False
            ),
        }
    )
    chart = plot_rehearsal(Rehearsal(runs, 2, {}))
    assert "round 2, 300 visitors: power 100%" in repr(chart)
    assert chart._repr_mimebundle_()["image/svg+xml"].startswith("<svg")
    assert "<b>" not in Rehearsal(runs, 2, {})._repr_html_()


def test_a_sweep_is_shown_as_fits():
    def work(control):
        control.emit(FitEvent(Stage.FITS, iteration=30, total_iterations=200, n_visitors=2_000))

    job = Job(work, "sweep").start()
    job.result()
    view = progress_view(job, 1, 0.0, ())
    assert (view["stage"], view["iteration"], view["total_iterations"]) == ("fits", 30, 200)
    assert [stage["name"] for stage in view["stages"]] == ["fits"]
    assert terminal._end_words(job) == "done"


def test_names_of_calibration_and_rehearsal():
    assert pt.calibration.sweep is pt.sweep
    assert pt.calibration.posterior_sbc is not None
    for function in (pt.sweep, pt.rehearse):
        assert "progress" in (function.__doc__ or "")
        assert "cluster" in (function.__doc__ or "")
    assert pt.n_for_power(0.05, 50.0, conversion_lift=0.1).n_visitors > 10_000
