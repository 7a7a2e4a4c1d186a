"""The dashboard of a finished round: decision, cells, arms and segments, history."""

from collections.abc import Sequence
from typing import Any

import traitlets as t

from pytyche_engine.experiment import Round
from pytyche_lab.widgets.lab_widget import LabWidget
from pytyche_lab.widgets.snapshots import history_view, round_view


class RoundDashboard(LabWidget, bundle="round_dashboard"):
    """Shows a finished round.

    Args:
        finished: the round.
        history: earlier rounds of the same experiment; later ones are not shown.
        title: the experiment's name; the metric where there is none.
    """

    round = t.Dict().tag(sync=True)
    history: t.List[Any] = t.List().tag(sync=True)
    # No echo of the browser's own clicks: it could only undo a newer one.
    selected_segment = t.Unicode(None, allow_none=True).tag(sync=True, echo_update=False)

    def __init__(self, finished: Round, history: Sequence[Round] = (), *, title: str = "") -> None:
        self._finished, self._title = finished, title
        super().__init__(
            round=round_view(finished, title or finished.metric),
            history=history_view(history, finished),
        )

    def show(self, finished: Round, history: Sequence[Round] = ()) -> None:
        """Show another round, or the same one with what has changed about it."""
        self._finished = finished
        with self.publish():
            self.set_trait("round", round_view(finished, self._title or finished.metric))
            self.set_trait("history", history_view(history, finished))

    def summary(self) -> str:
        """The round and its analysis as plain text."""
        return f"{self._finished!r}\n\n{self._finished.analysis!r}"

    def summary_html(self) -> str:
        """The round and its analysis as tables."""
        return self._finished._repr_html_() + self._finished.analysis._repr_html_()
