"""Rules that say who belongs to a segment: readable, and evaluated on a feature frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool

from pytyche_engine.contracts.errors import DataError
from pytyche_engine.contracts.sql import sql_name, sql_number, sql_text

_FLAGS = {"True": ("True", "true", "1"), "False": ("False", "false", "0")}
"""How databases write true and false as text."""


@dataclass(frozen=True)
class Threshold:
    """A numeric feature at most (``<=``) or above (``>``) a cut.

    A missing value is never above a cut and never at most one, unless
    ``includes_missing``: then visitors without a value belong too.
    """

    feature: str
    side: Literal["<=", ">"]
    cut: float
    includes_missing: bool = False

    def matches(self, values: pd.Series) -> Bool[np.ndarray, " n"]:
        """Which visitors the clause holds for."""
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        with np.errstate(invalid="ignore"):
            held = numbers <= self.cut if self.side == "<=" else numbers > self.cut
        return (held | np.isnan(numbers)) if self.includes_missing else held

    def to_sql(self, table: str = "") -> str:
        """The clause as a condition on a column of numbers; see `Rule.to_sql`."""
        column = sql_name(self.feature, table)
        held = f"{column} {self._operator} {sql_number(self.cut)}"
        return f"({held} OR {column} IS NULL)" if self.includes_missing else held

    def to_python(self) -> str:
        """The clause as an expression; see `Rule.to_python`."""
        value = f"features[{str(self.feature)!a}]"
        held = f"{value} {self._operator} {sql_number(self.cut)}"  # the same in Python
        if self.includes_missing:
            return f"({value} is None or {value} != {value} or {held})"
        return f"{value} is not None and {held}"

    @property
    def _operator(self) -> str:
        return "<=" if self.side == "<=" else ">"

    def __str__(self) -> str:
        suffix = " or missing" if self.includes_missing else ""
        return f"{self.feature} {self.side} {self.cut:.6g}{suffix}"


@dataclass(frozen=True)
class Levels:
    """A categorical or boolean feature that is (one of) some levels.

    ``levels`` hold the feature's level labels as text. ``includes_missing`` adds
    visitors without a value. A level never seen when the rule was made does not match.
    """

    feature: str
    levels: tuple[str, ...]
    includes_missing: bool = False

    def matches(self, values: pd.Series) -> Bool[np.ndarray, " n"]:
        """Which visitors the clause holds for."""
        held = values.astype("string").isin(self.levels).to_numpy(dtype=bool, na_value=False)
        missing: Bool[np.ndarray, " n"] = values.isna().to_numpy()
        return (held | missing) if self.includes_missing else (held & ~missing)

    def to_sql(self, table: str = "") -> str:
        """The clause as a condition on a column of text or of true and false."""
        column = sql_name(self.feature, table)
        # A column that a clause calls true or false may hold a boolean, 0 and 1, or text.
        stored = f"CAST({column} AS VARCHAR)" if self.about_flags else column
        labels = [label for level in self.levels for label in self._labels(level)]
        if self.includes_missing:
            labels.append("")  # blank text is missing at the door
        held = f"{stored} IN ({', '.join(map(sql_text, labels))})" if labels else "1 = 0"
        return f"({held} OR {column} IS NULL)" if self.includes_missing else held

    def to_python(self) -> str:
        """The clause as an expression; see `Rule.to_python`."""
        value = f"features[{str(self.feature)!a}]"
        values = [v for level in self.levels for v in _values(str(level))]
        if self.includes_missing:
            values.append("")  # blank text is missing at the door
        held = f"{value} in {tuple(values)!a}"
        if self.includes_missing:
            return f"({value} is None or {value} != {value} or {held})"
        return held

    @property
    def about_flags(self) -> bool:
        """Whether the levels are true, false or neither: all that a boolean feature has."""
        return set(self.levels) <= set(_FLAGS)

    def _labels(self, level: str) -> tuple[str, ...]:
        return _FLAGS[level] if self.about_flags else (level,)

    def __str__(self) -> str:
        names = (*self.levels, "(missing)") if self.includes_missing else self.levels
        if len(names) == 1:
            return f"{self.feature} == {names[0]}"
        return f"{self.feature} in {{{', '.join(names)}}}"


Clause = Threshold | Levels


@dataclass(frozen=True)
class Rule:
    """Clauses joined by AND. Without clauses it holds for everyone."""

    clauses: tuple[Clause, ...] = ()

    def matches(self, features: pd.DataFrame) -> Bool[np.ndarray, " n"]:
        """Which rows of a feature frame the rule holds for.

        Raises:
            DataError: if a feature of the rule is not a column.
        """
        held: Bool[np.ndarray, " n"] = np.ones(len(features), dtype=bool)
        for clause in self.clauses:
            if clause.feature not in features:
                raise DataError(
                    f"The rule '{self}' needs the feature '{clause.feature}'",
                    column=clause.feature,
                    mend="Pass a frame with the experiment's feature columns.",
                )
            held &= clause.matches(features[clause.feature])
        return held

    def to_sql(self, table: str = "") -> str:
        """The rule as a condition of standard SQL, for WHERE and CASE.

        Each feature is a column of its name, in double quotes. Missing values are NULL (blank
        text, too); NaN must be stored as NULL, as databases do not agree on what exceeds it. On
        a missing value the condition is true where the rule says "or missing", and otherwise
        NULL or false, which WHERE and CASE take alike; ``NOT (...)`` does not turn it round.

        Args:
            table: the name or alias of the table, put before each column. Some databases read
                ``"depth"`` as text, but none reads ``v."depth"`` so.

        Raises:
            DesignError: if a cut is not finite, or a name cannot be written in SQL.
        """
        return " AND ".join(clause.to_sql(table) for clause in self.clauses) or "1 = 1"

    def to_python(self) -> str:
        """The rule as a Python expression over a mapping ``features`` of names to values.

        It needs no import. None and NaN are missing (blank text, too, for levels); numbers are
        numbers, levels text or whatever number or boolean reads so. A name that the mapping
        does not have raises KeyError, as a typing error must not pass for a missing value.

        Raises:
            DesignError: if a cut is not finite.
        """
        return " and ".join(clause.to_python() for clause in self.clauses) or "True"

    def __str__(self) -> str:
        return " AND ".join(map(str, self.clauses)) or "everyone"

    def to_dict(self) -> dict[str, Any]:
        """The rule as plain JSON values."""
        return {
            "clauses": [
                {
                    "kind": "threshold",
                    "feature": c.feature,
                    "side": c.side,
                    "cut": c.cut,
                    "includes_missing": c.includes_missing,
                }
                if isinstance(c, Threshold)
                else {
                    "kind": "levels",
                    "feature": c.feature,
                    "levels": list(c.levels),
                    "includes_missing": c.includes_missing,
                }
                for c in self.clauses
            ]
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Rule":
        """The inverse of `to_dict`."""
        clauses: list[Clause] = []
        for c in value["clauses"]:
            missing = bool(c["includes_missing"])
            if c["kind"] == "threshold":
                clauses.append(Threshold(c["feature"], c["side"], float(c["cut"]), missing))
            else:
                clauses.append(Levels(c["feature"], tuple(map(str, c["levels"])), missing))
        return cls(tuple(clauses))


def _values(level: str) -> tuple[object, ...]:
    """A level's text, and the boolean or whole number whose label it is."""
    if level in _FLAGS:
        return level, level == "True"
    try:
        number = int(level)
    except ValueError:
        return (level,)
    return (level, number) if str(number) == level else (level,)
