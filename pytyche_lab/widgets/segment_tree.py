"""The policy tree of a round: who gets which arm, with every segment's evidence."""

from collections.abc import Sequence
from typing import Any

import traitlets as t

from pytyche_engine.contracts.money import signed
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.tables import Table
from pytyche_engine.experiment import Round, SequentialExperiment
from pytyche_lab.widgets.lab_widget import LabWidget
from pytyche_lab.widgets.round_snapshot import names_of
from pytyche_lab.widgets.schema.segment_tree import FollowedView
from pytyche_lab.widgets.tree_snapshot import arm_shares, detail_view, tree_view


class SegmentTree(LabWidget, bundle="segment_tree"):
    """Shows the segments of a round as the tree that routes by them.

    Args:
        rounds: finished rounds, the shown one last.
        title: the experiment's name; the metric where there is none.
        plan: what the next round serves; by default what the shown round proposes.
        experiment: where segments are renamed, registered and retired. Without it, the tree
            is there to be read.
    """

    tree = t.Dict(allow_none=True, default_value=None).tag(sync=True)
    names = t.Dict().tag(sync=True)
    detail = t.Dict(allow_none=True, default_value=None).tag(sync=True)
    # No echo of the browser's own clicks: it could only undo a newer one.
    selected_segment = t.Unicode(None, allow_none=True).tag(sync=True, echo_update=False)

    def __init__(
        self,
        rounds: Sequence[Round],
        *,
        title: str = "",
        plan: Plan | None = None,
        experiment: SequentialExperiment | None = None,
    ) -> None:
        self._title, self._experiment = title, experiment
        self._rounds: tuple[Round, ...] = ()
        self._plan: Plan | None = None
        super().__init__()
        self.observe(self._show_detail, "selected_segment")
        self.show(rounds, plan)

    def show(self, rounds: Sequence[Round], plan: Plan | None = None) -> None:
        """Show other rounds, or the same with what has changed about them."""
        self._rounds = tuple(rounds)
        if not self._rounds:
            return
        last = self._rounds[-1]
        self._plan = plan or last.next_recommendation
        with self.publish():
            self.set_trait(
                "tree",
                tree_view(
                    last,
                    self._title or last.metric,
                    self._plan,
                    self._followed(),
                    editable=self._experiment is not None,
                ),
            )
            self.show_names(last)
            self._show_detail()

    def show_names(self, finished: Round) -> None:
        """Show what segments are called, unless it is another round: that is for `show`."""
        with self.publish():
            if self._rounds and finished.round_idx == self._rounds[-1].round_idx:
                self.set_trait("names", names_of(finished) | self._names_of_followed())

    def asked(self, content: dict[str, Any]) -> None:
        """Rename, register or retire a segment.

        Raises:
            DesignError: if the experiment refuses; the segment keeps what it had.
        """
        if self._experiment is None:
            raise ValueError("This tree has no experiment to change.")
        book, segment = self._experiment.segments, str(content.get("segment"))
        match content.get("kind"):
            case "rename":
                book.rename(segment, str(content.get("name", "")))
            case "register":
                book.register(segment, str(content.get("name", "")))
            case "retire":
                book.retire(segment)
            case kind:
                raise ValueError(f"SegmentTree knows rename, register, retire, not {kind!r}.")

    def table(self) -> Table:
        """The segments as a table."""
        if not self._rounds or self._plan is None:
            return Table(("segment", "share", "GATE (80% CI)", "arms"), [])
        analysis = self._rounds[-1].analysis
        arms, segments = self._plan.arms, analysis.search.segments
        shares = arm_shares(self._plan, segments, arms)
        rows = [
            (
                s.title,
                f"{s.population_share:.0%}",
                f"{s.gate_arm} {signed(s.gate_estimate)} "
                f"[{signed(s.gate_ci[0])}, {signed(s.gate_ci[1])}]",
                ", ".join(
                    f"{arm} {share:.0%}"
                    for arm, share in zip(arms, shares[s.id], strict=True)
                    if share >= 0.005
                ),
            )
            for s in segments
        ]
        return Table(("segment", "share", "GATE (80% CI)", "arms"), rows, analysis.caption)

    def summary(self) -> str:
        """The segments as plain text."""
        if not self._rounds:
            return "No round is finished yet, so there is no policy tree."
        last = self._rounds[-1]
        head = f"Segments after round {last.round_idx + 1} ({last.analysis.label})"
        return f"{head}\n{self.table().text()}\n{last.analysis.targeting_line()}"

    def summary_html(self) -> str:
        """The segments as a table."""
        return self.table().html() if self._rounds else super().summary_html()

    def _show_detail(self, _change: object = None) -> None:
        segment = self.selected_segment
        found = detail_view(segment, self._rounds) if segment and self._rounds else None
        with self.publish():
            self.set_trait("detail", found)

    def _followed(self) -> list[FollowedView]:
        if self._experiment is None:
            return []
        present = {s.id for s in self._rounds[-1].analysis.registered}
        return [
            {"id": f.id, "rule": str(f.rule)}
            for f in self._experiment.segments.followed
            if f.id not in present
        ]

    def _names_of_followed(self) -> dict[str, str]:
        if self._experiment is None:
            return {}
        return {f.id: f.name for f in self._experiment.segments.followed if f.name}
