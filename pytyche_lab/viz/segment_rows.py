"""The rows of segments in a chart: what is clicked, and what lights up, where it is a widget."""

from collections.abc import Iterable
from typing import Any

import altair as alt

from pytyche_engine.contracts.rules import Rule

ROLE = "segment"
"""What a row is called in the picture; its label there is the segment's id."""


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


def about_segments(rows: Iterable[tuple[str, Rule, str]]) -> dict[str, Any]:
    """What a chart says of its segments, for its ``usermeta``: id, rule, and the row in words."""
    return {
        "segments": [{"id": id_, "rule": str(rule), "words": words} for id_, rule, words in rows]
    }
