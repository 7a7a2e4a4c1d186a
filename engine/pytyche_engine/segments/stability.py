"""Would the same segments have been found again? Refits with rows and scores redrawn."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.observations import FeatureSchema
from pytyche_engine.segments.candidates import Candidates, candidate_splits
from pytyche_engine.segments.identity import SAME_MEMBERS
from pytyche_engine.segments.search import route, search_tree

MAX_ROWS = 12_000
"""Rows of a refit. Larger data are sub-sampled, which can only lower the stability."""

REFIT_BINS_BY_DEPTH = {0: 8, 1: 8, 2: 8, 3: 6}
"""States of a feature in a refit of each depth."""

FIELD_STUMPS = 20
"""Random splits that make up one random field over the features."""


def stability_scores(
    membership: Int[np.ndarray, " n"],
    arms: Sequence[int],
    features: pd.DataFrame,
    schema: FeatureSchema,
    scores: Float[np.ndarray, "n arms"],
    cate_sd: Float[np.ndarray, "n treatments"],
    depth: int,
    min_segment_share: float,
    seed: int,
    n_refits: int = 50,
) -> tuple[float, ...]:
    """For each segment, the share of refits that have it again, with the same arm.

    A refit draws rows with replacement and adds to the score of each treatment a draw of
    the model's error, ``cate_sd[i] * (common + field(x_i)) / sqrt(2)``: `common` is
    N(0, 1) for the whole refit, and `field` is a sum of `FIELD_STUMPS` random splits of the
    features with N(0, 1) sides, scaled to unit variance, as a draw from a BART prior is.
    Redrawing rows alone would leave the model's part of the scores as it is, and every
    segment would look stable. A segment is found again if a leaf with its arm has a Jaccard
    similarity of at least `SAME_MEMBERS` with it. With one segment for everyone this is the
    share of refits that choose the same arm.

    A segment that was kept from an earlier round is no exception: refits search anew.

    Refits search trees of at most the depth that was chosen, on at most `MAX_ROWS` rows and
    `REFIT_BINS_BY_DEPTH` bins.

    Args:
        membership: (n,) index of every visitor's segment.
        arms: the arm of each segment.
        features: (n rows) feature frame of `schema`.
        schema: kinds of the features.
        scores: (n, K) the scores that the tree was searched on.
        cate_sd: (n, K-1) posterior standard deviation of each visitor's effects.
        depth: depth of the search, 0 for one segment.
        min_segment_share: as for the tree.
        seed: of all random draws.
        n_refits: how many refits, at least 1.
    """
    if n_refits < 1:
        raise DesignError(f"Stability needs at least one refit, not {n_refits}.")
    rng = np.random.default_rng(seed)
    n = len(scores)
    kept = np.arange(n) if n <= MAX_ROWS else np.sort(rng.choice(n, MAX_ROWS, replace=False))
    candidates = candidate_splits(
        features.iloc[kept], schema, scores[kept], REFIT_BINS_BY_DEPTH.get(depth, 8)
    )
    asked = candidates if depth else ()
    own = [membership[kept] == s for s in range(len(arms))]
    everyone = np.arange(len(kept))
    again = np.zeros(len(arms))
    for _ in range(n_refits):
        rows = rng.integers(len(kept), size=len(kept))
        redrawn = scores[kept]
        for t in range(cate_sd.shape[1]):
            error = (rng.standard_normal() + _field(candidates, rng, len(kept))) / np.sqrt(2)
            redrawn[:, t + 1] += cate_sd[kept, t] * error
        found = search_tree(
            [c.take(rows) for c in asked],
            redrawn[rows],
            depth,
            int(np.ceil(min_segment_share * len(rows))),
        )
        leaves = route(found, asked, everyone)
        for s, arm in enumerate(arms):
            again[s] += any(a == arm and _jaccard(own[s], m) >= SAME_MEMBERS for a, m in leaves)
    return tuple(float(x) for x in again / n_refits)


def _field(
    candidates: Sequence[Candidates], rng: np.random.Generator, n: int
) -> Float[np.ndarray, " n"]:
    field = np.zeros(n)
    if not candidates:
        return field
    for _ in range(FIELD_STUMPS):
        feature = candidates[int(rng.integers(len(candidates)))]
        left = feature.halves[rng.integers(feature.n_splits)]
        low, high = rng.standard_normal(2)
        field += (low + (high - low) * left)[feature.codes]
    return field / np.sqrt(FIELD_STUMPS)


def _jaccard(own: Bool[np.ndarray, " n"], members: Int[np.ndarray, " m"]) -> float:
    both = int(own[members].sum())
    return both / (int(own.sum()) + len(members) - both)
