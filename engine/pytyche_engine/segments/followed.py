"""Registered segments: rules that are followed whatever the policy tree finds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.actions import RegisterSegment
from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.decisions import DoublyRobustScores, Segment
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.segments.honest import claim, held_out_lift


def follow_segments(
    registered: Sequence[RegisterSegment],
    observations: Observations,
    dr: DoublyRobustScores,
    group_draws: Callable[[Float[np.ndarray, "n groups"], tuple[str, ...]], GroupDraws],
) -> tuple[tuple[Segment, ...], GroupDraws | None]:
    """Figures of registered segments, and the draws that they come from.

    The visitors of rounds after the registration did not choose the rule, so that they can
    confirm it. No refit looks for these segments: their stability is nan. A rule that holds
    for nobody is left out.

    Args:
        registered: what is followed.
        observations: n visitors, all remembered rounds.
        dr: their doubly robust scores.
        group_draws: posterior draws for weighted groups, as for `discover_segments`.

    Returns:
        One segment for each rule that holds for anybody, and None for draws without any.
    """
    members = {r.segment: r.rule.matches(observations.features) for r in registered}
    held = [r for r in registered if members[r.segment].any()]
    if not held:
        return (), None
    ids = tuple(r.segment for r in held)
    draws = group_draws(np.column_stack([members[i] for i in ids]).astype(float), ids)
    arms, latest = observations.arms, int(observations.round_index.max())
    segments = []
    for g, its in enumerate(held):
        mine = members[its.segment]
        rpv = draws.rpv[:, g]
        lift = rpv[:, 1:] - rpv[:, :1]
        p_best = np.bincount(rpv.argmax(axis=1), minlength=len(arms)) / len(rpv)
        found_in = its.made_after - 1
        later = held_out_lift(observations, dr, mine & (observations.round_index > found_in))
        segment = Segment(
            id=its.segment,
            name=its.name,
            rule=its.rule,
            population_share=float(mine.mean()),
            n_visitors=int(mine.sum()),
            n_converted=int(observations.converted[mine].sum()),
            recommended_arm=arms[int(p_best.argmax())],
            gates={a: Estimate.from_draws(lift[:, t]) for t, a in enumerate(arms[1:])},
            arm_best_probabilities=dict(zip(arms, p_best.tolist(), strict=True)),
            stability_score=math.nan,
            claim_level=ClaimLevel.EXPLORATORY,
            probability_positive={
                a: float((lift[:, t] > 0).mean()) for t, a in enumerate(arms[1:])
            },
            found_in=found_in,
            first_seen=found_in,
            held_out=later.lift,
            held_out_rows=later.n_rows,
        )
        level, reason = claim(segment, later, latest)
        segments.append(replace(segment, claim_level=level, claim_reason=reason))
    return tuple(segments), draws
