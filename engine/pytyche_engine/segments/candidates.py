"""Candidate splits: the ways in which a policy tree may divide visitors by one feature."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pytyche_engine.contracts.observations import Feature, FeatureKind, FeatureSchema
from pytyche_engine.contracts.rules import Clause, Levels, Threshold

ALL_SUBSETS_UP_TO = 5
"""Every grouping of the states of a categorical feature is tried up to this many states."""

PRIOR_VISITORS = 20.0
"""A level's mean scores are shrunk to the overall mean by this many visitors for ordering."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """One feature as binned states, and its candidate splits.

    Attributes:
        feature: the feature's name.
        codes: (n,) the state of every visitor.
        halves: (2m, states) 1 where a half of a split holds a state: m left halves, then
            their m right halves.
        clauses: the left and right clause of each split; on the rows they were made from,
            they hold exactly for the visitors of their half.
    """

    feature: str
    codes: Int[np.ndarray, " n"]
    halves: Float[np.ndarray, "halves states"]
    clauses: tuple[tuple[Clause, Clause], ...]

    @property
    def n_splits(self) -> int:
        """How many ways to divide it there are."""
        return len(self.clauses)

    def take(self, rows: Int[np.ndarray, " m"]) -> "Candidates":
        """The same candidate splits for chosen visitors."""
        return replace(self, codes=self.codes[rows])


def candidate_splits(
    features: pd.DataFrame,
    schema: FeatureSchema,
    scores: Float[np.ndarray, "n arms"],
    max_bins: int,
) -> tuple[Candidates, ...]:
    """Every feature's candidate splits; features with one state are left out.

    Numeric features are cut at up to ``max_bins - 1`` quantiles, rounded to a thousandth of
    their spread so that a printed rule is the rule. Missing values are a state of their own
    that may go to either side of each cut, or stand alone. Boolean and categorical features
    of up to `ALL_SUBSETS_UP_TO` states (missing is one) are divided in every way; beyond
    that one state against the rest, and at each place along the states' orders by how much each
    arm scores above the arm that is best overall. More than `max_bins` levels are first pooled with
    their neighbours in the order of the arms that differ most.

    Args:
        features: (n rows) feature frame of `schema`.
        schema: the kinds of features.
        scores: (n, K) scores that order the levels of categorical features.
        max_bins: most states of a feature, a missing value not counted; at least 2.
    """
    found = []
    for feature in schema.features:
        values = features[feature.name]
        if feature.kind is FeatureKind.NUMERIC:
            found.append(_numeric(feature.name, values, max_bins))
        else:
            found.append(_levels(feature, values, scores, max_bins))
    return tuple(c for c in found if c is not None)


def _halves(left: Sequence[Bool[np.ndarray, " states"]]) -> Float[np.ndarray, "halves states"]:
    lefts = np.array(left, dtype=float)
    return np.concatenate([lefts, 1 - lefts])


def _numeric(name: str, values: pd.Series, max_bins: int) -> Candidates | None:
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    missing = np.isnan(numbers)
    known = numbers[~missing]
    if not len(known):
        return None
    grid = np.append(np.arange(1, max_bins) / max_bins, [0.05, 0.95])
    *quantiles, low, high = np.quantile(known, grid, method="inverted_cdf")
    spread = high - low or np.ptp(known) or 1.0
    rounded = np.unique(np.round(quantiles, int(np.ceil(-np.log10(spread / 1000)))))
    cuts = rounded[(rounded >= known.min()) & (rounded < known.max())]
    if not len(cuts) and known.min() < known.max():
        cuts = known.min(keepdims=True)  # nearly everyone has the same, largest or smallest, value
    if missing.any():
        cuts = np.append(cuts, known.max())  # its right half holds the missing alone
    if not len(cuts):
        return None
    # `x <= cuts[c]` exactly where the code is at most c; NaN sorts past every cut
    codes = np.searchsorted(cuts, numbers, side="left")
    n_known = len(cuts) if missing.any() else len(cuts) + 1
    codes[missing] = n_known
    states = np.arange(n_known + bool(missing.any()))
    left, clauses = [], []
    for c, cut in enumerate(cuts):
        for missing_left in (False, True) if missing.any() else (False,):
            if missing_left and c == len(cuts) - 1:
                continue  # everyone on one side
            missing_right = bool(missing.any()) and not missing_left
            left.append((states <= c) | ((states == n_known) & missing_left))
            clauses.append(
                (
                    Threshold(name, "<=", float(cut), missing_left),
                    Threshold(name, ">", float(cut), missing_right),
                )
            )
    return Candidates(name, codes, _halves(left), tuple(clauses))


def _levels(
    feature: Feature, values: pd.Series, scores: Float[np.ndarray, "n arms"], max_bins: int
) -> Candidates | None:
    category = values.astype("category")
    labels, label_codes = np.unique(
        category.cat.categories.astype("string").to_numpy(dtype=object).astype(str),
        return_inverse=True,
    )
    raw = np.append(label_codes, len(labels))[category.cat.codes]  # -1 (missing) is the last
    present = np.flatnonzero(np.bincount(raw, minlength=len(labels) + 1))
    codes = np.searchsorted(present, np.arange(len(labels) + 1))[raw]
    has_missing = bool(present[-1] == len(labels)) if len(present) else False
    groups: list[tuple[str, ...]] = [(str(labels[i]),) for i in present if i < len(labels)]
    if len(groups) > max_bins:
        groups, codes = _pool(groups, codes, scores, max_bins, has_missing)
    n_states = len(groups) + has_missing
    if n_states < 2:
        return None
    best = int(np.argmax(scores.mean(axis=0)))
    left = _groupings(_state_means(codes, n_states, scores), best)

    def clause(states: Bool[np.ndarray, " states"]) -> Levels:
        chosen = tuple(level for i, g in enumerate(groups) if states[i] for level in g)
        return Levels(feature.name, chosen, bool(has_missing and states[-1]))

    clauses = tuple((clause(states), clause(~states)) for states in left)
    return Candidates(feature.name, codes, _halves(left), clauses)


def _state_means(
    codes: Int[np.ndarray, " n"], n_states: int, scores: Float[np.ndarray, "n arms"]
) -> Float[np.ndarray, "states arms"]:
    """Mean scores of each state, shrunk towards everyone's by `PRIOR_VISITORS`."""
    counts = np.bincount(codes, minlength=n_states)
    sums = np.stack([np.bincount(codes, column, minlength=n_states) for column in scores.T], 1)
    means = sums + PRIOR_VISITORS * scores.mean(axis=0)
    return means / (counts[:, None] + PRIOR_VISITORS)


def _pool(
    groups: list[tuple[str, ...]],
    codes: Int[np.ndarray, " n"],
    scores: Float[np.ndarray, "n arms"],
    max_bins: int,
    has_missing: bool,
) -> tuple[list[tuple[str, ...]], Int[np.ndarray, " n"]]:
    """Pool levels into at most `max_bins` groups of about equal size along their order."""
    means = _state_means(codes, len(groups) + has_missing, scores)[: len(groups)]
    pairs = list(combinations(range(scores.shape[1]), 2))
    spread = [np.ptp(means[:, b] - means[:, a]) for a, b in pairs]
    a, b = pairs[int(np.argmax(spread))]
    order = np.argsort(means[:, b] - means[:, a], kind="stable")
    counts = np.bincount(codes, minlength=len(groups))[order]
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    bins = np.unique((middle * max_bins).astype(int), return_inverse=True)[1]
    new_code = np.empty(len(groups) + 1, dtype=int)
    new_code[order] = bins
    new_code[-1] = bins.max() + 1
    pooled: list[tuple[str, ...]] = [()] * (int(bins.max()) + 1)
    for level, target in zip(groups, new_code[:-1], strict=True):
        pooled[target] += level
    return pooled, new_code[codes]


def _groupings(
    means: Float[np.ndarray, "states arms"], best: int
) -> list[Bool[np.ndarray, " states"]]:
    """Left halves of the candidate splits of unordered states, each split once."""
    n_states, n_arms = means.shape
    found: dict[tuple[bool, ...], None] = {}

    def add(members: Sequence[int] | Int[np.ndarray, " members"]) -> None:
        left = np.zeros(n_states, dtype=bool)
        left[list(members)] = True
        found.setdefault(tuple((left if left[0] else ~left).tolist()))

    if n_states <= ALL_SUBSETS_UP_TO:
        for size in range(1, n_states):
            for members in combinations(range(n_states), size):
                add(members)
    else:
        for state in range(n_states):
            add([state])
        for arm in range(n_arms):
            if arm == best:
                continue
            order = np.argsort(means[:, arm] - means[:, best], kind="stable")
            for size in range(1, n_states):
                add(order[:size])
    return [np.array(left) for left in found]
