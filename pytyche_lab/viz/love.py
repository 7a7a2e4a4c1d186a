"""Balance of covariates between two arms (a love plot)."""

import altair as alt
import pandas as pd

from pytyche_engine.classic.balance import LARGE, CovariateBalanceChecker
from pytyche_engine.contracts.money import signed
from pytyche_lab.viz import palette
from pytyche_lab.viz.figure import Figure, figure
from pytyche_lab.viz.rows import row_axis, words_beside


def plot_love(balance: CovariateBalanceChecker) -> Figure:
    """Standardised differences of means, a point a covariate, with the usual limits drawn.

    Args:
        balance: e.g. ``result.balance_checker``.

    Returns:
        An Altair chart. Its ``data`` has a row a covariate: covariate, smd, size, text.
    """
    data = pd.DataFrame(
        {
            "covariate": [row.covariate for row in balance.rows],
            "smd": [row.smd for row in balance.rows],
            "size": ["large" if row.large else "small" for row in balance.rows],
            "text": [
                "does not vary" if row.smd is None else signed(row.smd, 3) for row in balance.rows
            ],
        }
    )
    place = row_axis("covariate")
    reach = max([2 * LARGE, *(1.1 * abs(row.smd or 0.0) for row in balance.rows)])
    scale = alt.Scale(domain=[-reach, reach])
    zero = alt.Chart().mark_rule(color=palette.TEXT_SECONDARY).encode(x=alt.datum(0))
    limits = [
        alt.Chart().mark_rule(color=palette.LINE, strokeDash=[4, 3]).encode(x=alt.datum(x))
        for x in (-LARGE, LARGE)
    ]
    points = (
        alt.Chart()
        .mark_point(filled=True, size=90, opacity=1)
        .encode(
            y=place,
            x=alt.X("smd:Q", title="standardised difference of means", scale=scale),
            color=alt.Color(
                "size:N",
                scale=alt.Scale(
                    domain=["small", "large"], range=[palette.ARM_COLOURS[0], palette.ACCENT]
                ),
                legend=None,
            ),
            tooltip=[
                alt.Tooltip("covariate:N", title="covariate"),
                alt.Tooltip("smd:Q", title="SMD", format="+.3f"),
            ],
        )
    )
    title = f"Balance: '{balance.treatment}' less '{balance.control}'"
    return figure(
        data,
        [zero, *limits, points, words_beside(place, "text")],
        title=title,
        subtitle=f"In standard deviations; dashed at {LARGE:g}",
        row_height=30,
        words="\n".join(f"{row.covariate}: {row.text}" for row in data.itertuples()),
    )
