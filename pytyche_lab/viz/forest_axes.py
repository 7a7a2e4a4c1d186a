"""The forest plot as matplotlib Axes, for those who put it into a figure of their own."""

from typing import TYPE_CHECKING, Any

from pytyche_engine.classic.forest import Forest
from pytyche_engine.contracts.errors import DesignError
from pytyche_lab.viz import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def forest_axes(
    forest: Forest, *, ax: "Axes | None" = None, figsize: tuple[float, float] | None = None
) -> Any:
    """Draw the plot into Axes; matplotlib's settings stay as they are.

    Args:
        forest: what ``AnalysisResult.plot(backend="matplotlib")`` makes of its results.
        ax: Axes to draw into; new ones if left out.
        figsize: size of the new figure in inches.

    Raises:
        DesignError: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DesignError(
            "matplotlib is not installed: pip install 'pytyche-lab[matplotlib]', or use "
            "plot() for an Altair chart."
        ) from error
    if ax is None:
        size = figsize or (7.0, 1.2 + 0.45 * max(len(forest.rows), 1))
        ax = Figure(figsize=size, layout="constrained").subplots()
    ax.axvline(0, color=palette.LINE, linewidth=1)
    for place, row in enumerate(forest.rows):
        colour = palette.ACCENT if row.significant else palette.ARM_COLOURS[0]
        if row.low is not None and row.high is not None:
            ax.plot([100 * row.low, 100 * row.high], [place, place], color=colour, linewidth=2)
        if row.lift is not None:
            marker = "o" if row.significant else "s"
            ax.plot(100 * row.lift, place, marker=marker, color=colour, linestyle="none")
    # A name between two dollars would be read as a formula.
    labels = [row.label.replace("$", r"\$") for row in forest.rows]
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()
    ax.set_xlabel("relative lift, %")
    ax.set_title(forest.title.replace("$", r"\$"), loc="left")
    return ax
