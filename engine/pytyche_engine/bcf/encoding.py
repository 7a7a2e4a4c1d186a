"""Features as small integers: what the trees split on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8

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
    """How to turn a feature frame into the matrix that the trees see.

    A missing number gets bin 0 and is told apart by its ``missing`` column. A categorical
    level never seen by the fit is none of the known levels: all its columns are 0, or its
    ``rare`` column is 1 where rare levels were pooled.
    """

    columns: tuple[Column, ...]

    @property
    def max_split(self) -> UInt8[np.ndarray, " p"]:
        """(p,) largest split index of each column."""
        return np.array([c.max_split for c in self.columns], dtype=np.uint8)

    def encode(self, features: pd.DataFrame) -> UInt8[np.ndarray, "p n"]:
        """(p, n) bins.

        Raises:
            DataError: if a feature is not in the frame.
        """
        matrix = np.zeros((len(self.columns), len(features)), dtype=np.uint8)
        for row, column in zip(matrix, self.columns, strict=True):
            if column.feature not in features:
                raise DataError(
                    f"The feature '{column.feature}' is missing from the frame",
                    column=column.feature,
                    mend="Pass every feature that the experiment was fitted on.",
                )
            row[:] = _encode_column(features[column.feature], column, self._known(column.feature))
        return matrix

    def _known(self, feature: str) -> tuple[str, ...]:
        return tuple(c.level for c in self.columns if c.feature == feature and c.test == "level")


def _encode_column(
    values: pd.Series, column: Column, known: tuple[str, ...]
) -> UInt8[np.ndarray, " n"]:
    missing = values.isna().to_numpy()
    if column.test == "missing":
        return missing.astype(np.uint8)
    if column.test == "value":
        numbers = values.to_numpy(dtype=float, na_value=-np.inf)
        return np.searchsorted(np.asarray(column.cuts), numbers, side="left").astype(np.uint8)
    text = values.astype("string")
    if column.test == "level":
        return (text == column.level).to_numpy(dtype=bool, na_value=False).astype(np.uint8)
    return (~text.isin(known).to_numpy(dtype=bool, na_value=False) & ~missing).astype(np.uint8)


def learn_encoding(features: pd.DataFrame, schema: FeatureSchema, num_cuts: int) -> Encoding:
    """Choose cut points and level columns from data.

    Columns that take one value only are left out: no tree could split on them.
    """
    columns: list[Column] = []
    for feature in schema.features:
        columns.extend(_learn_feature(features[feature.name], feature, num_cuts))
    return Encoding(tuple(columns))


def _learn_feature(values: pd.Series, feature: Feature, num_cuts: int) -> list[Column]:
    name = feature.name
    some_missing = bool(values.isna().any()) and not bool(values.isna().all())
    columns = [Column(name, "missing")] if some_missing else []
    if feature.kind is FeatureKind.NUMERIC:
        cuts = _quantile_cuts(values.dropna().to_numpy(dtype=float), num_cuts)
        return ([Column(name, "value", cuts=cuts)] if cuts else []) + columns
    counts = values.dropna().astype("string").value_counts()
    levels = sorted(map(str, counts.index))
    if len(levels) < 2:
        return columns
    if feature.kind is FeatureKind.BOOLEAN:
        return [Column(name, "level", level=levels[-1]), *columns]
    if len(levels) > MAX_LEVELS:
        # value_counts breaks ties by order of appearance; sort for the same columns every time.
        ranked = sorted(levels, key=lambda level: (-int(counts[level]), level))
        levels = sorted(ranked[:MAX_LEVELS])
        columns.append(Column(name, "rare"))
    return [Column(name, "level", level=level) for level in levels] + columns


def _quantile_cuts(values: Float[np.ndarray, " n"], num_cuts: int) -> tuple[float, ...]:
    unique = np.unique(values)
    if len(unique) <= num_cuts + 1:
        cuts = (unique[1:] + unique[:-1]) / 2
    else:
        ranks = np.arange(1, num_cuts + 1) / (num_cuts + 1)
        cuts = np.unique(np.quantile(values, ranks))
        cuts = cuts[cuts < unique[-1]]
    return tuple(map(float, cuts))
