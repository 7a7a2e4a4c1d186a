import json

import numpy as np
import pandas as pd
import pytest
from sqlite_cases import run

from pytyche_engine.contracts import DataError, DesignError, Levels, Rule, Threshold
from pytyche_engine.contracts.sql import sql_name

FRAME = pd.DataFrame(
    {
        "depth": [1.0, 2.0, 3.0, np.nan],
        "channel": pd.Categorical(["email", "paid", None, "social"]),
        "returning": pd.array([True, False, None, True], dtype="boolean"),
    }
)

NASTY = (
    "plain",
    "it's",
    '"quoted"',
    "back\\slash",
    "\\",
    "\\'",
    "\\' OR 1=1 --",
    "'; DROP TABLE visitors; --",
    "-- comment",
    "/* comment */",
    '"""',
    "'''",
    "two\nlines",
    "two\r\nlines\u2028three",
    "{braces} %s :name ? $1",
    "żółw 🐢",
    "None",
    "nan",
    "NULL",
    "007",
    "3",
    " blank ",
)
"""Names and levels that code made from them must not stumble over."""


def in_sql(rule: Rule, frame: pd.DataFrame) -> list[bool]:
    """What the exported condition selects, as WHERE takes it."""
    place = sql_name("the place")
    numbered = frame.assign(**{"the place": range(len(frame))})
    kept = run(numbered, f"SELECT {place} FROM visitors AS v WHERE {rule.to_sql('v')}")  # noqa: S608
    assert kept == run(numbered, f"SELECT {place} FROM visitors WHERE {rule.to_sql()}")  # noqa: S608
    return [i in {row[0] for row in kept} for i in range(len(frame))]


def in_python(rule: Rule, frame: pd.DataFrame) -> list[bool]:
    """What the exported expression says for each row, missing as None."""
    values = frame.astype(object).where(frame.notna(), None)
    held = [
        eval(rule.to_python(), {"features": row})  # noqa: S307 - what is tested
        for row in values.to_dict("records")
    ]
    assert all(isinstance(answer, bool) for answer in held)
    return held


@pytest.mark.parametrize(
    ("clause", "expected", "text"),
    [
        (Threshold("depth", "<=", 2.0), [1, 1, 0, 0], "depth <= 2"),
        (Threshold("depth", ">", 2.0), [0, 0, 1, 0], "depth > 2"),
        (Threshold("depth", ">", 2.0, True), [0, 0, 1, 1], "depth > 2 or missing"),
        (Threshold("depth", "<=", 2.0, True), [1, 1, 0, 1], "depth <= 2 or missing"),
        (Levels("channel", ("paid",)), [0, 1, 0, 0], "channel == paid"),
        (
            Levels("channel", ("email", "social")),
            [1, 0, 0, 1],
            "channel in {email, social}",
        ),
        (Levels("channel", ("paid",), True), [0, 1, 1, 0], "channel in {paid, (missing)}"),
        (Levels("channel", ("tv",)), [0, 0, 0, 0], "channel == tv"),
        (Levels("channel", ()), [0, 0, 0, 0], "channel in {}"),
        (Levels("channel", (), True), [0, 0, 1, 0], "channel == (missing)"),
        (Levels("returning", ("True",)), [1, 0, 0, 1], "returning == True"),
        (Levels("returning", (), True), [0, 0, 1, 0], "returning == (missing)"),
        (Levels("returning", ("False",), True), [0, 1, 1, 0], "returning in {False, (missing)}"),
    ],
)
def test_a_clause_matches_exactly_its_visitors(clause, expected, text):
    rule = Rule((clause,))
    assert rule.matches(FRAME).tolist() == [bool(x) for x in expected]
    assert in_sql(rule, FRAME) == rule.matches(FRAME).tolist()
    assert in_python(rule, FRAME) == rule.matches(FRAME).tolist()
    assert str(rule) == text


def test_a_clause_and_its_complement_split_everyone():
    for side, other in (("<=", ">"), (">", "<=")):
        a = Rule((Threshold("depth", side, 2.0, True),)).matches(FRAME)
        b = Rule((Threshold("depth", other, 2.0),)).matches(FRAME)
        assert (a ^ b).all()


def test_clauses_are_joined_by_and():
    rule = Rule((Threshold("depth", "<=", 2.0), Levels("channel", ("paid",))))
    assert rule.matches(FRAME).tolist() == [False, True, False, False]
    assert str(rule) == "depth <= 2 AND channel == paid"


def test_the_empty_rule_is_everyone():
    assert Rule().matches(FRAME).all()
    assert str(Rule()) == "everyone"


def test_a_rule_on_an_absent_feature_names_it():
    with pytest.raises(DataError, match="needs the feature 'age'") as caught:
        Rule((Threshold("age", ">", 3),)).matches(FRAME)
    assert caught.value.column == "age"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Threshold("age", "<", 30), "has the side '<'; use '<=' or '>'"),
        (lambda: Threshold("age", ">=", 30), "has the side '>='"),
        (lambda: Levels("channel", "email"), r"are the text 'email'; write \('email',\)"),
        (lambda: Rule(Threshold("age", ">", 30)), "A rule takes clauses"),
        (lambda: Rule("age > 30"), "Rule.parse"),
        (lambda: Rule(""), "A rule takes clauses"),
    ],
)
def test_what_would_match_others_than_it_says_is_refused(make, message):
    with pytest.raises(DesignError, match=message):
        make()


def test_lists_make_the_same_rule_as_tuples():
    rule = Rule([Levels("channel", ["email", "paid"])])
    assert {rule} == {Rule((Levels("channel", ("email", "paid")),))}


def test_rules_survive_json():
    rule = Rule((Threshold("depth", "<=", 0.1 + 0.2, True), Levels("channel", ("a,b", "<i>"))))
    assert Rule.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(("name", "level"), [*zip(NASTY, (*NASTY[1:], NASTY[0]), strict=True)])
def test_code_made_from_nasty_names_is_the_rule(name, level, missing):
    levels = pd.DataFrame({name: pd.Series([*NASTY, None], dtype=object), "other": 1.0})
    numbers = pd.DataFrame({name: [1.0, 2.0, np.nan], "other": 1.0})
    for frame, clause in (
        (levels, Levels(name, (level,), missing)),
        (numbers, Threshold(name, "<=", 1.0, missing)),
        (numbers, Threshold(name, ">", 1.0, missing)),
    ):
        rule = Rule((clause, Threshold("other", "<=", 1.0)))
        assert in_sql(rule, frame) == in_python(rule, frame) == rule.matches(frame).tolist()


def test_cuts_are_written_exactly():
    rng = np.random.default_rng(1)
    cuts = [0.1 + 0.2, 1e-300, -1e22, 3, np.float64(1 / 3), *rng.normal(0, 100, 50)]
    for cut in cuts:
        near = [np.nextafter(cut, -np.inf), float(cut), np.nextafter(cut, np.inf)]
        frame = pd.DataFrame({"depth": near})
        rule = Rule((Threshold("depth", "<=", cut),))
        assert in_sql(rule, frame) == in_python(rule, frame) == [True, True, False]


@pytest.mark.parametrize("level", NASTY)
def test_text_has_no_backslash_that_a_database_may_take_as_an_escape(level):
    condition = Levels("c", (level,)).to_sql()
    assert "\\" not in condition.replace(r"SUBSTR('\\', 1, 1)", "")  # one backslash either way


def test_levels_are_found_however_a_column_stores_them():
    flags, codes = Rule((Levels("f", ("True",)),)), Rule((Levels("f", ("3", "007")),))
    for value in (True, 1, 1.0, "True"):
        assert in_python(flags, pd.DataFrame({"f": pd.Series([value], dtype=object)})) == [True]
    for value in (True, 1, "True", "true"):
        assert in_sql(flags, pd.DataFrame({"f": pd.Series([value], dtype=object)})) == [True]
    for value in (3, 3.0, "3", "007"):
        assert in_python(codes, pd.DataFrame({"f": pd.Series([value], dtype=object)})) == [True]
    for value in (7, 7.0, "7", "03"):
        assert in_python(codes, pd.DataFrame({"f": pd.Series([value], dtype=object)})) == [False]


def test_what_is_missing_at_the_door_is_missing_in_code():
    blank = pd.DataFrame({"c": ["", "a"]})
    with_missing, without = Rule((Levels("c", ("b",), True),)), Rule((Levels("c", ("b",)),))
    assert in_sql(with_missing, blank) == in_python(with_missing, blank) == [True, False]
    assert in_sql(without, blank) == in_python(without, blank) == [False, False]
    for rule in (Rule((Threshold("c", ">", 1, True),)), with_missing):
        assert eval(rule.to_python(), {"features": {"c": float("nan")}}) is True  # noqa: S307


def test_code_for_everyone_and_for_absent_features():
    assert in_sql(Rule(), FRAME) == in_python(Rule(), FRAME) == [True] * 4
    with pytest.raises(KeyError, match="age"):
        eval(Rule((Threshold("age", ">", 3, True),)).to_python(), {"features": {}})  # noqa: S307


@pytest.mark.parametrize(
    "rule",
    [
        Rule((Threshold("depth", ">", float("inf")),)),
        Rule((Threshold("depth", ">", float("nan")),)),
        Rule((Levels("channel", ("a\0b",)),)),
        Rule((Levels("half \ud800", ("a",)),)),
    ],
)
def test_what_sql_cannot_say_is_refused(rule):
    with pytest.raises(DesignError, match="cannot be written"):
        rule.to_sql()
