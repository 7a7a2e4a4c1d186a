"""Fit progress over real jobs: what is sent, when, and what a click does."""

import json
import math
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import traitlets as t

from pytyche_engine.contracts import FitCancelled, FitError
from pytyche_engine.jobs import Control, FitEvent, InterimLift, Job, Stage
from pytyche_lab.widgets import FitProgress
from pytyche_lab.widgets.fit_progress import PERIOD_SECONDS, progress_view, trace_bytes
from pytyche_lab.widgets.lab_widget import LabWidget, _answer_in_the_subshell, _built

ARMS = ("control", "low_promo", "free_ship")


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def sampling(iteration: int, **changes: object) -> FitEvent:
    values: dict[str, object] = {
        "stage": Stage.SAMPLE,
        "iteration": iteration,
        "total_iterations": 100,
        "warm_up_iterations": 20,
        "elapsed_seconds": 5.0,
        "eta_seconds": 10.0,
        "stage_seconds": {"read": 1.0, "compile": 2.0, "warm up": 1.0, "sample": 1.0},
        "interim": (
            InterimLift("free_ship", -0.1, -0.2, 0.0, math.nan, math.nan),
            InterimLift("low_promo", 0.3, 0.1, 0.5, 1.02, 90.0),
        ),
        "chain_traces": ((0.1, 0.2), (0.3,)),
    }
    return FitEvent(**{**values, **changes})  # type: ignore[arg-type]


class Steps:
    """Work that goes on for as long as the test says."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __call__(self, control: Control) -> str:
        iteration = 20
        while not self.go_on.is_set():
            control.halt_if_asked()
            iteration = min(99, iteration + 1)
            control.emit(sampling(iteration))
            time.sleep(0.005)
        control.emit(sampling(100))
        return "fitted"


def click(widget: FitProgress, kind: str) -> None:
    widget._handle_custom_msg({"kind": kind}, [])


def test_it_follows_a_job_to_its_end():
    work = Steps()
    job = Job(work).start()
    widget = FitProgress(job, title="Fitting round 2", arms=ARMS)
    wait_for(lambda: widget.progress["iteration"] > 20)
    assert widget.progress["state"] == "running"
    assert [lift["arm"] for lift in widget.progress["lifts"]] == [
        {"name": "free_ship", "slot": 2},
        {"name": "low_promo", "slot": 1},
    ]
    work.go_on.set()
    assert job.result() == "fitted"
    wait_for(lambda: widget.progress["state"] == "done")
    assert widget.progress["iteration"] == 100
    assert {stage["status"] for stage in widget.progress["stages"]} == {"done"}
    wait_for(lambda: not widget._publisher.is_alive())


def test_it_sends_at_most_ten_snapshots_a_second_and_always_the_last():
    work = Steps()
    job = Job(work).start()
    widget = FitProgress(job)
    seen: list[float] = []
    widget.observe(lambda _: seen.append(time.monotonic()), names="progress")
    time.sleep(1.0)
    work.go_on.set()
    wait_for(lambda: widget.progress["state"] == "done")
    # The job emits 200 events a second.
    assert 5 <= len(seen) <= 1.0 / PERIOD_SECONDS + 3


def test_it_beats_while_nothing_happens():
    release = threading.Event()
    job = Job(lambda _: release.wait(5)).start()
    widget = FitProgress(job)
    wait_for(lambda: widget.progress["beat"] >= 1)
    first = widget.progress
    wait_for(lambda: widget.progress["beat"] > first["beat"], seconds=3.0)
    assert widget.progress["elapsed_seconds"] > first["elapsed_seconds"]
    release.set()


def test_a_click_on_cancel_ends_the_job():
    job = Job(Steps()).start()
    widget = FitProgress(job)
    wait_for(lambda: widget.progress["iteration"] > 20)
    clicked = time.monotonic()
    click(widget, "cancel")
    wait_for(lambda: widget.progress["state"] == "cancelled")
    assert time.monotonic() - clicked < 1.0
    with pytest.raises(FitCancelled):
        job.result()


def test_a_click_on_pause_holds_the_job_and_resume_lets_it_go():
    work = Steps()
    job = Job(work).start()
    widget = FitProgress(job)
    click(widget, "pause")
    wait_for(lambda: widget.progress["state"] == "paused")
    time.sleep(2.5 * PERIOD_SECONDS)
    held = widget.progress
    time.sleep(1.2)
    assert widget.progress["iteration"] == held["iteration"]
    assert widget.progress["elapsed_seconds"] == held["elapsed_seconds"]
    assert widget.progress["beat"] > held["beat"]
    click(widget, "resume")
    wait_for(lambda: widget.progress["iteration"] > held["iteration"])
    work.go_on.set()
    job.result()


def test_an_unknown_message_is_refused():
    job = Job(lambda _: None).start()
    widget = FitProgress(job)
    with pytest.raises(ValueError, match="knows cancel, pause, resume, stop; not 'explode'"):
        widget._on_message(widget, {"kind": "explode"}, [])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FitError("Chain 2 lost its numbers."), "Chain 2 lost its numbers."),
        (KeyError("revenue"), "KeyError: 'revenue'"),
    ],
)
def test_a_failure_says_why(error: Exception, message: str):
    def fail(_: Control) -> None:
        raise error

    widget = FitProgress(Job(fail).start(), untouched="Round 1 is as it was.")
    wait_for(lambda: widget.progress["state"] == "failed")
    assert widget.progress["message"] == message
    assert widget.setup["untouched"] == "Round 1 is as it was."


def test_what_is_not_known_is_null():
    job: Job[None] = Job(lambda _: None)
    job.control.emit(
        sampling(
            30,
            eta_seconds=math.inf,
            interim=(InterimLift("low_promo", math.nan, 0.0, 1.0, 1.0, 5.0),),
        )
    )
    view = progress_view(job, 1, 0.0, ARMS)
    assert view["eta_seconds"] is None
    assert view["lifts"] == []
    job.control.emit(sampling(31))
    view = progress_view(job, 2, 0.0, ARMS)
    assert view["lifts"][0]["r_hat"] is None
    json.dumps(view, allow_nan=False)


def test_the_time_left_falls_while_no_event_comes():
    job: Job[None] = Job(lambda _: None)
    job.control.emit(sampling(30))
    view = progress_view(job, 1, 4.0, ARMS)
    assert view["eta_seconds"] == 6.0
    assert view["elapsed_seconds"] == 9.0
    assert view["stages"][3] == {"name": "sample", "status": "current", "seconds": 5.0}
    assert progress_view(job, 1, 40.0, ARMS)["eta_seconds"] == 0.0


def test_traces_are_float32_chain_after_chain():
    assert np.frombuffer(trace_bytes(sampling(30)), "<f4").tolist() == pytest.approx(
        [0.1, 0.2, 0.3]
    )
    assert trace_bytes(None) == b""


def test_its_text_is_the_same_in_every_run_and_escaped():
    widget = FitProgress(Job(lambda _: None).start(), title="Fitting <b>round</b> 2")
    data, _ = widget._repr_mimebundle_()
    assert data["text/plain"] == repr(widget) == "Fitting <b>round</b> 2"
    assert (
        data["text/html"] == "<p>Fitting &lt;b&gt;round&lt;/b&gt; 2: shown live in JupyterLab.</p>"
    )
    assert "application/vnd.jupyter.widget-view+json" in data


def test_closing_it_leaves_the_job_alone():
    work = Steps()
    job = Job(work).start()
    widget = FitProgress(job)
    widget.close()
    wait_for(lambda: not widget._publisher.is_alive())
    assert not job.done()
    work.go_on.set()
    assert job.result() == "fitted"


def test_unknown_traits_are_refused():
    with pytest.raises(TypeError, match="LabWidget has no trait colour"):
        LabWidget(colour="red")


def test_a_missing_bundle_says_how_to_build_it():
    with pytest.raises(ImportError, match="npm ci && npm run build"):
        _built("nothing.js")


def test_the_guard_keeps_the_subshell_that_the_browser_chose():
    class Comm:
        def _reply_subshell_for(self, _data: object, _default: object) -> object:
            return "the shell that published last"

    comm = Comm()
    _answer_in_the_subshell(comm)
    assert comm._reply_subshell_for({}, "the browser's") == "the browser's"
    plain = object()
    _answer_in_the_subshell(plain)


class Counter(LabWidget):
    ours = t.Int().tag(sync=True)
    theirs = t.Int().tag(sync=True, from_json=lambda value, widget: widget.read(value))

    reading = threading.Event()
    wrote = threading.Event()

    def read(self, value: int) -> int:
        self.reading.set()
        self.wrote.wait(0.3)
        return value


def test_what_a_worker_sends_while_the_browser_writes_is_not_lost():
    """Without the lock traitlets would merge both values into one, or send none."""
    widget = Counter()
    sent: list[int] = []
    plain_send = widget.send_state

    def send_state(key: object = None) -> None:
        sent.append(widget.ours)
        plain_send(key)

    object.__setattr__(widget, "send_state", send_state)
    browser = threading.Thread(target=widget.set_state, args=({"theirs": 1},))
    browser.start()
    assert widget.reading.wait(5)
    for value in (1, 2):
        with widget.publish():
            widget.ours = value
    widget.wrote.set()
    browser.join()
    assert [value for value in sent if value] == [1, 2]
    assert widget.theirs == 1
