"""A segment's figures from posterior draws and held-out visitors."""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.decisions import Segment
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.rules import Rule
from pytyche_engine.contracts.scores import DoublyRobustScores
from pytyche_engine.segments.honest import HeldOut, claims, held_out_lift
from pytyche_engine.segments.identity import EVERYONE


def describe_segment(
    observations: Observations,
    draws: GroupDraws,
    group: int,
    members: Bool[np.ndarray, " n"],
    held: HeldOut,
    *,
    rule: Rule,
    found_in: int,
    first_seen: int,
    arm: str | None = None,
    stability: float = math.nan,
    rearmed: bool = False,
) -> Segment:
    """A segment with everything that is known of it.

    Args:
        observations: n visitors, all rounds so far.
        draws: draws of group means.
        group: the segment's place among them; its name there is the segment's id.
        members: (n,) who belongs.
        held: what visitors who did not choose it say.
        rule: as in `Segment`, like the next two.
        found_in: index of the round that chose the rule.
        first_seen: index of the round in which a segment of this id was first found.
        arm: the arm that it is given; by default the one most probably best.
        stability: share of refits that find it again; nan where none looked for it.
        rearmed: whether it stayed, but got another arm in the latest round.
    """
    arms = observations.arms
    rpv = draws.rpv[:, group]
    lift = rpv[:, 1:] - rpv[:, :1]
    best = best_probabilities(draws, group)
    segment = Segment(
        id=draws.groups[group],
        rule=rule,
        population_share=float(members.mean()),
        n_visitors=int(members.sum()),
        n_converted=int(observations.converted[members].sum()),
        recommended_arm=max(best, key=lambda a: best[a]) if arm is None else arm,
        gates={a: Estimate.from_draws(lift[:, t]) for t, a in enumerate(arms[1:])},
        arm_best_probabilities=best,
        stability_score=stability,
        claims={},
        claim_reason="",
        probability_positive={a: float((lift[:, t] > 0).mean()) for t, a in enumerate(arms[1:])},
        found_in=found_in,
        first_seen=first_seen,
        held_out=held.lift,
        held_out_rows=held.n_rows,
    )
    latest = int(observations.round_index.max())
    found = claims(segment, held, latest, rearmed=rearmed)
    levels: dict[str, ClaimLevel] = {a: level for a, (level, _) in found.items()}
    return replace(segment, claims=levels, claim_reason=found[segment.gate_arm][1])


def describe_everyone(
    observations: Observations, dr: DoublyRobustScores, everyone: GroupDraws
) -> Segment:
    """Everyone as a segment, which no data chose.

    Args:
        observations: n visitors, all rounds so far.
        dr: their doubly robust scores.
        everyone: posterior draws of everyone's means, as the only group.
    """
    rows = np.ones(len(observations), dtype=bool)
    first = int(observations.round_index.min())
    return describe_segment(
        observations,
        replace(everyone, groups=(EVERYONE,)),
        0,
        rows,
        held_out_lift(observations, dr, rows),
        rule=Rule(),
        found_in=first,
        first_seen=first,
    )


def best_probabilities(draws: GroupDraws, group: int) -> dict[str, float]:
    """Per arm, the share of draws in which its RPV is the highest in the group."""
    best = draws.rpv[:, group].argmax(axis=1)
    shares = np.bincount(best, minlength=len(draws.arms)) / len(best)
    return dict(zip(draws.arms, map(float, shares), strict=True))
