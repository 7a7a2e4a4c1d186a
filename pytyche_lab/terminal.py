"""Progress and rounds in a terminal."""

import math
import threading
import time
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from pytyche_engine.contracts.money import signed
from pytyche_engine.contracts.tables import Table as TextTable
from pytyche_engine.experiment.analysis import RoundAnalysis
from pytyche_engine.experiment.round import Round
from pytyche_engine.jobs.events import FitEvent
from pytyche_engine.jobs.job import Job
from pytyche_lab.job_convergence import is_unconverged

PROGRESS_THREAD = "pytyche-terminal"
"""Name of the threads that draw progress."""

_POLL_SECONDS = 0.1


def eta_words(seconds: float | None) -> str:
    """Time left, rounded to what is known; nothing while it is not known."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"about {max(5, 5 * math.ceil(seconds / 5))} s left"
    return f"about {math.ceil(seconds / 60)} min left"


def interim_words(event: FitEvent) -> str:
    """The lift of each treatment so far, or nothing before the first kept draws."""
    return "; ".join(
        f"{lift.treatment} {signed(lift.mean, 3)} [{signed(lift.low, 3)}, {signed(lift.high, 3)}]"
        for lift in event.interim
    )


def show_progress(job: Job[Any], title: str, console: Console | None = None) -> threading.Thread:
    """Follow a job until it ends: a bar in a terminal, a line a stage anywhere else.

    Returns:
        The thread that draws. It ends with the job; join it before printing more.
    """
    console = console or Console()
    draw = _follow_bar if console.is_terminal else _follow_lines
    thread = threading.Thread(
        target=draw, args=(job, title, console), name=PROGRESS_THREAD, daemon=True
    )
    thread.start()
    return thread


def _follow_bar(job: Job[Any], title: str, console: Console) -> None:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[stage]}", markup=False),
        TextColumn("{task.fields[eta]}", markup=False),
    )
    bar, interim = Progress(*columns, console=console), Text()
    task = bar.add_task(title, total=None, stage="", eta="")
    with Live(Group(bar, interim), console=console, refresh_per_second=1 / _POLL_SECONDS):
        ended = False
        while not ended:
            # Asked first: whatever is read after the end is final.
            ended = job.done()
            if (event := job.latest) is not None:
                bar.update(
                    task,
                    # Without a total rich draws a moving bar: compiling claims no percentage.
                    total=event.total_iterations or None,
                    completed=event.iteration,
                    stage=_end_words(job) if ended else event.stage.value,
                    eta="" if ended else eta_words(event.eta_seconds),
                )
                # In a line of its own: beside the bar it would leave no room for the bar.
                interim.plain = interim_words(event)
            time.sleep(0 if ended else _POLL_SECONDS)


def _end_words(job: Job[Any]) -> str:
    return f"{job.state.value}, unconverged" if is_unconverged(job) else job.state.value


def _follow_lines(job: Job[Any], title: str, console: Console) -> None:
    seen, ended = None, False
    while not ended:
        ended = job.done()
        event = job.latest
        if event is not None and event.stage is not seen:
            seen = event.stage
            words = (f"{title}: {event.stage.value}", interim_words(event))
            console.print(Text(" · ".join(filter(None, words))), soft_wrap=True)
        time.sleep(0 if ended else _POLL_SECONDS)
    words = (f"{title}: {_end_words(job)}", interim_words(event) if event else "")
    console.print(Text(" · ".join(filter(None, words))), soft_wrap=True)


def print_round(finished: Round, console: Console | None = None) -> None:
    """The dashboard of a round: verdict, cells, comparisons, segments, truth, what comes next."""
    console = console or Console()
    analysis = finished.analysis
    of = "" if finished.n_rounds is None else f" of {finished.n_rounds}"
    console.rule(f"Round {finished.round_idx + 1}{of}", align="left")
    console.print(
        Text(
            f"{len(finished.observations):,} visitors this round, {finished.n_cumulative:,} in all;"
            f" fitted in {finished.fit_seconds:.0f} s; intervals 80%, {analysis.label}"
        )
    )
    _print_verdict(analysis, console)
    console.print(_rich(finished.cell_table(), "Cells"))
    _print_effects(analysis, console)
    if (truth := finished.truth_line()) is not None:
        console.print(Text(truth))
    console.print(Text(finished.next_line()))


def print_analysis(analysis: RoundAnalysis, console: Console | None = None) -> None:
    """What a round concludes: verdict, comparisons, segments."""
    console = console or Console()
    _print_verdict(analysis, console)
    _print_effects(analysis, console)


def _print_verdict(analysis: RoundAnalysis, console: Console) -> None:
    console.print(Text(analysis.recommendation_line(), style="bold"))
    console.print(Text(analysis.recommendation.reason))
    console.print(Text(analysis.targeting_line()))


def _print_effects(analysis: RoundAnalysis, console: Console) -> None:
    console.print(_rich(analysis.comparison_table(), "Arms"))
    console.print(_rich(analysis.segment_table(), "Segments"))


def _rich(table: TextTable, title: str) -> Table:
    heading = f"{title} ({table.caption})" if table.caption else title
    drawn = Table(
        title=Text(heading), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD
    )
    for column in table.columns:
        # A number that does not fit goes on in the next line; none is cut short.
        drawn.add_column(Text(column), overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(cell, overflow="fold") for cell in row))
    return drawn
