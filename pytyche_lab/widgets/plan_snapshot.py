"""A draft of a plan as the plain JSON values that its editor draws."""

from collections.abc import Mapping, Sequence

from pytyche_engine.allocation import CellPreview
from pytyche_engine.allocation.edit import RULE
from pytyche_engine.allocation.preview import Overlap, distribution, overlaps
from pytyche_engine.contracts import Cell, FeatureKind, MixPolicy, Rule, Segment, TreePolicy
from pytyche_engine.contracts.estimates import INTERVAL_LEVEL, Estimate
from pytyche_engine.contracts.observations import Feature
from pytyche_engine.contracts.rules import Clause, Threshold
from pytyche_engine.experiment import PlanDraft, Round, SequentialExperiment
from pytyche_lab.widgets.round_snapshot import only_arm, policy_words
from pytyche_lab.widgets.schema.cell_plan import (
    ClauseView,
    FeatureView,
    HypothesisView,
    PlanCellView,
    PlanSetup,
    PlanView,
    RefusedView,
    RouteView,
)
from pytyche_lab.widgets.schema.shared import Interval
from pytyche_lab.widgets.values import arm_ref, interval

_SET_BY = {
    "thompson": "Thompson",
    "top_two": "Top two",
    "exploration_sampling": "Exploration",
}


def setup_view(experiment: SequentialExperiment, draft: PlanDraft) -> PlanSetup:
    """What does not change while the draft is edited."""
    latest, seen, plan = experiment.latest, draft.seen, draft.plan
    features = draft.schema.features if draft.schema is not None else ()
    return {
        "title": f"Plan for round {plan.round_index + 1}",
        "currency": experiment.labels.currency,
        "n_visitors": plan.n_visitors,
        "control_floor": draft.floors.control,
        "explore_floor": draft.floors.explore,
        "rule": RULE,
        "based_on": "" if latest is None else f"round {plan.round_index}, {latest.analysis.label}",
        "level": INTERVAL_LEVEL if seen is None else seen.level,
        "is_calibrated": latest is not None and latest.analysis.is_calibrated,
        "converged": latest is None or latest.analysis.converged,
        "arms": [arm_ref(arm, plan.arms) for arm in plan.arms],
        "features": [view for f in features if (view := _feature(f, draft)) is not None],
        "n_seen": 0 if seen is None else len(seen.observations),
    }


def plan_view(draft: PlanDraft, latest: Round | None, message: str = "") -> PlanView:
    """The draft as it stands.

    Args:
        draft: the draft.
        latest: the last finished round, which names the segments.
        message: why the experiment did not take the plan.
    """
    plan, expected = draft.plan, draft.preview()
    segments = {} if latest is None else {s.id: s for s in latest.analysis.all_segments}
    recommended = {cell.id: cell for cell in draft.recommended.cells}
    accepted = draft.accepted
    return {
        "revision": draft.revision,
        "current": draft.is_current,
        "accepted_at": "" if accepted is None else accepted.at.isoformat(),
        "changes": draft.changes(),
        "can_undo": draft.can_undo,
        "can_redo": draft.can_redo,
        "cells": [
            _cell(cell, seen, draft, recommended.get(cell.id), segments)
            for cell, seen in zip(plan.cells, expected.cells, strict=True)
        ],
        "rpv": _interval(expected.rpv),
        "regret": _interval(expected.regret),
        "regret_in_all": expected.regret_in_all,
        "refused": [_refused(draft, field) for field in draft.refused],
        "notices": list(plan.notices),
        "message": message,
        "code": draft.code(),
    }


def _cell(
    cell: Cell,
    expected: CellPreview,
    draft: PlanDraft,
    recommended: Cell | None,
    segments: Mapping[str, Segment],
) -> PlanCellView:
    low, high = draft.weight_range(cell.id)
    arms = draft.plan.arms
    return {
        "id": cell.id,
        "role": cell.role,
        "policy": _words(cell, arms),
        "arm": only_arm(cell, arms),
        "weight": cell.weight,
        "floor": draft.floors.of(cell),
        "low": low,
        "high": high,
        "recommended": None if recommended is None else recommended.weight,
        "hypothesis": _hypothesis(cell, expected, draft, segments),
        "routes": _routes(cell, recommended, arms, segments),
        "n_visitors": expected.n_visitors,
        "rpv": _interval(expected.rpv),
        "regret": _interval(expected.regret),
        "regret_in_all": expected.regret_in_all,
        "detectable": expected.detectable,
        "detectable_between": expected.detectable_between,
    }


def _words(cell: Cell, arms: Sequence[str]) -> str:
    match cell.policy:
        case MixPolicy():
            return "Hypothesis, added by you"
        case TreePolicy(routes):
            return f"Policy tree, {len(routes)} segments" if len(routes) > 1 else "One segment"
        case _:
            return policy_words(cell, arms)


def _hypothesis(
    cell: Cell, expected: CellPreview, draft: PlanDraft, segments: Mapping[str, Segment]
) -> HypothesisView | None:
    policy, arms = cell.policy, draft.plan.arms
    if cell.role != "hypothesis" or not isinstance(policy, MixPolicy):
        return None
    covered: list[Overlap] = []
    if draft.seen is not None and policy.rule.clauses:
        for tree in draft.recommended.cells:
            covered += overlaps(policy.rule, tree.policy, draft.seen)
    return {
        "clauses": [clause_view(clause) for clause in policy.rule.clauses],
        "shares": [policy.shares.get(arm, 0.0) for arm in arms],
        "matching": expected.matching,
        "n_matching": expected.n_matching,
        "otherwise": arms[0] if policy.otherwise is None else _mix(policy.otherwise),
        "overlaps": [
            {"segment": o.segment, "name": _name(o.segment, segments), "share": o.share}
            for o in covered
        ],
    }


def _routes(
    cell: Cell, recommended: Cell | None, arms: Sequence[str], segments: Mapping[str, Segment]
) -> list[RouteView]:
    policy = cell.policy
    if not isinstance(policy, TreePolicy):
        return []
    before: dict[str, Mapping[str, float]] = {}
    if recommended is not None and isinstance(recommended.policy, TreePolicy):
        before = {r.segment: r.shares for r in recommended.policy.routes}
    return [
        {
            "segment": r.segment,
            "name": _name(r.segment, segments),
            "rule": str(r.rule),
            "share": segments[r.segment].population_share if r.segment in segments else None,
            "shares": [r.shares.get(arm, 0.0) for arm in arms],
            "set_by": _SET_BY[policy.allocation]
            if dict(r.shares) == dict(before.get(r.segment, r.shares))
            else "You",
        }
        for r in policy.routes
    ]


def clause_view(clause: Clause) -> ClauseView:
    """A condition as the rule builder shows it."""
    if isinstance(clause, Threshold):
        return {
            "feature": clause.feature,
            "kind": "threshold",
            "side": clause.side,
            "cut": clause.cut,
            "levels": [],
            "includes_missing": clause.includes_missing,
        }
    return {
        "feature": clause.feature,
        "kind": "levels",
        "side": ">",
        "cut": 0.0,
        "levels": list(clause.levels),
        "includes_missing": clause.includes_missing,
    }


def _feature(feature: Feature, draft: PlanDraft) -> FeatureView | None:
    seen = draft.seen
    if seen is None:
        return None
    view: FeatureView = {
        "name": feature.name,
        "kind": feature.kind.value,
        "levels": [],
        "had_missing": bool(seen.observations.features[feature.name].isna().any()),
        "low": 0.0,
        "high": 0.0,
        "middle": 0.0,
        "counts": [],
    }
    match feature.kind:
        case FeatureKind.NUMERIC:
            found = distribution(seen, feature.name)
            if found is None:
                return None
            view["low"], view["high"], view["middle"] = found.low, found.high, found.middle
            view["counts"] = list(found.counts)
        case FeatureKind.BOOLEAN:
            view["levels"] = ["True", "False"]
        case FeatureKind.CATEGORICAL:
            later = seen.observations.features[feature.name].cat.categories
            view["levels"] = list(dict.fromkeys([*feature.levels, *map(str, later)]))
    return view


def _refused(draft: PlanDraft, field: str) -> RefusedView:
    refused = draft.refused[field]
    strong, _, rest = refused.reason.partition(". ")
    return {
        "field": field,
        "cell": refused.cell,
        "text": refused.text,
        "strong": f"{strong.rstrip('.')}.",
        "rest": rest,
    }


def _name(segment: str, segments: Mapping[str, Segment]) -> str:
    """What a segment is called: its own name, its id, or everyone."""
    if segment in segments:
        return segments[segment].name or segments[segment].label
    return "Everyone" if segment == str(Rule()) else segment


def _mix(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{arm} {share:.0%}" for arm, share in shares.items() if share)


def _interval(estimate: Estimate | None) -> Interval | None:
    return None if estimate is None else interval(estimate)
