"""Which segments to serve, which arm to give each, and what is known of each."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.decisions import Segment, SegmentSearch
from pytyche_engine.contracts.effects import GroupDraws, VisitorEffects
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.segments.choice import choose_tree, search_scores
from pytyche_engine.segments.scores import doubly_robust_scores
from pytyche_engine.segments.search import MAX_DEPTH
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
) -> SegmentSearch:
    """Search policy trees of every depth and keep one only if routing by it pays.

    How the tree is chosen, and what the value of targeting is, is written at
    `choice.choose_tree`; stability at `stability.stability_scores`. The folds of the
    cross-fitted value share one fitted model that has seen all rows. AIPW corrections undo
    that to first order only, so the value leans to the optimistic side where the model
    overfits.

    GATEs and P(best) come from `group_draws`, which is called once. Segments found on the
    rows that also estimate them are claimed as exploratory. One segment for everyone was not
    chosen by the data, so its GATEs are honest estimates.

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

    Raises:
        DesignError: if a setting is out of range, or effects are of other visitors.
    """
    if not 0 <= max_depth <= MAX_DEPTH:
        raise DesignError(f"The segment depth is {max_depth}; use 0 to {MAX_DEPTH}.")
    if not 0 < min_segment_share <= 0.5:
        raise DesignError(
            f"The smallest segment share is {min_segment_share}; use a share over 0, up to 0.5."
        )
    dr = doubly_robust_scores(observations, effects)
    best = (
        int(np.argmax(effects.rpv.mean(axis=0)))
        if best_arm is None
        else observations.arms.index(best_arm)
    )
    fold_seed, refit_seed = (int(s) for s in np.random.SeedSequence(seed).generate_state(2))
    choice = choose_tree(observations, effects, dr, best, max_depth, min_segment_share, fold_seed)
    leaf = choice.tree.assign(observations.features)
    by_size = np.argsort(-np.bincount(leaf, minlength=len(choice.tree.leaves)), kind="stable")
    membership = np.argsort(by_size)[leaf]
    leaves = [choice.tree.leaves[i] for i in by_size]
    stability = stability_scores(
        membership,
        [leaf.arm for leaf in leaves],
        observations.features,
        observations.schema,
        search_scores(dr, effects),
        effects.cate_sd,
        choice.depth,
        min_segment_share,
        refit_seed,
        n_refits,
    )
    names = tuple(f"S{i + 1}" for i in range(len(leaves)))
    members = membership[:, None] == np.arange(len(leaves))
    draws = group_draws(members.astype(float), names)
    arms = observations.arms
    segments = []
    for i, leaf in enumerate(leaves):
        rpv = draws.rpv[:, i]
        lift = rpv[:, 1:] - rpv[:, :1]
        p_best = np.bincount(rpv.argmax(axis=1), minlength=len(arms)) / len(rpv)
        segments.append(
            Segment(
                id=names[i],
                rule=leaf.rule,
                population_share=float(members[:, i].mean()),
                n_visitors=int(members[:, i].sum()),
                n_converted=int(observations.converted[members[:, i]].sum()),
                recommended_arm=arms[leaf.arm],
                gates={a: Estimate.from_draws(lift[:, t]) for t, a in enumerate(arms[1:])},
                arm_best_probabilities=dict(zip(arms, p_best.tolist(), strict=True)),
                stability_score=stability[i],
                claim_level=ClaimLevel.HONEST_ESTIMATE
                if len(leaves) == 1
                else ClaimLevel.EXPLORATORY,
                probability_positive={
                    a: float((lift[:, t] > 0).mean()) for t, a in enumerate(arms[1:])
                },
            )
        )
    return SegmentSearch(
        segments=tuple(segments),
        membership=membership,
        best_arm=arms[best],
        value_of_targeting=choice.value,
        targeting_pays=len(segments) > 1,
        deepest_considered=max_depth,
    )
