"""The widgets. Each name is imported when it is first used, and anywidget with it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytyche_lab.widgets.cell_plan import CellPlan as CellPlan
    from pytyche_lab.widgets.cockpit import Cockpit as Cockpit
    from pytyche_lab.widgets.console import Console as Console
    from pytyche_lab.widgets.fit_progress import FitProgress as FitProgress
    from pytyche_lab.widgets.round_dashboard import RoundDashboard as RoundDashboard
    from pytyche_lab.widgets.segment_chart import SegmentChart as SegmentChart
    from pytyche_lab.widgets.segment_tree import SegmentTree as SegmentTree

_HOME = {
    "CellPlan": "cell_plan",
    "Cockpit": "cockpit",
    "Console": "console",
    "FitProgress": "fit_progress",
    "RoundDashboard": "round_dashboard",
    "SegmentChart": "segment_chart",
    "SegmentTree": "segment_tree",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
