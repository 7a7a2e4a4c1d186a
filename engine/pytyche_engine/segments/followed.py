"""Registered segments: rules that are followed whatever the policy tree finds."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.actions import RegisterSegment
from pytyche_engine.contracts.decisions import Segment
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.recalibration import Recalibration
from pytyche_engine.contracts.scores import DoublyRobustScores
from pytyche_engine.segments.described import describe_segment
from pytyche_engine.segments.honest import held_out_lift
from pytyche_engine.segments.leaning import lean_on_held_out


def follow_segments(
    registered: Sequence[RegisterSegment],
    observations: Observations,
    dr: DoublyRobustScores,
    group_draws: Callable[[Float[np.ndarray, "n groups"], tuple[str, ...]], GroupDraws],
    recalibration: Recalibration | None = None,
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
        recalibration: what is done to the draws at the end.

    Returns:
        One segment for each rule that holds for anybody, and None for draws without any.
    """
    members = {r.segment: r.rule.matches(observations.features) for r in registered}
    held = [r for r in registered if members[r.segment].any()]
    if not held:
        return (), None
    ids = tuple(r.segment for r in held)
    draws = group_draws(np.column_stack([members[i] for i in ids]).astype(float), ids)
    later = [
        held_out_lift(
            observations, dr, members[r.segment] & (observations.round_index >= r.made_after)
        )
        for r in held
    ]
    draws = lean_on_held_out(draws, later)
    if recalibration is not None:
        draws = recalibration.lifts(draws, "gate")
    segments = []
    for g, its in enumerate(held):
        described = describe_segment(
            observations,
            draws,
            g,
            members[its.segment],
            later[g],
            rule=its.rule,
            found_in=its.made_after - 1,
            first_seen=its.made_after,
        )
        segments.append(described)
    return tuple(segments), draws
