"""The cell plan editor: weights, cells of one's own and arm mixes for the next round."""

import html
import itertools
from collections.abc import Callable
from typing import Any

import traitlets as t

from pytyche_engine.contracts import DesignError, Levels, PytycheError, Rule, Threshold
from pytyche_engine.contracts.rules import Clause
from pytyche_engine.experiment import PlanDraft, SequentialExperiment
from pytyche_engine.experiment.draft import Refused
from pytyche_lab.widgets.lab_widget import LabWidget
from pytyche_lab.widgets.plan_snapshot import plan_view, setup_view
from pytyche_lab.widgets.typed import number, percentage

Message = dict[str, Any]


class CellPlan(LabWidget, bundle="cell_plan"):
    """Edits the plan of an experiment's next round.

    What is edited is ``exp.draft``: two editors of one experiment show the same, and so does one
    that is opened after the page was reloaded. Nothing is served until the plan is accepted,
    and the experiment checks it again then.

    Args:
        experiment: the experiment.
    """

    setup = t.Dict().tag(sync=True)
    plan = t.Dict().tag(sync=True)
    # Only the browser and whoever links it write this one; an echo could undo a newer click.
    selected_segment = t.Unicode(None, allow_none=True).tag(sync=True, echo_update=False)

    def __init__(self, experiment: SequentialExperiment) -> None:
        self._experiment = experiment
        self._end_watch: Callable[[], None] = lambda: None
        self._draft = experiment.draft
        self._turns, self._shown = itertools.count(1), 0
        super().__init__(
            setup=setup_view(experiment, self._draft),
            plan=plan_view(self._draft, experiment.latest),
        )
        self._end_watch = self._draft.watch(self._show)

    @property
    def draft(self) -> PlanDraft:
        """What is edited."""
        return self._draft

    def refresh(self) -> None:
        """Show the plan of the round that is next now."""
        if self._experiment.draft is not self._draft:
            self._end_watch()
            self._draft = self._experiment.draft
            self._end_watch = self._draft.watch(self._show)
        setup = setup_view(self._experiment, self._draft)
        with self.publish():
            self.set_trait("setup", setup)
        self._show()

    def close(self) -> None:
        """Stop showing the draft. The draft itself stays."""
        self._end_watch()
        super().close()

    def summary(self) -> str:
        """The plan as plain text."""
        draft = self._draft
        accepted = " (accepted)" if draft.accepted else ""
        return f"{self.setup['title']}\n{draft.plan!r}\n{draft.changes()}{accepted}"

    def summary_html(self) -> str:
        """The plan as a table."""
        draft = self._draft
        accepted = " (accepted)" if draft.accepted else ""
        return (
            f"<p>{html.escape(self.setup['title'])}</p>{draft.plan._repr_html_()}"
            f"<p>{html.escape(draft.changes())}{accepted}</p>"
        )

    def _show(self, message: str = "") -> None:
        # Worked out without the widget's lock, as it takes the draft's. Every change shows itself
        # after it was made, so of two threads the one that began later has the newer state.
        turn = next(self._turns)
        view = plan_view(self._draft, self._experiment.latest, message)
        with self.publish():
            if turn > self._shown:
                self._shown = turn
                self.set_trait("plan", view)

    def _on_message(self, _widget: object, content: Message, _buffers: object) -> None:
        field, cell = str(content.get("field", "")), str(content.get("cell", ""))
        try:
            self._apply(content, cell)
        except PytycheError as error:
            if field and any(c.id == cell for c in self._draft.plan.cells):
                typed = str(content.get("text", ""))
                self._draft.refuse(field, Refused(cell, typed, str(error)))
            else:
                self._show(str(error))
        else:
            if field:
                self._draft.dismiss(field)

    def _apply(self, content: Message, cell: str) -> None:
        draft = self._draft
        match content.get("kind"):
            case "weight":
                weight = percentage(content.get("text"))
                draft.set_weight(cell, weight, gesture=str(content.get("gesture", "")))
            case "share":
                segment = content.get("segment")
                draft.set_share(
                    cell,
                    str(content.get("arm")),
                    percentage(content.get("text")),
                    None if segment is None else str(segment),
                )
            case "rule":
                decimal = "," if content.get("decimal") == "," else "."
                draft.set_rule(cell, Rule(tuple(_clause(c, decimal) for c in content["clauses"])))
            case "rename":
                draft.rename(cell, str(content.get("text", "")))
            case "add":
                draft.add_hypothesis()
            case "duplicate":
                draft.duplicate(cell)
            case "remove":
                draft.remove(cell)
            case "undo":
                draft.undo()
            case "redo":
                draft.redo()
            case "reset":
                draft.reset()
            case "accept":
                draft.accept()
            case "reopen":
                draft.reopen()
            case "refresh":
                self.refresh()
            case "dismiss":
                pass  # what was refused goes with the field's message, as after any edit
            case kind:
                raise ValueError(f"CellPlan does not know the message {kind!r}.")


def _clause(value: Message, decimal: str) -> Clause:
    """A condition from the rule builder, typed by a reader with this decimal mark.

    Raises:
        DesignError: if it is not complete.
    """
    feature, missing = str(value["feature"]), bool(value["includes_missing"])
    if value["kind"] == "threshold":
        # A number is one that was there before; what was typed is text.
        given = value["cut"]
        cut = number(given, decimal) if isinstance(given, str) else number(str(given))
        return Threshold(feature, "<=" if value["side"] == "<=" else ">", cut, missing)
    levels = tuple(str(level) for level in value["levels"])
    if not levels and not missing:
        raise DesignError(
            f"A condition on {feature} needs at least one level. It is as it was; choose another "
            "level before you remove this one, or remove the condition."
        )
    return Levels(feature, levels, missing)
