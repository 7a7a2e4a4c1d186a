"""What a forest plot shows, and who draws it.

The engine draws nothing. Whoever can, adds a function to `DRAWN_BY`; ``pytyche_lab`` does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytyche_engine.contracts.errors import DesignError


@dataclass(frozen=True)
class ForestRow:
    """One relative lift.

    Attributes:
        label: the metric, and the treatment where there are several.
        lift: the lift; None where there is none.
        low, high: its interval; None where there is none.
        significant: whether the (adjusted) p-value is below alpha.
        text: the same in words.
    """

    label: str
    lift: float | None
    low: float | None
    high: float | None
    significant: bool
    text: str


@dataclass(frozen=True)
class Forest:
    """The rows of a plot and the words around them.

    Attributes:
        title, subtitle: what is shown, and how to read it.
        rows: the lifts in order.
    """

    title: str
    subtitle: str
    rows: tuple[ForestRow, ...]


DRAWN_BY: dict[str, Callable[..., Any]] = {}
"""For each backend, ``"altair"`` or ``"matplotlib"``, what draws a `Forest`."""


def draw(forest: Forest, backend: str, **options: Any) -> Any:
    """Draw a forest plot.

    Raises:
        DesignError: if nothing here can.
    """
    if backend not in DRAWN_BY:
        known = ", ".join(DRAWN_BY) or "none; import pytyche_lab.classic first"
        raise DesignError(f"There is no plot backend {backend!r}; there are: {known}.")
    return DRAWN_BY[backend](forest, **options)
