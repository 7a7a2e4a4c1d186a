"""Which of the views of a running job fits where the code runs."""

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pytyche_engine.jobs.job import Job
from pytyche_lab import terminal

T = TypeVar("T")


def watcher(
    *, arms: Sequence[str] = (), currency: str = "$", progress: bool | None = None
) -> Callable[[Job[Any]], None] | None:
    """What to call with each job of an experiment as it starts, to show its progress.

    In a notebook it is a widget, elsewhere a bar or lines in the terminal.

    Args:
        arms: arm names, control first.
        currency: symbol printed with money.
        progress: False shows nothing; None shows it in notebooks and terminals, but not where
            output goes to a file; True shows it everywhere.

    Returns:
        A function for ``experiment.watch``, or None where nothing is to be shown.
    """
    if progress is False:
        return None

    def in_notebook(job: Job[Any]) -> None:
        # Started by the cockpit, which shows it itself; from here it would land in any cell.
        if threading.current_thread() is not threading.main_thread():
            return
        from IPython.display import display

        from pytyche_lab.widgets import FitProgress

        bar = FitProgress(job, title=_title(job), arms=arms, currency=currency)
        display(bar)  # type: ignore[no-untyped-call]  # IPython has no types for it

    def in_terminal(job: Job[Any]) -> None:
        terminal.show_progress(job, _title(job))

    if in_kernel():
        return in_notebook
    return in_terminal if progress or sys.stdout.isatty() else None


def wait_for(job: Job[T], progress: bool | None) -> T:
    """The result of a job, whose progress is shown meanwhile; see `watcher`."""
    show = watcher(progress=progress)
    if show is not None:
        show(job)
    return job.result()


def in_kernel() -> bool:
    """Whether this code runs in a Jupyter kernel, where widgets can be shown."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


def _title(job: Job[Any]) -> str:
    own = {"fit": "Fitting", "sweep": "Calibration sweep", "rehearsal": "Rehearsal"}
    return own.get(job.name, f"Fitting {job.name}")
