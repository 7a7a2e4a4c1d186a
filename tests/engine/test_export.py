import json
import sqlite3
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from decision_cases import ARMS, visitors
from sqlite_cases import run
from test_plans import a_plan
from test_rules import NASTY

from pytyche_engine.contracts import (
    BaselinePolicy,
    Cell,
    DesignError,
    Levels,
    MixPolicy,
    Plan,
    Route,
    Rule,
    Threshold,
    TreePolicy,
    UniformPolicy,
)
from pytyche_engine.contracts.plans import plan_from_dict

N = 4000


def module(plan: Plan, experiment: str = "promo") -> SimpleNamespace:
    """The plan's Python export, run."""
    names: dict[str, object] = {}
    exec(compile(plan.export("python", experiment=experiment), "plan", "exec"), names)  # noqa: S102
    return SimpleNamespace(**names)


def rows_of(features: pd.DataFrame) -> list[dict[str, object]]:
    return features.astype(object).where(features.notna(), None).to_dict("records")


def ids(n: int) -> list[str]:
    return [f"visitor {i}" for i in range(n)]


def in_python(plan: Plan, features: pd.DataFrame) -> list[tuple[str, str]]:
    assign: Callable[..., tuple[str, str]] = module(plan).assign
    return [assign(i, row) for i, row in zip(ids(len(features)), rows_of(features), strict=True)]


def in_sqlite(plan: Plan, features: pd.DataFrame) -> list[tuple[str, str]]:
    visitor = ids(len(features))
    drawn = list(map(module(plan).draws, visitor))
    table = features.assign(
        visitor_id=visitor, u_cell=[c for c, _ in drawn], u_arm=[a for _, a in drawn]
    )
    found = {row[0]: row[1:] for row in run(table, plan.export("sql", experiment="promo"))}
    return [found[i] for i in visitor]


def nasty_plan() -> tuple[Plan, pd.DataFrame]:
    """Every name of the plan, and every level of its data, is hard to write down."""
    arms = NASTY[:3]
    cells = [
        Cell(name, UniformPolicy(arms[: 1 + i % 3]), 1 / (len(NASTY) + 1))
        for i, name in enumerate(NASTY)
    ]
    tree = TreePolicy(
        tuple(
            Route(level, Rule((Levels(NASTY[i], (level,)),)), {arms[i % 3]: 1.0})
            for i, level in enumerate(NASTY)
        ),
        {arms[0]: 0.5, arms[1]: 0.5},
    )
    plan = Plan(3, arms, (*cells, Cell("tree", tree, 1 / (len(NASTY) + 1))), 100)
    rng = np.random.default_rng(4)
    levels = np.array([*NASTY, None], dtype=object)
    return plan, pd.DataFrame({name: rng.choice(levels, 500) for name in NASTY})


def test_probabilities_are_the_plans_own_for_every_visitor():
    for plan, features in ((a_plan(), visitors(N)), nasty_plan()):
        exported = module(plan)
        given = [list(exported.probabilities(row).values()) for row in rows_of(features)]
        np.testing.assert_array_equal(given, plan.propensity(features))
        for cell, shares in zip(plan.cells, plan.cell_arm_shares(features), strict=True):
            given = [exported.arm_shares(cell.id, row) for row in rows_of(features)]
            np.testing.assert_array_equal(given, shares)


def test_sql_and_python_give_every_visitor_the_same_cell_and_arm():
    for plan, features in ((a_plan(), visitors(N)), nasty_plan()):
        answers = in_python(plan, features)
        assert in_sqlite(plan, features) == answers
        assert len(set(answers)) > 5


def test_visitors_are_drawn_with_the_plans_probabilities():
    plan, features = a_plan(), visitors(30_000, seed=2)
    answers = in_python(plan, features)
    cell = np.array([[c.id for c in plan.cells].index(c) for c, _ in answers])
    arm = np.array([ARMS.index(a) for _, a in answers])
    n = len(answers)
    np.testing.assert_allclose(
        np.bincount(cell, minlength=4) / n, [c.weight for c in plan.cells], atol=4 * 0.5 / n**0.5
    )
    # In each cell and among visitors with the same shares: draws of the arm, too, are uniform
    # and do not depend on the draw of the cell.
    for c, shares in enumerate(plan.cell_arm_shares(features)):
        for expected in np.unique(shares, axis=0):
            rows = (cell == c) & (shares == expected).all(axis=1)
            seen = np.bincount(arm[rows], minlength=3) / rows.sum()
            np.testing.assert_allclose(seen, expected, atol=4 * 0.5 / rows.sum() ** 0.5)
            assert (seen[expected == 0] == 0).all()


def test_a_visitor_keeps_cell_and_arm_and_other_rounds_and_experiments_draw_anew():
    row = {"depth": 2.0, "channel": "paid"}
    first, again = module(a_plan()), module(a_plan())
    other_round = module(Plan(2, ARMS, a_plan().cells, 2000))
    other_experiment = module(a_plan(), "another")
    edited = module(Plan(1, ARMS, (Cell("all", UniformPolicy(ARMS), 1.0),), 10))
    assert [first.assign(i, row) for i in ids(50)] == [again.assign(i, row) for i in ids(50)]
    draws = np.array([first.draws(i) for i in ids(2000)])
    for different in (other_round, other_experiment):
        theirs = np.array([different.draws(i) for i in ids(2000)])
        assert abs(np.corrcoef(draws.T, theirs.T)[:2, 2:]).max() < 4 / 2000**0.5
    assert edited.draws("visitor 1") == first.draws("visitor 1")  # cells may be changed
    # What is served must not change with a new version of this code.
    assert first.SALT == "467c8741b3604a8d"
    assert first.draws("visitor 1") == (0.20023092049207514, 0.9394330560287414)


def test_the_document_reads_back_and_says_all_by_itself():
    for plan in (a_plan(), nasty_plan()[0], Plan(0, ARMS, a_plan().cells, None)):
        text = plan.export("json", experiment="promo")
        document = json.loads(text, parse_constant=pytest.fail)  # NaN is not JSON
        assert plan_from_dict(document) == plan
        assert (document["schema"], document["version"]) == ("pytyche-lab/plan", 1)
        assert document["arms"] == list(plan.arms)
        assert document["n_visitors"] == plan.n_visitors
        assert document["assignment"]["salt"] == module(plan).SALT
    features = visitors(300)
    for cell, shares in zip(a_plan().cells, a_plan().cell_arm_shares(features), strict=True):
        routes = next(c for c in document["cells"] if c["id"] == cell.id)["routes"]
        left, place = np.ones(300, dtype=bool), features.assign(place=range(300))
        for route in routes:
            found = run(place, f"SELECT place FROM visitors WHERE {route['sql']}")  # noqa: S608
            rows = left & np.isin(np.arange(300), [row[0] for row in found])
            assert (rows == (left & Rule.from_dict(route["rule"]).matches(features))).all()
            assert (shares[rows] == [route["shares"][arm] for arm in ARMS]).all()
            left &= ~rows
        assert not left.any()


def test_what_follows_a_route_for_everyone_is_left_out():
    everyone = TreePolicy((Route("everyone", Rule(), {"a": 1.0}),), {"b": 1.0})
    plan = Plan(0, ("c", "a", "b"), (Cell("all", everyone, 1.0),), 5)
    routes = json.loads(plan.export("json"))["cells"][0]["routes"]
    assert [r["segment"] for r in routes] == ["everyone"]
    assert "CASE" not in plan.export("sql")
    assert in_python(plan, visitors(3)) == in_sqlite(plan, visitors(3)) == [("all", "a")] * 3


def test_cells_and_arms_without_a_share_are_never_given():
    mix = MixPolicy({"b": 0.0, "a": 1 - 4e-7, "c": 0.0})  # within the tolerance of 1
    cells = (Cell("none", BaselinePolicy(), 0.0), Cell("all", mix, 1.0))
    plan = Plan(0, ("c", "a", "b"), (*cells, Cell("no one", BaselinePolicy(), 0.0)), 5)
    exported = module(plan)
    for u in (0.0, 0.5, 1 - 2**-52):
        assert exported.pick(u, list(exported.CELLS), list(exported.CELLS.values())) == "all"
        assert exported.pick(u, exported.ARMS, exported.arm_shares("all", {})) == "a"
    assert in_sqlite(plan, visitors(3)) == [("all", "a")] * 3


def test_a_draw_that_is_none_gives_no_arm():
    table = visitors(3).assign(visitor_id=ids(3), u_cell=[None, 35.0, 0.99], u_arm=[0.1, 0.1, 35.0])
    assert [row[1:] for row in run(table, a_plan().export("sql"))] == [
        (None, None),
        (None, None),
        ("optimized", None),
    ]


def test_an_absent_feature_or_column_is_an_error_and_not_a_missing_value():
    with pytest.raises(KeyError, match="depth"):
        module(a_plan()).assign("visitor 1", {"channel": "paid"})
    without = visitors(3).drop(columns="channel")
    with pytest.raises(sqlite3.OperationalError, match=r"no such column: v\.channel"):
        in_sqlite(a_plan(), without)


def test_features_are_listed_with_what_they_hold():
    rule = Rule((Threshold("signup.weekday", ">", 4), Levels("returning", ("True",))))
    plan = Plan(0, ("c", "a"), (Cell("all", MixPolicy({"a": 1.0}, rule), 1.0),), 5)
    weekday = "a number; if the name before the dot is a date's, its day of the week, 0 (Monday)"
    for form in ("json", "sql", "python"):
        assert weekday in plan.export(form)
        assert "text, or true and false" in plan.export(form)
    saturday = {"signup.weekday": 5.0, "returning": True}
    assert module(plan).assign("visitor 1", saturday) == ("all", "a")
    assert module(plan).assign("visitor 1", saturday | {"returning": None}) == ("all", "c")


def test_names_stay_inside_comments_and_strings():
    plan, _ = nasty_plan()
    for experiment in NASTY:
        head = plan.export("sql", experiment=experiment).split("SELECT\n")[0]
        assert all(line.startswith("--") for line in head.split("\n")[:-1])
        assert head.isascii()
        assert plan.export("python", experiment=experiment).isascii()
        assert experiment == module(plan, experiment).EXPERIMENT


@pytest.mark.parametrize("form", ["yaml", "JSON", None, ["json"]])
def test_other_forms_are_refused_with_those_there_are(form):
    with pytest.raises(DesignError, match="'json', 'sql' or 'python'"):
        a_plan().export(form)


def test_a_rule_that_cannot_be_written_is_refused_in_every_form():
    rule = Rule((Threshold("depth", ">", float("inf")),))
    plan = Plan(0, ARMS, (Cell("all", MixPolicy({"control": 1.0}, rule), 1.0),), 5)
    for form in ("json", "sql", "python"):
        with pytest.raises(DesignError, match="cannot be written"):
            plan.export(form)
