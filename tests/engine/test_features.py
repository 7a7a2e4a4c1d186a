import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from pytyche_engine.contracts import ColumnMapping, DataError, FeatureKind
from pytyche_engine.contracts.features import (
    check_feature_columns,
    feature_notices,
    infer_schema,
    new_level_notices,
    prepare_features,
)

COLUMNS = ColumnMapping()
N = 60


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns)


def one(column: object) -> tuple[str, pd.Series | None, str]:
    """Kind, prepared column and left-out reason of a single feature ``x``."""
    data = frame(x=column)
    schema = infer_schema(data, COLUMNS)
    if schema.left_out:
        return "left out", None, schema.left_out[0].reason
    return schema.features[0].kind.value, prepare_features(data, schema)["x"], ""


def test_kinds_and_canonical_dtypes() -> None:
    rng = np.random.default_rng(0)
    data = frame(
        number=rng.normal(size=N),
        count=rng.integers(0, 2, N),
        nullable=pd.array([1, None] * (N // 2), dtype="Int64"),
        flag=rng.random(N) < 0.5,
        flag_gaps=[True, None, False] * (N // 3),
        text=["a", "b", None] * (N // 3),
        labels=pd.Categorical([2, 1] * (N // 2)),
        money=[Decimal("1.5"), Decimal(2)] * (N // 2),
        waiting=pd.to_timedelta([12, 36] * (N // 2), unit="h"),
    )
    schema = infer_schema(data, COLUMNS)
    kinds = {f.name: f.kind for f in schema.features}
    assert kinds == {
        "number": FeatureKind.NUMERIC,
        "count": FeatureKind.NUMERIC,
        "nullable": FeatureKind.NUMERIC,
        "flag": FeatureKind.BOOLEAN,
        "flag_gaps": FeatureKind.BOOLEAN,
        "text": FeatureKind.CATEGORICAL,
        "labels": FeatureKind.CATEGORICAL,
        "money": FeatureKind.NUMERIC,
        "waiting": FeatureKind.NUMERIC,
    }
    assert {f.name for f in schema.features if f.had_missing} == {"nullable", "flag_gaps", "text"}
    ready = prepare_features(data, schema)
    assert list(ready.columns) == list(data.columns)
    assert ready["number"].dtype == ready["nullable"].dtype == np.float64
    assert str(ready["flag"].dtype) == str(ready["flag_gaps"].dtype) == "boolean"
    assert ready["flag_gaps"].isna().sum() == ready["text"].isna().sum() == N // 3
    assert list(ready["labels"].cat.categories) == ["1", "2"]
    assert list(ready["waiting"][:2]) == [0.5, 1.5]
    assert list(ready["money"][:2]) == [1.5, 2.0]


def test_an_odd_index_and_the_callers_frame_are_left_alone() -> None:
    data = frame(x=["1", "2", ""] * 20, y=["a", "b", "c"] * 20).set_index(pd.Index([7] * 60))
    before = data.copy(deep=True)
    schema = infer_schema(data, COLUMNS)
    ready = prepare_features(data, schema)
    pd.testing.assert_frame_equal(data, before)
    assert list(ready.index) == list(range(60))


def test_dates_split_into_parts_with_a_fixed_epoch() -> None:
    days = pd.to_datetime(["1970-01-02", "2024-02-29", None])
    data = frame(signup=days)
    schema = infer_schema(data, COLUMNS)
    assert schema.names == ("signup.month", "signup.weekday", "signup.days")
    ready = prepare_features(data, schema)
    assert list(ready["signup.days"][:2]) == [1.0, 19782.0]
    assert list(ready["signup.month"][:2]) == [1.0, 2.0]
    assert list(ready["signup.weekday"][:2]) == [4.0, 3.0]  # Friday, Thursday
    assert ready["signup.days"].isna().tolist() == [False, False, True]
    later = prepare_features(frame(signup=pd.to_datetime(["2024-02-29"])), schema)
    assert later["signup.days"][0] == 19782.0


@pytest.mark.parametrize(
    "dates",
    [
        ["2024-01-01", "2024-03-05"],
        ["2024-01-01T00:00:00Z", "2024-03-05T02:00:00+02:00"],
        [datetime.date(2024, 1, 1), datetime.date(2024, 3, 5)],
        pd.to_datetime(["2024-01-01", "2024-03-05"]).tz_localize("UTC"),
        pd.PeriodIndex(["2024-01-01", "2024-03-05"], freq="D"),
    ],
    ids=["text", "text-zones", "objects", "zone", "period"],
)
def test_dates_in_every_form_give_the_same_days(dates: object) -> None:
    data = frame(at=dates)
    ready = prepare_features(data, infer_schema(data, COLUMNS))
    assert list(ready["at.days"]) == [19723.0, 19787.0]


def test_text_that_only_looks_like_dates() -> None:
    data = frame(at=["2024-02-30", "2024-01-02"] * 30)
    assert infer_schema(data, COLUMNS).features[0].kind is FeatureKind.CATEGORICAL
    real = frame(at=["2024-02-28", "2024-01-02"] * 30)
    assert feature_notices(real, infer_schema(real, COLUMNS)) == (
        "Column 'at' holds dates stored as text, split into at.month, at.weekday, at.days.",
    )


@pytest.mark.parametrize("backend", ["pyarrow", "numpy_nullable"])
def test_every_backend_of_pandas_reads_the_same(backend: str) -> None:
    data = frame(
        number=[1.5, None, 2.0] * 20,
        text=["a", None, "b"] * 20,
        flag=pd.Series([True, None, False] * 20, dtype="boolean"),
        at=pd.to_datetime(["2024-01-01", None, "2024-03-05"] * 20),
    )
    schema = infer_schema(data, COLUMNS)
    other = data.convert_dtypes(dtype_backend=backend)  # type: ignore[arg-type]
    assert infer_schema(other, COLUMNS) == schema
    pd.testing.assert_frame_equal(prepare_features(other, schema), prepare_features(data, schema))


def test_hours_appear_when_times_of_day_differ() -> None:
    data = frame(at=pd.to_datetime(["2024-01-01 05:00", "2024-01-01 17:30"]))
    schema = infer_schema(data, COLUMNS)
    assert schema.names == ("at.hour",)
    assert list(prepare_features(data, schema)["at.hour"]) == [5.0, 17.0]


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ([1.0] * N, "same for every visitor"),
        (["x"] * N, "same for every visitor"),
        ([True] * N, "same for every visitor"),
        ([None] * N, "every value is missing"),
        ([np.nan] * N, "every value is missing"),
        ([" ", ""] * (N // 2), "every value is missing"),
        (pd.to_datetime(["2024-01-01"] * N), "same for every visitor"),
        (
            pd.to_datetime(["2024-01-01 00:00:01", "2024-01-01 00:00:02"] * 30),
            "a date, the same for every visitor",
        ),
        ([f"user{i}@shop.example" for i in range(N)], "like an identifier: 60"),
        (range(1000, 1000 + N), "like an identifier"),
        ([[1], [2]] * (N // 2), "lists, dictionaries"),
        ([1 + 2j, 3j] * (N // 2), "complex"),
    ],
)
def test_columns_left_out_with_a_reason(column: object, reason: str) -> None:
    kind, _, why = one(column)
    assert kind == "left out"
    assert reason in why


def test_names_settle_what_values_cannot() -> None:
    sparse = np.arange(N) * 1_000 + 7  # all different, with gaps: could be an amount
    schema = infer_schema(
        frame(
            customer_id=sparse, income=sparse, conversion=[0, 1] * 30, propensity_b=[0.5, 1] * 30
        ),
        COLUMNS,
    )
    assert schema.names == ("income",)
    assert [c.column for c in schema.left_out] == ["customer_id", "conversion", "propensity_b"]


def test_mapped_and_ignored_columns_are_no_features() -> None:
    data = frame(
        visitor_id=[1, 2], arm=["a", "b"], revenue=[0, 1], cell=["c", "d"], p=[0.1, 0.9],
        q=[0.9, 0.1], at=[1, 2], visit=[0, 1], x=[1, 2],
    )  # fmt: skip
    mapping = ColumnMapping(propensity=("p", "q"), timestamp="at", ignore=("visit",))
    assert infer_schema(data, mapping).names == ("x",)


def test_one_value_or_missing_is_a_feature() -> None:
    kind, ready, _ = one([1.0, None] * 30)
    assert kind == "numeric"
    assert ready is not None
    assert ready.isna().sum() == 30


def test_numbers_stored_as_text_are_numbers_and_said_so() -> None:
    data = frame(x=["1", " 2.5 ", "n/a", 4, None, "-3e2"] * 10)
    schema = infer_schema(data, COLUMNS)
    assert schema.features[0].kind is FeatureKind.NUMERIC
    np.testing.assert_array_equal(
        prepare_features(data, schema)["x"][:6], [1.0, 2.5, np.nan, 4.0, np.nan, -300.0]
    )
    (notice,) = feature_notices(data, schema)
    assert notice == "Column 'x' holds numbers stored as text; it is used as numeric."


def test_mixed_numbers_and_text_are_categories_and_said_so() -> None:
    data = frame(x=["1", "2", "many"] * 20)
    schema = infer_schema(data, COLUMNS)
    assert schema.features[0].levels == ("1", "2", "many")
    (notice,) = feature_notices(data, schema)
    assert "numbers mixed with text such as 'many'" in notice
    assert "used as categorical" in notice


def test_codes_with_leading_zeros_stay_codes() -> None:
    data = frame(zip=["01234", "90210", "02134"] * 20)
    schema = infer_schema(data, COLUMNS)
    assert schema.features[0].levels == ("01234", "02134", "90210")


def test_many_levels_are_fine_and_unseen_ones_stay_themselves() -> None:
    data = frame(city=[f"c{i % 200:03d}" for i in range(1000)])
    schema = infer_schema(data, COLUMNS)
    assert len(schema.features[0].levels) == 200
    later = prepare_features(frame(city=["c007", "atlantis", None]), schema)
    assert list(later["city"].astype("string").fillna("?")) == ["c007", "atlantis", "?"]
    assert list(later["city"].cat.categories[:200]) == list(schema.features[0].levels)
    (notice,) = new_level_notices(later, schema)
    assert "1 level(s)" in notice
    assert "'atlantis' (1 visitor(s))" in notice


def test_whole_number_levels_read_the_same_in_every_type() -> None:
    data = frame(store=pd.Categorical([1, 2, 2]))
    schema = infer_schema(data, COLUMNS)
    floats = frame(store=pd.Categorical([2.0, None, 1.0]))
    assert list(prepare_features(floats, schema)["store"].astype("string").fillna("?")) == [
        "2", "?", "1",
    ]  # fmt: skip


def test_infinite_numbers_name_column_and_rows() -> None:
    data = frame(x=[1.0, np.inf, 2.0, -np.inf]).set_index(pd.Index(list("abcd")))
    with pytest.raises(DataError, match="'x' has 2 infinite") as caught:
        prepare_features(data, infer_schema(data, COLUMNS))
    assert caught.value.column == "x"
    assert caught.value.rows == ("b", "d")


@pytest.mark.parametrize(
    ("first", "later", "bad_row"),
    [
        ([1.0, 2.0, 3.0], [1.0, "many", 3.0], 1),
        (["a", "b", "a"], [1, 2, 3], 0),
        (["a", "b", "a"], [True, False, True], 0),
        ([True, False, True], [0, 1, 2], 2),
        ([True, False, True], ["yes", "no", "yes"], 0),
        (pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"]), ["soon", None, ""], 0),
        (pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"]), [1, 2, 3], 0),
    ],
)
def test_a_column_that_changes_kind_is_an_error(first: object, later: object, bad_row: int) -> None:
    schema = infer_schema(frame(x=first), COLUMNS)
    with pytest.raises(DataError, match="feature column 'x'") as caught:
        prepare_features(frame(x=later), schema)
    assert caught.value.rows[0] == bad_row


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ([True, False, True], [1, 0, None]),  # SQL and CSV turn flags into numbers
        ([1.0, 2.0, 5.0], ["1", "2", None]),
        (["a", "b", "a"], ["7", "8", "9"]),  # text stays text, whatever it looks like
        (["a", "b", "a"], [None, None, None]),
        ([1.0, 2.0, 5.0], [None, None, None]),
        (pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"]), [None, None, None]),
    ],
)
def test_a_column_stored_otherwise_is_read_the_same(first: object, later: object) -> None:
    schema = infer_schema(frame(x=first), COLUMNS)
    ready = prepare_features(frame(x=later), schema)
    assert [str(d) for d in ready.dtypes] == [
        str(d) for d in prepare_features(frame(x=first), schema).dtypes
    ]
    assert ready.iloc[2].isna().all() == (later[2] is None)  # type: ignore[index]


def test_missing_and_new_columns_in_a_later_round() -> None:
    schema = infer_schema(frame(age=[1.5, 2.0], constant=[1, 1], empty=[None, None]), COLUMNS)
    with pytest.raises(DataError, match="'age' is missing"):
        prepare_features(frame(aeg=[1.0]), schema)
    with pytest.raises(DataError, match=r"did not have: \['height'\]"):
        check_feature_columns(frame(age=[1.0], height=[2.0]), COLUMNS, schema)
    # What the first round left out may come, change and go.
    check_feature_columns(frame(age=[1.0], constant=[2]), COLUMNS, schema)


def test_names_that_would_collide() -> None:
    data = frame(**{"at": pd.to_datetime(["2024-01-01", "2024-03-05"]), "at.days": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"'at\.days'"):
        infer_schema(data, COLUMNS)


def test_one_hot_like_names_do_not_collide() -> None:
    data = frame(a=["b_c", "b_d"] * 2, a_b=["c", "d"] * 2)
    schema = infer_schema(data, COLUMNS)
    assert prepare_features(data, schema).shape == (4, 2)


def test_the_schema_can_be_read() -> None:
    schema = infer_schema(frame(x=["<b>", "c"], y=[1, 1]), COLUMNS)
    text = schema.table().text()
    assert "categorical" in text
    assert "the same for every visitor" in text
    assert "<b>" not in schema._repr_html_()
