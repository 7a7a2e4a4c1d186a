"""The rows of a chart: how they are labelled, and what is written beside them."""

from collections.abc import Iterable

import altair as alt

from pytyche_lab.viz import palette
from pytyche_lab.viz.figure import WIDTH

LINE_HEIGHT = 15
"""Height of a line of a label, pixels."""

_LETTER = 6.2
"""Width of a letter of 12 px, pixels; rather small, as what is wider widens the picture."""


def row_axis(column: str, *, limit: int = 260, padding: float = 0.5) -> alt.Y:
    """The axis of rows in the order of the data, each with a label of one line.

    Args:
        column: where the labels are.
        limit: pixels from which on a label is cut short.
        padding: between rows, as a share of one.
    """
    return alt.Y(
        f"{column}:N",
        sort=None,
        title=None,
        axis=alt.Axis(labelLimit=limit),
        scale=alt.Scale(padding=padding),
    )


def row_labels(column: str, labels: Iterable[str], padding: float) -> alt.Y:
    """The axis of rows whose labels may have several lines, centred on their marks.

    Args:
        column: where the labels are.
        labels: what they are.
        padding: between rows, as a share of one.
    """
    return alt.Y(
        f"{column}:N",
        sort=None,
        title=None,
        axis=alt.Axis(
            labelExpr="split(datum.label, '\\n')",
            labelLimit=320,
            labelLineHeight=LINE_HEIGHT,
            labelOffset=-LINE_HEIGHT * (label_lines(labels) - 1) / 2,
            zindex=1,
        ),
        scale=alt.Scale(padding=padding),
    )


def label_lines(labels: Iterable[str]) -> int:
    """How many lines the longest label has."""
    return max((label.count("\n") + 1 for label in labels), default=1)


def width_of(labels: Iterable[str]) -> float:
    """About how wide some labels are, pixels; they may have several lines."""
    return _LETTER * max((len(line) for label in labels for line in label.split("\n")), default=0)


def words_beside(y: alt.Y | str, column: str, *, at: float = WIDTH + 16) -> alt.Chart:
    """What a column says of each row, right of the plot.

    Args:
        y: the place of the row, as its marks have it.
        column: where the words are.
        at: where they begin, pixels from the left edge of the plot.
    """
    return (
        alt.Chart()
        .mark_text(align="left", color=palette.TEXT)
        .encode(y=y, x=alt.value(at), text=f"{column}:N")
    )
