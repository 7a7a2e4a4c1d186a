"""The loop as the tutorial walks it, and everything that can go wrong on the way."""

import _thread
import json
import re
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from experiment_cases import (
    ARMS,
    SETTINGS,
    SIZES,
    Counting,
    digest,
    experiment,
    finished,
    quietly,
    simulated,
    visitors,
    with_outcomes,
)

from pytyche_engine.contracts import (
    BaselinePolicy,
    Cell,
    DataError,
    DesignError,
    FitCancelled,
    FitError,
    GroundTruth,
    MixPolicy,
    PytycheWarning,
    Rule,
    StoreError,
    Threshold,
    UncalibratedWarning,
    UnconvergedWarning,
    UniformPolicy,
)
from pytyche_engine.experiment import (
    SequentialExperiment,
    open_experiment,
    sequential_experiment,
)
from pytyche_engine.experiment import fit_round as loop
from pytyche_engine.experiment.intake import read_served
from pytyche_engine.jobs import Job, JobState, Stage

pytestmark = pytest.mark.timeout(300)

SOON = 1.0
LONG = replace(SETTINGS, min_draws=600, max_draws=600)
"""The same compiled code, run long enough to be stopped on the way."""


# The tutorial's surface


def test_rounds_come_one_after_another_until_the_schedule_ends():
    exp = experiment()
    assert (exp.history, exp.latest, exp.current_round_idx) == ((), None, 0)
    assert exp.next_recommendation == exp.plan
    for i, size in enumerate(SIZES):
        done = quietly(next, exp)
        assert done is exp.latest is exp.history[-1]
        assert exp.current_round_idx == i + 1
        assert done.round_idx == i
        assert len(done.observations) == size
        assert done.n_cumulative == sum(SIZES[: i + 1]) == done.posterior.n_visitors
        assert exp.plan == exp.next_recommendation == done.next_recommendation
        assert done.fit_seconds > 0
    assert exp.plan.n_visitors is None
    with pytest.raises(StopIteration):
        next(exp)
    assert [r.round_idx for r in exp] == []
    assert repr(exp) == (
        "SequentialExperiment('promo', 3 of 3 round(s) done, "
        "arms ['control', 'low_promo', 'free_ship'])"
    )


def test_the_first_round_is_half_control_and_half_explore():
    first = finished().history[0].plan
    assert {c.id: c.weight for c in first.cells} == {"control": 0.5, "explore": 0.5}
    assert first.n_visitors == SIZES[0]


def test_later_rounds_keep_the_floors_and_give_the_rest_to_optimized():
    for done in finished().history:
        weights = {c.id: c.weight for c in done.next_recommendation.cells}
        assert weights == pytest.approx({"control": 0.05, "explore": 0.05, "optimized": 0.9})
    served = [done.plan for done in finished().history[1:]]
    assert served == [done.next_recommendation for done in finished().history[:-1]]


def test_other_floors_hold_too():
    exp = experiment(min_control_weight=0.2, min_explore_weight=0.3)
    assert quietly(next, exp) is exp.latest
    assert {c.id: c.weight for c in exp.plan.cells} == pytest.approx(
        {"control": 0.2, "explore": 0.3, "optimized": 0.5}
    )


def test_a_round_shows_the_columns_of_the_tutorial_and_names_model_and_observed_apart():
    done = finished().latest
    # The first line is the table's caption: so few draws do not converge.
    head = repr(done).splitlines()[1]
    assert [c.strip() for c in head.strip("|").split("|")] == [
        "cell",
        "n",
        "observed RPV",
        "RPV (model 80% CI)",
        "lift vs control (model 80% CI)",
        "policy",
    ]
    assert re.search(
        r"^truth: cate_rmse=\d+\.\d{4} .*policy_accuracy=\d.*oracle_gap=", repr(done), re.M
    )
    assert "next: 3 cell(s), no next round (schedule exhausted)" in repr(done)
    assert "next: 3 cell(s), 16 visitors" in repr(finished().history[0])
    analysis = repr(done.analysis)
    for column in (
        "comparison",
        "lift (80% CI)",
        "relative lift (80% CI)",
        "P(lift > 0)",
        "conversion + severity",
        "observed lift",
        "AIPW lift",
        "segment",
        "share",
        "GATE (80% CI)",
        "stability",
        "leader",
        "claim",
    ):
        assert re.search(rf"\| {re.escape(column)} +\|", analysis), column
    assert re.search(r"^recommendation: (SHIP|CONTINUE|STOP) — \w+ \(uncalibrated", analysis, re.M)


def test_every_text_says_uncalibrated_and_unconverged():
    done = finished().latest
    texts = [
        repr(done),
        done._repr_html_(),
        repr(done.analysis),
        done.analysis._repr_html_(),
        done.summary_one_line(),
        finished().summary,
    ]
    assert not done.analysis.converged  # 60 draws cannot
    for text in texts:
        assert "uncalibrated, unconverged" in text


def test_html_holds_what_the_text_holds():
    for shown in (finished().latest, finished().latest.analysis):
        html = shown._repr_html_()
        cells = [
            c.strip()
            for line in repr(shown).splitlines()
            if line.startswith("|") and not line.startswith("|-")
            for c in line.strip("|").split("|")
        ]
        assert len(cells) > 10
        for cell in cells:
            assert cell.replace(">", "&gt;").replace("<", "&lt;").replace("'", "&#x27;") in html


def test_one_line_a_round():
    lines = [r.summary_one_line() for r in finished().history]
    for i, line in enumerate(lines):
        assert re.fullmatch(
            rf"round {i + 1}: revenue_per_visitor \| \d segment\(s\) \| (SHIP|CONTINUE|STOP) "
            r"'\w+' \(P\(lift>0\)[=<>]\d\.\d\d, uncalibrated, unconverged\)",
            line,
        )


def number(text):
    return float(text.replace("−", "-").replace("%", "").replace(",", ""))


def intervals(table):
    """Every 'point [low, high]' of a table's text."""
    found = re.findall(r"([+−]?[\d.,]+%?) \[([+−]?[\d.,]+%?), ([+−]?[\d.,]+%?)\]", table.text())
    return [tuple(map(number, triple)) for triple in found]


def test_every_printed_interval_holds_its_point():
    for done in finished().history:
        tables = [
            done.cell_table(),
            done.analysis.comparison_table(),
            done.analysis.segment_table(),
        ]
        for table in tables:
            triples = intervals(table)
            assert triples
            for point, low, high in triples:
                assert low <= point <= high


def test_parts_add_up_to_the_lift_and_money_agrees_with_per_cent():
    for done in finished().history:
        control = done.posterior.effects(
            done.observations.features
        )  # any visitors will do for the sign
        assert control.rpv[:, 0, 0].min() > 0
        for c, row in zip(
            done.analysis.comparisons, done.analysis.comparison_table().rows, strict=True
        ):
            assert c.conversion_part.mean + c.severity_part.mean == pytest.approx(c.lift.mean)
            lift = number(row[1].split()[0])
            conversion, severity = map(number, row[4].split(" + "))
            assert conversion + severity == pytest.approx(lift, abs=2e-4)
            assert row[2].split()[0].endswith("%")


def test_the_cells_count_the_rounds_visitors():
    for done in finished().history:
        assert sum(c.n_visitors for c in done.cell_observations) == len(done.observations)
        for c, cell in zip(done.cell_observations, done.plan.cells, strict=True):
            seen = done.observations.cell == done.observations.cells.index(cell.id)
            assert c.n_visitors == seen.sum()
            if c.n_visitors:
                assert c.observed_rpv == pytest.approx(done.observations.revenue[seen].mean())


def test_the_truth_line_is_there_only_with_truth():
    exp = experiment(generator=lambda i, plan: simulated()(i, plan)[0], schedule=[32])
    done = quietly(next, exp)
    assert done.truth_comparison is None
    assert "truth" not in repr(done)
    assert "truth" not in done._repr_html_()
    assert finished().history[0].posterior.n_visitors == done.posterior.n_visitors
    # Truth takes no part in the analysis.
    assert digest(done)["sigma2"] == digest(finished().history[0])["sigma2"]


def test_names_are_data_and_never_html():
    evil = "<img src=x onerror=alert(1)>"
    arms = ("control", evil, "b & 'c'")
    exp = experiment(
        name=evil, treatments=arms, generator=simulated(treatment_names=arms), schedule=[32, 16]
    )
    done = quietly(next, exp)
    shown = [done, done.analysis, done.next_recommendation, done.truth_comparison]
    for html in [thing._repr_html_() for thing in shown]:
        assert "<img" not in html
    assert "&lt;img src=x" in done.analysis._repr_html_()
    assert evil in repr(done.analysis)
    assert evil in repr(exp)


def test_what_the_experiment_says_follows_from_its_rounds():
    exp = finished()
    assert exp.graduation_candidates() == ()
    assert not exp.has_graduation_candidate()
    assert not exp.has_credible_segments()
    assert exp.confidence == "low"
    assert "3 round(s) completed; confidence is low." in exp.summary
    assert exp.latest.summary_one_line() in exp.summary


# Determinism


def test_the_same_seed_gives_the_same_rounds_and_another_does_not():
    again, other = experiment(schedule=SIZES[:2]), experiment(schedule=SIZES[:2], seed=2)
    first, second = quietly(again.run_to_completion)
    assert digest(first) == digest(finished().history[0])
    # The schedule's end is all that differs.
    assert digest(second)["sigma2"] == digest(finished().history[1])["sigma2"]
    assert digest(quietly(next, other))["sigma2"] != digest(first)["sigma2"]


# Cells of one's own


def own_cells(plan, weight=0.25):
    hypothesis = Cell(
        "deep_browsers",
        MixPolicy(
            {"low_promo": 0.5, "free_ship": 0.5}, Rule((Threshold("browse_depth", ">", 3.0),))
        ),
        weight,
    )
    kept = [replace(c, weight=c.weight * (1 - weight)) for c in plan.cells]
    return [*kept, hypothesis]


def test_cells_of_ones_own_serve_one_round():
    exp = experiment()
    first = quietly(exp.advance, own_cells(exp.plan))
    assert [c.id for c in first.plan.cells] == ["control", "explore", "deep_browsers"]
    seen = first.observations
    there = seen.cell == seen.cells.index("deep_browsers")
    deep = seen.features["browse_depth"].to_numpy() > 3.0
    assert (there & deep).any()
    assert (seen.arm[there & ~deep] == 0).all()
    assert (seen.arm[there & deep] > 0).all()
    # Recorded probabilities are those of the whole plan.
    np.testing.assert_allclose(
        seen.propensity[deep][0], [0.375 + 0.125, 0.125 + 0.125, 0.125 + 0.125]
    )
    assert "deep_browsers" in repr(first)
    assert "where browse_depth > 3; control elsewhere" in repr(first)
    assert [c.id for c in exp.plan.cells] == ["control", "explore", "optimized"]
    assert [c.id for c in quietly(next, exp).plan.cells] == ["control", "explore", "optimized"]


def test_accepted_cells_serve_the_next_round():
    exp = experiment()
    plan = exp.accept(own_cells(exp.plan))
    assert exp.plan is plan
    assert exp.next_recommendation != plan
    assert quietly(next, exp).plan == plan
    assert exp.plan == exp.next_recommendation


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            lambda: [
                Cell("control", BaselinePolicy(), 0.02),
                Cell("explore", UniformPolicy(ARMS), 0.98),
            ],
            r"'control' has a floor of 5.00%; 2.00% is below it",
        ),
        (lambda: [Cell("control", BaselinePolicy(), 1.0)], "no cell 'explore'"),
        (lambda: "control", "must be a list of Cell"),
    ],
)
def test_a_plan_that_breaks_a_rule_is_refused_before_the_source_is_asked(cells, message):
    source = Counting()
    exp = experiment(generator=source)
    for run in (exp.advance, exp.accept, exp.start):
        with pytest.raises(DesignError, match=message):
            run(cells())
    assert source.calls == 0
    assert exp.plan == exp.design.first_plan
    assert exp.job is None


def test_a_rule_on_an_unknown_feature_is_refused_once_features_are_known():
    exp = experiment()
    quietly(next, exp)
    cell = Cell("x", MixPolicy({"low_promo": 1.0}, Rule((Threshold("age", ">", 30),))), 0.1)
    kept = [replace(c, weight=0.9 * c.weight) if c.id == "optimized" else c for c in exp.plan.cells]
    short = 1 - 0.1 - sum(c.weight for c in kept)
    kept[-1] = replace(kept[-1], weight=kept[-1].weight + short)
    with pytest.raises(DesignError, match="'age', which is not a feature"):
        exp.accept([*kept, cell])


# Bad data and bad sources


def spoiled(frame):
    frame = frame.copy()
    frame.loc[frame.index[2], "revenue"] = np.nan
    return frame


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f, t: (spoiled(f), t), "revenue"),
        (lambda f, t: (f.iloc[:0], t), "The round has no visitors"),
        (lambda f, _: [f], "must be a pandas DataFrame; got list"),
        (lambda *_: None, "must be a pandas DataFrame; got NoneType"),
        (lambda f, t: (f, t, t), "a frame, or a frame and its ground truth; got 3 values"),
        (lambda f, _: (f, {"rpv": 1}), "returned dict as ground truth"),
        (
            lambda f, t: (f.iloc[1:], t),
            r"conversion has shape \(32, 3\); the round has 31 visitors",
        ),
        (lambda f, t: (f, replace(t, arms=ARMS[::-1])), "ground truth is about the arms"),
        (
            lambda f, t: (f, GroundTruth(ARMS, t.conversion, t.severity[:, :2])),
            r"severity has shape \(32, 2\)",
        ),
    ],
)
def test_nothing_of_bad_data_is_kept_and_the_source_is_asked_again(spoil, message):
    good = simulated()
    source = Counting(lambda i, plan: spoil(*good(i, plan)) if source.calls == 1 else good(i, plan))
    exp = experiment(generator=source)
    before = exp.plan
    with pytest.raises(DataError, match=message):
        quietly(next, exp)
    assert (exp.history, exp.plan, exp.job, exp.seen_visitors) == ((), before, None, set())
    assert digest(quietly(next, exp)) == digest(finished().history[0])
    assert source.calls == 2


def test_an_error_of_the_source_passes_through_and_nothing_is_kept():
    class DownError(Exception):
        pass

    def source(i, plan):
        if not calls:
            calls.append(i)
            raise DownError("the warehouse is away")
        return simulated()(i, plan)

    calls: list[int] = []
    exp = experiment(generator=source)
    with pytest.raises(DownError, match="the warehouse is away"):
        next(exp)
    assert (exp.history, exp.job) == ((), None)
    assert quietly(next, exp).round_idx == 0


def test_a_source_that_runs_dry_does_not_look_like_the_end_of_the_schedule():
    frames = iter([])
    exp = experiment(generator=lambda *_: next(frames))
    with pytest.raises(DataError, match="no data for round 1: it raised StopIteration"):
        exp.run_to_completion()


def test_visitors_of_an_earlier_round_are_refused():
    exp = experiment(generator=lambda _, plan: simulated()(0, plan))
    quietly(next, exp)
    before = exp.plan
    with pytest.raises(DataError, match="were in an earlier round already"):
        quietly(next, exp)
    assert (exp.current_round_idx, exp.plan) == (1, before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator": "simulated"}, "'generator' is str; use a callable"),
        ({"seed": -1}, "seed is -1; use a whole number"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"metric": "clicks"}, "clicks"),
        ({"refunds": "drop"}, "Unknown refund policy 'drop'"),
        ({"columns": {"who": "id"}}, r"unknown entries \['who'\]"),
    ],
)
def test_what_cannot_work_is_refused_at_construction(changes, message):
    with pytest.raises(DesignError, match=message):
        experiment(**changes)


def test_a_schedule_without_end_is_not_run_to_completion():
    exp = experiment(schedule=loop_without_end())
    with pytest.raises(DesignError, match="has no end"):
        exp.run_to_completion()


def loop_without_end():
    from pytyche_engine.allocation import FixedSchedule

    return FixedSchedule(32)


# Cancel, pause, failures


def when(stage, act):
    """For `watch`: do something once, in the worker's thread, when a stage is reached."""

    def watch(job):
        done = []

        def listen(event):
            if event.stage is stage and not done:
                done.append(time.monotonic())
                act(job)

        job.subscribe(listen)
        watched.append(done)

    watched: list[list[float]] = []
    watch.times = watched
    return watch


def until_paused(job):
    end = time.monotonic() + 60
    while job.state is not JobState.PAUSED:
        assert not job.done()
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture(scope="module")
def uninterrupted():
    exp = experiment(settings=LONG, schedule=SIZES[:1])
    return digest(quietly(next, exp))


@pytest.mark.parametrize("stage", [Stage.COMPILE, Stage.SAMPLE, Stage.SEGMENTS, Stage.PLAN])
def test_a_cancelled_fit_leaves_everything_as_it_was_and_its_data_are_used_again(
    stage, uninterrupted
):
    source = Counting()
    exp = experiment(settings=LONG, schedule=SIZES[:1], generator=source)
    before = exp.plan
    exp.watch = when(stage, lambda job: job.cancel())
    with pytest.raises(FitCancelled, match="The experiment is as it was"):
        quietly(next, exp)
    assert time.monotonic() - exp.watch.times[0][0] < SOON
    assert (exp.history, exp.latest, exp.plan) == ((), None, before)
    assert exp.job.state is JobState.CANCELLED
    exp.watch = None
    assert digest(quietly(next, exp)) == uninterrupted
    assert source.calls == 1


def test_a_cancel_in_the_last_moment_and_a_finished_round_exclude_each_other():
    exp = experiment()
    with exp._lock:  # the round is concluded, but cannot be handed over yet
        job = Job(lambda control: exp._work(served, control))
        served = quietly(read_served, simulated()(0, exp.plan), exp.plan, exp._spec, ())
        job.start()
        wait_for = time.monotonic() + 60
        while job.latest is None or job.latest.stage is not Stage.PLAN:
            assert time.monotonic() < wait_for
            time.sleep(0.005)
        time.sleep(0.2)
        job.cancel()
        with pytest.raises(FitCancelled):
            job.result()
    job._thread.join(5)
    assert exp.history == ()


def test_a_changed_plan_asks_the_source_again():
    source = Counting()
    exp = experiment(generator=source)
    exp.watch = when(Stage.SAMPLE, lambda job: job.cancel())
    with pytest.raises(FitCancelled):
        quietly(next, exp)
    exp.watch = None
    done = quietly(exp.advance, own_cells(exp.plan))
    assert source.calls == 2
    assert "deep_browsers" in done.observations.cells


def test_a_paused_fit_stands_still_and_goes_on_to_the_same_draws(uninterrupted):
    exp = experiment(settings=LONG, schedule=SIZES[:1])
    exp.watch = when(Stage.SAMPLE, lambda job: job.pause())
    job = quietly(exp.start)
    until_paused(job)
    time.sleep(0.4)  # each chain may end the chunk it is in
    held = job.latest.iteration
    assert held < LONG.num_warm_up + LONG.min_draws
    time.sleep(0.3)
    assert job.latest.iteration == held
    assert exp.history == ()
    job.resume()
    assert digest(job.result()) == uninterrupted


def test_an_interrupt_cancels():
    exp = experiment(settings=LONG)
    exp.watch = when(Stage.SAMPLE, lambda _: _thread.interrupt_main())
    with pytest.raises(KeyboardInterrupt):
        quietly(next, exp)
    assert exp.job.state is JobState.CANCELLED
    assert exp.history == ()


def test_one_round_is_fitted_at_a_time_and_the_experiment_stays_readable(tmp_path):
    exp = experiment(settings=LONG)
    exp.watch = when(Stage.SAMPLE, lambda job: job.pause())
    job = quietly(exp.start)
    busy = "Round 1 of 'promo' is being fitted.*exp.job.result.*exp.job.cancel"
    for run in (
        exp.start,
        lambda: next(exp),
        lambda: exp.observe(visitors(0)),
        lambda: exp.accept(exp.plan.cells),
        lambda: exp.start(own_cells(exp.plan)),
    ):
        with pytest.raises(DesignError, match=busy):
            run()
    assert exp.job is job
    assert exp.history == ()
    assert exp.confidence == "low"
    assert "No round has run yet" in exp.summary
    exp.save(tmp_path / "meanwhile")
    until_paused(job)
    job.resume()
    done = job.result()
    assert exp.history == (done,)
    # The round that ended after the save is in the folder too.
    assert digest(open_experiment(tmp_path / "meanwhile").latest) == digest(done)


def test_readers_never_see_half_a_round():
    exp = experiment()
    seen, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            state = exp._state
            latest = state.latest
            recommended = latest.next_recommendation if latest else exp.design.first_plan
            seen.append(len(state.rounds) == len(state.served) and state.plan == recommended)
            exp.summary  # noqa: B018

    thread = threading.Thread(target=read)
    thread.start()
    quietly(exp.run_to_completion)
    stop.set()
    thread.join()
    assert len(seen) > 3
    assert all(seen)


def test_a_failed_fit_leaves_everything_as_it_was(monkeypatch):
    source = Counting()
    exp = experiment(generator=source)

    def broken(*_args, **_kwargs):
        raise FitError("The sampler left the range of finite numbers.")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "fit", broken)
        with pytest.raises(FitError, match="finite"):
            quietly(next, exp)
    assert (exp.history, exp.plan) == ((), exp.design.first_plan)
    assert exp.job.state is JobState.FAILED
    assert digest(quietly(next, exp)) == digest(finished().history[0])
    assert source.calls == 1


def test_a_conclusion_that_fails_leaves_everything_as_it_was(monkeypatch):
    exp = experiment()

    def broken(*_args, **_kwargs):
        raise ValueError("no segments today")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "conclude_round", broken)
        with pytest.raises(ValueError, match="no segments today"):
            quietly(next, exp)
    assert (exp.history, exp.plan) == ((), exp.design.first_plan)


def test_broken_views_do_not_stop_a_fit():
    exp = experiment()

    def broken(_):
        raise RuntimeError("no display")

    exp.watch = broken
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first = next(exp)
    assert "The progress of promo, round 1 cannot be shown: RuntimeError('no display')." in [
        str(w.message) for w in caught
    ]
    exp.watch = when(Stage.SAMPLE, broken)
    second = quietly(next, exp)
    assert exp.history == (first, second)
    assert len(exp.job.listener_errors) == 1


# Warnings


def test_uncalibrated_is_warned_of_once_an_experiment_at_the_users_line():
    for _ in range(2):
        exp = experiment(schedule=SIZES[:2])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            next(exp)
            next(exp)
        uncalibrated = [w for w in caught if w.category is UncalibratedWarning]
        assert len(uncalibrated) == 1
        assert "calibration=None" in str(uncalibrated[0].message)
        assert uncalibrated[0].filename == __file__
        unconverged = [w for w in caught if w.category is UnconvergedWarning]
        assert [str(w.message)[:7] for w in unconverged] == ["Round 1", "Round 2"]
        assert {w.filename for w in unconverged} == {__file__}


def test_warnings_as_errors_do_not_cost_the_fit():
    exp = experiment()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PytycheWarning)
        warnings.simplefilter("error", UnconvergedWarning)
        with pytest.raises(UnconvergedWarning):
            next(exp)
    assert exp.current_round_idx == 1


# Data that come in later


def offline(**changes):
    return experiment(generator=None, **changes)


def serve(exp, i):
    return quietly(exp.observe, with_outcomes(exp.assign(visitors(i)), i))


def test_without_a_source_the_plan_is_handed_out_and_data_come_back():
    exp = offline()
    with pytest.raises(DesignError, match=r"has no source\. Serve exp\.plan, then"):
        next(exp)
    assigned = exp.assign(visitors(0))
    assert exp.assign(visitors(0)).equals(assigned)
    assert not exp.assign(visitors(0), seed=9).equals(assigned)
    assert set(assigned["cell"]) == {"control", "explore"}
    first = serve(exp, 0)
    assert first.observations.propensity_recorded
    np.testing.assert_allclose(
        first.observations.propensity, exp.design.first_plan.propensity(visitors(0))
    )
    assert set(exp.assign(visitors(1))["cell"]) <= {"control", "explore", "optimized"}
    assert serve(exp, 1).n_cumulative == SIZES[0] + SIZES[1]
    with pytest.raises(DataError, match="were in an earlier round already"):
        serve(exp, 1)
    assert exp.current_round_idx == 2


def test_assigned_columns_have_the_mappings_names():
    names = ("p0", "p1", "p2")
    exp = offline(columns={"arm": "variant", "cell": None, "propensity": names})
    assigned = exp.assign(visitors(0))
    assert set(assigned.columns) - set(visitors(0).columns) == {"variant", *names}
    frame = with_outcomes(assigned.rename(columns={"variant": "arm"}), 0)
    done = quietly(exp.observe, frame.rename(columns={"arm": "variant"}))
    # None of what was assigned became a feature.
    assert {f.source for f in done.observations.schema.features} <= set(visitors(0).columns)


def test_a_cancelled_observation_can_be_taken_up_again_without_its_frame():
    exp = offline()
    exp.watch = when(Stage.SAMPLE, lambda job: job.cancel())
    with pytest.raises(FitCancelled):
        serve(exp, 0)
    exp.watch = None
    again = quietly(next, exp)
    assert digest(again) == digest(serve(offline(), 0))


def test_rounds_in_two_processes_are_those_of_one(tmp_path):
    path = tmp_path / "promo"
    serve(offline(path=path), 0)
    code = f"""
import json, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from experiment_cases import digest, quietly, visitors, with_outcomes
from pytyche_engine.contracts import DataError
from pytyche_engine.experiment import open_experiment

exp = open_experiment({str(path)!r})
try:
    quietly(exp.observe, with_outcomes(exp.assign(visitors(0)), 0))
except DataError as error:
    refused = str(error)
done = quietly(exp.observe, with_outcomes(exp.assign(visitors(1)), 1))
print(json.dumps([refused, digest(exp.history[0]), digest(done)]))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    refused, first, second = json.loads(ran.stdout)
    assert "were in an earlier round already" in refused
    one = offline()
    assert [first, second] == [digest(serve(one, 0)), digest(serve(one, 1))]
    reopened = open_experiment(path)
    assert digest(reopened.latest) == second
    assert reopened.plan == one.plan


# Other metrics and other numbers of arms


def test_two_arms_and_a_conversion_rate():
    arms = ARMS[:2]
    exp = experiment(
        treatments=arms,
        generator=simulated(metric="conversion_rate", treatment_names=arms, K=2),
        metric="conversion_rate",
        schedule=SIZES[:1],
    )
    done = quietly(next, exp)
    assert done.observations.outcome == "binary"
    assert done.summary_one_line().startswith("round 1: conversion_rate | ")
    (c,) = done.analysis.comparisons
    assert c.severity_part.mean == 0.0
    assert c.conversion_part.mean == pytest.approx(c.lift.mean)
    assert c.conversion_lift.mean == pytest.approx(c.lift.mean)
    assert all(0 < o.model_rpv.mean < 1 for o in done.cell_observations)


def test_four_arms_and_money_from_everyone():
    arms = (*ARMS, "bundle")

    def source(i, plan):
        frame, _ = simulated(treatment_names=arms, K=4)(i, plan)
        return frame.assign(revenue=frame["revenue"] + 5.0 + frame["browse_depth"].abs())

    exp = experiment(treatments=arms, generator=source, schedule=[40, 20])
    done = quietly(next, exp)
    assert done.observations.outcome == "continuous"
    assert [c.treatment for c in done.analysis.comparisons] == list(arms[1:])
    for c in done.analysis.comparisons:
        assert c.conversion_part.mean == 0.0
        assert c.severity_part.mean == pytest.approx(c.lift.mean)
    assert {a for cell in done.next_recommendation.cells for a in cell.policy.named_arms} == set(
        arms
    )


# Graduation


def test_a_strong_effect_graduates_once_it_was_sustained():
    def source(i, plan):
        frame, _ = simulated()(i, plan)
        rng = np.random.default_rng(i)
        rate = frame["arm"].map({"control": 0.3, "low_promo": 0.9, "free_ship": 0.3})
        paid = frame["arm"].map({"control": 10.0, "low_promo": 60.0, "free_ship": 10.0})
        spent = np.where(rng.random(len(frame)) < rate, paid * rng.lognormal(0, 0.2, len(frame)), 0)
        return frame.assign(revenue=spent)

    exp = experiment(
        generator=source,
        settings=replace(SETTINGS, num_warm_up=400, min_draws=400, max_draws=2000, thin=4),
    )
    first = quietly(next, exp)
    assert first.analysis.converged, first.analysis.convergence
    assert first.analysis.recommendation.decision == "SHIP"
    assert exp.graduation_candidates() == ()
    assert not exp.has_graduation_candidate()
    assert exp.confidence == "medium"
    (early,) = exp.graduation_candidates(sustained_rounds=1)
    assert (early.treatment, early.sustained_rounds) == ("low_promo", 1)

    second = quietly(next, exp)
    assert second.analysis.converged, second.analysis.convergence
    (candidate,) = exp.graduation_candidates()
    assert (candidate.treatment, candidate.sustained_rounds) == ("low_promo", 2)
    assert str(candidate.rule) == "everyone"
    assert exp.has_graduation_candidate()
    assert exp.graduation_candidates(sustained_rounds=3) == ()
    assert exp.confidence == "high"
    assert "confidence is high" in exp.summary
    assert "low_promo for everyone (honest estimate)" in exp.summary
    with pytest.raises(DesignError, match="'sustained_rounds' is 0"):
        exp.graduation_candidates(sustained_rounds=0)


def test_the_public_door_is_the_same():
    import pytyche_lab as pt

    exp = quietly(
        pt.sequential_experiment, schedule=[32], treatments=ARMS, generator=simulated(), seed=1
    )
    assert isinstance(exp, SequentialExperiment)
    assert sequential_experiment.__doc__ in pt.sequential_experiment.__doc__


# --- memory -------------------------------------------------------------------------------


def test_forgotten_rounds_are_not_fitted_any_more_and_a_folder_remembers_that(tmp_path):
    exp = experiment(schedule=(32, 32, 16), path=tmp_path / "promo")
    quietly(next, exp)
    quietly(next, exp)
    assert (exp.latest.n_cumulative, exp.latest.remembered_from) == (64, 0)
    exp.forget_before(2)
    third = quietly(next, exp)
    assert (third.n_cumulative, third.remembered_from) == (48, 1)
    assert [r.n_cumulative for r in exp.history] == [32, 64, 48]

    again = open_experiment(tmp_path / "promo")
    assert again.actions == exp.actions
    assert again.latest.remembered_from == 1
    assert repr(again.latest.analysis) == repr(third.analysis)
    assert repr(again.latest) == repr(third)


def test_rounds_fitted_to_what_is_forgotten_are_no_sustained_evidence(monkeypatch):
    exp = experiment(schedule=(32, 32, 16))
    seen = []
    monkeypatch.setattr(
        "pytyche_engine.experiment.evidence.graduation_candidates",
        lambda _segments, rounds, *_, **__: seen.append(len(rounds)) or (),
    )
    quietly(next, exp)
    quietly(next, exp)
    exp.graduation_candidates()
    exp.forget_before(2)
    quietly(next, exp)
    exp.graduation_candidates()
    assert seen == [2, 1]


@pytest.mark.parametrize("number", [0, 1, 4, True, "2", 2.0])
def test_only_later_finished_rounds_can_begin_the_memory(number):
    exp = finished()
    with pytest.raises(DesignError, match="round"):
        exp.forget_before(number)
    assert exp.actions == ()


def test_memory_is_not_moved_back():
    exp = experiment(schedule=(32, 32, 16))
    quietly(next, exp)
    quietly(next, exp)
    exp.forget_before(2)
    with pytest.raises(DesignError, match="begins with round 2 already"):
        exp.forget_before(2)


def test_forgotten_evidence_does_not_graduate_any_more(monkeypatch):
    exp = experiment(schedule=(32, 32, 16))
    seen = []
    monkeypatch.setattr(
        "pytyche_engine.experiment.evidence.graduation_candidates",
        lambda _segments, rounds, *_, **__: seen.append([r.round_index for r in rounds]) or (),
    )
    quietly(next, exp)
    quietly(next, exp)
    exp.graduation_candidates()
    exp.forget_before(2)
    exp.graduation_candidates()  # no round was fitted to this memory yet
    quietly(next, exp)
    exp.graduation_candidates()
    assert seen == [[0, 1], [], [2]]


def test_a_plan_that_is_recommended_anyway_follows_the_recommendation(tmp_path):
    exp = experiment(path=tmp_path / "promo")
    quietly(next, exp)
    exp.accept(exp.plan.cells)
    exp.arms.drop("free_ship", "out of stock")
    assert open_experiment(tmp_path / "promo").plan == exp.plan == exp.next_recommendation


def test_arms_are_not_dropped_while_their_plan_is_being_served():
    exp = experiment(generator=None, columns=simulated().columns)
    source = simulated()
    quietly(exp.observe, source(0, exp.plan)[0])
    exp.assign(visitors(1))
    with pytest.raises(DesignError, match="Round 2 is being served"):
        exp.arms.drop("free_ship", "out of stock")
    exp.segments.rename("everyone", "Whole shop")  # names change nothing that is served
    assert exp.segments["Whole shop"].id == "S0"


def test_data_of_a_plan_that_changed_after_its_export_are_taken_once_it_is_accepted():
    exp = experiment(generator=None, columns=simulated().columns)
    source = simulated()
    quietly(exp.observe, source(0, exp.plan)[0])
    exported = exp.plan
    frame = source(1, exported)[0]
    exp.arms.drop("free_ship", "out of stock")
    with pytest.raises(DataError, match=r"'optimized' saw an arm .*exp\.accept\(cells\)"):
        exp.observe(frame)
    exp.accept(exported.cells)
    assert quietly(exp.observe, frame).plan.cells == exported.cells


def test_a_folder_without_its_decisions_is_not_read_as_another_experiment(tmp_path):
    exp = experiment(path=tmp_path / "promo")
    quietly(next, exp)
    exp.segments.register("browse_depth > 2", "deep")
    quietly(next, exp)
    (tmp_path / "promo" / "actions.json").unlink()
    with pytest.raises(StoreError, match=r"actions\.json"):
        open_experiment(tmp_path / "promo")


def test_an_experiment_without_features_has_one_segment():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "visitor_id": [f"v{i}" for i in range(64)],
            "arm": rng.choice(ARMS, 64),
            "revenue": np.where(rng.random(64) < 0.5, rng.lognormal(3, 0.5, 64), 0.0),
        }
    )
    exp = sequential_experiment(schedule=[64], treatments=ARMS, settings=SETTINGS, seed=1)
    done = quietly(exp.observe, frame)
    assert [s.label for s in done.analysis.all_segments] == ["everyone"]


def test_conversions_are_counted_not_paid_in():
    exp = experiment(metric="conversion_rate", visitors_per_year=10_000, generator=None)
    assert exp.labels.currency == ""


def test_a_round_can_be_checked_by_classical_tests():
    check = finished().classic(1)
    o = finished().history[0].observations
    seen = {row.treatment: row for row in check.rows if row.metric == "revenue per visitor"}
    for arm, row in seen.items():
        means = [o.revenue[o.arm == k].mean() for k in (o.arms.index(arm), 0)]
        assert row.lift.mean == pytest.approx(means[0] - means[1])
    assert set(seen) == set(o.arms[1:])
    assert check.traffic == finished().history[0].health.traffic
