"""Which segments to serve, which arm to give each, and what is known of each."""

from collections.abc import Callable, Collection

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.decisions import Segment, SegmentSearch
from pytyche_engine.contracts.effects import GroupDraws, VisitorEffects
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.policies import MAX_DEPTH
from pytyche_engine.contracts.recalibration import Recalibration
from pytyche_engine.segments.choice import choose_tree, draw_folds, search_scores
from pytyche_engine.segments.described import describe_segment
from pytyche_engine.segments.division import divide_anew, keep_segments
from pytyche_engine.segments.honest import held_out_lift
from pytyche_engine.segments.incumbent import find_incumbent, stays
from pytyche_engine.segments.leaning import lean_on_held_out
from pytyche_engine.segments.scores import doubly_robust_scores
from pytyche_engine.segments.stability import stability_scores


def discover_segments(
    observations: Observations,
    effects: VisitorEffects,
    group_draws: Callable[[Float[np.ndarray, "n groups"], tuple[str, ...]], GroupDraws],
    *,
    best_arm: str | None = None,
    max_depth: int = 3,
    min_segment_share: float = 0.10,
    seed: int = 0,
    n_refits: int = 50,
    previous: tuple[Segment, ...] = (),
    used_ids: Collection[str] = (),
    recalibration: Recalibration | None = None,
) -> SegmentSearch:
    """Divide visitors as in the round before, by a new policy tree, or not at all.

    A tree of any depth is searched anew and pays or does not: `choice.choose_tree`. The segments
    of the round before stay unless they do not pay any more or the new tree is clearly better:
    `incumbent.stays`. Segments that share members keep their id: `identity.carry_over`. What
    stability means is written at `stability.stability_scores`.

    GATEs and P(best) come from `group_draws`, which is called once, and so from all visitors.
    Beside them stand estimates on visitors who did not choose the segment: of later rounds for
    rules that were kept, cross-fitted for new ones, everyone for one segment. With several
    segments the draws lean on these (`leaning.lean_on_held_out`); `honest.claims` says what they
    support. Cross-fitted trees share one fitted model that has seen all rows; AIPW corrections
    undo that to first order only, so values and estimates lean to the model's side where it
    overfits.

    Args:
        observations: n visitors, all rounds so far.
        effects: the model's posterior means and spreads for the same visitors.
        group_draws: posterior draws for weighted groups, from an (n, G) membership and G
            names.
        best_arm: the arm to give to everyone if everyone gets the same; by default the one
            with the highest posterior mean RPV in `effects`.
        max_depth: most questions on a path, 0 to 3.
        min_segment_share: smallest share of visitors in a segment, up to 0.5.
        seed: of folds and refits.
        n_refits: refits for the stability scores.
        previous: segments of the round before, as they came from here.
        used_ids: ids that segments of any earlier round had.
        recalibration: what is done to the draws, and to what targeting is worth, at the end.

    Raises:
        DesignError: if a setting is out of range, effects are of other visitors, or previous
            segments are of the latest round.
        TruthError: if ground truth is passed for observations.
    """
    if not 0 <= max_depth <= MAX_DEPTH:
        raise DesignError(f"The segment depth is {max_depth}; use 0 to {MAX_DEPTH}.")
    if not 0 < min_segment_share <= 0.5:
        raise DesignError(
            f"The smallest segment share is {min_segment_share}; use a share over 0, up to 0.5."
        )
    dr = doubly_robust_scores(observations, effects)
    scores = search_scores(dr, effects)
    arms = observations.arms
    best = int(np.argmax(effects.rpv.mean(axis=0))) if best_arm is None else arms.index(best_arm)
    fold_seed, refit_seed = (int(s) for s in np.random.SeedSequence(seed).generate_state(2))
    fold = draw_folds(observations.arm, fold_seed)
    new = choose_tree(observations, effects, dr, best, max_depth, min_segment_share, fold)
    incumbent = find_incumbent(previous, observations, dr, scores, best, fold)
    division = (
        keep_segments(incumbent, arms, arms[best], int(observations.round_index.max()))
        if incumbent is not None and stays(incumbent, new, dr.weight)
        else divide_anew(new, incumbent, used_ids, observations, fold, dr.weight, arms[best])
    )
    stability = stability_scores(
        division.membership,
        [part.arm for part in division.parts],
        observations.features,
        observations.schema,
        scores,
        effects.cate_sd,
        min(division.depth, max_depth),
        min_segment_share,
        refit_seed,
        n_refits,
    )
    members = division.membership[:, None] == np.arange(len(division.parts))
    draws = group_draws(members.astype(float), tuple(part.id for part in division.parts))
    held = [held_out_lift(observations, dr, division.held_out == i) for i in range(len(members.T))]
    if len(division.parts) > 1:
        draws = lean_on_held_out(draws, held)
    value = division.value
    if recalibration is not None:
        # One segment for everyone is no discovery.
        draws = recalibration.lifts(draws, "gate" if len(division.parts) > 1 else "ate")
        value = recalibration.worth(value)
    segments = tuple(
        describe_segment(
            observations,
            draws,
            i,
            members[:, i],
            held[i],
            rule=part.rule,
            found_in=part.found_in,
            first_seen=part.first_seen,
            arm=arms[part.arm],
            stability=stability[i],
            rearmed=part.rearmed,
        )
        for i, part in enumerate(division.parts)
    )
    return SegmentSearch(
        segments=segments,
        membership=division.membership,
        best_arm=arms[best],
        value_of_targeting=value,
        value_claim=division.value_claim,
        targeting_pays=len(segments) > 1,
        draws=draws,
        reason=division.reason,
    )
