"""One verdict for every treatment in every segment."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.decisions import Decision, Recommendation
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.money import money
from pytyche_engine.contracts.rules import Rule
from pytyche_engine.contracts.thresholds import DecisionThresholds
from pytyche_engine.contracts.verdicts import Verdict, Worth
from pytyche_engine.decisions.recommendation import recommend


@dataclass(frozen=True)
class Judged:
    """A group that verdicts are about.

    Attributes:
        segment: its id, or ``"everyone"``.
        rule: who belongs.
        share: its share of all visitors.
        claim_level: what supports its estimates.
        converged: whether the sampler met its limits for the group.
    """

    segment: str
    rule: Rule
    share: float
    claim_level: ClaimLevel
    converged: bool


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
    groups: Sequence[Judged],
    thresholds: DecisionThresholds,
    horizon: Horizon,
    *,
    before: Sequence[Verdict] = (),
    currency: str = "$",
) -> tuple[Verdict, ...]:
    """A verdict on every treatment of every group.

    The verdict is that of `recommend`, with one thing more: a segment that was found and
    estimated on the same rows cannot ship, however good it looks there.

    Args:
        draws: posterior draws of the groups' means, in the order of `groups`.
        groups: what is judged.
        thresholds: when evidence is enough.
        horizon: the round, and the visitors that money is summed over.
        before: the verdicts of the round before, to say what changed.
        currency: symbol for money in sentences.

    Returns:
        Group by group, treatments in their order.

    Raises:
        DesignError: if draws and groups differ in number.
    """
    if len(draws.groups) != len(groups):
        raise DesignError(f"{len(groups)} groups are judged by draws of {len(draws.groups)}.")
    known = {(v.segment, v.arm): v for v in before}
    seen = {v.segment for v in before}
    verdicts = []
    for g, group in enumerate(groups):
        for treatment in draws.arms[1:]:
            found = recommend(
                draws,
                g,
                thresholds,
                n_so_far=horizon.n_so_far,
                next_size=horizon.next_size,
                converged=group.converged,
                treatment=treatment,
                currency=currency,
            )
            found = _held_back(found, group, horizon)
            old = known.get((group.segment, treatment))
            verdicts.append(
                Verdict(
                    segment=group.segment,
                    rule=group.rule,
                    recommendation=found,
                    claim_level=group.claim_level,
                    worth=worth(found.lift, group.share, horizon),
                    changed=_change(found, old, group, group.segment in seen, horizon, currency),
                )
            )
    return tuple(verdicts)


def worth(lift: Estimate, share: float, horizon: Horizon) -> Worth:
    """A lift per visitor, summed over a segment's part of the next round and of a year."""

    def total(visitors: int | None) -> Estimate | None:
        return None if visitors is None else lift.times(share * visitors)

    return Worth(lift, total(horizon.next_size), total(horizon.visitors_per_year))


def _held_back(found: Recommendation, group: Judged, horizon: Horizon) -> Recommendation:
    """SHIP is not said on exploratory evidence."""
    if found.decision is not Decision.SHIP or group.claim_level is not ClaimLevel.EXPLORATORY:
        return found
    later = (
        "The schedule has no next round that could confirm it: extend it."
        if horizon.next_size is None
        else "The next round's visitors can confirm it."
    )
    return replace(
        found,
        decision=Decision.CONTINUE,
        reason=(
            f"'{found.treatment}' would pass every limit in {group.segment}, but the segment was "
            f"found on the rows that estimate it, so its claim is exploratory. {later}"
        ),
    )


def _change(
    found: Recommendation,
    old: Verdict | None,
    group: Judged,
    was_there: bool,
    horizon: Horizon,
    currency: str,
) -> str:
    """What is different from the round before."""
    if old is None:
        if horizon.round_index == 0:
            return ""
        return "" if was_there else f"{group.segment} is new in round {horizon.round_index + 1}."
    then = old.recommendation
    moved = (
        f"its estimated lift went from {money(then.lift.mean, currency)} to "
        f"{money(found.lift.mean, currency)} per visitor"
    )
    if old.rule != group.rule:
        moved += f", while its rule changed from {old.rule}"
    if then.decision is found.decision:
        return f"Since the round before, the verdict stands and {moved}."
    return f"Since the round before, the verdict changed from {then.decision} and {moved}."
