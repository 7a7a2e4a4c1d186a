"""Every kind of value has its bin, stated and the same in every call."""

import numpy as np
import pandas as pd
import pytest

from pytyche_engine.bcf.encoding import MAX_LEVELS, Encoding, extend_encoding, learn_encoding
from pytyche_engine.contracts import ColumnMapping, DataError, FeatureKind
from pytyche_engine.contracts.features import infer_schema, prepare_features
from pytyche_engine.contracts.observations import Feature, FeatureSchema

N = 400
CUTS = 20


def schema_of(**kinds: str) -> FeatureSchema:
    return FeatureSchema(tuple(Feature(n, FeatureKind(k), n) for n, k in kinds.items()))


def categories(*values: str | None) -> pd.Categorical:
    return pd.Categorical(pd.array(values, dtype="string").astype(object))


def columns_of(encoding: Encoding, feature: str) -> list[tuple[str, str]]:
    return [(c.test, c.level) for c in encoding.columns if c.feature == feature]


def any_frame(rng: np.random.Generator) -> tuple[pd.DataFrame, FeatureSchema]:
    """A prepared frame of 1 to 200 features of every kind and shape, at random."""
    kinds: dict[str, str] = {}
    data: dict[str, object] = {}
    for j in range(int(rng.choice([1, 2, 7, 40, 200]))):
        missing = rng.random(N) < rng.choice([0.0, 0.0, 0.3, 0.99, 1.0])
        kind = str(rng.choice(["numeric", "categorical", "boolean"]))
        name = f"f{j}"
        kinds[name] = kind
        if kind == "numeric":
            numbers = [
                rng.normal(size=N),
                rng.integers(0, 3, N).astype(float),
                np.full(N, 5.0),
                np.where(rng.random(N) < 0.95, 0.0, rng.lognormal(size=N)),
                np.where(rng.random(N) < 0.95, 9.0, rng.normal(size=N)),
                rng.choice([-1e308, 1e308, 5e-324, 0.0], N),
                1.0 + rng.integers(0, 4, N) * np.finfo(float).eps,
            ][rng.integers(7)]
            data[name] = np.where(missing, np.nan, numbers)
        elif kind == "boolean":
            flags = rng.random(N) < rng.choice([0.0, 0.01, 0.5, 1.0])
            data[name] = pd.arrays.BooleanArray(flags, missing)
        else:
            levels = int(rng.choice([1, 2, MAX_LEVELS, MAX_LEVELS + 1, 5_000]))
            drawn = rng.integers(0, levels, N)
            names = [f"l{i}" for i in range(levels)]
            data[name] = pd.Categorical.from_codes(np.where(missing, -1, drawn), categories=names)
    return pd.DataFrame(data), schema_of(**kinds)


@pytest.mark.parametrize("seed", range(12))
def test_every_bin_is_within_its_column(seed: int) -> None:
    frame, schema = any_frame(np.random.default_rng(seed))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        encoding = learn_encoding(frame, schema, CUTS)
        bins = encoding.encode(frame)
    assert bins.shape == (len(encoding.columns), N)
    assert (bins <= encoding.max_split[:, None]).all()
    # A column that says the same of everybody would be of no use to a tree.
    assert all(len(np.unique(row)) > 1 for row in bins)
    for column in encoding.columns:
        assert list(column.cuts) == sorted(set(column.cuts))
        assert np.isfinite(column.cuts).all()


@pytest.mark.parametrize("seed", range(12))
def test_a_visitor_has_the_same_bins_in_any_company(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame, schema = any_frame(rng)
    encoding = learn_encoding(frame, schema, CUTS)
    rows = rng.permutation(N)[:50]
    some = frame.iloc[rows]
    np.testing.assert_array_equal(encoding.encode(some), encoding.encode(frame)[:, rows])
    for name in frame.select_dtypes("category"):
        some = some.assign(**{name: some[name].cat.remove_unused_categories()})
    np.testing.assert_array_equal(encoding.encode(some), encoding.encode(frame)[:, rows])
    assert encoding.encode(frame.iloc[:0]).shape == (len(encoding.columns), 0)


@pytest.mark.parametrize("seed", range(10))
def test_different_rows_stay_different(seed: int) -> None:
    rng = np.random.default_rng(seed)
    few = pd.DataFrame({"x": rng.choice([-1e308, -1.0, 5e-324, 0.0, 1e308, np.nan], N)})
    encoding = learn_encoding(few, schema_of(x="numeric"), CUTS)
    bins = [tuple(row) for row in encoding.encode(few).T.tolist()]
    pairs = set(zip(few["x"].astype(str), bins, strict=True))
    assert len(pairs) == len(set(bins)) == few["x"].nunique(dropna=False)


def test_values_that_the_fit_has_not_seen() -> None:
    fitted = pd.DataFrame(
        {
            "x": np.linspace(0, 1, N),
            "c": pd.Categorical(["a", "b"] * (N // 2)),
            "many": pd.Categorical([f"l{i % 100}" for i in range(N)]),
            "flag": pd.array([True, False] * (N // 2), dtype="boolean"),
        }
    )
    schema = schema_of(x="numeric", c="categorical", many="categorical", flag="boolean")
    encoding = learn_encoding(fitted, schema, CUTS)
    new = pd.DataFrame(
        {
            "x": [np.nan, -np.inf, np.inf, 0.5],
            "c": pd.Categorical(["z", None, "a", "b"]),
            "many": pd.Categorical(["z", None, "l0", "l1"]),
            "flag": pd.array([None, True, False, True], dtype="boolean"),
        }
    )
    bins = encoding.encode(new)
    by_name = {
        (c.feature, c.test, c.level): row for c, row in zip(encoding.columns, bins, strict=True)
    }
    assert by_name["x", "value", ""].tolist() == [CUTS // 2, 0, CUTS, CUTS // 2]
    assert by_name["c", "level", "a"].tolist() == [0, 0, 1, 0]
    assert by_name["c", "level", "b"].tolist() == [0, 0, 0, 1]
    assert by_name["many", "rare", ""].tolist()[:2] == [1, 0]
    assert by_name["flag", "level", "True"].tolist() == [0, 1, 0, 1]


def test_a_feature_that_is_all_missing_later_is_encoded() -> None:
    fitted = pd.DataFrame({"x": [1.0, 2.0, np.nan], "c": pd.Categorical(["a", "b", None])})
    encoding = learn_encoding(fitted, schema_of(x="numeric", c="categorical"), CUTS)
    gone = pd.DataFrame({"x": [np.nan] * 2, "c": pd.Categorical([None, None], categories=["a"])})
    told = [(c.test == "missing") for c in encoding.columns]
    assert encoding.encode(gone).T.tolist() == [list(map(int, told))] * 2


def test_five_thousand_levels_are_a_few_columns() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.zipf(1.5, 50_000) % 5_000
    frame = pd.DataFrame({"city": pd.Categorical([f"c{i}" for i in drawn])})
    encoding = learn_encoding(frame, schema_of(city="categorical"), CUTS)
    bins = encoding.encode(frame)
    assert len(encoding.columns) == MAX_LEVELS + 1
    np.testing.assert_array_equal(bins.sum(axis=0), 1)
    rare = next(i for i, c in enumerate(encoding.columns) if c.test == "rare")
    largest_rare = frame["city"][bins[rare] == 1].value_counts().max()
    assert bins[:rare].sum(axis=1).min() >= largest_rare


def test_nothing_to_split_on_is_no_column() -> None:
    frame = pd.DataFrame(
        {
            "same": [5.0] * 4,
            "none": [np.nan] * 4,
            "level": pd.Categorical(["a"] * 4),
            "flag": pd.array([True] * 4, dtype="boolean"),
        }
    )
    kinds = {"same": "numeric", "none": "numeric", "level": "categorical", "flag": "boolean"}
    encoding = learn_encoding(frame, schema_of(**kinds), CUTS)
    assert encoding.columns == ()
    assert encoding.encode(frame).shape == (0, 4)
    # One value, or none: who has it is all there is to know.
    frame = pd.DataFrame({"x": [5.0, np.nan], "c": pd.Categorical(["a", None])})
    encoding = learn_encoding(frame, schema_of(x="numeric", c="categorical"), CUTS)
    assert [c.test for c in encoding.columns] == ["missing", "missing"]


def test_the_rarest_values_are_not_lost_beside_a_common_one() -> None:
    rng = np.random.default_rng(1)
    common = np.where(rng.random(20_000) < 0.999, 9.0, rng.normal(size=20_000))
    for values in (common, -common):
        frame = pd.DataFrame({"x": values})
        bins = learn_encoding(frame, schema_of(x="numeric"), 5).encode(frame)[0]
        assert len(np.unique(bins)) == 2
        assert len(np.unique(bins[abs(values) == 9.0])) == 1


def test_what_cannot_be_encoded_is_named() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    encoding = learn_encoding(frame, schema_of(x="numeric"), CUTS)
    with pytest.raises(DataError, match="'x' is missing from the frame"):
        encoding.encode(pd.DataFrame({"y": [1.0]}))
    with pytest.raises(DataError, match="'x' held numbers in the fit"):
        encoding.encode(pd.DataFrame({"x": ["soon"]}))
    with pytest.raises(DataError, match="'x' held numbers in the fit"):
        encoding.encode(pd.DataFrame({"x": pd.to_datetime(["2024-01-01"])}))


def test_dates_reach_the_trees_as_numbers() -> None:
    raw = pd.DataFrame({"at": pd.date_range("2024-01-01", periods=N, freq="7h")})
    raw.loc[3, "at"] = pd.NaT
    schema = infer_schema(raw, ColumnMapping())
    frame = prepare_features(raw, schema)
    encoding = learn_encoding(frame, schema, CUTS)
    assert {c.feature for c in encoding.columns} == {"at.month", "at.weekday", "at.hour", "at.days"}
    later = prepare_features(raw.assign(at=raw["at"] + pd.Timedelta(days=900)), schema)
    days = [c.feature == "at.days" and c.test == "value" for c in encoding.columns].index(True)
    # Days after the last one seen are like the last.
    assert set(np.delete(encoding.encode(later)[days], 3)) == {CUTS}


# Extending


@pytest.mark.parametrize("seed", range(12))
def test_old_columns_stay_and_nothing_new_adds_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame, schema = any_frame(rng)
    first = frame.iloc[: int(rng.integers(2, N))]
    old = learn_encoding(first, schema, CUTS)
    assert extend_encoding(old, first, schema, CUTS) is old
    new = extend_encoding(old, frame, schema, CUTS)
    assert new.columns[: len(old.columns)] == old.columns
    assert len(set(new.columns)) == len(new.columns)
    np.testing.assert_array_equal(new.encode(frame)[: len(old.columns)], old.encode(frame))
    assert extend_encoding(new, frame, schema, CUTS) is new
    assert (new.encode(frame) <= new.max_split[:, None]).all()
    # What can be told apart with an encoding of its own has a column here too.
    assert {c.feature for c in learn_encoding(frame, schema, CUTS).columns} <= {
        c.feature for c in new.columns
    }
    for feature in schema.features:
        assert sum(t == "level" for t, _ in columns_of(new, feature.name)) <= MAX_LEVELS


def test_what_was_constant_gets_all_its_columns() -> None:
    schema = schema_of(x="numeric", c="categorical", flag="boolean", seen="numeric")
    flags = pd.array([True, True, True, False], dtype="boolean")
    frame = pd.DataFrame(
        {
            "x": [1.0, 1.0, 2.0, np.nan],
            "c": categories("a", "a", "b", "c"),
            "flag": flags,
            "seen": [1.0, 2.0, 3.0, 4.0],
        }
    )
    old = learn_encoding(frame[:2], schema, CUTS)
    assert [(c.feature, c.cuts) for c in old.columns] == [("seen", (1.5,))]
    new = extend_encoding(old, frame, schema, CUTS)
    assert new.columns[0].cuts == (1.5,)
    assert columns_of(new, "x") == [("value", ""), ("missing", "")]
    assert columns_of(new, "c") == [("level", "a"), ("level", "b"), ("level", "c")]
    assert columns_of(new, "flag") == [("level", "True")]


def test_new_levels_get_columns_until_there_are_enough() -> None:
    schema = schema_of(c="categorical")
    first = [f"l{i}" for i in range(MAX_LEVELS - 2)]
    new = ["n1"] * 3 + ["n2"] * 5 + ["n3"] * 4
    frame = pd.DataFrame({"c": categories(*first, *new, None)})
    old = learn_encoding(frame[: len(first)], schema, CUTS)
    second = extend_encoding(old, frame, schema, CUTS)
    assert columns_of(second, "c")[len(first) :] == [
        ("level", "n2"), ("level", "n3"), ("rare", ""), ("missing", ""),
    ]  # fmt: skip
    assert second.encode(frame)[-2].sum() == 3
    # From then on levels without a column are rare, and stay so.
    later = pd.DataFrame({"c": categories(*first, *new, None, *["n4"] * 9)})
    assert extend_encoding(second, later, schema, CUTS) is second
    assert second.encode(later)[-2].sum() == 12


def test_old_data_keep_their_bins_when_a_level_goes_rare() -> None:
    schema = schema_of(c="categorical")
    full = [f"l{i}" for i in range(MAX_LEVELS)]
    frame = pd.DataFrame({"c": categories(*full, "late")})
    old = learn_encoding(frame[:MAX_LEVELS], schema, CUTS)
    new = extend_encoding(old, frame, schema, CUTS)
    assert [c.test for c in new.columns[MAX_LEVELS:]] == ["rare"]
    np.testing.assert_array_equal(new.encode(frame)[:MAX_LEVELS], old.encode(frame))
    assert new.encode(frame)[-1].tolist() == [0] * MAX_LEVELS + [1]
