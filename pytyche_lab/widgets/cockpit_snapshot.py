"""An experiment as the plain JSON values that the cockpit itself shows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytyche_engine.experiment import Round, SequentialExperiment
from pytyche_lab.widgets.schema.cockpit import CockpitView, CoverageView, RoundRowView
from pytyche_lab.widgets.values import arm_ref, interval

if TYPE_CHECKING:
    from pytyche_engine.calibration import CalibrationArtifact


def cockpit_view(
    experiment: SequentialExperiment,
    *,
    shown: int | None,
    busy: str,
    problem: str,
    frames: list[str] | None,
    call: str,
) -> CockpitView:
    """Everything that stands around the tabs.

    Args:
        experiment: the experiment.
        shown: number of the round that the first tab shows.
        busy: what is being done before there is a job to show; empty for nothing.
        problem: why the last thing that was asked for was not done; empty if it was.
        frames: names of data frames to observe from; None where there is a source.
        call: the code that opens the cockpit again.
    """
    history, plan = experiment.history, experiment.plan
    last = history[-1] if history else None
    job = experiment.job
    return {
        "title": experiment.name,
        "currency": experiment.labels.currency,
        "level": 0.8 if last is None else last.analysis.recommendation.lift.level,
        "label": "uncalibrated" if last is None else last.analysis.label,
        "is_calibrated": last is not None and last.analysis.is_calibrated,
        "converged": last is None or last.analysis.converged,
        "finished": len(history),
        "shown": shown,
        "n_rounds": experiment.design.schedule.n_rounds,
        "next_visitors": plan.n_visitors,
        "own_plan": plan != experiment.next_recommendation,
        "fitting": job is not None and not job.done(),
        "busy": busy,
        "problem": problem,
        "frames": frames,
        "n_segments": 0 if last is None else len(last.analysis.segments),
        "rounds": _rows(history),
        "coverage": coverage_views(experiment.calibration),
        "call": call,
    }


def _rows(history: Sequence[Round]) -> list[RoundRowView]:
    if not history:
        return []
    arm = history[-1].analysis.recommendation.treatment
    rows: list[RoundRowView] = []
    for done in history:
        analysis, truth = done.analysis, done.truth_comparison
        found = next((c for c in analysis.comparisons if c.treatment == arm), None)
        rows.append(
            {
                "number": done.round_idx + 1,
                "n_visitors": len(done.observations),
                "n_cumulative": done.n_cumulative,
                "cells": [f"{cell.id} {cell.weight:.0%}" for cell in done.plan.cells],
                "arm": arm_ref(arm, done.plan.arms),
                "lift": None if found is None else interval(found.lift),
                "n_segments": len(analysis.segments),
                "verdict": analysis.recommendation.decision.value,
                "verdict_arm": analysis.recommendation.treatment,
                "is_calibrated": analysis.is_calibrated,
                "converged": analysis.converged,
                "policy_accuracy": None if truth is None else truth.policy_accuracy,
                "oracle_gap": None if truth is None else truth.oracle_gap,
            }
        )
    return rows


def coverage_views(artifacts: "Sequence[CalibrationArtifact]") -> list[CoverageView]:
    """What an experiment's calibration artifacts say of coverage."""
    return [
        {
            "artifact": artifact.name,
            "quantity": str(row["quantity"]),
            "level": float(row["level"]),
            "n_intervals": int(row["n_intervals"]),
            "before": float(row["before"]),
            "after": float(row["after"]),
            "error": float(row["error"]),
        }
        for artifact in artifacts
        for row in artifact.coverage.to_dict("records")
    ]
