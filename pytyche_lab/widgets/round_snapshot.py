"""A finished round as the plain JSON values that the dashboard draws."""

from collections.abc import Sequence

from pytyche_engine.contracts import BaselinePolicy, Cell, MixPolicy, Segment
from pytyche_engine.contracts.decisions import CellObservation, Comparison
from pytyche_engine.contracts.policies import TreePolicy, UniformPolicy
from pytyche_engine.contracts.verdicts import Verdict
from pytyche_engine.experiment import Round
from pytyche_lab.widgets.lamps import lamps
from pytyche_lab.widgets.schema.round_dashboard import (
    CellView,
    ComparisonView,
    HistoryView,
    OptionView,
    RoundView,
    SegmentView,
    TruthView,
    VerdictView,
)
from pytyche_lab.widgets.schema.shared import ArmRef
from pytyche_lab.widgets.values import arm_ref, finite, finite_interval, interval


def round_view(finished: Round, title: str) -> RoundView:
    """Everything that the dashboard shows of a round."""
    analysis, arms = finished.analysis, finished.plan.arms
    verdict, search = analysis.recommendation, analysis.search
    return {
        "title": title,
        "metric": finished.metric,
        "currency": finished.currency,
        "number": finished.round_idx + 1,
        "n_rounds": finished.n_rounds,
        "n_visitors": len(finished.observations),
        "n_cumulative": finished.n_cumulative,
        "level": verdict.lift.level,
        "fit_seconds": finished.fit_seconds,
        "is_calibrated": analysis.is_calibrated,
        "converged": analysis.converged,
        "arms": [arm_ref(name, arms) for name in arms],
        "health": lamps(finished),
        "notices": list(finished.observations.notices),
        "decision": {
            "verdict": verdict.decision.value,
            "arm": arm_ref(verdict.treatment, arms),
            "lift": interval(verdict.lift),
            "p_positive": verdict.probability_positive,
            "p_best": verdict.probability_best,
            "loss_if_shipped": verdict.expected_loss_if_shipped,
            "loss_if_kept": verdict.expected_loss_if_kept,
            "value_of_round": verdict.expected_value_of_one_more_round,
            "reason": verdict.reason,
        },
        "routing": {
            "best_arm": arm_ref(search.best_arm, arms),
            "n_segments": len(search.segments),
            "value": interval(search.value_of_targeting),
            "pays": search.targeting_pays,
        },
        "options": _options(finished),
        "cells": [_cell(seen, finished) for seen in finished.cell_observations],
        "comparisons": [_comparison(c, arms) for c in analysis.comparisons],
        "segments": [
            *(
                _segment(s, arms, registered=False)
                for s in sorted(analysis.segments, key=lambda s: s.gate_estimate, reverse=True)
            ),
            *(_segment(s, arms, registered=True) for s in analysis.registered),
        ],
        "verdicts": [_verdict(v, finished) for v in analysis.verdicts],
        "truth": _truth(finished),
        "next_cells": len(finished.next_recommendation.cells),
        "next_visitors": finished.next_recommendation.n_visitors,
    }


def shown_segments(finished: Round) -> tuple[Segment, ...]:
    """Every segment that a view of the round may show: those found, registered ones, everyone.

    Found ones are shown even where targeting does not pay, unlike in `analysis.all_segments`.
    """
    analysis = finished.analysis
    return (*analysis.search.segments, *analysis.registered, analysis.everyone)


def names_of(finished: Round) -> dict[str, str]:
    """The names of the round's segments that have one, by id."""
    return {s.id: s.name for s in shown_segments(finished) if s.name}


def history_view(earlier: Sequence[Round], now: Round) -> list[HistoryView]:
    """The rounds up to `now`, first to last, as the lift of the arm recommended now."""
    arm = now.analysis.recommendation.treatment
    by_index = {r.round_idx: r for r in (*earlier, now) if r.round_idx <= now.round_idx}
    views: list[HistoryView] = []
    for index in sorted(by_index):
        past = by_index[index]
        verdict = past.analysis.recommendation
        found = next((c for c in past.analysis.comparisons if c.treatment == arm), None)
        views.append(
            {
                "number": index + 1,
                "n_visitors": len(past.observations),
                "arm": arm_ref(arm, past.plan.arms),
                "lift": None if found is None else interval(found.lift),
                "n_segments": len(past.analysis.segments),
                "verdict": verdict.decision.value,
                "verdict_arm": verdict.treatment,
                "p_positive": verdict.probability_positive,
                "is_calibrated": past.analysis.is_calibrated,
                "converged": past.analysis.converged,
            }
        )
    return views


def _options(finished: Round) -> list[OptionView]:
    """One arm for everyone: every treatment, and control, most lift first."""
    analysis, arms = finished.analysis, finished.plan.arms
    verdict = analysis.recommendation
    options: list[OptionView] = [
        {
            "kind": "ship",
            "arm": arm_ref(c.treatment, arms),
            "recommended": c.treatment == verdict.treatment and verdict.decision == "SHIP",
            "best": c.treatment == analysis.search.best_arm,
            "lift": interval(c.lift),
            "p_positive": c.probability_positive,
            "loss": verdict.expected_loss_if_shipped
            if c.treatment == verdict.treatment
            else c.expected_loss,
        }
        for c in analysis.comparisons
    ]
    keep: OptionView = {
        "kind": "keep",
        "arm": arm_ref(arms[0], arms),
        "recommended": verdict.decision == "STOP",
        "best": analysis.search.best_arm == arms[0],
        "lift": None,
        "p_positive": None,
        "loss": verdict.expected_loss_if_kept,
    }
    return sorted(
        [*options, keep], key=lambda o: o["lift"]["mean"] if o["lift"] else 0.0, reverse=True
    )


def only_arm(cell: Cell, arms: Sequence[str]) -> ArmRef | None:
    """The arm of a cell that serves one arm only."""
    match cell.policy:
        case BaselinePolicy():
            return arm_ref(arms[0], arms)
        case UniformPolicy((only,)):
            return arm_ref(only, arms)
        case MixPolicy(shares, rule) if not rule.clauses:
            served = [arm for arm, share in shares.items() if share]
            return arm_ref(served[0], arms) if len(served) == 1 else None
        case _:
            return None


_SHARES = {
    "thompson": "Thompson shares",
    "top_two": "top-two shares",
    "exploration_sampling": "exploration sampling",
}


def policy_words(cell: Cell, arms: Sequence[str]) -> str:
    """The policy in fewer words than the plan's table has room for."""
    match cell.policy:
        case BaselinePolicy():
            return f"Always {arms[0]}"
        case UniformPolicy(over) if len(over) > 1:
            return f"Uniform over {len(over)} arms"
        case TreePolicy(routes, _, allocation, dropped):
            who = f"Policy tree, {len(routes)} segments" if len(routes) > 1 else "One segment"
            left_out = f", without {', '.join(d.arm for d in dropped)}" if dropped else ""
            return f"{who}, {_SHARES[allocation]}{left_out}"
        case policy:
            return policy.describe()


def _cell(seen: CellObservation, finished: Round) -> CellView:
    cell = next((c for c in finished.plan.cells if c.id == seen.id), None)
    return {
        "id": seen.id,
        "arm": None if cell is None else only_arm(cell, finished.plan.arms),
        "policy": seen.policy if cell is None else policy_words(cell, finished.plan.arms),
        "n_visitors": seen.n_visitors,
        "recorded": seen.cell_recorded,
        "share": seen.n_visitors / max(1, len(finished.observations)),
        "observed_rpv": finite(seen.observed_rpv),
        "observed_lift": finite(seen.observed_lift),
        "model_rpv": None if seen.model_rpv is None else interval(seen.model_rpv),
        "model_lift": None if seen.model_lift is None else interval(seen.model_lift),
    }


def _comparison(c: Comparison, arms: Sequence[str]) -> ComparisonView:
    return {
        "arm": arm_ref(c.treatment, arms),
        "control": c.control,
        "lift": interval(c.lift),
        "relative_lift": finite_interval(c.relative_lift),
        "conversion_part": interval(c.conversion_part),
        "severity_part": interval(c.severity_part),
        "p_positive": c.probability_positive,
        "observed_lift": finite(c.observed_lift),
        "aipw_lift": finite(c.aipw_lift),
        "aipw_se": finite(c.aipw_se),
        "claim": c.claim_level.label,
    }


def _segment(s: Segment, arms: Sequence[str], *, registered: bool) -> SegmentView:
    return {
        "id": s.id,
        "rule": str(s.rule),
        "share": s.population_share,
        "n_visitors": s.n_visitors,
        "n_converted": s.n_converted,
        "arm": arm_ref(s.gate_arm, arms),
        "gate": interval(s.gates[s.gate_arm]),
        "leader": arm_ref(s.leader, arms),
        "p_best": s.arm_best_probabilities[s.leader],
        "recommended": arm_ref(s.recommended_arm, arms),
        "claim": s.claim_level.label,
        "stability": finite(s.stability_score),
        "registered": registered,
    }


def _verdict(v: Verdict, finished: Round) -> VerdictView:
    worth = v.worth
    return {
        "segment": v.segment.id,
        "called": v.segment.id if v.segment.rule.clauses else "Everyone",
        "arm": arm_ref(v.arm, finished.plan.arms),
        "verdict": v.recommendation.decision.value,
        "lift": interval(worth.per_visitor),
        "per_round": None if worth.per_round is None else interval(worth.per_round),
        "per_year": None if worth.per_year is None else interval(worth.per_year),
        "claim": v.claim_level.label,
        "reason": " ".join(filter(None, (v.recommendation.reason, v.changed))),
    }


def _truth(finished: Round) -> TruthView | None:
    truth = finished.truth_comparison
    if truth is None:
        return None
    return {
        "cate_rmse": truth.cate_rmse,
        "cate_rmse_no_effect": truth.cate_rmse_no_effect,
        "cate_rmse_constant": truth.cate_rmse_constant,
        "policy_accuracy": truth.policy_accuracy,
        "oracle_gap": truth.oracle_gap,
        "best_arm_gap": truth.rpv_oracle - truth.rpv_best_arm,
    }
