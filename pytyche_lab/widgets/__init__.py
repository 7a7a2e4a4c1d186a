"""The widgets. Each name is imported when it is first used, and anywidget with it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytyche_lab.widgets.console import Console as Console
    from pytyche_lab.widgets.fit_progress import FitProgress as FitProgress
    from pytyche_lab.widgets.round_dashboard import RoundDashboard as RoundDashboard

_HOME = {
    "Console": "console",
    "FitProgress": "fit_progress",
    "RoundDashboard": "round_dashboard",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
