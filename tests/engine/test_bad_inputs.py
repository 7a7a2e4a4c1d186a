"""Every bad input about data that a peer accepts in silence or fails on after the fit.

The rows of the table of bad inputs (facts on the peer, section 3.4) and what the door does
with each, before any fit. Rows about designs (weights, floors, schedules, segment depth) are
tested with the allocation; a source that raises and one that returns something else than a
frame are the loop's.

| row of the table                                      | here                              |
|-------------------------------------------------------|-----------------------------------|
| NaN in a numeric feature, some rows / in one arm only | accepted: missing is a state      |
| numeric feature all NaN                               | left out, notice                  |
| inf in a feature                                      | error                             |
| NaN/None in a categorical                             | accepted: missing is a state      |
| NaN revenue                                           | error                             |
| negative revenue, some rows / a whole arm             | error, or the stated policy       |
| `converted` contradicts revenue / is "yes"/"no"       | left out, notice                  |
| revenue "$0.00" / "12.50"                             | error / accepted, notice          |
| all revenue zero                                      | error                             |
| one arm with zero conversions                         | accepted, notice                  |
| one revenue value 1e9                                 | accepted, notice                  |
| 2 visitors per arm                                    | accepted, notice for each arm     |
| arms ordered with control second in the data          | no difference: names decide       |
| control arm absent / one treatment absent             | error                             |
| empty arm / empty round 1 / empty round 2             | error                             |
| a cell with no visitors                               | accepted, notice                  |
| unknown cell label / non-control rows in 'control'    | error                             |
| 150 rows when the plan said 900                       | accepted, notice                  |
| duplicate visitor ids within, across arms and rounds  | error                             |
| visitor_id missing / orders and sessions missing      | error / accepted: not needed      |
| revenue column missing                                | error                             |
| no `cell` column                                      | accepted: cells are optional      |
| arm not in treatments                                 | error                             |
| experiment_id changes                                 | left out in round 1, notice       |
| bad metric name                                       | error                             |
| conversion_rate with K = 3                            | binary                            |
| constant numeric feature                              | left out, notice                  |
| datetime feature                                      | split into parts, notice          |
| number-as-text in one arm                             | numeric, notice                   |
| e-mail or id-like column                              | left out, notice                  |
| columns `a` (levels b_c..) and `a_b` (levels c..)     | accepted                          |
| new category in round 2 / new feature in round 2      | accepted, notice / error          |
| treatments=['a','b'] / 'control' (str) / duplicates   | accepted / error / error          |
| something else than a DataFrame                       | error                             |
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from door_cases import ARMS, COLUMNS, UNRECORDED, good_round, plan

from pytyche_engine.contracts import DataError, DesignError, Observations, Outcome, PytycheError
from pytyche_engine.contracts.door import read_round

LIMIT_SECONDS = 1.0
Spoil = Callable[[pd.DataFrame], object]


def read(frame: object, **settings: object) -> Observations:
    """Read a round, in time, without touching the frame; warnings are its notices."""
    before = frame.copy(deep=True) if isinstance(frame, pd.DataFrame) else None
    settings = {"columns": COLUMNS, "arms": ARMS, "plan": plan(), **settings}
    started = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read_round(frame, **settings)  # type: ignore[arg-type]  # bad on purpose
    finally:
        assert time.process_time() - started < LIMIT_SECONDS
        if before is not None:
            pd.testing.assert_frame_equal(frame, before)


def put(column: str, rows: object, value: object) -> Spoil:
    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        out = frame.astype({column: object})
        out.loc[rows, column] = value
        return out

    return spoil


def some(frame: pd.DataFrame) -> pd.Series:
    return frame["arm"] == "b"


def without_arm(name: str) -> Spoil:
    return lambda frame: frame[frame["arm"] != name]


def repeat(frame: pd.DataFrame, **changes: object) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[[17]].assign(**changes)], ignore_index=True)


REFUSED: dict[str, tuple[Spoil, type[PytycheError], str, str | None]] = {
    "inf in a feature": (
        put("age", [4, 9], np.inf), DataError, r"'age' has 2 infinite.*rows: 4, 9\.", "age",
    ),
    "NaN revenue": (
        put("revenue", [4, 9], np.nan), DataError, r"2 revenue value.*missing.*rows: 4, 9\. Give",
        "revenue",
    ),
    "infinite revenue": (put("revenue", [4], -np.inf), DataError, "infinite", "revenue"),
    "revenue beyond any money": (
        put("revenue", [4], 1.7e308), DataError, r"1 .*infinite or beyond 1e\+15", "revenue",
    ),
    "negative revenue": (
        put("revenue", [4, 9], -20.0), DataError,
        r"2 .*negative \(-40\.00 in all\).*refunds='clip'",
        "revenue",
    ),
    "negative revenue of a whole arm": (
        lambda f: f.assign(revenue=f["revenue"].where(~some(f), -1.0)), DataError,
        "180 .*negative", "revenue",
    ),
    "revenue with currency signs": (
        lambda f: f.assign(revenue=f["revenue"].map("${:.2f}".format)), DataError,
        r"900 value\(s\) of 'revenue' are not, such as '\$0\.00'.*Remove currency signs", "revenue",
    ),
    "revenue that is a date": (
        lambda f: f.assign(revenue=pd.Timestamp("2024-01-01")), DataError, "holds times", "revenue",
    ),
    "all revenue zero": (
        lambda f: f.assign(revenue=0.0), DataError, "nothing to compare", "revenue",
    ),
    "control arm absent": (
        without_arm("control"), DataError, "No visitor has the control arm 'control'", "arm",
    ),
    "one treatment absent": (
        without_arm("b"), DataError, r"No visitor has the arm\(s\) \['b'\]", "arm",
    ),
    "empty round": (lambda f: f.iloc[:0], DataError, "The round has no visitors", None),
    "unknown cell label": (
        put("cell", [4, 9], "optimised"), DataError,
        r"Unknown cell\(s\) 'optimised' \(2 rows\).*\['control', 'explore'\].*rows: 4, 9", "cell",
    ),
    "non-control rows in cell 'control'": (
        put("cell", slice(None), "control"), DataError,
        r"360 visitor\(s\) in cell 'control' saw an arm that it does not serve", "cell",
    ),
    "duplicate visitor id within an arm": (
        repeat, DataError, r"1 row\(s\) repeat.*'r0v17'.*rows: 900\.", "visitor_id",
    ),
    "duplicate visitor id across arms": (
        lambda f: repeat(f, arm="a", cell="explore"), DataError, "repeat a visitor id",
        "visitor_id",
    ),
    "a visitor without id": (
        put("visitor_id", [4], None), DataError, r"1 visitor id\(s\).*missing.*rows: 4\.",
        "visitor_id",
    ),
    "visitor_id column missing": (
        lambda f: f.drop(columns="visitor_id"), DataError, r"ColumnMapping\(visitor=None\)",
        "visitor_id",
    ),
    "revenue column missing": (
        lambda f: f.rename(columns={"revenue": "Revenue_"}), DataError,
        r"'revenue' \(money per visitor\) is missing.*Did you mean 'Revenue_'", "revenue",
    ),
    "arm column missing": (
        lambda f: f.drop(columns="arm"), DataError, r"'arm' \(the arm each visitor saw\)", "arm",
    ),
    "arm not in treatments": (
        put("arm", [4, 9], "c"), DataError,
        r"Unknown arm\(s\) 'c' \(2 rows\).*\['control', 'a', 'b'\].*rows: 4, 9", "arm",
    ),
    "a visitor without arm": (
        put("arm", [4], None), DataError, r"1 visitor\(s\) have no arm", "arm",
    ),
    "recorded probability above one": (
        put("propensity_a", [4], 20), DataError, r"not in \(0, 1\], such as 20.*not a per cent",
        "propensity_a",
    ),
    "recorded probability missing": (
        put("propensity_a", [4], None), DataError, r"not in \(0, 1\]", "propensity_a",
    ),
    "recorded probability zero for the arm given": (
        lambda f: f.assign(propensity_control=0.0, propensity_a=0.5, propensity_b=0.5), DataError,
        r"540 visitor\(s\) saw an arm that was recorded with probability 0, such as 'control'",
        "propensity_control",
    ),
    "recorded probabilities that do not add up": (
        put("propensity_a", [4], 0.5), DataError, r"1 visitor\(s\) do not add up to 1, such as 1.3",
        "propensity_control",
    ),
    "recorded probability columns missing": (
        lambda f: f.drop(columns="propensity_b"), DataError, "recorded probabilities of arm 'b'",
        "propensity_b",
    ),
    "two columns of one name": (
        lambda f: pd.concat([f, f[["age"]]], axis="columns"), DataError,
        r"several columns called \['age'\]", "age",
    ),
    "a list of rows": (
        lambda f: f.to_dict("records"), DataError, "must be a pandas DataFrame; got list", None,
    ),
    "a dictionary": (lambda f: f.to_dict(), DataError, "got dict", None),
    "nothing": (lambda f: None, DataError, "got NoneType", None),  # noqa: ARG005
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    spoil, error, message, column = REFUSED[case]
    with pytest.raises(error, match=message) as caught:
        read(spoil(good_round()))
    if isinstance(caught.value, DataError):
        assert caught.value.column == column
        assert caught.value.mend


ACCEPTED: dict[str, tuple[Spoil, str]] = {
    "numeric feature all NaN": (
        lambda f: f.assign(score=np.nan), "Column 'score' is left out: every value is missing",
    ),
    "constant numeric feature": (
        lambda f: f.assign(score=1.0), "Column 'score' is left out: the same for every visitor",
    ),
    "`converted` contradicts revenue": (
        lambda f: f.assign(converted=f["revenue"] == 0), "'converted' is left out: by its name",
    ),
    "`converted` is yes/no": (
        lambda f: f.assign(converted=np.where(f["revenue"] > 9, "no", "yes")),
        "'converted' is left out: by its name",
    ),
    "numeric strings as revenue": (
        lambda f: f.assign(revenue=f["revenue"].map("{:.2f}".format)),
        "'revenue' holds numbers stored as text; they were converted",
    ),
    "one arm with zero conversions": (
        lambda f: f.assign(revenue=f["revenue"].where(~some(f), 0.0)),
        r"None of the 180 visitor(s) of arm 'b' converted; what its orders are worth rests on",
    ),
    "one revenue value 1e9": (
        put("revenue", [17], 1e9),
        "Row 17 has revenue 1,000,000,000.00",
    ),
    "150 rows when the plan said 900": (
        lambda f: f.iloc[:150], "The round has 150 visitors; the plan expected 900",
    ),
    "a cell with no visitors": (
        put("cell", slice(None), "explore"), "Cell 'control' has no visitors; the plan gives it",
    ),
    "datetime feature": (
        lambda f: f.assign(at=pd.Timestamp("2024-01-01") + pd.to_timedelta(f.index, "D")),
        "Column 'at' holds dates, split into at.month, at.weekday, at.days",
    ),
    "number-as-text in one arm": (
        lambda f: f.assign(age=f["age"].astype(object).where(~some(f), f["age"].astype(str))),
        "Column 'age' holds numbers stored as text; it is used as numeric",
    ),
    "e-mail column": (
        lambda f: f.assign(email=f["visitor_id"] + "@shop.example"),
        "Column 'email' is left out: like an identifier: 900 different values among 900",
    ),
    "row numbers": (
        lambda f: f.assign(line=range(900)), "Column 'line' is left out: like an identifier",
    ),
    "experiment_id": (
        lambda f: f.assign(experiment_id="e1"), "Column 'experiment_id' is left out: the same",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted_with_a_notice(case: str) -> None:
    spoil, notice = ACCEPTED[case]
    seen = read(spoil(good_round()))
    assert any(notice in said for said in seen.notices), seen.notices
    assert np.isfinite(seen.revenue).all()


def test_two_visitors_per_arm() -> None:
    frame = good_round().groupby("arm").head(2)
    frame = frame.assign(revenue=[5.0, 0.0, 0.0, 3.0, 0.0, 2.0])
    seen = read(frame, plan=None)
    said = [f"Arm '{arm}' has only 2 visitor(s)" for arm in ARMS]
    assert all(any(s in notice for notice in seen.notices) for s in said)


@pytest.mark.parametrize("column", ["age", "channel", "is_returning"])
@pytest.mark.parametrize("where", ["some rows", "one arm"])
def test_missing_feature_values_stay_missing(column: str, where: str) -> None:
    frame = good_round()
    rows = some(frame) if where == "one arm" else frame.index[[3, 8]]
    value = None if column != "age" else np.nan
    spoiled = put(column, rows, value)(frame)
    seen = read(spoiled)
    assert seen.features[column].isna().sum() == (180 if where == "one arm" else 2)
    feature = next(f for f in seen.schema.features if f.name == column)
    assert feature.had_missing
    assert feature.levels in ((), ("email", "organic", "paid"))  # no level for missing


def test_the_order_of_arms_in_the_data_does_not_matter() -> None:
    frame = good_round().sort_values("arm", ascending=False)
    seen = read(frame)
    assert seen.arms[0] == "control"
    np.testing.assert_array_equal(seen.arm == 0, frame["arm"] == "control")


def test_columns_that_are_not_needed() -> None:
    """No cell column, and none of orders and sessions: accepted without a word."""
    seen = read(good_round().drop(columns="cell"))
    assert seen.notices == ()
    assert (seen.cell == -1).all()
    assert seen.cells == ()


def test_conversion_rate_with_three_arms_is_binary() -> None:
    frame = good_round()
    frame["revenue"] = (frame["revenue"] > 0).astype(int)
    assert read(frame, metric="conversion_rate").outcome is Outcome.BINARY


def test_bad_metric_name() -> None:
    with pytest.raises(DesignError, match="Known metrics: revenue_per_visitor, conversion_rate"):
        read(good_round(), metric="aov")


def test_names_that_look_like_dummies_of_each_other() -> None:
    frame = good_round()
    frame["a"] = np.where(frame.index % 2, "b_c", "b_d")
    frame["a_b"] = np.where(frame.index % 3, "c", "d")
    assert {"a", "a_b"} <= set(read(frame).schema.names)


def second_round(frame: pd.DataFrame, first: Observations) -> Observations:
    return read(
        frame,
        round_index=1,
        schema=first.schema,
        seen_visitors=set(first.visitor_id),
        plan=plan(round_index=1),
    )


def test_the_second_round() -> None:
    first = read(good_round().assign(experiment_id="e1"))
    good = good_round(round_index=1).assign(experiment_id="e1")
    assert second_round(good, first).notices == ()
    new_level = second_round(put("channel", [2], "tv")(good), first)
    assert "such as 'tv' (1 visitor(s))" in new_level.notices[0]
    assert new_level.features["channel"][2] == "tv"
    # Left out in round 1, so its change cannot matter, and its absence neither.
    assert second_round(good.assign(experiment_id="e2"), first).notices == ()
    assert second_round(good.drop(columns="experiment_id"), first).notices == ()
    refused: list[tuple[pd.DataFrame, str]] = [
        (good.assign(height=1.8), r"did not have: \['height'\]"),
        (good.drop(columns="age"), "'age' is missing"),
        (put("age", [2], "forty")(good), "'age' held numbers in the first round"),
        (good.iloc[:0], "no visitors"),
        (good.assign(visitor_id=[f"r0v{i}" for i in range(900)]), "in an earlier round already"),
    ]
    for frame, message in refused:
        with pytest.raises(DataError, match=message):
            second_round(frame, first)
    assert len(first) == 900  # and nothing of what was refused is kept
    assert second_round(good, first).notices == ()


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ("control", "list of names"),
        (("control", "a", "a"), "more than once"),
        (("control",), "at least one treatment"),
        (("control", "", "a"), "empty name"),
    ],
)
def test_arms_that_cannot_be(arms: object, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        read(good_round(), arms=arms, plan=None)


def test_arms_without_one_called_control() -> None:
    frame = good_round().replace({"arm": {"control": "old"}}).drop(columns="cell")
    seen = read(frame, arms=("old", "a", "b"), plan=None)
    np.testing.assert_array_equal(np.bincount(seen.arm), [540, 180, 180])


def test_too_few_columns_of_probabilities() -> None:
    two = replace(UNRECORDED, propensity=("propensity_a", "propensity_b"))
    with pytest.raises(DataError, match=r"2 column\(s\) of recorded probabilities for 3 arms"):
        read(good_round(), columns=two)
