"""What the subcommands of ``%pytyche`` do that only need an experiment and their options."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.tables import Table

if TYPE_CHECKING:
    from pytyche_lab.experiments import LabExperiment


@dataclass(frozen=True, repr=False)
class Listing:
    """A table that shows itself, or says that there is nothing to show."""

    table: Table
    nothing: str

    def __repr__(self) -> str:
        return self.table.text() if self.table.rows else self.nothing

    def _repr_html_(self) -> str | None:
        return self.table.html() if self.table.rows else None


Verb = Callable[["LabExperiment", Namespace], Any]


def _show(experiment: "LabExperiment", given: Namespace) -> Any:
    if not experiment.history:
        raise DesignError(
            f"'{experiment.name}' has no finished round yet; run %pytyche advance {given.name}."
        )
    return experiment.dashboard(given.round)


def _select(experiment: "LabExperiment", given: Namespace) -> None:
    chosen = given.segment
    experiment.views.selected_segment = None if chosen is None else experiment.segments[chosen].id


def _rename(experiment: "LabExperiment", given: Namespace) -> Any:
    experiment.segments.rename(given.segment, given.called)
    return experiment.segments


def _register(experiment: "LabExperiment", given: Namespace) -> Any:
    experiment.segments.register(given.segment, given.called)
    return experiment.segments


def _retire(experiment: "LabExperiment", given: Namespace) -> Any:
    experiment.segments.retire(given.segment)
    return experiment.segments


def _drop(experiment: "LabExperiment", given: Namespace) -> Any:
    experiment.arms.drop(given.arm, given.reason)
    return experiment.arms


def _revive(experiment: "LabExperiment", given: Namespace) -> Any:
    experiment.arms.revive(given.arm, given.reason)
    return experiment.arms


def _recommended(experiment: "LabExperiment", _given: Namespace) -> Any:
    return experiment.accept(experiment.next_recommendation.cells)


def _history(experiment: "LabExperiment", _given: Namespace) -> Listing:
    rows = [
        (str(r.round_idx + 1), f"{len(r.observations):,}", r.summary_one_line())
        for r in experiment.history
    ]
    return Listing(
        Table(("round", "visitors", "what it says"), rows),
        f"'{experiment.name}' has no finished round yet.",
    )


def _job(act: str) -> Verb:
    def run(experiment: "LabExperiment", _given: Namespace) -> None:
        job = experiment.job
        if job is None or job.done():
            raise DesignError(f"'{experiment.name}' has no fit that is running.")
        getattr(job, act)()

    return run


def _resume(experiment: "LabExperiment", _given: Namespace) -> Any:
    """Let a paused fit go on, or a round whose process ended."""
    job = experiment.job
    if job is None or job.done():
        return experiment.resume()
    job.resume()
    return None


VERBS: Mapping[str, Verb] = {
    "plan": lambda experiment, _: experiment.plan,
    "edit": lambda experiment, _: experiment.editor(),
    "show": _show,
    "lab": lambda experiment, _: experiment.lab(),
    "segments": lambda experiment, _: experiment.segments,
    "tree": lambda experiment, _: experiment.tree(),
    "select": _select,
    "rename": _rename,
    "register": _register,
    "retire": _retire,
    "drop": _drop,
    "revive": _revive,
    "recommended": _recommended,
    "history": _history,
    "pause": _job("pause"),
    "resume": _resume,
    "stop": _job("stop"),
    "cancel": _job("cancel"),
}
"""By their subcommand."""
