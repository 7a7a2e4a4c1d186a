"""The segments of a round as the plain JSON values that the tree draws."""

from collections.abc import Iterator, Mapping, Sequence

from pytyche_engine.contracts import Segment
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.policies import TreePolicy
from pytyche_engine.contracts.rule_tree import RuleLeaf, RuleNode, rule_tree
from pytyche_engine.experiment import Round
from pytyche_lab.widgets.round_snapshot import shown_segments
from pytyche_lab.widgets.schema.segment_tree import (
    FollowedView,
    SegmentDetailView,
    SegmentRoundView,
    TreeNodeView,
    TreeSegmentView,
    TreeView,
)
from pytyche_lab.widgets.values import arm_ref, finite, finite_interval, interval


def tree_view(
    finished: Round,
    title: str,
    plan: Plan,
    followed: Sequence[FollowedView] = (),
    *,
    editable: bool = False,
) -> TreeView:
    """Everything that the tree shows of a round.

    Args:
        finished: the round.
        title: the experiment's name.
        plan: what the next round serves; its Optimized cell has the arms' shares.
        followed: rules that were registered after the round.
        editable: whether segments can be named, registered and retired from here.
    """
    analysis, arms = finished.analysis, finished.plan.arms
    search = analysis.search
    shares = arm_shares(plan, search.segments, arms)
    return {
        "title": title,
        "currency": finished.currency,
        "number": finished.round_idx + 1,
        "next_number": None if plan.n_visitors is None else plan.round_index + 1,
        "n_visitors": finished.n_cumulative,
        "level": analysis.recommendation.lift.level,
        "is_calibrated": analysis.is_calibrated,
        "converged": analysis.converged,
        "arms": [arm_ref(name, arms) for name in arms],
        "nodes": _nodes(search.segments, shares),
        "segments": [
            *(_segment(s, arms, registered=False) for s in search.segments),
            *(_segment(s, arms, registered=True) for s in analysis.registered),
        ],
        "followed": list(followed),
        "best_arm": arm_ref(search.best_arm, arms),
        "value": interval(search.value_of_targeting),
        "pays": search.targeting_pays,
        "reason": search.reason,
        "editable": editable,
    }


def detail_view(segment: str, rounds: Sequence[Round]) -> SegmentDetailView | None:
    """All about a segment of the last of some rounds, or None if it has no such segment."""
    found = _find(segment, rounds[-1])
    if found is None:
        return None
    arms = rounds[-1].plan.arms
    held_out = found.held_out.get(found.gate_arm)
    return {
        "id": found.id,
        "clauses": [str(clause) for clause in found.rule.clauses],
        "sql": found.rule.to_sql(),
        "claim_reason": found.claim_reason,
        "stability": finite(found.stability_score),
        "n_converted": found.n_converted,
        "held_out": None if held_out is None else finite_interval(held_out),
        "held_out_rows": found.held_out_rows,
        "best": [found.arm_best_probabilities[arm] for arm in arms],
        "rounds": list(_over_rounds(found, rounds)),
    }


def arm_shares(
    plan: Plan, segments: Sequence[Segment], arms: Sequence[str]
) -> dict[str, list[float]]:
    """Per segment, each arm's share in the plan's Optimized cell, in the arms' order.

    A segment that the plan does not route by has its arm for everyone.
    """
    routes: Mapping[str, Mapping[str, float]] = {
        route.segment: route.shares
        for cell in plan.cells
        if isinstance(cell.policy, TreePolicy)
        for route in cell.policy.routes
    }
    return {
        s.id: [routes.get(s.id, {s.recommended_arm: 1.0}).get(arm, 0.0) for arm in arms]
        for s in segments
    }


def _nodes(segments: Sequence[Segment], shares: Mapping[str, list[float]]) -> list[TreeNodeView]:
    nodes: list[TreeNodeView] = []

    def visit(node: RuleNode, parent: str | None, answer: str) -> TreeNodeView:
        view: TreeNodeView = {
            "id": f"n{len(nodes)}",
            "parent": parent,
            "answer": answer,
            "feature": "",
            "share": 0.0,
            "n_visitors": 0,
            "shares": [],
            "segment": None,
        }
        nodes.append(view)
        if isinstance(node, RuleLeaf):
            leaf = segments[node.index]
            view["segment"] = leaf.id
            view["share"], view["n_visitors"] = leaf.population_share, leaf.n_visitors
            view["shares"] = shares[leaf.id]
            return view
        view["feature"] = node.feature
        below = [
            visit(branch, view["id"], answer)
            for answer, branch in zip(node.answers, node.branches, strict=True)
        ]
        total = sum(b["share"] for b in below)
        view["share"], view["n_visitors"] = total, sum(b["n_visitors"] for b in below)
        view["shares"] = [
            sum(b["share"] * part for b, part in zip(below, parts, strict=True)) / (total or 1.0)
            for parts in zip(*(b["shares"] for b in below), strict=True)
        ]
        return view

    visit(rule_tree([s.rule for s in segments]), None, "")
    return nodes


def _segment(s: Segment, arms: Sequence[str], *, registered: bool) -> TreeSegmentView:
    return {
        "id": s.id,
        "rule": str(s.rule),
        "share": s.population_share,
        "n_visitors": s.n_visitors,
        "arm": arm_ref(s.gate_arm, arms),
        "gate": interval(s.gates[s.gate_arm]),
        "leader": arm_ref(s.leader, arms),
        "p_best": s.arm_best_probabilities[s.leader],
        "claim": s.claim_level.label,
        "registered": registered,
    }


def _find(segment: str, finished: Round) -> Segment | None:
    return next((s for s in shown_segments(finished) if s.id == segment), None)


def _over_rounds(now: Segment, rounds: Sequence[Round]) -> Iterator[SegmentRoundView]:
    for past in rounds:
        was = _find(now.id, past)
        if was is None:
            continue
        yield {
            "number": past.round_idx + 1,
            "arm": arm_ref(was.gate_arm, past.plan.arms),
            "gate": interval(was.gates[was.gate_arm]),
            "share": was.population_share,
            "claim": was.claim_level.label,
            "same_rule": was.rule == now.rule,
            "is_calibrated": past.analysis.is_calibrated,
            "converged": past.analysis.converged,
        }
