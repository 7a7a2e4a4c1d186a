"""An experiment from round to round: the cells that were served and the tree that was shipped."""

import textwrap
from collections.abc import Sequence

import altair as alt
import pandas as pd

from pytyche_engine.contracts.policies import Route, TreePolicy
from pytyche_engine.contracts.rules import Rule
from pytyche_engine.experiment.round import Round
from pytyche_lab.viz import palette
from pytyche_lab.viz.cells import role_colour
from pytyche_lab.viz.figure import Stacked, stacked
from pytyche_lab.viz.intervals import arm_colour
from pytyche_lab.viz.rows import row_axis, row_labels, width_of
from pytyche_lab.viz.segment_rows import about_segments, segment_rows

_RULE_WIDTH = 44
_LEAF = 38


def plot_evolution(rounds: Sequence[Round]) -> Stacked:
    """One panel a round: the weight of each cell, and per segment the arm shares it was sent.

    Args:
        rounds: finished rounds, oldest first, e.g. ``exp.history``.

    Returns:
        Altair charts over one another. Their ``data`` has a row a cell (kind ``"cell"``: round,
        row, weight, role) and a row a segment and arm (kind ``"leaf"``: round, row, segment, arm,
        share).
    """
    rows = [row for done in rounds for row in (*_cells(done), *_leaves(done))]
    data = pd.DataFrame(rows)
    arms = rounds[0].plan.arms if rounds else ()
    charts = [_panel(data, done, arms) for done in rounds]
    words = "\n".join(_words(done) for done in rounds)
    return stacked(
        data,
        charts,
        title="Evolution of the experiment",
        subtitle="Each round: cells served, and the arm shares of each segment in Optimized",
        words=words,
    ).properties(usermeta=about_segments(_segments_sent(rounds)))


def _panel(data: pd.DataFrame, done: Round, arms: Sequence[str]) -> alt.HConcatChart:
    number = done.round_idx + 1
    mine = data[data["round"] == number]
    cells, leaves = mine[mine["kind"] == "cell"], mine[mine["kind"] == "leaf"]
    bars = (
        alt.Chart(cells)
        .mark_bar(cornerRadius=2)
        .encode(
            y=row_axis("row", limit=160, padding=0.3),
            x=alt.X(
                "weight:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%")
            ),
            color=role_colour(),
            tooltip=["row:N", alt.Tooltip("weight:Q", format=".1%")],
        )
        .properties(
            width=150,
            height={"step": 24},
            title=f"Round {number}, {len(done.observations):,} visitors",
        )
    )
    leaf = row_labels("row", leaves["row"], padding=0.3)
    shares = (
        alt.Chart()
        .mark_bar()
        .encode(
            y=leaf,
            x=alt.X(
                "share:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%")
            ),
            color=arm_colour(arms, alt.Legend(title=None, orient="bottom")),
            tooltip=["row:N", "arm:N", alt.Tooltip("share:Q", format=".1%")],
        )
    )
    rows = segment_rows(leaf, left=-width_of(leaves["row"]) - 16, right=226, height=_LEAF - 4)
    tree = alt.layer(
        rows.transform_filter(alt.datum.arm == arms[0]), shares, data=leaves
    ).properties(width=220, height={"step": _LEAF}, title="Tree shipped")
    if leaves.empty:
        tree = (
            alt.Chart(pd.DataFrame({"note": ["Visitors were split evenly."]}))
            .mark_text(align="left", color=palette.TEXT_SECONDARY)
            .encode(text="note:N", x=alt.value(4), y=alt.value(10))
            .properties(width=220, height=24, title="No tree shipped yet")
        )
    return alt.hconcat(bars, tree, spacing=24).resolve_scale(color="independent")


def _cells(done: Round) -> list[dict[str, object]]:
    return [
        {
            "round": done.round_idx + 1,
            "kind": "cell",
            "row": cell.id,
            "weight": cell.weight,
            "role": cell.role,
        }
        for cell in done.plan.cells
    ]


def _routes(done: Round) -> list[Route]:
    """What Optimized sent each segment."""
    trees = (c.policy for c in done.plan.cells if isinstance(c.policy, TreePolicy))
    # A copy that an operator made of it has the same segments, and stands before it.
    return list({route.segment: route for tree in trees for route in tree.routes}.values())


def _segments_sent(rounds: Sequence[Round]) -> list[tuple[str, Rule, str]]:
    """Each segment that was sent something, once, as the last round had it."""
    latest = {
        route.segment: (route.segment, route.rule, f"{route.segment}: {route.rule}")
        for done in rounds
        for route in _routes(done)
    }
    return list(latest.values())


def _leaves(done: Round) -> list[dict[str, object]]:
    return [
        {
            "round": done.round_idx + 1,
            "kind": "leaf",
            "row": "\n".join(
                textwrap.wrap(
                    f"{route.segment}: {route.rule}", _RULE_WIDTH, max_lines=2, placeholder=" …"
                )
            ),
            "segment": route.segment,
            "arm": arm,
            "share": route.shares.get(arm, 0.0),
        }
        for route in _routes(done)
        for arm in done.plan.arms
    ]


def _words(done: Round) -> str:
    cells = ", ".join(f"{cell.id} {cell.weight:.0%}" for cell in done.plan.cells)
    leaves = "; ".join(
        f"{route.segment} ({route.rule}): "
        + ", ".join(f"{arm} {share:.0%}" for arm, share in route.shares.items() if share)
        for route in _routes(done)
    )
    return f"Round {done.round_idx + 1}: {cells}. {leaves or 'No tree shipped yet'}."
