"""The engine's experiments, with their progress shown where the user is."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pytyche_engine import experiment as engine
from pytyche_engine.contracts.errors import StoreError
from pytyche_engine.experiment import SequentialExperiment
from pytyche_lab.client import LocalClient, RegisteredExperiment
from pytyche_lab.extends import extends
from pytyche_lab.progress import watcher
from pytyche_lab.registry import follow, open_registry, register

if TYPE_CHECKING:
    from pytyche_lab.viz.figure import Figure, Stacked
    from pytyche_lab.widgets import CellPlan, Cockpit, RoundDashboard, SegmentChart, SegmentTree
    from pytyche_lab.widgets.views import Views


class LabExperiment(SequentialExperiment):
    """An experiment in rounds that can be looked at in a notebook.

    It does nothing else than the engine's; the views are opened here, and all of them keep in
    step with the experiment and with each other.
    """

    @cached_property
    def views(self) -> "Views":
        """What is selected in the open views: ``exp.views.selected_segment = "S2"``."""
        from pytyche_lab.widgets.views import Views

        return Views(self)

    def dashboard(self, number: int | None = None) -> "RoundDashboard":
        """The dashboard of a finished round, by its number from 1; without one, of the latest.

        Raises:
            DesignError: if there is no such round.
        """
        return self.views.dashboard(number)

    def lab(self) -> "Cockpit":
        """The cockpit: run a round, understand it, and edit the next one, in one place."""
        return self.views.lab()

    def editor(self) -> "CellPlan":
        """The editor of the next round's plan."""
        return self.views.editor()

    def tree(self) -> "SegmentTree":
        """The policy tree of the latest round."""
        return self.views.tree()

    def chart(self, chart: "Figure | Stacked") -> "SegmentChart":
        """A chart of segments that selects with the other views.

        ``exp.chart(pt.viz.plot_segment_intervals(exp.latest.analysis.segments))``. Once a view
        is open, charts of the experiment's segments do so by themselves where they are shown.

        Raises:
            DesignError: if it shows no segments.
        """
        return self.views.chart(chart)


@extends(engine.sequential_experiment)
def sequential_experiment(
    *,
    progress: bool | None = None,
    hypothesis: str = "",
    project_id: str = "default",
    **settings: Any,
) -> LabExperiment:
    """A new experiment in rounds, with live progress.

    With a ``name`` it is kept in the registry, with ``hypothesis`` and ``project_id``, and its
    rounds on disk, so that ``pt.open(name)`` brings it back in any kernel.
    ``progress``: False shows nothing; None shows a widget in notebooks and a bar in terminals;
    True shows it everywhere. Everything else is the engine's:

    """
    experiment = _watched(engine.sequential_experiment(**settings), progress)
    if "name" in settings:
        register(experiment, hypothesis, project_id)
    return experiment


def open(  # noqa: A001 - it is called as pt.open
    name: str,
    generator: Callable[..., Any] | None = None,
    *,
    project_id: str | None = None,
    progress: bool | None = None,
) -> LabExperiment | RegisteredExperiment:
    """Open an experiment of the registry, in any process.

    Args:
        name: its name; of several with this name the newest. An id will do as well.
        generator: the source of an adaptive experiment, if it had one.
        project_id: where to look; None for every project.
        progress: as for `sequential_experiment`.

    Returns:
        An adaptive experiment as `sequential_experiment` made it; of any other, what can be
        done with it.

    Raises:
        UnknownExperimentError: if there is none.
        StoreError: if the rounds of an adaptive one are not on disk, or damaged.
    """
    registered = open_registry().named(name, project_id)
    if registered.type != "adaptive":
        return RegisteredExperiment(LocalClient(), registered.id)
    if registered.folder is None:
        raise StoreError(f"The rounds of '{registered.name}' were not kept on disk.")
    experiment = open_experiment(registered.folder, generator, progress=progress)
    follow(experiment, registered.id)
    return experiment


def open_experiment(
    path: str | Path,
    generator: Callable[..., Any] | None = None,
    *,
    progress: bool | None = None,
) -> LabExperiment:
    """Open an experiment that was saved, in any process, with live progress.

    Conclusions are drawn again from the saved posteriors; they are the same.

    Args:
        path: its folder.
        generator: its source, if it had one: code is not kept in the folder.
        progress: as for `sequential_experiment`.

    Raises:
        StoreError: if the folder is damaged, foreign or of another version.
    """
    return _watched(engine.open_experiment(path, generator), progress)


def _watched(experiment: SequentialExperiment, progress: bool | None) -> LabExperiment:
    # The engine makes experiments from twenty settings or from a folder, and need not know of
    # notebooks: a parameter for the class would stand in signatures that people read. Nobody else
    # has seen this one yet, and the class adds what is asked for later, no state.
    experiment.__class__ = LabExperiment
    watched = cast("LabExperiment", experiment)
    watched.watch = watcher(
        arms=experiment.design.arms, currency=experiment.labels.currency, progress=progress
    )
    return watched
