"""The rows of segments in a chart: what is clicked, and what lights up, where it is a widget."""

from collections.abc import Iterable
from typing import Any

import altair as alt

from pytyche_engine.contracts.rules import Rule

ROLE = "segment"
"""What a row is called in the picture; its label there is the segment's id."""

_LETTER = 6.0
"""Width of a letter of an axis, pixels; rather too small, as what is wider widens the picture."""


def segment_rows(
    y: alt.Y, *, left: float, right: float, height: float, of: str = "segment:N", **encoding: Any
) -> alt.Chart:
    """A strip behind the marks of each segment. In a picture it cannot be seen.

    Args:
        y: the place of the segment, as its marks have it.
        left: where the strip begins, pixels from the left edge of the plot.
        right: where it ends.
        height: in pixels.
        of: the column with the segments' ids.
        encoding: e.g. the marks' tooltip.
    """
    strips = alt.Chart().mark_bar(height=height, cornerRadius=3, ariaRoleDescription=ROLE)
    return strips.encode(
        y=y,
        x=alt.value(left),
        x2=alt.value(right),
        color=alt.value("transparent"),
        description=alt.Description(of),
        **encoding,
    )


def before_labels(labels: Iterable[str]) -> float:
    """Where a strip begins that takes in the labels of the axis, pixels from the plot's edge."""
    letters = max((len(line) for label in labels for line in label.split("\n")), default=0)
    return -_LETTER * letters - 16


def about_segments(rows: Iterable[tuple[str, Rule, str]]) -> dict[str, Any]:
    """What a chart says of its segments, for its ``usermeta``: id, rule, and the row in words."""
    return {
        "segments": [{"id": id_, "rule": str(rule), "words": words} for id_, rule, words in rows]
    }
