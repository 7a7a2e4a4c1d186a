"""Policy trees: who gets which arm, as questions and as readable rules."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.observations import FeatureSchema
from pytyche_engine.contracts.rules import Clause, Levels, Rule, Threshold
from pytyche_engine.segments.candidates import Candidates, candidate_splits
from pytyche_engine.segments.search import Found, FoundLeaf, search_tree

BINS_BY_DEPTH = {0: 16, 1: 16, 2: 16, 3: 8}
"""States of a feature in a search of each depth: the deeper, the coarser.

Coarse bins save time, and here they cost no value: with more cuts a noisy search finds more
trees that only look better. On the XOR and AND pattern of ``benchmarks/README.md`` (n = 20,000)
trees of depth 3 are worth .171 with 8 bins and .168 with 10.
"""


@dataclass(frozen=True)
class Leaf:
    """The end of a path: an arm for the visitors of a rule."""

    rule: Rule
    arm: int


@dataclass(frozen=True)
class Split:
    """A question; what was asked stands in the rules of the leaves."""

    left: "Node"
    right: "Node"


Node = Leaf | Split


@dataclass(frozen=True)
class PolicyTree:
    """A policy tree; its leaves are numbered from left to right.

    Attributes:
        root: its first question, or its only leaf.
    """

    root: Node

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """All leaves, left to right. Their rules exclude one another."""
        return tuple(_leaves(self.root))

    @property
    def depth(self) -> int:
        """Questions on the longest path."""
        return _depth(self.root)

    def assign(self, features: pd.DataFrame) -> Int[np.ndarray, " n"]:
        """(n,) index of every visitor's leaf.

        -1 for a visitor who fits none: a level, or a missing value, that a question on the
        visitor's path had not seen when the tree was made. Equal to asking each leaf's rule.
        """
        found = np.full(len(features), -1)
        for index, leaf in enumerate(self.leaves):
            found[leaf.rule.matches(features)] = index
        return found

    def arms(self, features: pd.DataFrame, otherwise: int) -> Int[np.ndarray, " n"]:
        """(n,) arm code of every visitor; `otherwise` for who fits no leaf."""
        arm_of_leaf = np.array([*(leaf.arm for leaf in self.leaves), otherwise])
        return arm_of_leaf[self.assign(features)]


def everyone(arm: int) -> PolicyTree:
    """The tree without a question: one arm for all."""
    return PolicyTree(Leaf(Rule(), arm))


def fit_policy_tree(
    features: pd.DataFrame,
    schema: FeatureSchema,
    scores: Float[np.ndarray, "n arms"],
    depth: int,
    min_segment_share: float = 0.10,
    max_bins: int | None = None,
) -> PolicyTree:
    """The policy tree with the highest mean score, exact over its candidate splits.

    All rows are searched, at any size: time grows as n p^3 (K + 1) at depth 3, extra memory as
    n (p + K). What is coarsened are the features, to `BINS_BY_DEPTH` states.

    Args:
        features: (n rows) feature frame of `schema`.
        schema: kinds of the features.
        scores: (n, K) score of each arm for each visitor, e.g. doubly robust.
        depth: most questions on a path, 0 to 3.
        min_segment_share: smallest share of the rows in a leaf, over 0 to 0.5.
        max_bins: most states of a feature; by default `BINS_BY_DEPTH`.

    Raises:
        DesignError: if a setting is out of range.
    """
    if not 0 < min_segment_share <= 0.5:
        raise DesignError(
            f"The smallest segment share is {min_segment_share}; use a share over 0, up to 0.5."
        )
    bins = max_bins or BINS_BY_DEPTH.get(depth, 2)
    candidates = candidate_splits(features, schema, scores, bins) if depth else ()
    found = search_tree(candidates, scores, depth, int(np.ceil(min_segment_share * len(scores))))
    return PolicyTree(_readable(found, candidates, ()))


def _readable(found: Found, candidates: tuple[Candidates, ...], path: tuple[Clause, ...]) -> Node:
    if isinstance(found, FoundLeaf):
        return Leaf(Rule(conjoin(path)), found.arm)
    left, right = candidates[found.feature].clauses[found.split]
    return Split(
        left=_readable(found.left, candidates, (*path, left)),
        right=_readable(found.right, candidates, (*path, right)),
    )


def conjoin(clauses: tuple[Clause, ...]) -> tuple[Clause, ...]:
    """The same condition with at most one clause a feature and side, in first-asked order."""
    kept: dict[tuple[str, str], Clause] = {}
    for clause in clauses:
        if isinstance(clause, Levels):
            key = (clause.feature, "levels")
            old = kept.get(key)
            if isinstance(old, Levels):
                levels = tuple(level for level in old.levels if level in clause.levels)
                missing = old.includes_missing and clause.includes_missing
                clause = Levels(clause.feature, levels, missing)
        else:
            key = (clause.feature, clause.side)
            old = kept.get(key)
            if isinstance(old, Threshold):
                tighter = min if clause.side == "<=" else max
                cut = tighter(old.cut, clause.cut)
                missing = old.includes_missing and clause.includes_missing
                clause = Threshold(clause.feature, clause.side, cut, missing)
        kept[key] = clause
    # a missing value belongs only if every clause on the feature says so
    without_missing = {c.feature for c in kept.values() if not c.includes_missing}
    return tuple(
        Threshold(c.feature, c.side, c.cut)
        if isinstance(c, Threshold) and c.feature in without_missing
        else c
        for c in kept.values()
    )


def _leaves(node: Node) -> Iterator[Leaf]:
    if isinstance(node, Leaf):
        yield node
    else:
        yield from _leaves(node.left)
        yield from _leaves(node.right)


def _depth(node: Node) -> int:
    return 0 if isinstance(node, Leaf) else 1 + max(_depth(node.left), _depth(node.right))
