"""How far an experiment is, for the registry."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from pytyche_engine.contracts.actions import action_to_dict
from pytyche_engine.contracts.plans import plan_to_dict
from pytyche_engine.experiment.round import Round
from pytyche_engine.store.adaptive import Progress, RoundSummary

if TYPE_CHECKING:
    from pytyche_engine.experiment.sequential import SequentialExperiment


def progress_of(experiment: "SequentialExperiment") -> Progress:
    """What the registry keeps of an experiment; see `store.adaptive`."""
    plan = experiment.plan
    return Progress(
        rounds=tuple(map(_summary, experiment.history)),
        plan=None if plan.n_visitors is None else _plain(plan_to_dict(plan)),
        actions=tuple(_plain(action_to_dict(action)) for action in experiment.actions),
        folder=None if experiment.folder is None else str(experiment.folder.resolve()),
    )


def _summary(done: Round) -> RoundSummary:
    verdict = done.analysis.recommendation
    return RoundSummary(
        round_index=done.round_idx,
        n_visitors=len(done.observations),
        verdict=str(verdict.decision),
        treatment=verdict.treatment,
        lift=float(verdict.lift.mean),
        lift_low=float(verdict.lift.low),
        lift_high=float(verdict.lift.high),
        label=done.analysis.label,
    )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """The same as JSON gives it back: lists for tuples, and numbers of Python alone."""
    plain: dict[str, Any] = json.loads(json.dumps(values, default=np.generic.item))
    return plain
