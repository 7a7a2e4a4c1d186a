"""Evidence of past rounds on the latest round's segments."""

from collections.abc import Mapping, Sequence

import numpy as np

from pytyche_engine.contracts.decisions import GraduationCandidate, Segment
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.errors import ClaimError, DesignError
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.observations import concat
from pytyche_engine.contracts.rules import Rule
from pytyche_engine.contracts.served import Served
from pytyche_engine.decisions import (
    ExpectedLossRule,
    RoundEvidence,
    graduation_candidates,
    lacking,
    require_claim,
)
from pytyche_engine.experiment.round import Round
from pytyche_engine.experiment.state import State, remembered
from pytyche_engine.segments import held_out_lift


class CandidateCache:
    """Which pairs may graduate; the answer is kept until something changes."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int | None], tuple[GraduationCandidate, ...]] = {}

    def candidates(
        self, state: State, rule: ExpectedLossRule, currency: str, sustained_rounds: int | None
    ) -> tuple[GraduationCandidate, ...]:
        """Pairs of the latest round's segments, everyone included, that meet the rule.

        Rounds that were fitted to what is forgotten by now are no evidence any more.
        """
        if state.latest is None:
            return ()
        key = (len(state.rounds), len(state.actions), sustained_rounds)
        if key not in self._known:
            first = state.remembered_from
            self._known[key] = graduation_candidates(
                state.latest.analysis.all_segments,
                [
                    _round_evidence(done, remembered(state.served[: i + 1], first))
                    for i, done in enumerate(state.rounds)
                    if done.remembered_from == first
                ],
                rule,
                next_size=state.latest.next_recommendation.n_visitors,
                sustained_rounds=sustained_rounds,
                currency=currency,
            )
        return self._known[key]


def promoted(
    treatment: str,
    segment: Segment,
    candidates: Sequence[GraduationCandidate],
) -> GraduationCandidate:
    """The candidate for a pair.

    Args:
        treatment: the arm.
        segment: a segment of the latest round.
        candidates: pairs that meet the graduation rule.

    Raises:
        ClaimError: if the segment is exploratory, or the pair does not meet the rule.
        DesignError: if the arm is not a treatment.
    """
    if treatment not in segment.gates:
        raise DesignError(f"'{treatment}' is not a treatment; they are {list(segment.gates)}.")
    require_claim(segment)
    for candidate in candidates:
        if (candidate.treatment, candidate.segment.id) == (treatment, segment.id):
            return candidate
    why = lacking(segment, treatment) or (
        "It did not deserve SHIP under the graduation rule in enough consecutive rounds."
    )
    raise ClaimError(f"'{treatment}' for {segment.label} is no graduation candidate. {why}")


def _round_evidence(done: Round, served: Sequence[Served]) -> RoundEvidence:
    def draws(rules: Sequence[Rule]) -> GroupDraws:
        analysis = done.analysis
        own = {s.rule: g for g, s in enumerate(analysis.all_segments)}
        asked = {rule: None for rule in rules if rule not in own}
        if not asked:
            return GroupDraws.join([analysis.draws.of(own[rule]) for rule in rules])
        later = _by_posterior(done, served, tuple(asked))
        if analysis.recalibration is not None:
            later = analysis.recalibration.lifts(later, "gate")
        place = {rule: g for g, rule in enumerate(asked)}
        return GroupDraws.join(
            [
                analysis.draws.of(own[rule]) if rule in own else later.of(place[rule])
                for rule in rules
            ]
        )

    def own_lifts(rule: Rule) -> Mapping[str, Estimate]:
        rows = rule.matches(done.observations.features)
        return held_out_lift(done.observations, done.own_scores, rows).lift

    return RoundEvidence(
        round_index=done.round_idx,
        n_cumulative=done.n_cumulative,
        converged=done.analysis.converged,
        draws=draws,
        own_lifts=own_lifts,
    )


def _by_posterior(done: Round, served: Sequence[Served], rules: Sequence[Rule]) -> GroupDraws:
    """What a round's posterior says about rules that were not among its segments.

    A rule that holds for none of the visitors gets a group of size 0, with draws of zero.
    """
    seen = concat([s.observations for s in served])
    membership = np.column_stack([rule.matches(seen.features) for rule in rules]).astype(float)
    held = np.flatnonzero(membership.any(axis=0))
    names = tuple(map(str, rules))
    some = done.posterior.group_draws(
        seen.features,
        membership[:, held],
        tuple(names[i] for i in held),
        propensity=seen.propensity,
    )

    def spread(values: np.ndarray) -> np.ndarray:
        full = np.zeros((values.shape[0], len(rules), values.shape[2]))
        full[:, held] = values
        return full

    size = np.zeros(len(rules))
    size[held] = some.size
    return GroupDraws(
        arms=some.arms,
        groups=names,
        size=size,
        chain=some.chain,
        conversion=spread(some.conversion),
        rpv=spread(some.rpv),
        conversion_part=spread(some.conversion_part),
        severity_part=spread(some.severity_part),
    )
