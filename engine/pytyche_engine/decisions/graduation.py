"""Which (treatment, segment) pairs are ready for the operator to ship."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.decisions import (
    Decision,
    GraduationCandidate,
    Recommendation,
    Segment,
    SustainedRound,
)
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.errors import ClaimError, DesignError
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.rules import Rule
from pytyche_engine.contracts.thresholds import (
    DecisionThresholds,
    Limit,
    check_chances,
    check_limits,
)
from pytyche_engine.decisions.recommendation import recommend


@dataclass(frozen=True)
class ExpectedLossRule:
    """A pair graduates once it deserves SHIP in several consecutive rounds.

    Attributes:
        expected_loss_max: expected loss per visitor that shipping may cost; a share of the
            control RPV in the segment, or ``Money(...)``.
        p_positive_threshold: P(lift > 0) must be above this.
        p_better_threshold: P(lift > practical effect) must be above this.
        sustained_rounds: consecutive rounds, the latest included, that must pass.
        practical_effect: smallest lift worth having, in the same terms.
    """

    expected_loss_max: Limit = 0.004
    p_positive_threshold: float = 0.95
    p_better_threshold: float = 0.80
    sustained_rounds: int = 2
    practical_effect: Limit = 0.01

    def __post_init__(self) -> None:
        check_sustained_rounds(self.sustained_rounds)
        owner = "the graduation rule"
        chances = ("p_positive_threshold", "p_better_threshold")
        check_chances(owner, {name: getattr(self, name) for name in chances})
        limits = ("expected_loss_max", "practical_effect")
        check_limits(owner, {name: getattr(self, name) for name in limits})

    @property
    def thresholds(self) -> DecisionThresholds:
        """The same limits, as a verdict takes them."""
        return DecisionThresholds(
            practical_effect=self.practical_effect,
            loss_tolerance=self.expected_loss_max,
            p_positive=self.p_positive_threshold,
            p_better=self.p_better_threshold,
        )


@dataclass(frozen=True)
class RoundEvidence:
    """What one round's own posterior can say about any rule.

    Attributes:
        round_index: the round, from 0.
        n_cumulative: visitors behind that posterior.
        converged: whether its fit converged; an unconverged round never passes.
        draws: group draws of that round's posterior, one group for each rule in their order,
            over the visitors it had seen. A rule that held for nobody has size 0.
        own_lifts: each treatment's AIPW lift among the round's own visitors whom a rule holds
            for; treatments with too few converters among them are left out.
    """

    round_index: int
    n_cumulative: int
    converged: bool
    draws: Callable[[Sequence[Rule]], GroupDraws]
    own_lifts: Callable[[Rule], Mapping[str, Estimate]]


def graduation_candidates(
    segments: Sequence[Segment],
    rounds: Sequence[RoundEvidence],
    rule: ExpectedLossRule,
    *,
    next_size: int | None,
    sustained_rounds: int | None = None,
    currency: str = "$",
) -> tuple[GraduationCandidate, ...]:
    """Pairs whose evidence passed in the latest consecutive rounds.

    Each segment of the latest round is put to every past round's posterior by its rule.
    A pair passes a round if the verdict on it there is SHIP under the rule's limits. Rounds
    share data (a posterior is about all rounds so far), so sustained evidence is stable
    evidence, not independent evidence.

    Rounds before the one that found a segment's rule do not count: they are among what chose it.
    Exploratory claims are passed over, as are segments on which the chains do not agree, and
    treatments whose lift is not above zero on visitors who did not choose the segment: what the
    posterior says of a segment that its own rows chose is no ground for shipping.

    Args:
        segments: the latest round's segments.
        rounds: evidence of every round, oldest first.
        rule: what a pair must fulfil.
        next_size: visitors of the schedule's next round, None when there is none.
        sustained_rounds: overrides the rule's.
        currency: symbol for money in the reasons.

    Returns:
        In the order of the segments, within one the smallest expected loss first.

    Raises:
        DesignError: if `sustained_rounds` is not a whole number of 1 or more.
    """
    required = rule.sustained_rounds if sustained_rounds is None else sustained_rounds
    check_sustained_rounds(required)
    segments = [
        s for s in segments if s.converged and max(s.claims.values()) >= ClaimLevel.HONEST_ESTIMATE
    ]
    if len(rounds) < required or not segments:
        return ()
    rules = [segment.rule for segment in segments]
    held: dict[tuple[int, str], list[SustainedRound]] = {}
    for back, evidence in enumerate(reversed(rounds)):
        passed = _passing(evidence, rules, rule.thresholds, next_size, currency)
        # A rule is no sustained finding in rounds before the one that chose it.
        unbroken = [
            pair
            for pair in passed
            if (back == 0 or len(held.get(pair, ())) == back)
            and evidence.round_index >= _counted_from(segments[pair[0]])
        ]
        for s, treatment in unbroken:
            own = evidence.own_lifts(rules[s]).get(treatment)
            found = SustainedRound(evidence.round_index, passed[s, treatment], own)
            held.setdefault((s, treatment), []).append(found)
        if not unbroken:
            break
    candidates = [
        (s, GraduationCandidate(treatment, segments[s], tuple(reversed(found))))
        for (s, treatment), found in held.items()
        if len(found) >= required and not lacking(segments[s], treatment)
    ]
    candidates.sort(key=lambda c: (c[0], c[1].latest_recommendation.expected_loss_if_shipped))
    return tuple(candidate for _, candidate in candidates)


def lacking(segment: Segment, treatment: str) -> str:
    """What keeps a pair from graduating whatever the rounds say, one sentence; empty if nothing.

    Args:
        segment: of the latest round.
        treatment: the arm.
    """
    if not segment.converged:
        return "The chains of the fit do not agree on it yet."
    level = segment.claims[treatment]
    if level < ClaimLevel.HONEST_ESTIMATE:
        return f"Its claim is {level.label}. {segment.claim_reason}".rstrip()
    if treatment not in segment.held_out:
        return "Too few of its visitors who did not choose it spent anything."
    if not segment.held_out[treatment].mean > 0:
        return "Its lift is not above zero among visitors who did not choose it."
    return ""


def _counted_from(segment: Segment) -> int:
    """Index of the first round that counts: the one that found the rule, or the first at all."""
    return segment.found_in if segment.rule.clauses else 0


def require_claim(segment: Segment, at_least: ClaimLevel = ClaimLevel.HONEST_ESTIMATE) -> None:
    """Raise ClaimError unless a segment's claim level is high enough.

    Args:
        segment: whose estimates a conclusion is to rest on.
        at_least: the lowest claim level that will do.

    Raises:
        ClaimError: with the reason for the segment's level.
    """
    if segment.claim_level >= at_least:
        return
    why = segment.claim_reason or "Found and estimated on the same visitors."
    needed = f"'{at_least.label}' is needed here"
    if at_least is ClaimLevel.CONFIRMED:
        mend = "rounds after the one that found the segment have to estimate it"
    else:
        mend = "visitors who did not choose the segment have to estimate it"
    raise ClaimError(
        f"Segment '{segment.id}' ({segment.rule}) is {segment.claim_level.label}: {why} {needed}: "
        f"{mend}. Another round can bring that."
    )


def check_sustained_rounds(value: int) -> None:
    """Raise DesignError unless it is a whole number of rounds, 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise DesignError(f"'sustained_rounds' is {value!r}; use a whole number, 1 or more.")


def _passing(
    evidence: RoundEvidence,
    rules: Sequence[Rule],
    thresholds: DecisionThresholds,
    next_size: int | None,
    currency: str,
) -> dict[tuple[int, str], Recommendation]:
    """The (position of the segment, treatment) pairs that deserve SHIP in one round."""
    if not evidence.converged:
        return {}
    draws = evidence.draws(rules)
    passed = {}
    for s in range(len(rules)):
        if draws.size[s] == 0:
            continue
        for treatment in draws.arms[1:]:
            verdict = recommend(
                draws,
                s,
                thresholds,
                n_so_far=evidence.n_cumulative,
                next_size=next_size,
                converged=evidence.converged,
                treatment=treatment,
                currency=currency,
            )
            if verdict.decision is Decision.SHIP:
                passed[s, treatment] = verdict
    return passed
