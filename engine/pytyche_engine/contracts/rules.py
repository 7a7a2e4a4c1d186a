"""Rules that say who belongs to a segment: readable, and evaluated on a feature frame."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool

from pytyche_engine.contracts.errors import DataError, DesignError
from pytyche_engine.contracts.sql import sql_name, sql_number, sql_text

_FLAGS = {"True": ("True", "true", "1"), "False": ("False", "false", "0")}
"""How databases write true and false as text."""

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_WORD = r'[^\s"{},<>=]+'
_PLAIN = re.compile(rf"{_WORD}(?: {_WORD})*")
_NAME = rf"(?:{_QUOTED}|{_PLAIN.pattern})"
_JOINT = re.compile(rf"{_QUOTED}|(?P<joint>\s+AND\s+)", re.IGNORECASE)
_COMMA = re.compile(rf"{_QUOTED}|(?P<joint>,)")
_THRESHOLD = re.compile(
    rf"(?P<feature>{_NAME})\s*(?P<side><=|>)\s*(?P<cut>[^\s=]+)(?P<missing>\s+or\s+missing)?",
    re.IGNORECASE,
)
_LEVELS = re.compile(
    rf"(?P<feature>{_NAME})(?:\s*==\s*(?P<one>{_NAME})|\s+in\s*\{{(?P<many>.*)\}})",
    re.IGNORECASE | re.DOTALL,
)
MISSING = "(missing)"
"""How a rule shows that visitors without a value belong."""

_HOW = (
    "Write clauses such as browse_depth > 4, age <= 30 or missing, channel == email or "
    "channel in {direct, email, (missing)}, and join them by AND. Put names in double quotes that "
    'hold signs of these, or the words "and" and "or".'
)


@dataclass(frozen=True)
class Threshold:
    """A numeric feature at most (``<=``) or above (``>``) a cut.

    A missing value is never above a cut and never at most one, unless
    ``includes_missing``: then visitors without a value belong too.

    Raises:
        DesignError: for another side.
    """

    feature: str
    side: Literal["<=", ">"]
    cut: float
    includes_missing: bool = False

    def __post_init__(self) -> None:
        if self.side not in ("<=", ">"):
            raise DesignError(
                f"A threshold on '{self.feature}' has the side {self.side!r}; use '<=' or '>'."
            )

    def matches(self, values: pd.Series) -> Bool[np.ndarray, " n"]:
        """Which visitors the clause holds for."""
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        with np.errstate(invalid="ignore"):
            held = numbers <= self.cut if self.side == "<=" else numbers > self.cut
        return (held | np.isnan(numbers)) if self.includes_missing else held

    def to_sql(self, table: str = "") -> str:
        """The clause as a condition on a column of numbers; see `Rule.to_sql`."""
        column = sql_name(self.feature, table)
        held = f"{column} {self.side} {sql_number(self.cut)}"
        return f"({held} OR {column} IS NULL)" if self.includes_missing else held

    def to_python(self) -> str:
        """The clause as an expression; see `Rule.to_python`."""
        value = f"features[{str(self.feature)!a}]"
        held = f"{value} {self.side} {sql_number(self.cut)}"  # the same in Python
        if self.includes_missing:
            return f"({value} is None or {value} != {value} or {held})"
        return f"{value} is not None and {held}"

    def __str__(self) -> str:
        suffix = " or missing" if self.includes_missing else ""
        return f"{_shown(self.feature)} {self.side} {self.cut:.6g}{suffix}"


@dataclass(frozen=True)
class Levels:
    """A categorical or boolean feature that is (one of) some levels.

    ``levels`` hold the feature's level labels as text. ``includes_missing`` adds
    visitors without a value. A level never seen when the rule was made does not match.

    Raises:
        DesignError: if ``levels`` is one text.
    """

    feature: str
    levels: tuple[str, ...]
    includes_missing: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.levels, str):
            raise DesignError(
                f"The levels of '{self.feature}' are the text {self.levels!r}; write "
                f"({self.levels!r},)."
            )
        object.__setattr__(self, "levels", tuple(self.levels))

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
        names = [*map(_shown, self.levels), *([MISSING] if self.includes_missing else ())]
        if len(names) == 1:
            return f"{_shown(self.feature)} == {names[0]}"
        return f"{_shown(self.feature)} in {{{', '.join(names)}}}"


Clause = Threshold | Levels


@dataclass(frozen=True)
class Rule:
    """Clauses joined by AND. Without clauses it holds for everyone.

    Raises:
        DesignError: if ``clauses`` is no sequence of clauses.
    """

    clauses: tuple[Clause, ...] = ()

    def __post_init__(self) -> None:
        given: Any = self.clauses
        listed = isinstance(given, Sequence) and not isinstance(given, str)
        if not (listed and all(isinstance(clause, Clause) for clause in given)):
            raise DesignError(
                f"A rule takes clauses, such as Rule((Threshold('age', '>', 30),)); {given!r} is "
                "none. Rule.parse('age > 30') reads text."
            )
        object.__setattr__(self, "clauses", tuple(given))

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
        return self._text

    @cached_property  # views of hundreds of segments over many rounds ask again and again
    def _text(self) -> str:
        return " AND ".join(map(str, self.clauses)) or "everyone"

    @classmethod
    def parse(cls, text: str) -> "Rule":
        """The rule that a text says, such as ``browse_depth > 4 AND channel in {direct, email}``.

        The inverse of ``str(rule)``, but for cuts, which are shown with six significant digits:
        take a segment's own rule where that matters. Names with signs of the language in them
        stand in double quotes, with backslashes as in JSON.

        Raises:
            DesignError: if the text is no rule; the message says which part, and what to write.

        Examples:
            >>> print(Rule.parse("browse_depth > 4 AND channel in {direct, email}"))
            browse_depth > 4 AND channel in {direct, email}
        """
        if not isinstance(text, str):
            raise DesignError(f"A rule is text, not {type(text).__name__}. {_HOW}")
        if text.strip() == "everyone":
            return cls()
        return cls(tuple(_clause(part) for part in _parts(text, _JOINT)))

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


def _shown(name: object) -> str:
    """A name as rules show it: in double quotes where it would read as something else."""
    text = str(name)
    words = text.lower().split(" ")
    plain = _PLAIN.fullmatch(text) and text != MISSING and not {"and", "or"} & set(words)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _named(text: str) -> str:
    """The inverse of `_shown`."""
    try:
        name = str(json.loads(text, strict=False)) if text.startswith('"') else text
    except ValueError as error:
        raise DesignError(f"The quoted name {text} cannot be read: {error}.") from error
    if not text.startswith('"') and _shown(text) != text:
        raise DesignError(f"{text!r} cannot be read as one name. {_HOW}")
    return name


def _parts(text: str, joint: re.Pattern[str]) -> Iterator[str]:
    """The pieces of a text between joints that are not in quotes."""
    start = 0
    for found in joint.finditer(text):
        if found["joint"]:
            yield text[start : found.start()].strip()
            start = found.end()
    yield text[start:].strip()


def _clause(text: str) -> Clause:
    if found := _THRESHOLD.fullmatch(text):
        try:
            cut = float(found["cut"])
        except ValueError:
            cut = math.nan
        if not math.isfinite(cut):
            raise DesignError(f"'{found['cut']}' in '{text}' is not a finite number.")
        side: Literal["<=", ">"] = "<=" if found["side"] == "<=" else ">"
        return Threshold(_named(found["feature"]), side, cut, bool(found["missing"]))
    if found := _LEVELS.fullmatch(text):
        inside = found["one"] if found["many"] is None else found["many"].strip()
        names = list(_parts(inside, _COMMA)) if inside else []
        levels = tuple(_named(name) for name in names if name != MISSING)
        return Levels(_named(found["feature"]), levels, MISSING in names)
    raise DesignError(f"'{text}' is not a clause of a rule. {_HOW}")
