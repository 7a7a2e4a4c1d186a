"""One verdict for every treatment in every segment."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.decisions import Decision, Recommendation, Segment
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.money import money
from pytyche_engine.contracts.thresholds import DecisionThresholds
from pytyche_engine.contracts.verdicts import Verdict, Worth
from pytyche_engine.decisions.recommendation import recommend


@dataclass(frozen=True)
class Horizon:
    """What the verdicts of a round look back and ahead on.

    Attributes:
        round_index: the round they are given in, from 0.
        n_so_far: visitors behind the posterior.
        next_size: visitors of the schedule's next round, None when there is none.
        visitors_per_year: of the operator, None where it was not said.
    """

    round_index: int
    n_so_far: int
    next_size: int | None
    visitors_per_year: int | None


def judge(
    draws: GroupDraws,
    segments: Sequence[Segment],
    thresholds: DecisionThresholds,
    horizon: Horizon,
    *,
    before: Sequence[Verdict] = (),
    currency: str = "$",
) -> tuple[Verdict, ...]:
    """A verdict on every treatment of every segment.

    The verdict is that of `recommend`, with one thing more: what rests on an exploratory claim
    cannot ship, however good it looks.

    Args:
        draws: posterior draws of the segments' means, in their order.
        segments: what is judged; everyone may be one of them.
        thresholds: when evidence is enough.
        horizon: the round, and the visitors that money is summed over.
        before: the verdicts of the round before, to say what changed.
        currency: symbol for money in sentences.

    Returns:
        Segment by segment, treatments in their order.

    Raises:
        DesignError: if draws and segments differ in number.
    """
    if len(draws.groups) != len(segments):
        raise DesignError(f"{len(segments)} segments are judged by draws of {len(draws.groups)}.")
    known = {(v.segment.id, v.arm): v for v in before}
    verdicts = []
    for g, segment in enumerate(segments):
        for treatment in draws.arms[1:]:
            found = recommend(
                draws,
                g,
                thresholds,
                n_so_far=horizon.n_so_far,
                next_size=horizon.next_size,
                converged=segment.converged,
                treatment=treatment,
                currency=currency,
            )
            found = _held_back(found, segment, horizon)
            old = known.get((segment.id, treatment))
            verdicts.append(
                Verdict(
                    segment,
                    found,
                    worth(found.lift, segment.population_share, horizon),
                    _change(found, old, segment, horizon, currency),
                )
            )
    return tuple(verdicts)


def worth(lift: Estimate, share: float, horizon: Horizon) -> Worth:
    """A lift per visitor, summed over a segment's part of the next round and of a year."""

    def total(visitors: int | None) -> Estimate | None:
        return None if visitors is None else lift.times(share * visitors)

    return Worth(lift, total(horizon.next_size), total(horizon.visitors_per_year))


def _held_back(found: Recommendation, segment: Segment, horizon: Horizon) -> Recommendation:
    """SHIP is not said on exploratory evidence."""
    treatment = found.treatment
    if (
        found.decision is not Decision.SHIP
        or segment.claims[treatment] is not ClaimLevel.EXPLORATORY
    ):
        return found
    later = (
        "There is no next round that could settle it: extend the schedule."
        if horizon.next_size is None
        else "The next round's visitors can settle it."
    )
    why = segment.claim_reason if treatment == segment.gate_arm else "Too few orders to tell apart."
    return replace(
        found,
        decision=Decision.CONTINUE,
        reason=(
            f"'{treatment}' would pass every limit, but the claim on it is exploratory. {why} "
            f"{later}"
        ),
    )


def _change(
    found: Recommendation,
    old: Verdict | None,
    segment: Segment,
    horizon: Horizon,
    currency: str,
) -> str:
    """What is different from the round before."""
    if old is None:
        new = horizon.round_index > 0
        return f"{segment.label} is new in round {horizon.round_index + 1}." if new else ""
    then = old.recommendation
    moved = (
        f"its estimated lift went from {money(then.lift.mean, currency)} to "
        f"{money(found.lift.mean, currency)} per visitor"
    )
    if old.segment.rule != segment.rule:
        moved += f", while the rule changed from {old.segment.rule}"
    if then.decision is found.decision:
        return f"Since the round before, the verdict stands and {moved}."
    return f"Since the round before, the verdict changed from {then.decision} and {moved}."
