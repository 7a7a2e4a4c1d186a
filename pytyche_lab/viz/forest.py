"""Relative lifts of a classical analysis as intervals on one scale."""

import altair as alt
import pandas as pd

from pytyche_engine.classic.forest import Forest
from pytyche_lab.viz import palette
from pytyche_lab.viz.figure import Figure, figure
from pytyche_lab.viz.rows import row_axis, words_beside

FOUND, NOT_FOUND = palette.ACCENT, palette.ARM_COLOURS[0]
"""Colours of lifts that are significant and of those that are not."""


def plot_forest(forest: Forest) -> Figure:
    """One interval a comparison; those without a bounded interval show as text alone.

    Args:
        forest: what ``AnalysisResult.plot()`` makes of its results.

    Returns:
        An Altair chart. Its ``data`` has a row a comparison: label, lift, low, high (shares of
        control's mean), significant, text.
    """
    data = pd.DataFrame(
        [
            {
                "label": row.label,
                "lift": row.lift,
                "low": row.low,
                "high": row.high,
                "significant": "significant" if row.significant else "not significant",
                "text": row.text,
            }
            for row in forest.rows
        ],
        columns=["label", "lift", "low", "high", "significant", "text"],
    )
    place = row_axis("label")
    colour = alt.Color(
        "significant:N",
        scale=alt.Scale(domain=["significant", "not significant"], range=[FOUND, NOT_FOUND]),
        legend=alt.Legend(title=None, orient="bottom"),
    )
    tooltip = [
        alt.Tooltip("label:N", title="metric"),
        alt.Tooltip("lift:Q", title="relative lift", format="+.2%"),
        alt.Tooltip("low:Q", title="from", format="+.2%"),
        alt.Tooltip("high:Q", title="to", format="+.2%"),
        alt.Tooltip("significant:N", title="adjusted p-value"),
    ]
    base = alt.Chart().encode(y=place, color=colour, tooltip=tooltip)
    scale = alt.X("low:Q", title="relative lift, %", axis=alt.Axis(format="+~%"))
    layers = [
        alt.Chart().mark_rule(color=palette.TEXT_SECONDARY).encode(x=alt.datum(0)),
        base.mark_rule(strokeWidth=2).encode(x=scale, x2="high:Q"),
        base.mark_tick(thickness=2, size=10).encode(x="low:Q"),
        base.mark_tick(thickness=2, size=10).encode(x="high:Q"),
        base.mark_point(filled=True, size=90, opacity=1).encode(
            x="lift:Q",
            shape=alt.Shape(
                "significant:N",
                scale=alt.Scale(
                    domain=["significant", "not significant"], range=["circle", "square"]
                ),
                legend=alt.Legend(title=None, orient="bottom"),
            ),
        ),
        words_beside(place, "text"),
    ]
    return figure(
        data,
        layers,
        title=forest.title,
        subtitle=forest.subtitle,
        row_height=34,
        words="\n".join([forest.subtitle, *(f"{row.label}: {row.text}" for row in forest.rows)]),
    )
