"""The visitors of an experiment, checked once when they come in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Int

from pytyche_engine.classic.moments import Column, Moments, moments_by_arm
from pytyche_engine.contracts.columns import as_numbers, row_labels
from pytyche_engine.contracts.errors import DataError

MOST_LEVELS = 20
"""Levels of a text covariate beyond which it is taken for an id."""

_MISSING = "missing"
"""The level of visitors without a value."""


@dataclass(frozen=True, eq=False)
class Rows:
    """A row a visitor.

    Attributes:
        frame: the data; columns are only read, and none is copied before it is needed.
        arm: (n,) codes into `arms`.
        arms: labels in order of first appearance.
        levels: for each text covariate its levels.
    """

    frame: pd.DataFrame
    arm: Int[np.ndarray, " n"]
    arms: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def moments(self, groups: Sequence[Sequence[Column]]) -> dict[str, Moments]:
        """Moments of groups of columns by arm, in one pass."""
        sources = dict.fromkeys(column.source for group in groups for column in group)
        raw = {name: self.raw(name) for name in sources}
        found = moments_by_arm(self.arm, len(self.arms), groups, raw)
        return dict(zip(self.arms, found, strict=True))

    def outcome(self, name: str) -> np.ndarray:
        """A column of numbers, none of them missing or infinite.

        Raises:
            DataError: if it is not there, or cannot be used.
        """
        values = self._numbers(name, "metric")
        missing = np.isnan(values)
        if missing.any():
            raise DataError(
                f"Metric column '{name}' has {missing.sum():,} missing values",
                column=name,
                rows=row_labels(self.frame, missing),
                mend="Fill in 0 for visitors who did nothing; leave out those who were not "
                "measured before calling setup, and say so.",
            )
        return values

    def covariate(self, name: str) -> tuple[Column, ...]:
        """The columns that stand for a covariate: its value, levels, and missingness.

        Raises:
            DataError: if it is not there, or cannot be used.
        """
        if name in self.levels:
            # The first level is the rest.
            codes = range(1, len(self.levels[name]))
            return tuple(Column(name, "level", code) for code in codes)
        values = self._numbers(name, "covariate")
        missing = np.isnan(values)
        if missing.all():
            raise DataError(f"The covariate '{name}' has no value at all", column=name)
        if missing.any():
            return Column(name, fill=float(values[~missing].mean())), Column(name, "missing")
        return (Column(name),)

    def raw(self, name: str) -> np.ndarray:
        """A column's values as they are, codes of its levels for a text covariate."""
        if name in self.levels:
            found, labels = pd.factorize(self.frame[name])
            position = {level: code for code, level in enumerate(self.levels[name])}
            codes = [position[str(label)] for label in labels]
            return np.array([*codes, position.get(_MISSING, -1)], dtype=np.int64)[found]
        values = self.frame[name]
        if values.dtype.kind in "iuf":
            return values.to_numpy()
        return values.to_numpy(dtype=float, na_value=np.nan)

    def _numbers(self, name: str, role: str) -> np.ndarray:
        check_column(self.frame, name, role)
        series = self.frame[name]
        if not pd.api.types.is_numeric_dtype(series.dtype):
            _, wrong = as_numbers(series)
            raise DataError(
                f"The {role} column '{name}' holds {series.dtype}, not numbers"
                + (f", e.g. {series[wrong].iloc[0]!r}" if wrong.any() else ""),
                column=name,
                rows=row_labels(series, wrong),
                mend=f"Convert it with pd.to_numeric(data['{name}']).",
            )
        if series.dtype.kind == "c":
            raise DataError(f"The {role} column '{name}' holds complex numbers", column=name)
        values = self.raw(name)
        if values.dtype.kind == "f" and np.isinf(values).any():
            wrong = np.isinf(values)
            raise DataError(
                f"The {role} column '{name}' has {wrong.sum():,} infinite values",
                column=name,
                rows=row_labels(series, wrong),
                mend="Find out where they come from (a division by zero?) and replace them.",
            )
        return values


def check_column(frame: pd.DataFrame, name: str, role: str) -> None:
    """Refuse a column that is not there, or there twice.

    Raises:
        DataError: with the columns that there are.
    """
    times = list(frame.columns).count(name)
    if times == 0:
        raise DataError(
            f"There is no {role} column '{name}'",
            column=str(name),
            mend=f"The data have {_listed(map(str, frame.columns))}.",
        )
    if times > 1:
        raise DataError(f"The {role} column '{name}' is there {times} times", column=str(name))


def read_rows(
    frame: pd.DataFrame, treatment_col: str, id_col: str | None, covariates: Sequence[str]
) -> Rows:
    """Check a frame of visitors.

    Raises:
        DataError: if it is no frame or empty, arms or ids are missing, an id is there
            twice, or a covariate cannot be used.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            f"The data are a {type(frame).__name__}",
            mend="Pass a pandas DataFrame, a row a visitor.",
        )
    if frame.empty:
        raise DataError(
            f"The data are empty ({len(frame)} rows, {frame.shape[1]} columns)",
            mend="Pass a row for each visitor.",
        )
    check_column(frame, treatment_col, "treatment")
    arm = frame[treatment_col]
    try:
        codes, labels = pd.factorize(arm)
    except TypeError as error:
        raise DataError(
            f"The treatment column '{treatment_col}' holds lists or other objects",
            column=treatment_col,
            mend="Use one label a visitor.",
        ) from error
    if (codes < 0).any():
        raise DataError(
            f"The treatment column '{treatment_col}' has {(codes < 0).sum():,} missing labels",
            column=treatment_col,
            rows=row_labels(frame, codes < 0),
            mend="A visitor without an arm cannot be compared; find out why it is missing.",
        )
    arms = tuple(map(str, labels))
    if len(set(arms)) < len(arms):
        raise DataError(
            f"Labels of '{treatment_col}' differ but read alike: {_listed(map(repr, labels))}",
            column=treatment_col,
        )
    if id_col is not None:
        check_column(frame, id_col, "id")
        _check_ids(frame, id_col)
    small = np.int16 if len(arms) < 2**15 else np.int64
    rows = Rows(frame.copy(deep=False), codes.astype(small), arms)
    levels = {}
    for name in covariates:
        check_column(frame, name, "covariate")
        if name in (treatment_col, id_col):
            raise DataError(f"'{name}' is a covariate and the treatment or id column", column=name)
        kind = frame[name].dtype
        if pd.api.types.is_numeric_dtype(kind):
            rows.covariate(name)
        else:
            levels[name] = _levels(frame[name])
    return Rows(rows.frame, rows.arm, arms, levels)


def _check_ids(frame: pd.DataFrame, id_col: str) -> None:
    ids = frame[id_col]
    missing = ids.isna().to_numpy(dtype=bool)
    if missing.any():
        raise DataError(
            f"The id column '{id_col}' has {missing.sum():,} missing ids",
            column=id_col,
            rows=row_labels(frame, missing),
            mend="Leave id_col out if visitors have no ids.",
        )
    # Ids are often in order, which is quicker to see than to hash.
    if ids.is_monotonic_increasing and ids.dtype.kind in "iu":
        again = np.concatenate([[False], np.diff(ids.to_numpy()) == 0])
    else:
        again = ids.duplicated().to_numpy()
    if again.any():
        raise DataError(
            f"{again.sum():,} rows repeat an id of '{id_col}', e.g. '{ids[again].iloc[0]}'",
            column=id_col,
            rows=row_labels(frame, again),
            mend="Standard errors take a row for a visitor: sum up each visitor's rows first. "
            "If ids were seen in two arms, find out why.",
        )


def _levels(values: pd.Series) -> tuple[str, ...]:
    try:
        codes, found = pd.factorize(values)
    except TypeError as error:
        raise DataError(
            f"The covariate '{values.name}' holds lists or other objects",
            column=str(values.name),
            mend="Use one text or number a visitor.",
        ) from error
    levels = tuple(sorted(set(map(str, found))))
    if len(levels) > MOST_LEVELS:
        raise DataError(
            f"The covariate '{values.name}' has {len(levels):,} different texts",
            column=str(values.name),
            mend=f"A text covariate may have {MOST_LEVELS} levels; group them, or make it a "
            "number.",
        )
    return (*levels, _MISSING) if (codes < 0).any() and _MISSING not in levels else levels


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - 20} more" if len(listed) > 20 else ""
    return ", ".join(listed[:20]) + more
