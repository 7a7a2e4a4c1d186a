"""Features: their kinds are inferred from the first round and hold for all later ones."""

import re

import numpy as np
import pandas as pd
from jaxtyping import Float

from pytyche_engine.contracts.columns import (
    Holds,
    as_dates,
    as_numbers,
    as_text,
    contents,
    did_you_mean,
    distinct,
    row_labels,
)
from pytyche_engine.contracts.errors import DataError
from pytyche_engine.contracts.observations import (
    ColumnMapping,
    Feature,
    FeatureKind,
    FeatureSchema,
    LeftOut,
)

DATE_PARTS = ("month", "weekday", "hour", "days")
"""What a date is split into: 1-12, 0 (Monday) to 6, 0-23, whole days since 1970-01-01 (UTC)."""

OUTCOME_NAMES = frozenset({"converted", "conversion"})
"""Columns that are outcomes by their name, measured after the assignment: never features."""

_EPOCH = pd.Timestamp("1970-01-01")
_ID_NAME = re.compile(r"(^|_)(id|ids|uid|uuid|guid|key|hash|email|phone|session|token)($|_)")
_MIN_DISTINCT_ID = 20  # below this, "nearly all different" says nothing about a column


def infer_schema(frame: pd.DataFrame, columns: ColumnMapping) -> FeatureSchema:
    """Decide what each column that is not mapped is used as.

    Numbers are numeric, also 0/1 (which may be a count); true/false is boolean; text is
    categorical with its labels as levels; numbers stored as text are numeric, unless one has
    a leading zero (a code); dates are split into `DATE_PARTS`. Left out, with the reason:

    - columns that take one value only, missing counted as a value;
    - columns like an identifier: text with more than half of its values (and at least 20)
      different; whole numbers all different that run without large gaps or are named so;
    - columns named like a conversion flag or a recorded probability that is not mapped;
    - columns that hold lists, dictionaries or complex numbers.

    Args:
        frame: the first round.
        columns: what the other columns mean.

    Raises:
        DataError: if a name is used twice.
    """
    features: list[Feature] = []
    left_out: list[LeftOut] = []
    for name in feature_columns(frame, columns):
        column = frame[name]
        if reason := _not_a_feature(name, column):
            left_out.append(LeftOut(name, reason))
            continue
        holds = contents(column).holds
        if holds is Holds.DATES:
            parts = _date_features(name, column)
            features += parts
            if not parts:
                left_out.append(LeftOut(name, "a date, the same for every visitor"))
            continue
        if holds is Holds.TEXT:
            found = as_text(column)
            levels, missing = tuple(sorted(found.values)), bool((found.codes < 0).any())
            features.append(Feature(name, FeatureKind.CATEGORICAL, name, levels, missing))
            continue
        kind = FeatureKind.BOOLEAN if holds is Holds.FLAGS else FeatureKind.NUMERIC
        features.append(Feature(name, kind, name, (), bool(np.isnan(as_numbers(column)[0]).any())))
    names = [f.name for f in features]
    if repeated := sorted({n for n in names if names.count(n) > 1}):
        raise DataError(
            f"A date part and a column are both called '{repeated[0]}'",
            column=repeated[0],
            mend="Rename the column.",
        )
    return FeatureSchema(tuple(features), tuple(left_out))


def prepare_features(frame: pd.DataFrame, schema: FeatureSchema) -> pd.DataFrame:
    """The feature columns of a frame in canonical form.

    float64 for numeric, ``category`` of text for categorical, nullable ``boolean`` for
    boolean; NA is missing, a state of its own. A level that the first round did not have
    stays itself: it is none of the known levels.

    Args:
        frame: (n rows) with every source column of the schema; further columns are ignored.
        schema: the experiment's features.

    Returns:
        (n rows) a new frame with one column a feature and a fresh index.

    Raises:
        DataError: if a column is missing, holds something else than in the first round, or
            has an infinite number.
    """
    out: dict[str, object] = {}
    dates: dict[str, dict[str, Float[np.ndarray, " n"]]] = {}
    for feature in schema.features:
        if feature.source not in frame.columns:
            raise DataError(
                f"The feature column '{feature.source}' is missing",
                column=feature.source,
                mend=did_you_mean(feature.source, [str(c) for c in frame.columns])
                + "Feature columns must not change between rounds; fill it with missing "
                "values if it is not known any more.",
            )
        column = frame[feature.source]
        if feature.name != feature.source:
            if feature.source not in dates:
                dates[feature.source] = _date_parts(feature.source, column)
            out[feature.name] = dates[feature.source][feature.name[len(feature.source) + 1 :]]
        elif feature.kind is FeatureKind.NUMERIC:
            out[feature.name] = _numeric(column, feature)
        elif feature.kind is FeatureKind.BOOLEAN:
            out[feature.name] = _boolean(column, feature)
        else:
            out[feature.name] = _categorical(column, feature)
    return pd.DataFrame(out, index=pd.RangeIndex(len(frame)))


def check_feature_columns(
    frame: pd.DataFrame, columns: ColumnMapping, schema: FeatureSchema
) -> None:
    """Refuse a later round with a column that the first round did not have.

    Columns that the first round left out may come and go.

    Raises:
        DataError: naming the new columns.
    """
    known = {f.source for f in schema.features} | {c.column for c in schema.left_out}
    new = [c for c in feature_columns(frame, columns) if c not in known and not _reserved(c)]
    if new:
        raise DataError(
            f"Columns that the first round did not have: {new[:10]}",
            column=new[0],
            mend=did_you_mean(new[0], sorted(known))
            + "Feature columns must not change between rounds; drop them or list them in "
            "ColumnMapping(ignore=...).",
        )


def feature_notices(frame: pd.DataFrame, schema: FeatureSchema) -> tuple[str, ...]:
    """How columns are used where that is not plain from their type, one sentence each."""
    notices = [f"Column '{c.column}' is left out: {c.reason}." for c in schema.left_out]
    for source in dict.fromkeys(f.source for f in schema.features):
        used = [f for f in schema.features if f.source == source]
        remark = contents(frame[source]).remark
        if used[0].name != source:
            parts = ", ".join(f.name for f in used)
            notices.append(f"Column '{source}' holds {remark or 'dates'}, split into {parts}.")
        elif remark:
            notices.append(f"Column '{source}' holds {remark}; it is used as {used[0].kind.value}.")
    return tuple(notices)


def new_level_notices(features: pd.DataFrame, schema: FeatureSchema) -> tuple[str, ...]:
    """Levels that the first round did not have, one sentence a feature."""
    notices = []
    for feature in schema.features:
        if feature.kind is not FeatureKind.CATEGORICAL:
            continue
        known = len(feature.levels)
        new = list(features[feature.name].cat.categories[known:])
        if new:
            rows = int((features[feature.name].cat.codes >= known).sum())
            notices.append(
                f"Feature '{feature.name}' has {len(new):,} level(s) that the first round did not "
                f"have, such as '{new[0]}' ({rows:,} visitor(s)): they are none of the known "
                "levels."
            )
    return tuple(notices)


def feature_columns(frame: pd.DataFrame, columns: ColumnMapping) -> list[str]:
    """The columns of a frame that mean nothing else."""
    taken = {
        columns.visitor,
        columns.arm,
        columns.revenue,
        columns.cell,
        columns.timestamp,
        *(columns.propensity or ()),
        *columns.ignore,
    }
    return [c for c in frame.columns if c not in taken]


def _reserved(name: str) -> bool:
    return name == "propensity" or name.startswith("propensity_") or name in OUTCOME_NAMES


def _not_a_feature(name: str, column: pd.Series) -> str:
    """Why a column is left out, or ``""``."""
    if name in OUTCOME_NAMES:
        return "by its name an outcome; whether a visitor converted is read from the revenue"
    if _reserved(name):
        return (
            "named like a recorded probability; to use it as one, name a column for each arm in "
            "ColumnMapping(propensity=...)"
        )
    found = contents(column)
    if found.holds is Holds.NOTHING:
        return "every value is missing"
    if found.holds is Holds.OTHER:
        return f"it holds {found.remark}, not one value a visitor"
    if found.holds is Holds.NUMBERS:
        numbers, _ = as_numbers(column)
        present = numbers[~np.isnan(numbers)]
        if len(present) == len(numbers) and (numbers == numbers[0]).all():
            return "the same for every visitor"
        return "like an identifier" if _numbers_identify(name, present) else ""
    values = distinct(column)
    present_codes = values.codes[values.codes >= 0]
    if len(values.values) == 1 and len(present_codes) == len(column):
        return "the same for every visitor"
    if found.holds is Holds.TEXT and not isinstance(column.dtype, pd.CategoricalDtype):
        n_distinct = len(values.values)
        if n_distinct >= _MIN_DISTINCT_ID and n_distinct > len(present_codes) / 2:
            what = f"; it holds {found.remark}" if found.remark else ""
            return (
                f"like an identifier: {n_distinct:,} different values among "
                f"{len(present_codes):,}{what}"
            )
    return ""


def _numbers_identify(name: str, numbers: Float[np.ndarray, " m"]) -> bool:
    n = len(numbers)
    if n < _MIN_DISTINCT_ID or not np.isfinite(numbers).all() or (numbers % 1 != 0).any():
        return False
    if len(np.unique(numbers)) < n:
        return False
    # Measurements in a range this narrow would repeat; counters do not.
    runs_on = numbers.max() - numbers.min() < 2 * n
    return bool(runs_on) or _ID_NAME.search(name.lower()) is not None


def _date_parts(name: str, column: pd.Series) -> dict[str, Float[np.ndarray, " n"]]:
    dates, wrong = as_dates(column)
    if wrong.any():
        raise _changed_kind(name, column, wrong, "dates")
    at = dates.dt
    parts = {
        "month": at.month,
        "weekday": at.day_of_week,
        "hour": at.hour,
        "days": (dates.dt.floor("D") - _EPOCH) / pd.Timedelta(days=1),
    }
    return {part: values.to_numpy(dtype=float, na_value=np.nan) for part, values in parts.items()}


def _date_features(name: str, column: pd.Series) -> list[Feature]:
    """The parts of a date that differ between visitors; its days if only some are missing."""
    parts = _date_parts(name, column)
    missing = bool(np.isnan(parts["days"]).any())
    used = [p for p, v in parts.items() if len(np.unique(v[~np.isnan(v)])) > 1]
    if missing and not used:
        used = ["days"]
    return [Feature(f"{name}.{part}", FeatureKind.NUMERIC, name, (), missing) for part in used]


def _numeric(column: pd.Series, feature: Feature) -> Float[np.ndarray, " n"]:
    numbers, wrong = as_numbers(column)
    if wrong.any():
        raise _changed_kind(feature.name, column, wrong, "numbers")
    if (infinite := np.isinf(numbers)).any():
        raise DataError(
            f"The feature '{feature.name}' has {int(infinite.sum()):,} infinite value(s)",
            column=feature.name,
            rows=row_labels(column, infinite),
            mend="Replace them by a missing value or a number.",
        )
    return numbers


def _boolean(column: pd.Series, feature: Feature) -> pd.arrays.BooleanArray:
    numbers, wrong = as_numbers(column)
    missing = np.isnan(numbers)
    wrong |= ~missing & ~np.isin(numbers, (0.0, 1.0))
    if wrong.any():
        raise _changed_kind(feature.name, column, wrong, "true and false")
    return pd.arrays.BooleanArray(numbers == 1.0, missing)


def _categorical(column: pd.Series, feature: Feature) -> pd.Categorical:
    holds = contents(column).holds
    # Text that looks like numbers or dates is text all the same; other types have changed.
    stored_as_text = pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(
        column.dtype
    )
    if holds is Holds.OTHER or not (
        holds in (Holds.TEXT, Holds.NOTHING)
        or stored_as_text
        or isinstance(column.dtype, pd.CategoricalDtype)
    ):
        raise _changed_kind(
            feature.name, column, column.notna().to_numpy(dtype=bool), "text categories"
        )
    found = as_text(column)
    known = set(feature.levels)
    categories = [*feature.levels, *sorted(v for v in found.values if v not in known)]
    position = {level: i for i, level in enumerate(categories)}
    recode = np.array([*(position[v] for v in found.values), -1], dtype=np.int64)
    return pd.Categorical.from_codes(
        recode[found.codes], categories=pd.Index(categories, dtype=object)
    )


def _changed_kind(name: str, column: pd.Series, wrong: np.ndarray, expected: str) -> DataError:
    example = column.iloc[int(np.flatnonzero(wrong)[0])]
    return DataError(
        f"The feature column '{name}' held {expected} in the first round; now it holds "
        f"{int(wrong.sum()):,} other value(s), such as {example!r} ({column.dtype})",
        column=name,
        rows=row_labels(column, wrong),
        mend="Convert the column as in the first round, or make such values missing.",
    )
