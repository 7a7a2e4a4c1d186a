"""Marks that every chart of intervals is made of."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from pytyche_lab.viz import palette


def arm_colour(arms: Sequence[str], legend: Any = None) -> alt.Color:
    """Colour by arm, control first; the same in every chart and widget."""
    colours = [palette.arm_colour(i) for i in range(len(arms))]
    return alt.Color(
        "arm:N", scale=alt.Scale(domain=list(arms), range=colours), legend=legend, sort=None
    )


def arm_shape(arms: Sequence[str], legend: Any = None) -> alt.Shape:
    """Shape by arm, for those who do not see the colour."""
    shapes = [palette.arm_shape(i) for i in range(len(arms))]
    return alt.Shape(
        "arm:N", scale=alt.Scale(domain=list(arms), range=shapes), legend=legend, sort=None
    )


def interval_words(*, calibrated: bool, converged: bool) -> str:
    """What a chart says of its intervals: "uncalibrated, drawn dashed, unconverged"."""
    words = "calibrated" if calibrated else "uncalibrated, drawn dashed"
    return words if converged else f"{words}, unconverged"


def interval_marks(
    base: alt.Chart,
    arms: Sequence[str],
    *,
    title: str,
    calibrated: bool,
    legend: Any = None,
    marker: str = "mean",
) -> list[alt.Chart]:
    """A line with caps from ``low`` to ``high``, a marker in between, and zero.

    Lines are dashed unless recalibrated.

    Args:
        base: with a place on y, colour and tooltip.
        arms: control first.
        title: of the horizontal axis.
        calibrated: whether the intervals were recalibrated.
        legend: of the arms.
        marker: the column of the marker's place.
    """
    dash = [1, 0] if calibrated else [4, 3]
    scale = alt.X("low:Q", title=title, axis=alt.Axis(format="+.2~f"))
    return [
        alt.Chart().mark_rule(color=palette.TEXT_SECONDARY).encode(x=alt.datum(0)),
        base.mark_rule(strokeWidth=2, strokeDash=dash).encode(x=scale, x2="high:Q"),
        base.mark_tick(thickness=2, size=10).encode(x="low:Q"),
        base.mark_tick(thickness=2, size=10).encode(x="high:Q"),
        base.mark_point(filled=True, size=90, opacity=1).encode(
            x=f"{marker}:Q", shape=arm_shape(arms, legend)
        ),
    ]
