"""Features as small integers: what the trees split on.

What becomes of each kind of value (the door has refused infinite numbers and columns that
changed their kind before anything gets here; dates are the numbers that it split them into):

- a number is binned by cut points learnt from the data; infinities are the outermost bins;
- a category has a column a level. Of more than `MAX_LEVELS` the rarest share one column;
- true and false are one column;
- a missing value is a column of its own where the fit has seen one. Beside it a missing
  number is in the middle bin and a missing category or flag in no level;
- a level that the fit has not seen is no level, or a rare one where rare ones share a column;
- a feature with one value is no column at all, and a feature with no value neither.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, UInt8
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from pytyche_engine.contracts.errors import DataError
from pytyche_engine.contracts.observations import Feature, FeatureKind, FeatureSchema

MAX_LEVELS = 40
"""Levels of a categorical feature with a column of their own; rarer ones share one."""


@dataclass(frozen=True)
class Column:
    """One encoded column.

    Attributes:
        feature: the feature it comes from.
        test: what the column says: ``"value"`` (binned number), ``"missing"`` (1 if the
            value is missing), ``"level"`` (1 if it is `level`), ``"rare"`` (1 if it is a
            level without a column of its own).
        level: the level, for ``"level"``.
        cuts: increasing cut points, for ``"value"``: bin = number of cuts below the value.
    """

    feature: str
    test: str
    level: str = ""
    cuts: tuple[float, ...] = ()

    @property
    def max_split(self) -> int:
        """Largest split index: bins less one."""
        return len(self.cuts) if self.test == "value" else 1


@dataclass(frozen=True)
class Encoding:
    """How to turn a feature frame into the matrix that the trees see."""

    columns: tuple[Column, ...]

    @property
    def max_split(self) -> UInt8[np.ndarray, " p"]:
        """(p,) largest split index of each column."""
        return np.array([c.max_split for c in self.columns], dtype=np.uint8)

    def encode(self, features: pd.DataFrame) -> UInt8[np.ndarray, "p n"]:
        """(p, n) bins. Any value is taken, missing, infinite or never seen; see the module.

        Args:
            features: (n rows) in the form that `contracts.features.prepare_features` gives.

        Raises:
            DataError: if a feature is not in the frame, or holds text where the fit had
                numbers.
        """
        matrix = np.zeros((len(self.columns), len(features)), dtype=np.uint8)
        for name, rows in self._rows_of_features().items():
            if name not in features:
                raise DataError(
                    f"The feature '{name}' is missing from the frame",
                    column=name,
                    mend="Pass every feature that the experiment was fitted on.",
                )
            values = features[name]
            missing = values.isna().to_numpy(dtype=bool)
            levels: _Levels | None = None  # read once a feature: there may be many columns
            known = {self.columns[r].level for r in rows if self.columns[r].test == "level"}
            for row in rows:
                column = self.columns[row]
                if column.test == "missing":
                    matrix[row] = missing
                elif column.test == "value":
                    matrix[row] = _bins(values, missing, column.cuts)
                else:
                    levels = levels or _Levels.of(values)
                    matrix[row] = (
                        levels.among({column.level})
                        if column.test == "level"
                        else ~levels.among(known) & ~missing
                    )
        return matrix

    def _rows_of_features(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row, column in enumerate(self.columns):
            rows.setdefault(column.feature, []).append(row)
        return rows


@dataclass(frozen=True)
class _Levels:
    """A categorical or boolean feature: each row's level as a position, -1 where missing."""

    position: dict[str, int]
    codes: Int[np.ndarray, " n"]

    @classmethod
    def of(cls, values: pd.Series) -> "_Levels":
        kind = values.dtype
        coded = (
            values.array
            if isinstance(kind, pd.CategoricalDtype)
            else pd.Categorical(values.astype("string"))
        )
        return cls({str(v): i for i, v in enumerate(coded.categories)}, np.asarray(coded.codes))

    def among(self, levels: set[str]) -> Bool[np.ndarray, " n"]:
        """(n,) whether a row has one of these levels."""
        # The last entry is what code -1, a missing value, reads.
        chosen = np.zeros(len(self.position) + 1, dtype=bool)
        chosen[[self.position[v] for v in levels if v in self.position]] = True
        return chosen[self.codes]

    def counts(self) -> Counter[str]:
        """How many rows have each level that occurs."""
        seen = np.bincount(self.codes[self.codes >= 0], minlength=len(self.position))
        return Counter({level: int(seen[i]) for level, i in self.position.items() if seen[i]})


def _bins(
    values: pd.Series, missing: Bool[np.ndarray, " n"], cuts: tuple[float, ...]
) -> Int[np.ndarray, " n"]:
    # numpy would make numbers of dates, nanoseconds, without a word.
    if not (is_numeric_dtype(values.dtype) or is_bool_dtype(values.dtype)):
        raise DataError(
            f"The feature '{values.name}' held numbers in the fit and now holds {values.dtype}",
            column=str(values.name),
            mend="Pass the features of an experiment's observations, or convert the column.",
        )
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    bins = np.searchsorted(np.asarray(cuts), numbers, side="left")
    # Of all bins the middle one says least about a value that is not known.
    bins[missing | np.isnan(numbers)] = len(cuts) // 2
    return bins


def learn_encoding(features: pd.DataFrame, schema: FeatureSchema, num_cuts: int) -> Encoding:
    """Choose cut points and level columns from data.

    Columns that take one value only are left out: no tree could split on them.

    Args:
        features: (n rows) in the form that `contracts.features.prepare_features` gives.
        schema: the features to encode.
        num_cuts: most cut points of a numeric feature, below 255.
    """
    return Encoding(
        tuple(c for f in schema.features for c in _learn_feature(features[f.name], f, num_cuts))
    )


def extend_encoding(
    old: Encoding, features: pd.DataFrame, schema: FeatureSchema, num_cuts: int
) -> Encoding:
    """An encoding with room for what is new in the data, in which old forests stay valid.

    Forests name columns by their index and values by their bin. So every old column stays
    where and what it is, and what is new comes after them: all columns of a feature that was
    constant, a ``missing`` column where values have begun to be missing, and a column for
    each new level while its feature has fewer than `MAX_LEVELS`, the most frequent first;
    the others share a ``rare`` column. A feature that has a ``rare`` column keeps its levels,
    because new ones are in that column already. Cut points stay as they were.

    Args:
        old: the encoding of the fit before.
        features: (n rows) all data so far, with those that `old` was learnt from.
        schema: the features to encode.
        num_cuts: most cut points of a numeric feature that was constant, below 255.

    Returns:
        `old` itself if nothing is new.
    """
    added: list[Column] = []
    for feature in schema.features:
        values = features[feature.name]
        tests = [c.test for c in old.columns if c.feature == feature.name]
        if not {"value", "level", "rare"} & set(tests):
            found = _learn_feature(values, feature, num_cuts)
        else:
            found = _missing_column(values, feature.name)
            if feature.kind is FeatureKind.CATEGORICAL and "rare" not in tests:
                known = {c.level for c in old.columns if c.feature == feature.name}
                counts = _Levels.of(values).counts()
                new = Counter({k: n for k, n in counts.items() if k not in known})
                found = _level_columns(feature.name, new, MAX_LEVELS - tests.count("level")) + found
        added += [c for c in found if c.test != "missing" or "missing" not in tests]
    return Encoding((*old.columns, *added)) if added else old


def _learn_feature(values: pd.Series, feature: Feature, num_cuts: int) -> list[Column]:
    name = feature.name
    missing = _missing_column(values, name)
    if feature.kind is FeatureKind.NUMERIC:
        cuts = _quantile_cuts(values.dropna().to_numpy(dtype=float), num_cuts)
        return ([Column(name, "value", cuts=cuts)] if cuts else []) + missing
    counts = _Levels.of(values).counts()
    if len(counts) < 2:
        return missing
    if feature.kind is FeatureKind.BOOLEAN:
        return [Column(name, "level", level=max(counts)), *missing]
    return _level_columns(name, counts, MAX_LEVELS) + missing


def _missing_column(values: pd.Series, name: str) -> list[Column]:
    """A column for missing values if some are missing, and not all."""
    missing = values.isna()
    return [Column(name, "missing")] if missing.any() and not missing.all() else []


def _level_columns(name: str, counts: Counter[str], room: int) -> list[Column]:
    """A column for each of the `room` most frequent levels, and one for all others."""
    # Ties go by name: the same columns every time, whatever order the rows are in.
    ranked = sorted(counts, key=lambda level: (-counts[level], level))
    columns = [Column(name, "level", level=level) for level in sorted(ranked[:room])]
    return columns + ([Column(name, "rare")] if len(ranked) > room else [])


def _quantile_cuts(values: Float[np.ndarray, " n"], num_cuts: int) -> tuple[float, ...]:
    unique = np.unique(values[np.isfinite(values)])
    if len(unique) < 2:
        return ()
    if len(unique) <= num_cuts + 1:
        low, high = unique[:-1], unique[1:]
        # Halved first: a sum could overflow. Of neighbouring floats the middle may be the upper.
        cuts = np.clip(low / 2 + high / 2, low, np.nextafter(high, low))
    else:
        ranks = np.arange(1, num_cuts + 1) / (num_cuts + 1)
        cuts = np.quantile(values[np.isfinite(values)], ranks)
        # Above a cut there has to be something, also where most values are the largest one.
        cuts = np.unique(np.minimum(cuts, unique[-2]))
    return tuple(map(float, cuts))
