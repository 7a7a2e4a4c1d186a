import numpy as np
import pandas as pd
import pytest
from experiment_cases import ARMS, SETTINGS, SIZES
from scipy import stats

from pytyche_engine.contracts import DesignError
from pytyche_engine.rehearsal import Rehearsal, n_for_power, rehearse
from pytyche_engine.rehearsal.play import planted, play

SOURCE = {
    "template": "clustered_realistic",
    "effect_scale": 0.3,
    "K": 3,
    "treatment_names": ARMS,
    "n_nuisance": 1,
    "baseline_rate": 0.5,
}
DESIGN = {
    "schedule": SIZES,
    "settings": SETTINGS,
    "min_segment_share": 0.2,
    "max_segment_depth": 1,
    # so that every arm is there in rounds of 16 visitors
    "min_control_weight": 0.4,
    "min_explore_weight": 0.5,
}


@pytest.fixture(scope="module")
def client():
    from distributed import Client, LocalCluster

    here = "127.0.0.1:0"
    cluster = LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address=here,
        worker_dashboard_address=here,
    )
    with cluster, Client(cluster) as one:
        yield one


def test_an_experiment_is_played_through_and_judged_by_the_truth(client, tmp_path):
    found = rehearse(DESIGN, SOURCE, 2, seed=3, path=tmp_path, cluster=client)
    assert found.runs["round"].tolist() == [1, 2, 3] * 2
    assert found.runs["n_cumulative"].tolist() == list(np.cumsum(SIZES)) * 2
    assert set(found.table["runs"]) == {2}
    last = found.runs[found.runs["round"] == 3]
    assert (last["regret_oracle"] >= last["regret_best_arm"]).all()
    # What is kept is not played again, and a run repeats itself.
    again = rehearse(DESIGN, SOURCE, 2, seed=3, path=tmp_path, cluster=client)
    pd.testing.assert_frame_equal(again.runs, found.runs)
    repeated = pd.DataFrame(play(DESIGN, SOURCE, 1, 3)).drop(columns="seconds")
    mine = found.runs[found.runs["run"] == 1].drop(columns=["seconds", "design"])
    pd.testing.assert_frame_equal(mine.reset_index(drop=True), repeated)


def runs(**columns):
    """Runs that went as they are told."""
    n = 10
    frame = pd.DataFrame(
        [
            {"design": name, "run": run, "round": r + 1, "n_cumulative": size * (r + 1)}
            for name, size in (("small", 100), ("large", 400))
            for run in range(n)
            for r in range(2)
        ]
    )
    flags = ["found", "graduated", "false_graduation", "ship", "false_ship", "stop", "missed_win"]
    frame = frame.assign(**dict.fromkeys(flags, False), decided=False)
    frame = frame.assign(gain_over_ab=frame["n_cumulative"] * 0.1, regret_best_arm=0.0)
    return frame.assign(**columns)


def test_the_table_counts_runs_and_the_answer_names_the_least_design():
    frame = runs()
    frame["found"] = (frame["n_cumulative"] >= 400) & (frame["run"] < 9)
    first_of_five = (frame["round"] == 1) & (frame["run"] < 5)
    frame["decided"] = frame["false_graduation"] = first_of_five & (frame["design"] == "large")
    done = Rehearsal(frame, 10, {})
    table = done.table.set_index(["design", "round"])
    assert table.loc[("small", 2), "power"] == 0
    assert table.loc[("large", 1), "power"] == pytest.approx(0.9)
    assert table.loc[("large", 1), "power_error"] == pytest.approx(np.sqrt(0.9 * 0.1 / 10))
    # What happened in the first round has happened by the second.
    assert table.loc[("large", 2), "false_graduation"] == pytest.approx(0.5)
    assert table.loc[("large", 1), "visitors_saved"] == pytest.approx(0.5 * 400)
    assert table.loc[("large", 2), "visitors_saved"] == 0
    assert table.loc[("large", 2), "gain_over_ab"] == pytest.approx(0.1)
    assert "'large' finds the planted segment with power 90%" in done.answer()
    assert "after round 1, with 400 visitors" in done.answer()
    assert "50% of the runs had a false graduation" in done.answer()
    assert "No rehearsed design" in done.answer(power=0.95)
    assert done.answer() in repr(done)


def test_who_is_planted():
    rpv = np.array([[1.0, 1.5, 0.5], [1.0, 0.5, 1.005], [1.0, 1.2, 2.0], [1.0, 0.9, 0.9]])
    groups = planted(rpv, practical=0.01)
    assert groups[1].tolist() == [True, False, False, False]
    assert groups[2].tolist() == [False, False, True, False]  # .005 is no practical effect
    assert planted(np.tile([1.0, 2.0], (5, 1)), 0.01) == {}


@pytest.mark.parametrize(
    ("design", "words"),
    [
        ({"settings": SETTINGS}, "needs a schedule"),
        ({"one": {"settings": SETTINGS}}, "'one' needs a schedule"),
        ({**DESIGN, "seed": 3}, r"has \['seed'\]"),
        ({**DESIGN, "min_control_weight": 1.5}, "1.5"),
        ({}, "at least one design"),
    ],
)
def test_what_cannot_be_played_is_refused_at_once(design, words):
    with pytest.raises(DesignError, match=words):
        rehearse(design, SOURCE, 1)


@pytest.mark.parametrize("n_runs", [0, 1.5, "3"])
def test_a_rehearsal_has_a_whole_number_of_runs(n_runs):
    with pytest.raises(DesignError, match=r"n_runs is .*; use a whole number"):
        rehearse(DESIGN, SOURCE, n_runs)


# --- without any fit ------------------------------------------------------------------------


def test_the_visitors_of_n_for_power_find_the_lift_that_often():
    """Against a simulation of the test itself."""
    answer = n_for_power(0.2, 40.0, conversion_lift=0.15, order_lift=0.05, order_sigma=0.7)
    rng = np.random.default_rng(0)

    def revenue(p, m, n):
        orders = m * np.exp(0.7 * rng.standard_normal((1_500, n)) - 0.7**2 / 2)
        return np.where(rng.random((1_500, n)) < p, orders, 0.0)

    control = revenue(0.2, 40.0, answer.control)
    treated = revenue(0.23, 42.0, answer.treatment)
    p = stats.ttest_ind(treated, control, axis=1, equal_var=False).pvalue
    assert (p < 0.05).mean() == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / 1_500))
    assert answer.lift == pytest.approx(0.23 * 42 - 8)
    assert f"{answer.n_visitors:,} visitors" in repr(answer)


def test_more_arms_and_lopsided_shares_need_more_visitors():
    plain = n_for_power(0.05, 50.0, conversion_lift=0.1)
    assert plain.control == plain.treatment
    assert n_for_power(0.05, 50.0, conversion_lift=0.1, n_arms=4).n_visitors > 2 * plain.n_visitors
    lopsided = n_for_power(0.05, 50.0, conversion_lift=0.1, control_share=0.05)
    assert lopsided.n_visitors > 4 * plain.n_visitors
    assert n_for_power(0.05, 50.0, conversion_lift=0.2).n_visitors < plain.n_visitors / 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "no effect on revenue"),
        ({"conversion_lift": 30}, "between 0 and 1"),
        ({"order_lift": -1.0}, "positive order values"),
        ({"conversion_lift": 0.1, "n_arms": 1}, "n_arms is 1"),
        ({"conversion_lift": 0.1, "power": 0.01}, "power between"),
    ],
)
def test_what_no_test_could_find_is_said(changes, words):
    with pytest.raises(DesignError, match=words):
        n_for_power(0.05, 50.0, **changes)
