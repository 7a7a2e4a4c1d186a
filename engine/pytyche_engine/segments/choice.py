"""Whether a policy tree beats the best single arm on rows that did not choose it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pytyche_engine.contracts.decisions import DoublyRobustScores
from pytyche_engine.contracts.effects import VisitorEffects
from pytyche_engine.contracts.estimates import INTERVAL_LEVEL, Estimate
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.segments.scores import weighted_mean
from pytyche_engine.segments.tree import PolicyTree, everyone, fit_policy_tree

CORRECTION_SHARE = 0.25
"""How much of the doubly robust correction trees are searched on.

Revenue is so noisy that full AIPW scores make the search chase noise: at n = 2,000 a leaf of
10 % has a standard error of about control's RPV. The model's shrunken effects alone would be
blind to what the model missed. On simulated hurdle data (model effects constant, good or
misleading; n = 2,000 and 14,000; shares 0, .2, .5, 1) about a quarter had the best true value.
"""

N_FOLDS = 5
"""Folds of the cross-fitted value."""

AGREED_SE = 1.645
"""Standard errors that the held-out gain must be above zero where the model agrees."""

KEPT_SE = 1.0
"""The same for a shallower tree that stands in for one that pays."""

UNAIDED_SE = 2.5
"""The same where the model sees no gain: strong evidence outvotes a model that collapsed."""

_Z_INTERVAL = 1.2815515655446004  # normal quantile at 0.90: the ends of an 80 % interval


@dataclass(frozen=True, eq=False)
class Choice:
    """The tree that is kept.

    Attributes:
        tree: the tree; a single leaf where one arm for everyone is best.
        depth: the depth that it was searched to, 0 for one segment.
        value: cross-fitted gain in RPV over the best single arm; zero for one segment.
    """

    tree: PolicyTree
    depth: int
    value: Estimate


def search_scores(dr: DoublyRobustScores, effects: VisitorEffects) -> Float[np.ndarray, "n arms"]:
    """(n, K) the model's RPV plus `CORRECTION_SHARE` of the AIPW correction, round-weighted."""
    blended = effects.rpv + CORRECTION_SHARE * (dr.scores - effects.rpv)
    return blended * dr.weight[:, None]


def choose_tree(
    observations: Observations,
    effects: VisitorEffects,
    dr: DoublyRobustScores,
    best: int,
    max_depth: int,
    min_segment_share: float,
    seed: int,
) -> Choice:
    """The shallowest tree that pays against the best single arm, or that arm for everyone.

    Every depth from 1 to `max_depth` is searched on four fifths of the rows and valued on the
    fifth that is left, with full AIPW scores. A depth pays if its held-out gain is more than
    `AGREED_SE` standard errors above zero, or `UNAIDED_SE` if the model sees no gain in the
    tree of that depth on all rows. If any depth pays, the shallowest is kept whose gain is
    within one standard error (of the difference) of the best paying one's, and more than
    `KEPT_SE` above zero: a deeper tree must earn its questions.

    Args:
        observations: n visitors.
        effects: the model's posterior means for them.
        dr: their doubly robust scores.
        best: code of the best single arm.
        max_depth: deepest search.
        min_segment_share: smallest share of a segment.
        seed: of the folds.
    """
    single = Choice(everyone(best), 0, Estimate(0.0, 0.0, 0.0, 0.0, INTERVAL_LEVEL))
    n = len(observations)
    depths = range(1, max_depth + 1) if observations.schema.features and n > N_FOLDS else ()
    scores = search_scores(dr, effects)
    fold = _folds(observations.arm, seed)
    features, schema = observations.features, observations.schema
    rows = np.arange(n)
    found: list[_Depth] = []
    for depth in depths:
        served = np.full(n, best)
        for held_out in (fold == f for f in range(N_FOLDS)):
            train = np.flatnonzero(~held_out)
            tree = fit_policy_tree(
                features.iloc[train], schema, scores[train], depth, min_segment_share
            )
            served[held_out] = tree.arms(features.iloc[np.flatnonzero(held_out)], best)
        gain = dr.scores[rows, served] - dr.scores[rows, best]
        errors = _standard_errors(gain, dr.weight)
        if errors <= KEPT_SE:
            continue
        tree = fit_policy_tree(features, schema, scores, depth, min_segment_share)
        on_model = effects.rpv[rows, tree.arms(features, best)].mean()
        agreed = bool(on_model > effects.rpv[:, best].mean())
        if len(tree.leaves) > 1 and (agreed or errors > UNAIDED_SE):
            found.append(_Depth(depth, tree, gain, pays=errors > AGREED_SE))
    paying = [d for d in found if d.pays]
    if not paying:
        return single
    top = max(paying, key=lambda d: float(weighted_mean(d.gain, dr.weight)[0]))
    kept = next(d for d in found if _standard_errors(top.gain - d.gain, dr.weight) <= 1)
    return Choice(kept.tree, kept.depth, _interval(*weighted_mean(kept.gain, dr.weight)))


@dataclass(frozen=True, eq=False)
class _Depth:
    depth: int
    tree: PolicyTree
    gain: Float[np.ndarray, " n"]
    pays: bool


def _standard_errors(values: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]) -> float:
    """How many standard errors a weighted mean is above zero; 0 where all values are."""
    mean, se = weighted_mean(values, weight)
    return float(mean / se) if se > 0 else 0.0


def _interval(mean: Float[np.ndarray, ""], se: Float[np.ndarray, ""]) -> Estimate:
    """A mean with the interval of its large-sample normal distribution."""
    half = _Z_INTERVAL * float(se)
    return Estimate(float(mean), float(mean) - half, float(mean) + half, float(se))


def _folds(arm: Int[np.ndarray, " n"], seed: int) -> Int[np.ndarray, " n"]:
    """(n,) fold of every visitor; every fold has its part of each arm."""
    shuffled = np.random.default_rng(seed).permutation(len(arm))
    order = shuffled[np.argsort(arm[shuffled], kind="stable")]
    fold = np.empty(len(arm), dtype=int)
    fold[order] = np.arange(len(arm)) % N_FOLDS
    return fold
