"""The dashboard of a finished round: decision, cells, arms and segments, history."""

import threading
from collections.abc import Sequence
from typing import Any, cast

import traitlets as t

from pytyche_engine.experiment import Round
from pytyche_lab.widgets.classic_snapshot import classic_table, classic_view
from pytyche_lab.widgets.lab_widget import LabWidget
from pytyche_lab.widgets.round_snapshot import history_view, names_of, round_view
from pytyche_lab.widgets.schema.round_dashboard import ClassicView


class RoundDashboard(LabWidget, bundle="round_dashboard"):
    """Shows a finished round.

    Classical tests stand beside the model's lifts. They are worked out in a thread once the browser
    has drawn the rest and asks for them.

    Args:
        finished: the round.
        history: earlier rounds of the same experiment; later ones are not shown.
        title: the experiment's name; the metric where there is none.
    """

    round = t.Dict().tag(sync=True)
    names = t.Dict().tag(sync=True)
    history: t.List[Any] = t.List().tag(sync=True)
    classic = t.Dict(allow_none=True, default_value=None).tag(sync=True)
    # No echo of the browser's own clicks: it could only undo a newer one.
    selected_segment = t.Unicode(None, allow_none=True).tag(sync=True, echo_update=False)

    def __init__(self, finished: Round, history: Sequence[Round] = (), *, title: str = "") -> None:
        self._finished, self._title = finished, title
        self._rounds = (*history, finished)
        # Which round is being tested, so that two views of one widget do not ask twice.
        self._tested: int | None = None
        super().__init__(
            round=round_view(finished, title or finished.metric),
            names=names_of(finished),
            history=history_view(history, finished),
        )

    def show(self, finished: Round, history: Sequence[Round] = ()) -> None:
        """Show another round, or the same one with what has changed about it."""
        with self.publish():
            if finished.round_idx != self._finished.round_idx:
                self._tested = None
                self.set_trait("classic", None)
            self._finished, self._rounds = finished, (*history, finished)
            self.set_trait("round", round_view(finished, self._title or finished.metric))
            self.set_trait("names", names_of(finished))
            self.set_trait("history", history_view(history, finished))

    def show_names(self, finished: Round) -> None:
        """Show what segments are called, unless it is another round: that is for `show`."""
        with self.publish():
            if finished.round_idx == self._finished.round_idx:
                self.set_trait("names", names_of(finished))

    def asked(self, content: dict[str, Any]) -> None:
        """Work out the classical tests."""
        if content.get("kind") != "classic":
            raise ValueError(f"RoundDashboard knows classic, not {content.get('kind')!r}.")
        with self._lock:
            if not self._is_whole or self._tested == self._finished.round_idx:
                return
            self._tested = self._finished.round_idx
            rounds = self._rounds
        threading.Thread(
            target=self._test, args=(rounds,), name="pytyche-classic", daemon=True
        ).start()

    def summary(self) -> str:
        """The round and its analysis as plain text."""
        return f"{self._finished!r}\n\n{self._finished.analysis!r}"

    def summary_html(self) -> str:
        """The round and its analysis as tables, with the classical tests once they are known."""
        tables = self._finished._repr_html_() + self._finished.analysis._repr_html_()
        known = cast("ClassicView | None", self.classic)
        if known is None or not known["lifts"]:
            return tables
        return tables + classic_table(known, self._finished.plan.arms[0]).html()

    @property
    def _is_whole(self) -> bool:
        """Whether all rounds up to this one are here: the tests look at what is remembered."""
        return len(self._rounds) == self._finished.round_idx + 1

    def _test(self, rounds: Sequence[Round]) -> None:
        found = classic_view(rounds)
        with self.publish():
            if self._tested == rounds[-1].round_idx:
                self.set_trait("classic", found)
