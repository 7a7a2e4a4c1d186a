"""The views of one experiment: what is selected in all of them, and that they follow it."""

import itertools
import threading
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import traitlets as t

from pytyche_engine.contracts import DesignError
from pytyche_engine.experiment import Round, SequentialExperiment
from pytyche_engine.jobs import Job
from pytyche_lab.widgets.cell_plan import CellPlan
from pytyche_lab.widgets.cockpit import Cockpit
from pytyche_lab.widgets.lab_widget import LabWidget
from pytyche_lab.widgets.round_dashboard import RoundDashboard
from pytyche_lab.widgets.round_snapshot import shown_segments
from pytyche_lab.widgets.segment_chart import SegmentChart
from pytyche_lab.widgets.segment_tree import SegmentTree

if TYPE_CHECKING:
    from pytyche_lab.viz.figure import Figure, Stacked

_views: "weakref.WeakValueDictionary[int, Views]" = weakref.WeakValueDictionary()
_order = itertools.count()


class Views(t.HasTraits):
    """Opens views of an experiment and keeps them in step.

    There is one for each experiment (``exp.views``), so what is selected in a view is selected in
    every other, in whichever cell it was opened. Set `selected_segment` to select from code.

    Attributes:
        selected_segment: id of a segment of the latest round, or None.
        experiment: the experiment.
    """

    selected_segment = t.Unicode(None, allow_none=True)

    def __init__(self, experiment: SequentialExperiment) -> None:
        super().__init__()
        self.experiment = experiment
        self._cockpit: Cockpit | None = None
        # One for all views: two locks could wait for each other when a view sets another.
        self._lock = threading.RLock()
        self._open: weakref.WeakSet[LabWidget] = weakref.WeakSet()
        # Which round a dashboard stays on; those that are not here follow the latest.
        self._numbers: weakref.WeakKeyDictionary[LabWidget, int] = weakref.WeakKeyDictionary()
        self.observe(self._select, "selected_segment")
        experiment.subscribe(self.refresh)
        self._shown_where_it_started = experiment.watch
        experiment.watch = self._watch
        _views[next(_order)] = self

    def dashboard(self, number: int | None = None) -> RoundDashboard:
        """The dashboard of a finished round, by its number from 1; without one, of the latest.

        Raises:
            DesignError: if there is no such round.
        """
        history = self.experiment.history
        if not history:
            raise DesignError(
                f"'{self.experiment.name}' has no finished round yet; next(exp) runs one."
            )
        shown = len(history) if number is None else number
        if not 1 <= shown <= len(history):
            raise DesignError(
                f"'{self.experiment.name}' has rounds 1 to {len(history)}, not {number}."
            )
        view = RoundDashboard(history[shown - 1], history[: shown - 1], title=self.experiment.name)
        if number is not None:
            self._numbers[view] = number
        return self._linked(view)

    def editor(self) -> CellPlan:
        """The editor of the next round's plan."""
        return self._linked(CellPlan(self.experiment))

    def tree(self) -> SegmentTree:
        """The policy tree of the latest round, whose segments can be named and registered."""
        exp = self.experiment
        return self._linked(SegmentTree(exp.history, title=exp.name, plan=exp.plan, experiment=exp))

    def chart(self, chart: "Figure | Stacked") -> SegmentChart:
        """A chart of segments, e.g. ``pt.viz.plot_policy_tree(...)``, in step with the views.

        Raises:
            DesignError: if it shows no segments.
        """
        return self._linked(SegmentChart(chart))

    def has_rules(self, rules: Iterable[tuple[str, str]]) -> bool:
        """Whether all of these are segments of finished rounds: id and rule of each."""
        known = {
            (segment.id, str(segment.rule))
            for finished in self.experiment.history
            for segment in shown_segments(finished)
        }
        return known.issuperset(rules)

    def lab(self) -> Cockpit:
        """The cockpit: everything about the experiment in one place. It is one widget."""
        if self._cockpit is None:
            self._cockpit = Cockpit(self)
            self._cockpit.share_lock(self._lock)
        return self._cockpit

    def stay_on(self, view: RoundDashboard, number: int) -> None:
        """Keep a dashboard on a round; on the latest one it follows what comes after."""
        history = self.experiment.history
        if number == len(history):
            self._numbers.pop(view, None)
        else:
            self._numbers[view] = number
        view.show(history[number - 1], history[: number - 1])

    def refresh(self) -> None:
        """Show what the experiment is now in every open view."""
        exp = self.experiment
        history = exp.history
        with self._lock:
            # First, as somebody has just typed one: the rest of a large round takes longer.
            for view in tuple(self._open):
                if isinstance(view, SegmentTree | RoundDashboard) and history:
                    view.show_names(history[self._numbers.get(view, len(history)) - 1])
            for view in tuple(self._open):
                if isinstance(view, CellPlan):
                    view.refresh()
                elif isinstance(view, SegmentTree):
                    view.show(history, exp.plan)
                elif isinstance(view, RoundDashboard):
                    number = self._numbers.get(view, len(history))
                    view.show(history[number - 1], history[: number - 1])
            if self._cockpit is not None:
                self._cockpit.refresh()

    def _watch(self, job: Job[Round]) -> None:
        if self._shown_where_it_started is not None:
            self._shown_where_it_started(job)
        if self._cockpit is not None:
            self._cockpit.follow(job)

    def _linked(self, view: Any) -> Any:
        view.share_lock(self._lock)
        view.set_trait("selected_segment", self.selected_segment)
        view.observe(self._selected_in_a_view, "selected_segment")
        self._open.add(view)
        return view

    def _selected_in_a_view(self, change: Any) -> None:
        self.selected_segment = change["new"]

    def _select(self, change: Any) -> None:
        with self._lock:
            for view in tuple(self._open):
                with view.publish():
                    view.set_trait("selected_segment", change["new"])


def beside(chart: "Figure | Stacked") -> SegmentChart | None:
    """The chart, in step with the views of the experiment that its segments are of.

    None without one: charts of an experiment that nobody has opened a view of stay pictures,
    which outlive the kernel. The newest is taken if there are several, as when cells were run
    again.
    """
    rules = [(segment["id"], segment["rule"]) for segment in chart.segments]
    newest_first = reversed(list(_views.values()))
    found = (views for views in newest_first if rules and views.has_rules(rules))
    views = next(found, None)
    return None if views is None else views.chart(chart)
