"""From a posterior to a finished round: effects, segments, verdict, next plan."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from pytyche_engine.allocation import Design, propose
from pytyche_engine.bcf.posterior import Posterior
from pytyche_engine.bcf.progress import ProgressReporter
from pytyche_engine.contracts.decisions import DecisionThresholds, SegmentSearch
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.served import Labels, Served
from pytyche_engine.contracts.truth import TruthComparison, concat_truth
from pytyche_engine.decisions import (
    cell_groups,
    compare_arms,
    compare_with_truth,
    observe_cells,
    recommend,
    traffic_split,
)
from pytyche_engine.experiment.round import Round, RoundAnalysis
from pytyche_engine.jobs.control import Control
from pytyche_engine.jobs.events import Stage
from pytyche_engine.segments import aipw_contrast, discover_segments, doubly_robust_scores


def conclude_round(
    posterior: Posterior,
    served: Sequence[Served],
    cumulative: Observations,
    *,
    design: Design,
    labels: Labels,
    thresholds: DecisionThresholds,
    seed: int,
    control: Control,
    progress: ProgressReporter,
    started: float,
) -> Round:
    """Draw every conclusion of the latest round. Deterministic given its arguments.

    Args:
        posterior: fitted on ``cumulative``.
        served: all rounds so far, the latest last.
        cumulative: their visitors together.
        design: what the operator fixed.
        labels: names and currency.
        thresholds: when evidence is enough.
        seed: of the segment search.
        control: can pause or cancel between steps.
        progress: where stages are reported.
        started: `time.monotonic` when the round's work began.
    """
    latest = served[-1]
    round_idx = latest.plan.round_index
    progress.stage(Stage.SEGMENTS)
    propensity = cumulative.propensity
    effects = posterior.predict(cumulative.features, propensity=propensity, control=control)
    scores = doubly_robust_scores(cumulative, effects)
    contrast = aipw_contrast(scores)
    everyone = posterior.effects(cumulative.features, propensity=propensity, control=control)

    def group_draws(
        membership: Float[np.ndarray, "n groups"], groups: tuple[str, ...]
    ) -> GroupDraws:
        return posterior.group_draws(
            cumulative.features, membership, groups, propensity=propensity, control=control
        )

    control.checkpoint()
    search = discover_segments(
        cumulative,
        effects,
        group_draws,
        best_arm=design.arms[int(everyone.rpv[:, 0].mean(axis=0).argmax())],
        max_depth=design.max_segment_depth,
        min_segment_share=design.min_segment_share,
        seed=seed,
    )
    control.checkpoint()
    progress.stage(Stage.PLAN)
    convergence = posterior.convergence(everyone)
    search = replace(
        search, segments=tuple(replace(s, converged=convergence.ok) for s in search.segments)
    )
    next_size = design.schedule.next_round_size(round_idx + 1)
    groups = cell_groups(latest.plan, latest.observations)
    cell_draws = posterior.group_draws(
        latest.observations.features,
        groups.membership,
        groups.names,
        propensity=latest.observations.propensity,
        control=control,
    )
    next_plan = propose(
        search,
        design.arms,
        best_probabilities(everyone, 0),
        round_index=round_idx + 1,
        n_visitors=next_size,
        min_control_weight=design.min_control_weight,
        min_explore_weight=design.min_explore_weight,
        allocation=design.allocation,
    )
    recommendation = recommend(
        everyone,
        0,
        thresholds,
        n_so_far=len(cumulative),
        next_size=next_size,
        converged=convergence.ok,
        currency=labels.currency,
    )
    return Round(
        round_idx=round_idx,
        n_rounds=design.schedule.n_rounds,
        metric=labels.metric,
        currency=labels.currency,
        plan=latest.plan,
        observations=latest.observations,
        n_cumulative=len(cumulative),
        cell_observations=observe_cells(latest.plan, latest.observations, groups, cell_draws),
        analysis=RoundAnalysis(
            comparisons=compare_arms(everyone, 0, cumulative, contrast.lift, contrast.lift_se),
            search=search,
            recommendation=recommendation,
            is_calibrated=False,
            converged=convergence.ok,
            convergence=convergence,
        ),
        next_recommendation=next_plan,
        truth_comparison=_compare_with_truth(
            served, design.arms, effects.cate, search, convergence.ok
        ),
        traffic=traffic_split(latest.plan, latest.observations),
        posterior=posterior,
        fit_seconds=time.monotonic() - started,
    )


def best_probabilities(draws: GroupDraws, group: int) -> Mapping[str, float]:
    """Per arm, the share of draws in which its RPV is the highest in the group."""
    best = draws.rpv[:, group].argmax(axis=1)
    shares = np.bincount(best, minlength=len(draws.arms)) / len(best)
    return dict(zip(draws.arms, map(float, shares), strict=True))


def _compare_with_truth(
    served: Sequence[Served],
    arms: tuple[str, ...],
    cate: Float[np.ndarray, "n treatments"],
    search: SegmentSearch,
    converged: bool,
) -> TruthComparison | None:
    truths = [s.truth for s in served if s.truth is not None]
    if len(truths) < len(served):
        return None
    code = {arm: k for k, arm in enumerate(arms)}
    arm_of_segment = np.array([code[s.recommended_arm] for s in search.segments])
    found = compare_with_truth(concat_truth(truths), cate, arm_of_segment[search.membership])
    return replace(found, converged=converged)
