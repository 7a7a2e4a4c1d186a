"""Everything about one experiment in one place: run a round, read it, look at what is next."""

import html
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anywidget
import pandas as pd
import traitlets as t

from pytyche_engine.contracts import (
    DesignError,
    PytycheError,
    UncalibratedWarning,
    WrongStateError,
)
from pytyche_engine.experiment import Round
from pytyche_engine.jobs import Job, JobState
from pytyche_lab.widgets.cockpit_snapshot import cockpit_view
from pytyche_lab.widgets.fit_progress import FitProgress
from pytyche_lab.widgets.lab_widget import LabWidget

if TYPE_CHECKING:
    from pytyche_lab.widgets.round_dashboard import RoundDashboard
    from pytyche_lab.widgets.views import Views


POLL_SECONDS = 0.1


class Cockpit(LabWidget, bundle="cockpit"):
    """Tabs for the round, plan, segments, calibration and history, with the fit above them.

    There is one for each experiment (`Views.lab`). All of its state is here: a second view, or
    a page that was reloaded, shows the same.

    Args:
        views: the experiment's views; the tabs are among them.
    """

    state = t.Dict().tag(sync=True)
    tab = t.Unicode("round").tag(sync=True)
    fit = anywidget.WidgetTrait().tag(sync=True)
    round = anywidget.WidgetTrait().tag(sync=True)
    plan = anywidget.WidgetTrait().tag(sync=True)
    segments = anywidget.WidgetTrait().tag(sync=True)

    def __init__(self, views: "Views") -> None:
        self._views, self._experiment = views, views.experiment
        self._busy = self._problem = ""
        self._worker: threading.Thread | None = None
        super().__init__()
        self.observe(self._open_tab, "tab")
        self.refresh()
        if (job := self._experiment.job) is not None and not job.done():
            self.follow(job)

    def refresh(self) -> None:
        """Show what the experiment is now."""
        history = self._experiment.history
        with self.publish():
            if history and self.round is None:
                self.set_trait("round", self._views.dashboard())
            dashboard: RoundDashboard | None = self.round
            self.set_trait(
                "state",
                cockpit_view(
                    self._experiment,
                    shown=None if dashboard is None else dashboard.round["number"],
                    busy=self._busy,
                    problem=self._problem,
                    frames=None if self._experiment.has_source else sorted(data_frames()),
                    call=f"{self._experiment.name}.lab()"
                    if self._experiment.name.isidentifier()
                    else "exp.lab()",
                ),
            )

    def follow(self, job: Job[Round]) -> None:
        """Show a job, and what is new when it ends."""
        labels = self._experiment.labels
        bar = FitProgress(
            job,
            title=f"Fitting {job.name}",
            arms=self._experiment.design.arms,
            currency=labels.currency,
        )
        with self.publish():
            self._busy = self._problem = ""
            self.set_trait("fit", bar)
            self.refresh()
        threading.Thread(
            target=self._wait_for, args=(job,), name=f"pytyche-wait-{job.name}", daemon=True
        ).start()

    def asked(self, content: dict[str, Any]) -> None:
        """Run, observe, or show another round."""
        match content.get("kind"):
            case "run":
                self._begin("Reading the round's data", self._experiment.start)
            case "observe":
                name = str(content.get("frame"))
                frame = data_frames().get(name)
                if frame is None:
                    raise DesignError(f"There is no data frame named '{name}' any more.")
                self._begin(f"Reading '{name}'", lambda: self._experiment.start_observing(frame))
            case "show":
                self._views.stay_on(self.round, int(content["number"]))
                self.refresh()
            case "look":
                self.refresh()
            case kind:
                raise ValueError(f"Cockpit knows run, observe, show, look, not {kind!r}.")

    def summary(self) -> str:
        """The experiment so far as plain text."""
        return str(self._experiment.summary)

    def summary_html(self) -> str:
        """The experiment so far, and the round of the first tab as tables."""
        dashboard: RoundDashboard | None = self.round
        words = "".join(f"<p>{html.escape(p)}</p>" for p in self.summary().split("\n") if p)
        return words if dashboard is None else words + dashboard.summary_html()

    def _open_tab(self, _change: object = None) -> None:
        # A preview evaluates the posterior and a tree may have hundreds of leaves, so both wait
        # until somebody looks.
        if self.tab in ("plan", "segments") and getattr(self, self.tab) is None:
            made = self._views.editor() if self.tab == "plan" else self._views.tree()
            with self.publish():
                self.set_trait(self.tab, made)

    def _begin(self, busy: str, start: Callable[[], Job[Round]]) -> None:
        """Start a job from a thread: its data are read before it begins, which takes a while."""
        if self._worker is not None and self._worker.is_alive():
            raise WrongStateError("The last request is still being worked on.")

        def work() -> None:
            problem = ""
            try:
                with warnings.catch_warnings():
                    # The header says so, and a thread's warning would land in any cell.
                    warnings.simplefilter("ignore", UncalibratedWarning)
                    start()
            except PytycheError as error:
                problem = str(error)
            except StopIteration:
                problem = "The schedule is exhausted: there is no next round."
            except Exception as error:  # noqa: BLE001 - a source may raise anything; it is shown
                problem = f"{type(error).__name__}: {error}"
            with self.publish():
                self._busy, self._problem = "", problem
                self.refresh()

        with self.publish():
            self._busy, self._problem = busy, ""
            self.refresh()
        self._worker = threading.Thread(target=work, name="pytyche-cockpit", daemon=True)
        self._worker.start()

    def _wait_for(self, job: Job[Round]) -> None:
        while not job.done():
            time.sleep(POLL_SECONDS)
        with self.publish():
            if job.state is JobState.DONE:
                # The tabs show the round; how it ended otherwise is for the bar to say.
                self.set_trait("fit", None)
            self.refresh()


def data_frames() -> dict[str, pd.DataFrame]:
    """The data frames of the notebook, by their names."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return {}
    return {
        name: value
        for name, value in list(shell.user_ns.items())
        if isinstance(value, pd.DataFrame) and not name.startswith("_")
    }
