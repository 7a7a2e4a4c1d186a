import json

import numpy as np
import pandas as pd
import pytest

from pytyche_engine.contracts import DataError, Levels, Rule, Threshold

FRAME = pd.DataFrame(
    {
        "depth": [1.0, 2.0, 3.0, np.nan],
        "channel": pd.Categorical(["email", "paid", None, "social"]),
        "returning": pd.array([True, False, None, True], dtype="boolean"),
    }
)


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
        (Levels("returning", ("True",)), [1, 0, 0, 1], "returning == True"),
        (Levels("returning", ("False",), True), [0, 1, 1, 0], "returning in {False, (missing)}"),
    ],
)
def test_a_clause_matches_exactly_its_visitors(clause, expected, text):
    rule = Rule((clause,))
    assert rule.matches(FRAME).tolist() == [bool(x) for x in expected]
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


def test_rules_survive_json():
    rule = Rule((Threshold("depth", "<=", 0.1 + 0.2, True), Levels("channel", ("a,b", "<i>"))))
    assert Rule.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule
