"""The classical analysis with its charts: the engine's names, and who draws for them."""

from typing import Any

from pytyche_engine.classic import *  # noqa: F403
from pytyche_engine.classic.forest import DRAWN_BY, Forest


def _altair(forest: Forest, **options: Any) -> Any:
    from pytyche_lab.viz.forest import plot_forest

    return plot_forest(forest, **options)


def _matplotlib(forest: Forest, **options: Any) -> Any:
    from pytyche_lab.viz.forest_axes import forest_axes

    return forest_axes(forest, **options)


DRAWN_BY.update(altair=_altair, matplotlib=_matplotlib)
