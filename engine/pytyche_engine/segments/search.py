"""Exact search for the best policy tree over candidate splits.

A policy tree divides visitors by up to three yes/no questions and gives every leaf an arm; its
value is the mean score of the arms it gives. Greedy trees miss interactions, so the search is
exact over the candidate splits: every combination of questions is valued, from joint
histograms of two (depth 2) or three (depth 3) features. Making the histograms takes one pass
over the rows for each pair or triple of features and each arm; valuing them does not depend on
n. No rows are left out at any size.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from jaxtyping import Float, Int

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.policies import MAX_DEPTH
from pytyche_engine.segments.candidates import Candidates

THREADED_FROM = 10_000
"""Rows from which a search of depth 3 uses all cores; with fewer, threads wait for each other."""

_NONE = -np.inf

_Offer = tuple[int, int, Float[np.ndarray, "halves_i halves_j"]]


@dataclass(frozen=True)
class FoundLeaf:
    """A leaf: the arm that scores best in it."""

    arm: int


@dataclass(frozen=True)
class FoundSplit:
    """A question: which feature (its position), which of its splits, and what follows."""

    feature: int
    split: int
    left: "FoundLeaf | FoundSplit"
    right: "FoundLeaf | FoundSplit"


Found = FoundLeaf | FoundSplit


def search_tree(
    candidates: Sequence[Candidates],
    scores: Float[np.ndarray, "n arms"],
    depth: int,
    min_visitors: int,
) -> Found:
    """The tree of at most `depth` questions with the highest mean score.

    Every leaf holds at least `min_visitors`. A question is only asked when it raises the
    value, and sibling leaves with the same arm are one leaf.

    Args:
        candidates: what may be asked, coded for the n visitors.
        scores: (n, K) score of each arm for each visitor.
        depth: 0 to `MAX_DEPTH`.
        min_visitors: smallest leaf, at least 1.

    Raises:
        DesignError: if the depth is out of range.
    """
    if not 0 <= depth <= MAX_DEPTH:
        raise DesignError(f"A policy tree has a depth of 0 to {MAX_DEPTH}, not {depth}.")
    # Arms are compared with the first, so that it needs no sums of its own.
    gains = np.ascontiguousarray((scores[:, 1:] - scores[:, :1]).T, dtype=float)
    codes = [c.codes.astype(np.intp) for c in candidates]
    return _grow(candidates, codes, gains, depth, max(1, min_visitors))


def route(
    found: Found, candidates: Sequence[Candidates], rows: Int[np.ndarray, " m"]
) -> list[tuple[int, Int[np.ndarray, " members"]]]:
    """The arm and the visitors of every leaf, left to right, among `rows`."""
    if isinstance(found, FoundLeaf):
        return [(found.arm, rows)]
    feature = candidates[found.feature]
    goes_left = (feature.halves[found.split] > 0)[feature.codes[rows]]
    return route(found.left, candidates, rows[goes_left]) + route(
        found.right, candidates, rows[~goes_left]
    )


def _grow(
    candidates: Sequence[Candidates],
    codes: Sequence[Int[np.ndarray, " n"]],
    gains: Float[np.ndarray, "others n"],
    depth: int,
    min_visitors: int,
) -> Found:
    total = np.append(0.0, gains.sum(axis=1))
    n = gains.shape[1]
    leaf = FoundLeaf(int(np.argmax(total)))
    if depth == 0 or not candidates or n < 2 * min_visitors:
        return leaf
    halves = [np.ascontiguousarray(c.halves) for c in candidates]
    values = (_depth_1, _depth_2, _depth_3)[depth - 1](halves, codes, gains, min_visitors)
    best = int(np.argmax([v.max() for v in values]))
    split = int(np.argmax(values[best]))
    scale = np.abs(gains).sum() + 1.0
    if not values[best][split] > total.max() + 1e-12 * scale:
        return leaf
    goes_left = (candidates[best].halves[split] > 0)[codes[best]]
    left, right = (
        _grow(candidates, [c[rows] for c in codes], gains[:, rows], depth - 1, min_visitors)
        for rows in (np.flatnonzero(goes_left), np.flatnonzero(~goes_left))
    )
    if isinstance(left, FoundLeaf) and left == right:
        return left
    return FoundSplit(best, split, left, right)


def _leaf_value(
    sums: Float[np.ndarray, "*regions sums"], min_visitors: int
) -> Float[np.ndarray, "*regions"]:
    """The best arm's summed gain in each region; minus infinity where it is too small."""
    best = np.maximum(sums[..., 0], 0.0)
    for arm in range(1, sums.shape[-1] - 1):
        best = np.maximum(best, sums[..., arm])
    return np.where(sums[..., -1] >= min_visitors - 0.5, best, _NONE)


def _both(
    values: Float[np.ndarray, "halves *rest"],
) -> Float[np.ndarray, "splits *rest"]:
    """Left plus right half of each split along the first axis."""
    m = len(values) // 2
    return values[:m] + values[m:]


def _histogram(
    code: Int[np.ndarray, " n"], size: int, gains: Float[np.ndarray, "others n"]
) -> Float[np.ndarray, "size sums"]:
    """Each arm's summed gain over the first arm, and the number of visitors, by code."""
    sums = [np.bincount(code, gain, minlength=size) for gain in gains]
    return np.stack([*sums, np.bincount(code, minlength=size)], axis=1)


def _depth_1(
    halves: Sequence[Float[np.ndarray, "halves states"]],
    codes: Sequence[Int[np.ndarray, " n"]],
    gains: Float[np.ndarray, "others n"],
    min_visitors: int,
) -> list[Float[np.ndarray, " splits"]]:
    """Value of each feature's splits when both halves are leaves."""
    return [_both(v) for v in _singles(halves, codes, gains, min_visitors)]


def _depth_2(
    halves: Sequence[Float[np.ndarray, "halves states"]],
    codes: Sequence[Int[np.ndarray, " n"]],
    gains: Float[np.ndarray, "others n"],
    min_visitors: int,
) -> list[Float[np.ndarray, " splits"]]:
    """Value of each feature's splits when both halves may be split once more."""
    best = _singles(halves, codes, gains, min_visitors)
    for i, j in combinations_with_replacement(range(len(halves)), 2):
        a, b = halves[i], halves[j]
        joint = _histogram(codes[i] * b.shape[1] + codes[j], a.shape[1] * b.shape[1], gains)
        sums = (a @ joint.reshape(a.shape[1], -1)).reshape(len(a), b.shape[1], -1)
        value = _leaf_value(b @ sums, min_visitors)  # (halves of i, halves of j)
        best[i] = np.maximum(best[i], _both(value.T).max(axis=0))
        best[j] = np.maximum(best[j], _both(value).max(axis=0))
    return [_both(v) for v in best]


def _depth_3(
    halves: Sequence[Float[np.ndarray, "halves states"]],
    codes: Sequence[Int[np.ndarray, " n"]],
    gains: Float[np.ndarray, "others n"],
    min_visitors: int,
) -> list[Float[np.ndarray, " splits"]]:
    """Value of each feature's splits when both halves may be split twice more.

    ``inner[i][j]`` holds, for every half of i crossed with every half of j, the best value of
    that region when it may be split once: each triple of features gives three such tables.
    """
    p = len(halves)

    def offers(pair: tuple[int, int]) -> list[_Offer]:
        i, j = pair
        a, b = halves[i], halves[j]
        code = codes[i] * b.shape[1] + codes[j]
        joint = _histogram(code, a.shape[1] * b.shape[1], gains)
        sums = (a @ joint.reshape(a.shape[1], -1)).reshape(len(a), b.shape[1], -1)
        found = [(i, j, _leaf_value(b @ sums, min_visitors))]
        for h in range(j, p):
            c = halves[h]
            shape = (a.shape[1], b.shape[1], c.shape[1])
            joint = _histogram(code * shape[2] + codes[h], int(np.prod(shape)), gains)
            sums = (a @ joint.reshape(shape[0], -1)).reshape(len(a), shape[1], -1)
            sums = (b @ sums).reshape(len(a), len(b), shape[2], -1)
            value = _leaf_value(c @ sums, min_visitors)  # (halves of i, of j, of h)
            found += [
                (i, j, _both(value.transpose(2, 0, 1)).max(axis=0)),
                (i, h, _both(value.transpose(1, 0, 2)).max(axis=0)),
                (j, h, _both(value).max(axis=0)),
            ]
        return found

    inner = [[np.full((len(a), len(b)), _NONE) for b in halves] for a in halves]
    cores = (os.cpu_count() or 1) if gains.shape[1] >= THREADED_FROM else 1
    with ThreadPoolExecutor(max_workers=cores) as pool:
        for found in pool.map(offers, combinations_with_replacement(range(p), 2)):
            for i, j, values in found:
                np.maximum(inner[i][j], values, out=inner[i][j])
                np.maximum(inner[j][i], values.T, out=inner[j][i])
    best = []
    for i, value in enumerate(_singles(halves, codes, gains, min_visitors)):
        for j in range(p):
            value = np.maximum(value, _both(inner[i][j].T).max(axis=0))
        best.append(_both(value))
    return best


def _singles(
    halves: Sequence[Float[np.ndarray, "halves states"]],
    codes: Sequence[Int[np.ndarray, " n"]],
    gains: Float[np.ndarray, "others n"],
    min_visitors: int,
) -> list[Float[np.ndarray, " halves"]]:
    """Value of each half of each feature's splits as a leaf."""
    return [
        _leaf_value(half @ _histogram(code, half.shape[1], gains), min_visitors)
        for half, code in zip(halves, codes, strict=True)
    ]
