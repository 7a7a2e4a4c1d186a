"""The cells of a plan as bars."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from pytyche_engine.contracts.cells import Cell
from pytyche_lab.viz import palette
from pytyche_lab.viz.figure import Figure, figure
from pytyche_lab.viz.rows import row_axis

_ROLE_COLOURS = {
    "control": palette.ARM_COLOURS[0],
    "explore": "#a9aeb6",
    "hypothesis": palette.ACCENT,
    "optimized": palette.TEXT,
}


def role_colour() -> alt.Color:
    """Colour by a cell's role, in the column ``role``."""
    scale = alt.Scale(domain=list(_ROLE_COLOURS), range=list(_ROLE_COLOURS.values()))
    return alt.Color("role:N", scale=scale, legend=None)


def plot_cells(cells: Sequence[Cell]) -> Figure:
    """How a round's visitors are shared out: one bar a cell, in the plan's order.

    Args:
        cells: the cells of a plan, e.g. ``plan.cells``.

    Returns:
        An Altair chart. Its ``data`` has a row a cell: cell, weight, label, policy, role.
    """
    data = pd.DataFrame(
        {
            "cell": [cell.id for cell in cells],
            "weight": [cell.weight for cell in cells],
            "label": [f"{cell.weight:.1%}" for cell in cells],
            "policy": [cell.policy.describe() for cell in cells],
            "role": [cell.role for cell in cells],
        }
    )
    base = alt.Chart().encode(y=row_axis("cell", limit=220, padding=0.3))
    bars = base.mark_bar(cornerRadius=2).encode(
        x=alt.X(
            "weight:Q",
            title="share of the round's visitors, %",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format=".0%", tickCount=5),
        ),
        color=role_colour(),
        tooltip=[
            alt.Tooltip("cell:N", title="cell"),
            alt.Tooltip("weight:Q", title="weight", format=".1%"),
            alt.Tooltip("policy:N", title="policy"),
        ],
    )
    labels = base.mark_text(align="left", dx=6, color=palette.TEXT).encode(
        x="weight:Q", text="label:N"
    )
    return figure(
        data,
        [bars, labels],
        title="Cells of the round",
        subtitle="Share of visitors by cell",
        row_height=30,
        words="\n".join(f"{row.cell}: {row.label} ({row.policy})" for row in data.itertuples()),
    )
