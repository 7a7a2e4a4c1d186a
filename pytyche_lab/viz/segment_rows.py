"""The rows of segments in a chart: what is clicked, and what lights up, where it is a widget."""

from collections.abc import Iterable
from typing import Any

import altair as alt

from pytyche_engine.contracts.rules import Rule

ROLE = "segment"
"""What a row is called in the picture; its label there is the segment's id."""

LINE_HEIGHT = 15
"""Height of a line of a label, pixels."""

_LETTER = 6.2
"""Width of a letter of 12 px, pixels; rather small, as what is wider widens the picture."""


def segment_rows(
    y: alt.Y, *, left: float, right: float, height: float, up: float = 0, **encoding: Any
) -> alt.Chart:
    """A strip behind the marks of each segment. In a picture it cannot be seen.

    The ids of the segments are the column ``segment``. Axes with labels in the strip need
    ``zindex=1``, or it would hide them.

    Args:
        y: the place of the segment, as its marks have it.
        left: where the strip begins, pixels from the left edge of the plot.
        right: where it ends.
        height: in pixels.
        up: how far above the place its middle is.
        encoding: e.g. the marks' tooltip.
    """
    strips = alt.Chart().mark_bar(
        height=height, yOffset=-up, cornerRadius=3, ariaRoleDescription=ROLE
    )
    return strips.encode(
        y=y,
        x=alt.value(left),
        x2=alt.value(right),
        color=alt.value("transparent"),
        description=alt.Description("segment:N"),
        **encoding,
    )


def label_lines(labels: Iterable[str]) -> int:
    """How many lines the longest label has."""
    return max((label.count("\n") + 1 for label in labels), default=1)


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


def width_of(labels: Iterable[str]) -> float:
    """About how wide some labels are, pixels; they may have several lines."""
    return _LETTER * max((len(line) for label in labels for line in label.split("\n")), default=0)


def about_segments(rows: Iterable[tuple[str, Rule, str]]) -> dict[str, Any]:
    """What a chart says of its segments, for its ``usermeta``: id, rule, and the row in words."""
    return {
        "segments": [{"id": id_, "rule": str(rule), "words": words} for id_, rule, words in rows]
    }
