"""Whether a policy tree beats the best single arm on rows that did not choose it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtri

from pytyche_engine.contracts.effects import VisitorEffects
from pytyche_engine.contracts.estimates import INTERVAL_LEVEL, Estimate
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.scores import DoublyRobustScores
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

AGREED_SE = 2.128
"""Standard errors that the held-out gain must be above zero where the model agrees.

The normal quantile of a one-sided error of 5 % shared by three depths (Bonferroni). With 1.645 for
each depth, 3 of 20 simulated first rounds of 2,000 visitors were divided, by noise mostly.
"""

KEPT_SE = 1.0
"""The same for a shallower tree that stands in for one that pays."""

UNAIDED_SE = 2.5
"""The same where the model sees no gain: strong evidence outvotes a model that collapsed."""


@dataclass(frozen=True, eq=False)
class Choice:
    """The tree that a search came to.

    Attributes:
        tree: the tree; a single leaf where one arm for everyone is best.
        depth: the depth that it was searched to, 0 for one segment.
        value: cross-fitted gain in RPV over the best single arm; zero for one segment.
        gain: (n,) the doubly robust gains that `value` is the weighted mean of: every visitor
            gets the arm of the fold tree that did not see them.
        fold_trees: for each fold, the tree of the other folds; none for one segment.
    """

    tree: PolicyTree
    depth: int
    value: Estimate
    gain: Float[np.ndarray, " n"]
    fold_trees: tuple[PolicyTree, ...] = ()

    @property
    def pays(self) -> bool:
        """Whether the tree divides visitors."""
        return len(self.tree.leaves) > 1


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
    fold: Int[np.ndarray, " n"],
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
        fold: (n,) fold of every visitor, from `draw_folds`.
    """
    n = len(observations)
    single = Choice(everyone(best), 0, Estimate(0.0, 0.0, 0.0, 0.0, INTERVAL_LEVEL), np.zeros(n))
    depths = range(1, max_depth + 1) if observations.schema.features and n > N_FOLDS else ()
    scores = search_scores(dr, effects)
    features, schema = observations.features, observations.schema
    rows = np.arange(n)
    found: list[Choice] = []
    for depth in depths:
        served = np.full(n, best)
        fold_trees = []
        for held_out in (fold == f for f in range(N_FOLDS)):
            train = np.flatnonzero(~held_out)
            tree = fit_policy_tree(
                features.iloc[train], schema, scores[train], depth, min_segment_share
            )
            served[held_out] = tree.arms(features.iloc[np.flatnonzero(held_out)], best)
            fold_trees.append(tree)
        gain = dr.scores[rows, served] - dr.scores[rows, best]
        errors = standard_errors(gain, dr.weight)
        if errors <= KEPT_SE:
            continue
        tree = fit_policy_tree(features, schema, scores, depth, min_segment_share)
        on_model = effects.rpv[rows, tree.arms(features, best)].mean()
        agreed = bool(on_model > effects.rpv[:, best].mean())
        if len(tree.leaves) > 1 and (agreed or errors > UNAIDED_SE):
            value = mean_gain(gain, dr.weight)
            found.append(Choice(tree, depth, value, gain, tuple(fold_trees)))
    paying = [d for d in found if d.value.mean > AGREED_SE * d.value.sd]
    if not paying:
        return single
    top = max(paying, key=lambda d: d.value.mean)
    return next(d for d in found if standard_errors(top.gain - d.gain, dr.weight) <= 1)


def standard_errors(values: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]) -> float:
    """How many standard errors a weighted mean is above zero; 0 where all values are."""
    mean, se = weighted_mean(values, weight)
    return float(mean / se) if se > 0 else 0.0


def mean_gain(gain: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]) -> Estimate:
    """A weighted mean with the interval of its large-sample normal distribution."""
    mean, se = map(float, weighted_mean(gain, weight))
    half = float(ndtri((1 + INTERVAL_LEVEL) / 2)) * se
    return Estimate(mean, mean - half, mean + half, se)


def draw_folds(arm: Int[np.ndarray, " n"], seed: int) -> Int[np.ndarray, " n"]:
    """(n,) fold of every visitor; every fold has its part of each arm."""
    shuffled = np.random.default_rng(seed).permutation(len(arm))
    order = shuffled[np.argsort(arm[shuffled], kind="stable")]
    fold = np.empty(len(arm), dtype=int)
    fold[order] = np.arange(len(arm)) % N_FOLDS
    return fold
