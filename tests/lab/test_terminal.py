"""Progress and rounds in a terminal, and elsewhere without one."""

import io
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from rich.console import Console
from rounds import finished_round

from pytyche_engine.contracts.errors import FitCancelled
from pytyche_engine.jobs.control import Control
from pytyche_engine.jobs.events import FitEvent, InterimLift, Stage
from pytyche_engine.jobs.job import Job
from pytyche_lab import progress, terminal

LIFT = InterimLift("low_promo", 0.25, 0.1, 0.4, 1.0, 400.0)
HOSTILE = ("control", "[red]promo[/red] <b>", "free_ship")


def console(*, tty: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=tty, width=160)


def printed(target: Console) -> str:
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


@pytest.fixture
def steps() -> Iterator[threading.Semaphore]:
    """Lets a job's work go one event further; released for good at the end."""
    semaphore = threading.Semaphore(0)
    yield semaphore
    semaphore.release(100)


def job_of(steps: threading.Semaphore) -> Job[str]:
    def work(control: Control) -> str:
        for event in (
            FitEvent(Stage.COMPILE),
            FitEvent(Stage.SAMPLE, iteration=30, total_iterations=100, eta_seconds=12.0),
            FitEvent(Stage.PLAN, iteration=100, total_iterations=100, interim=(LIFT,)),
        ):
            control.emit(event)
            steps.acquire()
            control.halt_if_asked()
        return "result"

    return Job(work, name="round 1").start()


def test_without_a_terminal_there_is_a_line_a_stage(steps: threading.Semaphore) -> None:
    job, target = job_of(steps), console(tty=False)
    thread = terminal.show_progress(job, "Fitting round 1", target)
    for stage in ("compile", "sample", "plan"):
        wait_for(lambda stage=stage: stage in printed(target))
        steps.release()
    thread.join(5)
    assert printed(target).splitlines() == [
        "Fitting round 1: compile",
        "Fitting round 1: sample",
        "Fitting round 1: plan · low_promo +0.250 [+0.100, +0.400]",
        "Fitting round 1: done · low_promo +0.250 [+0.100, +0.400]",
    ]
    assert job.result() == "result"


def test_a_terminal_shows_a_bar_with_stage_and_time_left(steps: threading.Semaphore) -> None:
    job, target = job_of(steps), console(tty=True)
    thread = terminal.show_progress(job, "Fitting round 1", target)
    steps.release()
    wait_for(lambda: "about 15 s left" in printed(target))
    steps.release(2)
    thread.join(5)
    last = printed(target).split("Fitting round 1")[-1]
    assert "done" in last
    assert "left" not in last
    assert "+0.250" in last


def test_a_cancelled_job_is_said_to_be(steps: threading.Semaphore) -> None:
    job, target = job_of(steps), console(tty=False)
    thread = terminal.show_progress(job, "Fitting", target)
    job.cancel()
    steps.release()
    thread.join(5)
    assert printed(target).splitlines()[-1] == "Fitting: cancelled"
    with pytest.raises(FitCancelled):
        job.result()


def wait_for(condition: object) -> None:
    assert callable(condition)
    tick = threading.Event()
    for _ in range(200):
        if condition():
            return
        tick.wait(0.02)
    raise AssertionError("it did not happen within 4 s")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0.4, "about 5 s left"), (31.0, "about 35 s left"), (61.0, "about 2 min left")],
)
def test_time_left_is_rounded(seconds: float | None, words: str) -> None:
    assert terminal.eta_words(seconds) == words


def test_a_round_is_printed_with_all_its_tables() -> None:
    target = console(tty=False)
    finished = finished_round()
    terminal.print_round(finished, target)
    text = printed(target)
    tables = (
        finished.cell_table(),
        finished.analysis.comparison_table(),
        finished.analysis.segment_table(),
    )
    flat = " ".join(text.replace("│", " ").split())
    for table in tables:
        for row in table.rows:
            assert row[0].split()[0] in flat
    for line in (finished.analysis.recommendation_line(), finished.truth_line(), "uncalibrated"):
        assert line is not None
        assert " ".join(line.split()) in flat


def test_names_are_not_markup() -> None:
    target = console(tty=True)
    terminal.print_round(finished_round(arms=HOSTILE), target)
    assert "[red]promo[/red]" in printed(target)


def test_progress_is_shown_where_someone_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: False))
    assert progress.watcher() is None
    assert progress.watcher(progress=True) is not None
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: True))
    assert progress.watcher() is not None
    assert progress.watcher(progress=False) is None


def test_a_kernel_gets_the_widget(
    monkeypatch: pytest.MonkeyPatch, steps: threading.Semaphore
) -> None:
    import IPython
    import IPython.display

    from pytyche_lab.widgets import FitProgress

    shown: list[object] = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setattr(IPython.display, "display", shown.append)
    show = progress.watcher(arms=HOSTILE, currency="€")
    assert show is not None
    show(job_of(steps))
    (widget,) = shown
    assert isinstance(widget, FitProgress)
    assert widget.summary() == "Fitting round 1"
    assert widget.setup["currency"] == "€"
    widget.close()
