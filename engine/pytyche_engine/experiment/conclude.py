"""From a posterior to a finished round: effects, segments, verdict, next plan."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from pytyche_engine.bcf.posterior import Posterior
from pytyche_engine.bcf.progress import ProgressReporter
from pytyche_engine.contracts.actions import registered_segments, segment_names
from pytyche_engine.contracts.decisions import (
    CellObservation,
    Recommendation,
    Segment,
    SegmentSearch,
)
from pytyche_engine.contracts.effects import GroupDraws, VisitorEffects
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.recalibration import Recalibration
from pytyche_engine.contracts.scores import DoublyRobustScores
from pytyche_engine.contracts.served import Served
from pytyche_engine.contracts.truth import TruthComparison, concat_truth
from pytyche_engine.contracts.verdicts import Verdict
from pytyche_engine.decisions import (
    Horizon,
    cell_groups,
    compare_arms,
    compare_with_truth,
    judge,
    most_promising,
    observe_cells,
)
from pytyche_engine.experiment.analysis import RoundAnalysis
from pytyche_engine.experiment.calibrated import round_recalibration
from pytyche_engine.experiment.check_round import check_round
from pytyche_engine.experiment.next_arms import arm_evidence, by_evidence, proposal
from pytyche_engine.experiment.round import Round
from pytyche_engine.experiment.state import State, round_seed
from pytyche_engine.jobs.control import Control
from pytyche_engine.jobs.events import Stage
from pytyche_engine.segments import (
    aipw_contrast,
    describe_everyone,
    discover_segments,
    doubly_robust_scores,
    follow_segments,
)
from pytyche_engine.store.spec import ExperimentSpec


def conclude_round(
    posterior: Posterior,
    served: Sequence[Served],
    cumulative: Observations,
    *,
    state: State,
    spec: ExperimentSpec,
    control: Control,
    progress: ProgressReporter,
    started: float,
) -> Round:
    """Draw every conclusion of the latest round. Deterministic given its arguments.

    Args:
        posterior: fitted on ``cumulative``.
        served: all rounds that are remembered, the latest last.
        cumulative: their visitors together.
        state: the rounds before, and what the operator decided.
        spec: what is fixed for the experiment.
        control: can pause or cancel between steps.
        progress: where stages are reported.
        started: `time.monotonic` when the round's work began.
    """
    latest = served[-1]
    round_idx, first = latest.plan.round_index, served[0].plan.round_index
    design, labels = spec.design, spec.labels
    progress.stage(Stage.SEGMENTS)
    recalibration = round_recalibration(spec, [s.observations for s in served])
    fitted = _Fitted.of(posterior, cumulative, recalibration, control)
    control.halt_if_asked()
    search = _search(fitted, state, spec, round_idx)
    control.halt_if_asked()
    registered, registered_draws = follow_segments(
        registered_segments(state.actions, len(state.rounds)),
        cumulative,
        fitted.scores,
        fitted.group_draws,
        recalibration,
    )
    progress.stage(Stage.PLAN)
    analysis = _analysis(fitted, search, registered, registered_draws, state, spec, round_idx)
    cells = _observed_cells(fitted, latest)
    dropped, revived = by_evidence(
        arm_evidence(round_idx, analysis) if analysis.converged else None,
        state.rounds,
        first,
        labels.currency,
    )
    n_latest = len(latest.observations)
    return Round(
        round_idx=round_idx,
        n_rounds=design.schedule.n_rounds,
        metric=labels.metric,
        currency=labels.currency,
        plan=latest.plan,
        observations=latest.observations,
        n_cumulative=len(cumulative),
        remembered_from=first,
        cell_observations=cells,
        analysis=analysis,
        next_recommendation=proposal(round_idx, analysis, dropped, design),
        dropped=dropped,
        revived=revived,
        truth_comparison=_compare_with_truth(
            served, design.arms, fitted.effects.cate, search, analysis.converged
        ),
        own_scores=DoublyRobustScores(
            fitted.scores.scores[-n_latest:], fitted.scores.floored, np.ones(n_latest)
        ),
        health=check_round(
            posterior,
            served,
            cumulative,
            fitted.scores,
            fitted.everyone,
            analysis.all_segments,
            cells,
            seed=round_seed(spec.seed, round_idx),
            currency=labels.currency,
            control=control,
        ),
        posterior=posterior,
        fit_seconds=time.monotonic() - started,
    )


@dataclass(frozen=True, eq=False)
class _Fitted:
    """What the fit says of all remembered visitors; every conclusion starts from it.

    Attributes:
        posterior: fitted on `cumulative`.
        cumulative: these visitors.
        effects: the model's means for each of them.
        scores: their doubly robust scores.
        modelled: draws of everyone's means as the model has them.
        everyone: the same as they are reported, recalibrated if an artifact holds.
        recalibration: what is done to draws; None if no artifact holds.
        control: can pause or cancel between steps.
    """

    posterior: Posterior
    cumulative: Observations
    effects: VisitorEffects
    scores: DoublyRobustScores
    modelled: GroupDraws
    everyone: GroupDraws
    recalibration: Recalibration | None
    control: Control

    @classmethod
    def of(
        cls,
        posterior: Posterior,
        cumulative: Observations,
        recalibration: Recalibration | None,
        control: Control,
    ) -> "_Fitted":
        x, e = cumulative.features, cumulative.propensity
        effects = posterior.predict(x, propensity=e, control=control)
        scores = doubly_robust_scores(cumulative, effects)
        modelled = posterior.effects(x, propensity=e, control=control)
        everyone = modelled if recalibration is None else recalibration.lifts(modelled, "ate")
        return cls(
            posterior, cumulative, effects, scores, modelled, everyone, recalibration, control
        )

    def group_draws(
        self, membership: Float[np.ndarray, "n groups"], groups: tuple[str, ...]
    ) -> GroupDraws:
        """Draws of the means of groups of these visitors."""
        return self.posterior.group_draws(
            self.cumulative.features,
            membership,
            groups,
            propensity=self.cumulative.propensity,
            control=self.control,
        )


def _search(fitted: _Fitted, state: State, spec: ExperimentSpec, round_idx: int) -> SegmentSearch:
    """The round's segments, given those of the round before."""
    design, before = spec.design, state.latest
    return discover_segments(
        fitted.cumulative,
        fitted.effects,
        fitted.group_draws,
        best_arm=design.arms[int(fitted.modelled.rpv[:, 0].mean(axis=0).argmax())],
        max_depth=design.max_segment_depth,
        min_segment_share=design.min_segment_share,
        seed=round_seed(spec.seed, round_idx),
        previous=before.analysis.segments if before else (),
        used_ids=frozenset(s.id for r in state.rounds for s in r.analysis.segments),
        recalibration=fitted.recalibration,
    )


def _analysis(
    fitted: _Fitted,
    search: SegmentSearch,
    registered: tuple[Segment, ...],
    registered_draws: GroupDraws | None,
    state: State,
    spec: ExperimentSpec,
    round_idx: int,
) -> RoundAnalysis:
    """Comparisons, segments as they are reported, and a verdict on every arm in each."""
    design, labels = spec.design, spec.labels
    cumulative, everyone = fitted.cumulative, fitted.everyone
    convergence = fitted.posterior.convergence(fitted.modelled)
    names = segment_names(state.actions)

    def checked(segments: Sequence[Segment], draws: GroupDraws) -> tuple[Segment, ...]:
        """With their names, and with whether the chains agree on them and on everyone."""
        return tuple(
            replace(
                segment,
                converged=convergence.ok and fitted.posterior.convergence(draws.of(g)).ok,
                name=names.get(segment.id, ""),
            )
            for g, segment in enumerate(segments)
        )

    search = replace(search, segments=checked(search.segments, search.draws))
    (of_everyone,) = checked([describe_everyone(cumulative, fitted.scores, everyone)], everyone)
    parts = [everyone]
    if search.targeting_pays:
        parts.append(search.draws)
    if registered_draws is not None:
        registered = checked(registered, registered_draws)
        parts.append(registered_draws)
    draws = GroupDraws.join(parts)
    verdicts = judge(
        draws,
        (of_everyone, *(search.segments if search.targeting_pays else ()), *registered),
        spec.thresholds,
        Horizon(
            round_idx,
            len(cumulative),
            design.schedule.next_round_size(round_idx + 1),
            labels.visitors_per_year,
        ),
        before=state.latest.analysis.verdicts if state.latest else (),
        currency=labels.currency,
    )
    contrast = aipw_contrast(fitted.scores)
    return RoundAnalysis(
        comparisons=compare_arms(
            everyone, 0, cumulative, contrast.lift, contrast.lift_se, of_everyone.claims
        ),
        everyone=of_everyone,
        search=search,
        registered=registered,
        draws=draws,
        best_arm_rpv=Estimate.from_draws(
            everyone.rpv[:, 0, design.arms.index(search.best_arm)].astype(float)
        ),
        recommendation=_main(verdicts, most_promising(everyone, 0, spec.thresholds)),
        verdicts=verdicts,
        currency=labels.currency,
        recalibration=fitted.recalibration,
        converged=convergence.ok,
        convergence=convergence,
    )


def _observed_cells(fitted: _Fitted, latest: Served) -> tuple[CellObservation, ...]:
    """How each cell of the latest round did."""
    seen = latest.observations
    groups = cell_groups(latest.plan, seen)
    draws = fitted.posterior.group_draws(
        seen.features,
        groups.membership,
        groups.names,
        propensity=seen.propensity,
        control=fitted.control,
    )
    if fitted.recalibration is not None:
        draws = fitted.recalibration.lifts(draws, "ate")
    return observe_cells(latest.plan, seen, groups, draws)


def _main(verdicts: Sequence[Verdict], treatment: str) -> Recommendation:
    """Everyone's verdict on a treatment."""
    return next(v.recommendation for v in verdicts if v.arm == treatment)


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
    # who fits no segment is served the best single arm
    arm_of_segment = np.array(
        [*(code[s.recommended_arm] for s in search.segments), code[search.best_arm]]
    )
    found = compare_with_truth(concat_truth(truths), cate, arm_of_segment[search.membership])
    return replace(found, converged=converged)
