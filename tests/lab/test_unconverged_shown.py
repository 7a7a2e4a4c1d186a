"""Whatever shows numbers of an unconverged fit says so, and says it of no other."""

import io
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console
from rounds import ARMS, finished_round

from pytyche_engine.contracts.decisions import GraduationCandidate, SustainedRound
from pytyche_engine.experiment import narration
from pytyche_engine.experiment.round import Round
from pytyche_engine.jobs import Control, FitEvent, InterimLift, Job, Stage
from pytyche_lab import terminal
from pytyche_lab.job_convergence import is_unconverged
from pytyche_lab.viz import plot_segment_intervals
from pytyche_lab.widgets import RoundDashboard
from pytyche_lab.widgets.fit_progress import progress_view
from pytyche_lab.widgets.round_snapshot import history_view, round_view


def a_round(converged: bool, *, one_segment: bool = False) -> Round:
    """A round as `conclude_round` would leave it."""
    done = finished_round()
    segments = tuple(replace(s, converged=converged) for s in done.analysis.segments)
    search = replace(done.analysis.search, segments=segments[:1] if one_segment else segments)
    analysis = replace(done.analysis, converged=converged, search=search)
    assert done.truth_comparison is not None
    truth = replace(done.truth_comparison, converged=converged)
    return replace(done, analysis=analysis, truth_comparison=truth)


def candidate(done: Round) -> GraduationCandidate:
    found = SustainedRound(done.round_idx, done.analysis.recommendation, None)
    return GraduationCandidate(ARMS[1], done.analysis.segments[0], (found, found))


def printed(show: Callable[[Console], None]) -> str:
    target = Console(file=io.StringIO(), width=200)
    show(target)
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


def followed(done: Round) -> str:
    """What a terminal says of a job that made this round."""
    job = Job(lambda _: done).start()
    job.result()

    def show(console: Console) -> None:
        terminal.show_progress(job, "Fitting", console).join(5)

    return printed(show)


SHOWN: dict[str, Callable[[Round], str]] = {
    "cell table": lambda r: r.cell_table().text(),
    "cell table, HTML": lambda r: r.cell_table().html(),
    "comparison table": lambda r: r.analysis.comparison_table().text(),
    "comparison table, HTML": lambda r: r.analysis.comparison_table().html(),
    "segment table": lambda r: r.analysis.segment_table().text(),
    "segment table, HTML": lambda r: r.analysis.segment_table().html(),
    "recommendation line": lambda r: r.analysis.recommendation_line(),
    "targeting line": lambda r: r.analysis.targeting_line(),
    "truth line": lambda r: str(r.truth_line()),
    "truth": lambda r: repr(r.truth_comparison),
    "truth, HTML": lambda r: str(r.truth_comparison and r.truth_comparison._repr_html_()),
    "one line": Round.summary_one_line,
    "round": repr,
    "round, HTML": Round._repr_html_,
    "analysis": lambda r: repr(r.analysis),
    "analysis, HTML": lambda r: r.analysis._repr_html_(),
    "narration": lambda r: narration.summary([r], (), r.next_recommendation),
    "candidate": lambda r: repr(candidate(r)),
    "candidate, HTML": lambda r: candidate(r)._repr_html_(),
    "segment chart": lambda r: repr(plot_segment_intervals(r.analysis.segments)),
    "segment chart, picture": lambda r: plot_segment_intervals(r.analysis.segments).picture()[
        "image/svg+xml"
    ],
    "dashboard": lambda r: RoundDashboard(r).summary(),
    "dashboard, saved": lambda r: RoundDashboard(r)._repr_mimebundle_()[0]["text/html"],
    "printed round": lambda r: printed(lambda c: terminal.print_round(r, c)),
    "printed analysis": lambda r: printed(lambda c: terminal.print_analysis(r.analysis, c)),
    "followed fit": followed,
}


@pytest.mark.parametrize("name", SHOWN)
def test_everything_says_it_of_an_unconverged_fit_only(name: str) -> None:
    assert "unconverged" in SHOWN[name](a_round(converged=False))
    assert "unconverged" not in SHOWN[name](a_round(converged=True))


def test_it_is_said_also_where_no_split_pays() -> None:
    assert "unconverged" in a_round(False, one_segment=True).analysis.targeting_line()


@pytest.mark.parametrize("show", ["_repr_html_", "__repr__"])
def test_every_table_carries_it_itself(show: str) -> None:
    done = a_round(converged=False)
    texts = [getattr(done, show)(), getattr(done.analysis, show)()]
    tables = [t.count("<table") if "<table" in t else t.count("|---") and 1 for t in texts]
    for text, n in zip(texts, tables, strict=True):
        assert text.count("the chains do not agree yet") >= n > 0


@pytest.mark.parametrize("converged", [True, False])
def test_the_widgets_are_told(converged: bool) -> None:
    done = a_round(converged)
    assert round_view(done, "")["converged"] is converged
    assert history_view([], done)[0]["converged"] is converged
    job = Job(lambda _: done).start()
    job.result()
    assert progress_view(job, 0, 0.0, ARMS)["unconverged"] is not converged


@pytest.mark.parametrize(("r_hat", "expected"), [(1.0, False), (1.2, True), (float("nan"), True)])
def test_a_result_that_is_no_round_is_judged_by_the_lifts_shown(
    r_hat: float, expected: bool
) -> None:
    def work(control: Control) -> str:
        lift = InterimLift("low_promo", 0.3, 0.1, 0.5, r_hat, 400.0)
        control.emit(FitEvent(Stage.SAMPLE, interim=(lift,)))
        return "fitted"

    job = Job(work).start()
    assert job.result() == "fitted"
    assert is_unconverged(job) is expected


def test_nothing_is_said_before_the_end() -> None:
    release = threading.Event()
    job = Job(lambda _: release.wait(5)).start()
    assert not is_unconverged(job)
    release.set()
    job.result()
