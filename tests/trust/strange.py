"""Frames and numbers that nobody would pass on purpose, as hypothesis strategies."""

import datetime
import decimal
import fractions
import warnings

import numpy as np
import pandas as pd
from door_cases import ARMS, good_round
from hypothesis import reject
from hypothesis import strategies as st

HUGE = (1e12, 1e15, 1e16, 1.7e308, 2.0**63, 1e-300, 5e-324, -1.0, -0.0, 0.0, 1.0)

strange_floats = st.floats() | st.sampled_from(HUGE)
strange_integers = st.integers(-(2**70), 2**70) | st.sampled_from([0, 1, 2**63, -(2**63), 10**400])
strange_texts = (
    st.text(max_size=8)
    | st.text(alphabet="\x00\ud800\u202e\ufeff\n\"'\\{}<>=,/😀é", max_size=6)
    | st.sampled_from(
        [
            "",
            " ",
            "nan",
            "None",
            "1e999",
            "0x1F",
            "1_000",
            "٣",
            "²",
            "007",
            "control",
            "True",
            "9999-12-31",
            "0000-00-00",
            "2024-02-31",
            "1677-01-01",
            "2024-01-01T25:00",
            "-",
            "<na>",
        ]
    )
)
one_value = st.one_of(
    st.none(),
    strange_floats,
    strange_integers,
    strange_texts,
    st.booleans(),
    st.binary(max_size=4),
    st.complex_numbers(),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
    st.sampled_from(
        [
            pd.NaT,
            pd.NA,
            decimal.Decimal("sNaN"),
            decimal.Decimal("1e400"),
            decimal.Decimal("12.5"),
            fractions.Fraction(1, 3),
            np.datetime64("2024-01-01"),
            datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
            datetime.time(3),
            pd.Interval(0, 1),
            pd.Period("2024-01"),
            np.bool_(True),
            np.float32(1.5),
            Ellipsis,
            object,
        ]
    ),
)
nested = st.recursive(
    one_value,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=2), inner, max_size=2)
        | st.tuples(inner)
        | st.builds(lambda: np.array([1.0, 2.0]))
    ),
    max_leaves=4,
)

DTYPES = (
    "float32", "float16", "int8", "uint64", "Int64", "Float64", "boolean", "string", "category",
    "complex128", "datetime64[ns]", "datetime64[s]", "timedelta64[ns]", "double[pyarrow]",
    "string[pyarrow]", "int64[pyarrow]", "Sparse[float]", "period[D]", "bool", "S4",
)  # fmt: skip


def _series(values: list[object], dtype: str | None) -> pd.Series:
    made = pd.Series(np.empty(len(values), dtype=object))
    for i, value in enumerate(values):
        made.iat[i] = value
    if dtype is not None:
        try:
            return made.astype(dtype)
        except Exception:  # noqa: BLE001, S110 - such a column cannot be made
            pass
        try:
            return pd.to_numeric(made, errors="coerce").astype(dtype)
        except Exception:  # noqa: BLE001, S110 - nor that one
            pass
    return made.infer_objects() if dtype == "infer" else made


@st.composite
def columns(draw: st.DrawFn, n: int) -> pd.Series:
    """A column of n values, drawn few and repeated, or one kind throughout."""
    kind = draw(
        st.sampled_from(
            [one_value, nested, strange_floats, strange_integers, strange_texts, st.booleans()]
        )
    )
    few = draw(st.lists(kind, min_size=1, max_size=6))
    dtype = draw(st.none() | st.just("infer") | st.sampled_from(DTYPES))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _series([few[i % len(few)] for i in range(n)], dtype)
    except Exception:  # noqa: BLE001 - pandas cannot hold it
        reject()


def _replaced(frame: pd.DataFrame, name: object, column: pd.Series) -> pd.DataFrame:
    if not isinstance(name, str) or not name.isascii():
        frame = frame.set_axis(pd.Index(list(frame.columns), dtype=object), axis="columns")
    out = frame.copy()
    try:
        out[name] = column.set_axis(frame.index)
    except Exception:  # noqa: BLE001 - pandas cannot hold it
        reject()
    return out


@st.composite
def frames(draw: st.DrawFn, round_index: int = 0) -> pd.DataFrame:
    """A round that is good but for one to three things."""
    try:
        return _frame(draw, round_index)
    except UnicodeEncodeError:  # pandas cannot hold it
        reject()


def _frame(draw: st.DrawFn, round_index: int) -> pd.DataFrame:
    frame = good_round(draw(st.sampled_from([1, 2, 5, 30, 60])), round_index)
    names = list(frame.columns)
    revenue = draw(
        st.sampled_from(["as it is", "zero", "one converter", "all convert", "wide", "tiny", "arm"])
    )
    n = len(frame)
    match revenue:
        case "zero":
            frame["revenue"] = 0.0
        case "one converter":
            frame["revenue"] = np.where(np.arange(n) == n // 2, 3.5, 0.0)
        case "all convert":
            frame["revenue"] = np.linspace(1, 2, n)
        case "wide":
            frame["revenue"] = np.geomspace(1e-2, 1e10, n) * (np.arange(n) % 3 > 0)
        case "tiny":
            frame["revenue"] = np.where(np.arange(n) % 3, 5e-324, 0.0)
        case "arm":
            frame["revenue"] = np.where(frame["arm"] == ARMS[1], 0.0, np.arange(n) % 2)
    for _ in range(draw(st.integers(0, 3))):
        what = draw(
            st.sampled_from(
                [
                    "replace",
                    "replace",
                    "replace",
                    "add",
                    "drop",
                    "twice",
                    "rename",
                    "rows",
                    "index",
                    "constant",
                    "collinear",
                    "outcome",
                    "arms",
                    "levels",
                ]
            )
        )
        n = len(frame)
        name = draw(st.sampled_from(names))
        if what == "replace" and name in frame.columns:
            frame = _replaced(frame, name, draw(columns(n)))
        elif what == "add":
            new = draw(strange_texts | st.sampled_from([0, None, np.nan, ("a", "b"), "age.days"]))
            frame = _replaced(frame, new, draw(columns(n)))
        elif what == "drop":
            frame = frame.drop(columns=name, errors="ignore")
        elif what == "twice" and name in frame.columns:
            frame = pd.concat([frame.reset_index(drop=True)] * 2, axis="columns")
            break  # other changes are of one column
        elif what == "rename":
            new = draw(strange_texts)
            # As objects: pandas' own text cannot hold half a character, but a list of names can.
            renamed = [new if c == name else c for c in frame.columns]
            frame = frame.set_axis(pd.Index(renamed, dtype=object), axis="columns")
        elif what == "rows":
            rows = draw(st.lists(st.integers(0, n - 1), max_size=8)) if n else []
            frame = frame.iloc[rows]
        elif what == "index":
            frame = frame.set_axis(
                draw(
                    st.sampled_from(
                        [
                            pd.Index(["same"] * n),
                            pd.Index([None] * n),
                            pd.MultiIndex.from_arrays([range(n), ["x"] * n]),
                            pd.date_range("2024", periods=n),
                        ]
                    )
                )
            )
        elif what == "constant":
            frame = frame.assign(constant=draw(one_value.filter(np.isscalar)))
        elif what == "collinear" and "age" in frame:
            frame = frame.assign(age_again=frame["age"], age_text=frame["age"].map(str))
        elif what == "outcome" and "revenue" in frame:
            frame = frame.assign(spent=frame["revenue"], bought=frame["revenue"] == 0)
        elif what == "arms" and "arm" in frame:
            frame = frame[frame["arm"] == draw(st.sampled_from(ARMS))]
        elif what == "levels" and n:
            frame = _replaced(
                frame, "channel", pd.Series([f"level {i % 50}" for i in range(n)], dtype="category")
            )
    return frame
