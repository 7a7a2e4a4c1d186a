"""What is kept in the registry as the JSON that the API gives."""

from datetime import datetime
from typing import Any, cast

from pytyche_engine.store.analysing import Analysis
from pytyche_engine.store.deliveries import Receipt
from pytyche_engine.store.records import Experiment, Page, Period
from pytyche_lab.server import shapes as s


def summary_view(experiment: Experiment) -> s.ExperimentSummary:
    """An experiment in a list."""
    return {
        "id": experiment.id,
        "project_id": experiment.project_id,
        "name": experiment.name,
        "hypothesis": experiment.hypothesis,
        "status": experiment.status,
        "type": experiment.type,
        "bandit_enabled": experiment.type == "bandit",
        "n_variants": len(experiment.variants),
        "n_rounds": experiment.n_rounds,
        "split_alarm": experiment.split_alarm,
        "winner": _winner(experiment),
        "created_at": experiment.created_at.isoformat(),
    }


def detail_view(
    experiment: Experiment, analysis: Analysis | None, rounds: list[dict[str, Any]]
) -> s.ExperimentDetail:
    """An experiment with its last analysis, or its rounds."""
    return {
        "id": experiment.id,
        "project_id": experiment.project_id,
        "name": experiment.name,
        "hypothesis": experiment.hypothesis,
        "status": experiment.status,
        "type": experiment.type,
        "bandit_enabled": experiment.type == "bandit",
        "metric": experiment.metric,
        "alpha": experiment.alpha,
        "expected_lift": experiment.expected_lift,
        "planned_visitors": experiment.planned_visitors,
        "floor": experiment.floor,
        "update_seconds": experiment.update_seconds,
        "split_alarm": experiment.split_alarm,
        "winner": _winner(experiment),
        "created_at": experiment.created_at.isoformat(),
        "created_by": experiment.created_by,
        "launched_at": _time(experiment.launched_at),
        "stopped_at": _time(experiment.stopped_at),
        "variants": [
            {
                "id": variant.id,
                "name": variant.name,
                "note": variant.note,
                "traffic_weight": variant.weight,
                "is_control": position == 0,
                "is_winner": variant.id == experiment.winner,
                "exposures": variant.exposures,
                "conversions": variant.conversions,
                "alpha": variant.alpha,
                "beta": variant.beta,
            }
            for position, variant in enumerate(experiment.variants)
        ],
        "analysis": None if analysis is None else analysis_view(analysis),
        "rounds": [_round_row(row) for row in rounds],
    }


def analysis_view(analysis: Analysis) -> s.AnalysisView:
    """An analysis."""
    return {
        "id": analysis.id,
        "made_at": analysis.made_at.isoformat(),
        "made_by": analysis.made_by,
        "result": cast("s.ResultView", analysis.result),
    }


def page_view(page: Page, limit: int, offset: int) -> s.PageView:
    """Some of the experiments."""
    totals = page.totals
    return {
        "experiments": [summary_view(experiment) for experiment in page.experiments],
        "n_found": page.n_found,
        "limit": limit,
        "offset": offset,
        "totals": {
            "total": totals.total,
            "draft": totals.draft,
            "running": totals.running,
            "stopped": totals.stopped,
            "winners": totals.winners,
            "attention": totals.attention,
        },
    }


def weights_view(experiment: Experiment, periods: tuple[Period, ...]) -> s.WeightHistoryView:
    """The weight history."""
    names = [variant.name for variant in experiment.variants]
    return {
        "periods": [
            {
                "since": period.since.isoformat(),
                "weights": dict(zip(names, period.weights, strict=True)),
                "best": None if period.best is None else dict(zip(names, period.best, strict=True)),
            }
            for period in periods
        ]
    }


def audit_view(lines: list[dict[str, Any]]) -> s.AuditView:
    """The audit log."""
    return {
        "lines": [
            {
                "at": line["at"].isoformat(),
                "who": line["who"],
                "action": line["action"],
                "detail": line["detail"],
            }
            for line in lines
        ]
    }


def plan_view(
    experiment: Experiment, since: datetime | None, plan: dict[str, Any] | None
) -> s.PlanView:
    """What a platform serves now: weights of variants, or the plan of a round."""
    weights = {variant.name: variant.weight for variant in experiment.variants}
    return {
        "experiment_id": experiment.id,
        "name": experiment.name,
        "status": experiment.status,
        "type": experiment.type,
        "weights": None if experiment.type == "adaptive" else weights,
        "since": _time(since),
        "round": None if plan is None else plan["round_index"] + 1,
        "revision": None if plan is None else plan["revision"],
        "plan": None if plan is None else plan["plan"],
    }


def receipt_view(receipt: Receipt) -> s.ReceiptView:
    """What a delivery became."""
    return {
        "id": receipt.id,
        "repeated": receipt.repeated,
        "exposures": receipt.exposures,
        "digest": receipt.digest,
    }


def _winner(experiment: Experiment) -> str | None:
    return next((v.name for v in experiment.variants if v.id == experiment.winner), None)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _round_row(row: dict[str, Any]) -> s.RoundRow:
    return {
        "number": row["round_index"] + 1,
        "n_visitors": row["n_visitors"],
        "verdict": row["verdict"],
        "treatment": row["treatment"],
        "lift": row["lift"],
        "lift_low": row["lift_low"],
        "lift_high": row["lift_high"],
        "label": row["label"],
        "finished_at": row["finished_at"].isoformat(),
    }
