"""Recorded assignment probabilities as columns that the mu forest sees.

Where assignment depended on the visitor, mu(x, e) keeps what drove it apart from the arms'
effects (Hahn, Murray and Carvalho 2020). Control's probability follows from the others'.

Where a policy assigned, e is a function of x, and mu splits on e for what x would have told it.
So whoever is predicted without probabilities needs those that go with their features, not the
average ones: `learn_propensities` finds them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt8

from pytyche_engine.bcf.encoding import Encoding
from pytyche_engine.contracts.observations import Feature, FeatureKind, FeatureSchema

MOST_VISITORS = 20_000
"""Visitors that a propensity tree is learnt from: time is bounded, a policy has few parts."""

MOST_LEAVES = 32
LEAST_VISITORS = 20
"""In a leaf of a propensity tree."""

EXACT = 1e-6
"""Squared error, of all there was, below which probabilities count as explained."""

_COLUMN = "probability of being assigned to "
_BINS = 256


def is_propensity(feature: str) -> bool:
    """Whether a column of the model's frame is an assignment probability."""
    return feature.startswith(_COLUMN)


def with_propensities(
    features: pd.DataFrame, arms: Sequence[str], propensity: Float[np.ndarray, "n arms"]
) -> pd.DataFrame:
    """The frame with a column a treatment added."""
    columns = {f"{_COLUMN}{arm}": propensity[:, k] for k, arm in enumerate(arms) if k > 0}
    return features.assign(**columns)


def schema_with_propensities(schema: FeatureSchema, arms: Sequence[str]) -> FeatureSchema:
    """The schema of `with_propensities`'s frame."""
    added = tuple(
        Feature(f"{_COLUMN}{arm}", FeatureKind.NUMERIC, f"{_COLUMN}{arm}") for arm in arms[1:]
    )
    return replace(schema, features=schema.features + added)


def without_propensities(encoding: Encoding) -> Encoding:
    """The columns that come from visitors' features, in their order."""
    return Encoding(tuple(c for c in encoding.columns if not is_propensity(c.feature)))


@dataclass(frozen=True)
class Split:
    """A leaf divided: of its visitors, those with ``X[column] >= bin`` become a new leaf."""

    leaf: int
    column: int
    bin: int


@dataclass(frozen=True)
class PropensityTree:
    """Expected assignment probabilities of visitors whose features are known.

    Attributes:
        splits: in order; leaf 0 is everyone, split i makes leaf i + 1.
        leaves: probabilities of each arm, for each leaf.
    """

    splits: tuple[Split, ...]
    leaves: tuple[tuple[float, ...], ...]

    def predict(self, X: UInt8[np.ndarray, "p n"]) -> Float[np.ndarray, "n arms"]:
        """(n, K) probabilities, given the columns of `without_propensities`."""
        return np.array(self.leaves)[_leaf_of(self.splits, X)]

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "PropensityTree":
        """The inverse of `dataclasses.asdict`, also after a way through JSON."""
        return cls(
            tuple(Split(**split) for split in value["splits"]), tuple(map(tuple, value["leaves"]))
        )


def learn_propensities(
    X: UInt8[np.ndarray, "p n"], propensity: Float[np.ndarray, "n arms"]
) -> PropensityTree:
    """A least-squares tree of the probabilities of all arms on the features.

    Grown best split first. Of the trees on the way, the one that is kept minimises
    ``n log(squared error) + 2 log(n p) leaves``: what a policy made of the features is
    explained to the last, and what they cannot explain, such as a visitor's round, is left at
    its mean (the best of n p splits on noise seldom gains more than the penalty).

    Args:
        X: bins of the columns of `without_propensities`, and perhaps constant ones after them.
        propensity: what was recorded of the same visitors.
    """
    n = min(X.shape[1], MOST_VISITORS)
    rows = np.linspace(0, X.shape[1] - 1, n).round().astype(int)
    X, propensity = X[:, rows], propensity[rows]
    y = propensity - propensity.mean(axis=0)
    leaf = np.zeros(n, dtype=int)
    splits: list[Split] = []
    best = [_best_split(X, y)]  # of each leaf
    error = [float((y**2).sum())]
    while len(best) < MOST_LEAVES:
        divided = max(range(len(best)), key=lambda one: best[one][0])
        gain, column, at = best[divided]
        if gain <= EXACT * error[0]:
            break
        leaf[(leaf == divided) & (X[column] >= at)] = len(best)
        splits.append(Split(divided, column, at))
        error.append(error[-1] - gain)
        best[divided] = _best_split(X[:, leaf == divided], y[leaf == divided])
        best.append(_best_split(X[:, leaf == len(best)], y[leaf == len(best)]))
    if splits:
        remains = np.maximum(error, EXACT * error[0])
        penalty = 2 * np.log(X.size) * np.arange(len(error))
        del splits[int(np.argmin(n * np.log(remains) + penalty)) :]
        leaf = _leaf_of(splits, X)
    members = (propensity[leaf == one] for one in range(len(splits) + 1))
    # Differences from one of them: of equal numbers the mean is that number, to the last digit.
    means = (own[0] + (own - own[0]).mean(axis=0) for own in members)
    return PropensityTree(tuple(splits), tuple(tuple(map(float, mean)) for mean in means))


def _leaf_of(splits: Sequence[Split], X: UInt8[np.ndarray, "p n"]) -> Int[np.ndarray, " n"]:
    leaf = np.zeros(X.shape[1], dtype=int)
    for new, split in enumerate(splits, start=1):
        leaf[(leaf == split.leaf) & (X[split.column] >= split.bin)] = new
    return leaf


def _best_split(
    X: UInt8[np.ndarray, "p n"], y: Float[np.ndarray, "n arms"]
) -> tuple[float, int, int]:
    """How much a leaf's best split lowers the squared error, its column, its bin; 0 for none."""
    p, n = X.shape
    if p == 0 or n < 2 * LEAST_VISITORS:
        return 0.0, 0, 0
    cell = (X + _BINS * np.arange(p)[:, None]).ravel()

    def below(weights: Float[np.ndarray, " n"] | None = None) -> Float[np.ndarray, "p cuts"]:
        """Visitors below each cut of each column, or the sum of their weights."""
        spread = None if weights is None else np.tile(weights, p)
        sums = np.bincount(cell, spread, minlength=p * _BINS).reshape(p, _BINS)
        return sums.cumsum(axis=1)[:, :-1]

    left = below()
    allowed = (left >= LEAST_VISITORS) & (n - left >= LEAST_VISITORS)
    left = np.where(allowed, left, 1)
    gain = np.zeros(left.shape)
    for arm in y.T:
        low, all_of_them = below(arm), arm.sum()
        gain += low**2 / left + (all_of_them - low) ** 2 / (n - left) - all_of_them**2 / n
    gain = np.where(allowed, gain, 0.0)
    column, cut = np.unravel_index(int(gain.argmax()), gain.shape)
    return float(gain[column, cut]), int(column), int(cut) + 1
