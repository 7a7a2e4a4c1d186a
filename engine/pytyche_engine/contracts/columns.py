"""What one column of a frame holds, and how to read it as one kind or another."""

import datetime
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from pandas.api import types

from pytyche_engine.contracts.errors import DataError

MISSING_MARKS = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?", "<na>", "nat"})
"""Text that stands for a missing value; a blank does everywhere, the others among numbers."""

STORED_AS_TEXT = "numbers stored as text"

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?")
_LEADING_ZERO = re.compile(r"[+-]?0\d")


class Holds(StrEnum):
    """What a column holds, as found in its values."""

    NUMBERS = "numbers"
    TEXT = "text"
    FLAGS = "true/false"
    DATES = "dates"
    NOTHING = "nothing"  # every value is missing
    OTHER = "other"  # lists, dictionaries, complex numbers: not one value a visitor


@dataclass(frozen=True)
class Contents:
    """What a column holds.

    Attributes:
        holds: its kind.
        remark: how it was stored, where that needed a decision, or ``""``.
    """

    holds: Holds
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Distinct:
    """A column as codes into its distinct values.

    Attributes:
        codes: (n,) index into `values`, -1 for a missing value.
        values: the distinct values in order of appearance; blank text counts as missing.
    """

    codes: Int[np.ndarray, " n"]
    values: list[Any]


def distinct(column: pd.Series) -> Distinct:
    """Factorise a column. Work on distinct values is what keeps long text columns fast.

    Raises:
        TypeError: if it holds values that cannot be hashed.
    """
    codes, found = pd.factorize(column)
    values = list(found)
    blank = np.array([isinstance(v, str) and not v.strip() for v in values], dtype=bool)
    if blank.any():
        position = np.where(blank, -1, np.cumsum(~blank) - 1)
        codes = np.append(position, -1)[codes]
        values = [v for v, is_blank in zip(values, blank, strict=True) if not is_blank]
    return Distinct(np.asarray(codes, dtype=np.int64), values)


def contents(column: pd.Series) -> Contents:
    """What a column holds.

    Text is numbers when every value parses (marks such as ``n/a`` count as missing) and none
    has a leading zero, which marks a code; dates when every value is an ISO 8601 date.
    """
    dtype = column.dtype
    if column.isna().all():
        return Contents(Holds.NOTHING)
    if isinstance(dtype, pd.CategoricalDtype):
        return Contents(Holds.TEXT)
    if types.is_bool_dtype(dtype):
        return Contents(Holds.FLAGS)
    if types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return Contents(Holds.DATES)
    if types.is_complex_dtype(dtype):
        return Contents(Holds.OTHER, "complex numbers")
    if types.is_numeric_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        return Contents(Holds.NUMBERS)
    try:
        values = distinct(column).values
    except TypeError:
        return Contents(Holds.OTHER, "lists, dictionaries or other objects")
    return _contents_of_objects(values)


def _contents_of_objects(values: Sequence[Any]) -> Contents:
    if not values:
        return Contents(Holds.NOTHING)
    if all(isinstance(v, bool | np.bool_) for v in values):
        return Contents(Holds.FLAGS)
    if all(isinstance(v, datetime.date) for v in values):
        return Contents(Holds.DATES)
    if any(isinstance(v, complex) for v in values):
        return Contents(Holds.OTHER, "complex numbers")
    texts = [v for v in values if isinstance(v, str)]
    if len(texts) == len(values) and _all_dates(texts):
        return Contents(Holds.DATES, "dates stored as text")
    candidates = [v for v in values if not _is_mark(v)]
    parsed = ~np.isnan(_parse(candidates))
    if candidates and parsed.all():
        if any(_LEADING_ZERO.match(v.strip()) for v in texts):
            return Contents(Holds.TEXT, "codes with leading zeros")
        return Contents(Holds.NUMBERS, STORED_AS_TEXT if texts else "")
    if parsed.any():
        odd = str(next(v for v, ok in zip(candidates, parsed, strict=True) if not ok))
        return Contents(Holds.TEXT, f"numbers mixed with text such as '{odd[:40]}'")
    return Contents(Holds.TEXT)


def _all_dates(texts: Sequence[str]) -> bool:
    if not all(_ISO_DATE.fullmatch(v.strip()) for v in texts):
        return False
    _, wrong = as_dates(pd.Series(texts, dtype="string"))  # the 31st of February, say
    return not wrong.any()


def _is_mark(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() in MISSING_MARKS


def _parse(values: Sequence[Any]) -> Float[np.ndarray, " m"]:
    """Numbers, NaN where a value is not one. Flags among other values are not numbers."""
    usable = [
        v if isinstance(v, str | Number) and not isinstance(v, bool | np.bool_) else None
        for v in values
    ]
    column = pd.Series(usable, dtype=object)
    try:
        return np.asarray(pd.to_numeric(column, errors="coerce"), dtype=float)
    except (ArithmeticError, TypeError, ValueError):  # a whole number beyond any float, say
        return np.array([_as_float(v) for v in usable])


def _as_float(value: object) -> float:
    """One number; NaN where a value is not one, and infinite where it is beyond any float."""
    parsed = pd.to_numeric(value, errors="coerce") if isinstance(value, str) else value
    try:
        return float(parsed)  # type: ignore[arg-type]  # what is no number raises
    except OverflowError:
        return math.inf
    except (ArithmeticError, TypeError, ValueError):
        return math.nan


def as_numbers(column: pd.Series) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """(n,) numbers, NaN where missing, and (n,) which values are there but not numbers.

    Timedeltas are read as days; true and false as 1 and 0.
    """
    dtype = column.dtype
    missing = column.isna().to_numpy(dtype=bool)
    if types.is_timedelta64_dtype(dtype):
        days = column.dt.total_seconds() / 86_400
        return np.asarray(days, dtype=float), np.zeros_like(missing)
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):  # flags included
        # A copy: what is kept of a frame must not change with it.
        numbers = column.to_numpy(dtype=float, na_value=np.nan, copy=True)
        return numbers, np.zeros_like(missing)
    try:
        found = distinct(column)
    except TypeError:
        return np.full(len(column), np.nan), ~missing
    if found.values and all(isinstance(v, bool | np.bool_) for v in found.values):
        parsed = np.array(found.values, dtype=float)
        wrong = np.zeros(len(parsed), dtype=bool)
    else:
        parsed = _parse(found.values)
        marks = np.array([_is_mark(v) for v in found.values], dtype=bool)
        wrong = np.isnan(parsed) & ~marks
    return np.append(parsed, np.nan)[found.codes], np.append(wrong, False)[found.codes]


def as_text(column: pd.Series) -> Distinct:
    """A column as text labels: codes into distinct labels, -1 for missing.

    Whole numbers have no decimal point, whatever type they are stored in, so that a label
    reads the same in every round.

    Raises:
        TypeError: if it holds values that cannot be hashed.
        DataError: if a label is no valid text, which no file could hold.
    """
    found = distinct(column)
    labels = [_label(v) for v in found.values]
    for code, label in enumerate(labels):
        if not is_text(label):
            raise DataError(
                f"The column '{column.name}' holds text that is no valid Unicode, such as "
                f"{label[:40]!a}",
                column=str(column.name),
                rows=row_labels(column, found.codes == code),
                mend="It was read with another encoding than it was written in; read it anew, "
                "e.g. pd.read_csv(..., encoding='utf-8').",
            )
    unique = list(dict.fromkeys(labels))
    position = {label: i for i, label in enumerate(unique)}
    recode = np.array([*(position[label] for label in labels), -1], dtype=np.int64)
    return Distinct(recode[found.codes], unique)


def is_text(text: str) -> bool:
    """Whether a text is valid Unicode: halves of a character are not, and no file can hold them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _label(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def as_dates(column: pd.Series) -> tuple[pd.Series, Bool[np.ndarray, " n"]]:
    """Timestamps in UTC without a zone, NaT where missing, and which values are no dates."""
    missing = column.isna().to_numpy(dtype=bool)
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if types.is_numeric_dtype(column.dtype):  # a bare number has no unit: not a date
        return pd.Series(pd.NaT, index=column.index, dtype="datetime64[ns]"), ~missing
    if not types.is_datetime64_any_dtype(column.dtype):
        text = column.astype("string").str.strip()
        text = text.mask(text == "")
        missing = text.isna().to_numpy(dtype=bool)
        column = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")
    if getattr(column.dtype, "tz", None) is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column, column.isna().to_numpy(dtype=bool) & ~missing


def row_labels(frame: pd.DataFrame | pd.Series, rows: Bool[np.ndarray, " n"]) -> list[object]:
    """Index labels of the first offending rows."""
    return list(frame.index[np.flatnonzero(rows)[:5]])


def require(
    frame: pd.DataFrame, column: str, meaning: str, mend: str = "Name it in the column mapping."
) -> pd.Series:
    """The column of a frame.

    Raises:
        DataError: if it is not there, with the columns that are and the nearest name; or if it
            is there twice.
    """
    names = [str(c) for c in frame.columns]
    if column in frame.columns:
        if names.count(column) > 1:
            raise DataError(
                f"The frame has several columns called '{column}' ({meaning})",
                column=column,
                mend="Rename or drop all but one.",
            )
        return frame[column]
    raise DataError(
        f"The column '{column}' ({meaning}) is missing; the frame has {names[:20]}"
        + (" and more" if len(names) > 20 else ""),
        column=column,
        mend=did_you_mean(column, names) + mend,
    )


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """``"Did you mean 'x'? "`` for the nearest known name, or ``""``."""
    import difflib

    folded = {k.strip().casefold(): k for k in known}
    near = difflib.get_close_matches(name.strip().casefold(), list(folded), n=1, cutoff=0.6)
    return f"Did you mean '{folded[near[0]]}'? " if near else ""
