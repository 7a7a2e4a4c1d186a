"""The engine's rehearsals, with their progress shown where the user is."""

from typing import Any

from pytyche_engine import rehearsal as engine
from pytyche_engine.rehearsal import Rehearsal
from pytyche_lab.extends import extends
from pytyche_lab.progress import wait_for


@extends(engine.rehearse)
def rehearse(*args: Any, progress: bool | None = None, **settings: Any) -> Rehearsal:
    """Rehearse, with live progress.

    ``progress``: False shows nothing; None shows a widget in notebooks and a bar in terminals;
    True shows it everywhere. Everything else is the engine's:

    """
    return wait_for(engine.start_rehearsal(*args, **settings), progress)
