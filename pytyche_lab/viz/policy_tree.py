"""The policy tree with the arms' shares of every leaf."""

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from pytyche_engine.contracts.decisions import Segment
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.policies import TreePolicy
from pytyche_engine.contracts.rule_tree import RuleLeaf, RuleNode, rule_tree
from pytyche_lab.viz import palette
from pytyche_lab.viz.figure import Figure, figure
from pytyche_lab.viz.intervals import arm_colour
from pytyche_lab.viz.segment_rows import about_segments, segment_rows

_LEVEL = 190
_ROW = 44
_BAR = 200


def plot_policy_tree(segments: Sequence[Segment], plan: Plan) -> Figure:
    """The questions that route visitors, and at each leaf the arm shares that it is sent.

    Leaves are ordered as the tree has them, each with its share of visitors.

    Args:
        segments: the leaves, e.g. ``round.analysis.segments``.
        plan: what serves them, e.g. ``round.next_recommendation``.

    Returns:
        An Altair chart. Its ``data`` has a row a leaf and arm: segment, name, rule, population
        share, arm, share (of the arm in the leaf), and one for each question: feature, answers.
    """
    arms, shares = plan.arms, _shares(segments, plan)
    questions, order, depth = _placed(rule_tree([s.rule for s in segments]))
    leaves = [segments[i] for i in order]
    bar_from = depth * _LEVEL + 20
    said = {
        s.id: f"{s.label} ({s.rule}; {s.population_share:.0%} of visitors): "
        + ", ".join(f"{arm} {shares[s.id][arm]:.0%}" for arm in arms if shares[s.id][arm] > 0)
        for s in leaves
    }
    return figure(
        pd.DataFrame([*_leaf_rows(leaves, shares, bar_from), *questions]),
        _layers(arms, height=_ROW * len(leaves), bar_from=bar_from),
        title="Policy tree",
        subtitle="Questions, and the arm shares of each leaf",
        row_height=_ROW,
        words="\n".join(said.values()),
    ).properties(
        width=bar_from + _BAR,
        height=_ROW * len(leaves),
        usermeta=about_segments((s.id, s.rule, said[s.id]) for s in segments),
    )


def _shares(segments: Sequence[Segment], plan: Plan) -> dict[str, dict[str, float]]:
    """The arms' shares that the plan sends each segment, by its id.

    A segment that the plan does not route by has its arm for everyone.
    """
    routes: Mapping[str, Mapping[str, float]] = {
        route.segment: route.shares
        for cell in plan.cells
        if isinstance(cell.policy, TreePolicy)
        for route in cell.policy.routes
    }
    return {
        s.id: {arm: routes.get(s.id, {s.recommended_arm: 1.0}).get(arm, 0.0) for arm in plan.arms}
        for s in segments
    }


def _leaf_rows(
    leaves: Sequence[Segment], shares: Mapping[str, Mapping[str, float]], bar_from: float
) -> list[dict[str, object]]:
    """A row a leaf and arm, one bar after the other."""
    rows: list[dict[str, object]] = []
    for y, s in enumerate(leaves):
        start = 0.0
        for arm, share in shares[s.id].items():
            rows.append(
                {
                    "kind": "leaf",
                    "segment": s.id,
                    "name": s.name or (s.id if s.rule.clauses else "everyone"),
                    "rule": str(s.rule),
                    "population": s.population_share,
                    "arm": arm,
                    "share": share,
                    "y": (y + 0.5) * _ROW,
                    "x": bar_from + _BAR * start,
                    "x2": bar_from + _BAR * (start + share),
                    "label": f"{s.name or s.id}  {s.population_share:.0%}",
                }
            )
            start += share
    return rows


def _layers(arms: Sequence[str], *, height: float, bar_from: float) -> list[alt.Chart]:
    """Strips of segments, edges, bars, questions, answers and the leaves' names."""
    place = alt.Y(
        "y:Q",
        axis=None,
        scale=alt.Scale(domain=[0, height], reverse=True, nice=False, padding=0),
    )
    across = alt.Scale(domain=[0, bar_from + _BAR], nice=False, padding=0)
    field = {"x": alt.X("x:Q", axis=None, scale=across), "y": place}
    only = alt.datum.kind
    edges = (
        alt.Chart()
        .transform_filter(only == "edge")
        .mark_rule(color=palette.LINE, strokeWidth=2)
        .encode(**field, x2="x2:Q", y2="y2:Q")
    )
    dots = (
        alt.Chart()
        .transform_filter(only == "question")
        .mark_square(color=palette.TEXT, size=60, opacity=1)
        .encode(**field)
    )
    asked = (
        alt.Chart()
        .transform_filter(only == "question")
        .mark_text(align="left", dy=-12, color=palette.TEXT, fontWeight=500)
        .encode(**field, text="label:N")
    )
    answered = (
        alt.Chart()
        .transform_filter(only == "answer")
        .mark_text(align="center", color=palette.TEXT_SECONDARY, fontSize=11, dy=-5)
        .encode(**field, text="label:N")
    )
    tooltip = [
        alt.Tooltip("name:N", title="segment"),
        alt.Tooltip("rule:N", title="rule"),
        alt.Tooltip("population:Q", title="share of visitors", format=".0%"),
        alt.Tooltip("arm:N", title="arm"),
        alt.Tooltip("share:Q", title="share of the arm", format=".1%"),
    ]
    bars = (
        alt.Chart()
        .transform_filter(only == "leaf")
        .mark_bar(height=14)
        .encode(
            **field,
            x2="x2:Q",
            color=arm_colour(arms, alt.Legend(title=None, orient="bottom")),
            tooltip=tooltip,
        )
    )
    names = (
        alt.Chart()
        .transform_filter((only == "leaf") & (alt.datum.arm == arms[0]))
        .mark_text(align="left", dy=-14, color=palette.TEXT)
        .encode(x=alt.value(bar_from), y=place, text="label:N")
    )
    rows = segment_rows(
        place,
        left=bar_from - 8,
        right=bar_from + _BAR + 8,
        height=_ROW - 4,
        up=6,
        tooltip=tooltip,
    ).transform_filter((only == "leaf") & (alt.datum.arm == arms[0]))
    return [rows, edges, bars, dots, asked, answered, names]


def _placed(root: RuleNode) -> tuple[list[dict[str, object]], list[int], int]:
    """Rows for questions, answers and edges; the leaves in order; how deep the tree is."""
    order: list[int] = []
    rows: list[dict[str, object]] = []

    def depth(node: RuleNode) -> int:
        return 0 if isinstance(node, RuleLeaf) else 1 + max(map(depth, node.branches))

    deepest = depth(root)

    def visit(node: RuleNode, level: int) -> tuple[float, float]:
        if isinstance(node, RuleLeaf):
            order.append(node.index)
            return deepest * _LEVEL + 14.0, (len(order) - 0.5) * _ROW
        below = [visit(branch, level + 1) for branch in node.branches]
        x, y = level * _LEVEL + 8.0, sum(at for _, at in below) / len(below)
        rows.append(
            {
                "kind": "question",
                "x": x,
                "y": y,
                "label": node.feature or "rules",
                "feature": node.feature,
                "answers": "; ".join(node.answers),
            }
        )
        for answer, (to_x, to_y) in zip(node.answers, below, strict=True):
            rows.append({"kind": "edge", "x": x, "y": y, "x2": to_x, "y2": to_y})
            # Near the question, where the branches of others are not.
            rows.append(
                {
                    "kind": "answer",
                    "x": x + 0.8 * min(to_x - x, _LEVEL),
                    "y": y + 0.8 * min(1.0, _LEVEL / (to_x - x)) * (to_y - y),
                    "label": answer if len(answer) <= 22 else f"{answer[:21]}…",
                }
            )
        return x, y

    visit(root, 0)
    return rows, order, deepest
