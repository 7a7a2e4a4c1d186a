"""The engine's rehearsals, with their progress shown where the user is."""

import inspect
from typing import Any

from pytyche_engine import rehearsal as engine
from pytyche_engine.rehearsal import Rehearsal
from pytyche_lab.progress import watcher


def rehearse(*args: Any, progress: bool | None = None, **settings: Any) -> Rehearsal:
    """Rehearse, with live progress.

    ``progress``: False shows nothing; None shows a widget in notebooks and a bar in terminals;
    True shows it everywhere. Everything else is the engine's:

    """
    job = engine.start_rehearsal(*args, **settings)
    show = watcher(progress=progress)
    if show is not None:
        show(job)
    return job.result()


def _borrow_help() -> None:
    """Show the engine's parameters where people look for them: in ``?`` and on Shift-Tab."""
    theirs = inspect.signature(engine.rehearse)
    ours = inspect.signature(rehearse).parameters["progress"]
    rehearse.__doc__ = (rehearse.__doc__ or "") + (engine.rehearse.__doc__ or "")
    rehearse.__signature__ = theirs.replace(  # type: ignore[attr-defined]  # read by inspect
        parameters=[*theirs.parameters.values(), ours]
    )


_borrow_help()
