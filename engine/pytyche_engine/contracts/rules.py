"""Rules that say who belongs to a segment: readable, and evaluated on a feature frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool

from pytyche_engine.contracts.errors import DataError


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
