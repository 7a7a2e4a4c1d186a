"""Edits of a plan by hand: the stated rule, floors, and the code that makes the result."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from decision_cases import ARMS

from pytyche_engine import contracts
from pytyche_engine.allocation import Floors, cold_start, edit, override, plan_code
from pytyche_engine.contracts import (
    BaselinePolicy,
    Cell,
    DesignError,
    DroppedArm,
    Levels,
    MixPolicy,
    Plan,
    Route,
    Rule,
    Threshold,
    TreePolicy,
    UniformPolicy,
    hypothesis_cell,
)

FLOORS = Floors(0.05, 0.05)
EVIL = "<img src=x onerror=alert(1)> '); import os #\n\"\\"
TREE = TreePolicy(
    (
        Route(
            "S1",
            Rule((Threshold("depth", ">", 1.1361199999),)),
            dict(zip(ARMS, (0.1, 0.9, 0.0), strict=True)),
        ),
        Route(
            "S2",
            Rule((Levels("channel", ("paid", "email"), True),)),
            dict(zip(ARMS, (0.6, 0.2, 0.2), strict=True)),
        ),
    ),
    dict(zip(ARMS, (0.3, 0.6, 0.1), strict=True)),
)


def recommended(**own: float) -> Plan:
    """Control and Explore at 5 %, hypothesis cells of these weights, Optimized with the rest."""
    mine = [Cell(name, MixPolicy({"free_ship": 1.0}), weight) for name, weight in own.items()]
    cells = (
        Cell("control", BaselinePolicy(), 0.05),
        Cell("explore", UniformPolicy(ARMS), 0.05),
        *mine,
        Cell("optimized", TREE, 0.9 - sum(own.values())),
    )
    return Plan(2, ARMS, cells, 200_000)


def weights(plan: Plan) -> dict[str, float]:
    return {cell.id: pytest.approx(cell.weight, abs=1e-8) for cell in plan.cells}


@pytest.mark.parametrize(
    ("cell", "weight", "expected"),
    [
        # a gain comes out of Optimized first
        ("explore", 0.15, {"control": 0.05, "explore": 0.15, "a": 0.2, "b": 0.1, "optimized": 0.5}),
        # then out of the hypothesis cells in proportion: 0.75 - 0.6 = 0.15 more, as 2 to 1
        ("explore", 0.8, {"control": 0.05, "explore": 0.8, "a": 0.1, "b": 0.05, "optimized": 0.0}),
        # what is given up goes to Optimized
        ("a", 0.05, {"control": 0.05, "explore": 0.05, "a": 0.05, "b": 0.1, "optimized": 0.75}),
        # what Optimized gives up goes to the hypothesis cells in proportion
        (
            "optimized",
            0.3,
            {"control": 0.05, "explore": 0.05, "a": 0.4, "b": 0.2, "optimized": 0.3},
        ),
        (
            "optimized",
            0.9,
            {"control": 0.05, "explore": 0.05, "a": 0.0, "b": 0.0, "optimized": 0.9},
        ),
    ],
)
def test_the_others_make_room_by_the_stated_rule(
    cell: str, weight: float, expected: dict[str, float]
):
    start = recommended(a=0.2, b=0.1)
    assert weights(edit.with_weight(start, cell, weight, FLOORS)) == expected


def test_control_and_explore_give_last_and_only_what_is_above_their_floors():
    start = edit.with_weight(recommended(a=0.1), "explore", 0.25, FLOORS)
    high = edit.weight_range(start, "a", FLOORS)[1]
    assert high == pytest.approx(0.9)
    assert weights(edit.with_weight(start, "a", high, FLOORS)) == {
        "control": 0.05, "explore": 0.05, "a": 0.9, "optimized": 0.0,
    }  # fmt: skip
    with pytest.raises(DesignError, match=r"a can have at most 90%\. 90\.5% was not applied"):
        edit.with_weight(start, "a", 0.905, FLOORS)


def test_without_optimized_control_and_explore_make_room_for_each_other():
    start = cold_start(ARMS, 100)
    assert weights(edit.with_weight(start, "control", 0.3, FLOORS)) == {
        "control": 0.3,
        "explore": 0.7,
    }
    assert weights(edit.with_weight(start, "control", 0.95, FLOORS)) == {
        "control": 0.95,
        "explore": 0.05,
    }
    assert edit.weight_range(start, "explore", FLOORS) == (0.05, pytest.approx(0.95))


def test_a_value_under_a_floor_is_refused_and_says_what_holds():
    with pytest.raises(DesignError) as refused:
        edit.with_weight(recommended(), "explore", 0.03, FLOORS)
    assert str(refused.value) == (
        "Explore has a floor of 5%. 3% was not applied; the plan still holds 5%. "
        "The floor keeps every arm measured in every segment."
    )
    for weight in (-0.01, np.nan, np.inf, True, "0.1", None):
        with pytest.raises(DesignError):
            edit.with_weight(recommended(a=0.1), "a", weight, FLOORS)


def test_any_series_of_edits_leaves_a_plan_that_the_engine_takes():
    rng = np.random.default_rng(4)
    for _ in range(20):
        plan = recommended(a=0.2, b=0.1)
        for _ in range(40):
            name = rng.choice([cell.id for cell in plan.cells])
            low, high = edit.weight_range(plan, name, FLOORS)
            asked = rng.uniform(low, high)
            plan = edit.with_weight(plan, name, asked, FLOORS)
            override(recommended(), plan.cells)  # floors and the sum, checked by somebody else
            assert edit.find_cell(plan, name).weight == pytest.approx(asked, abs=1e-8)
        assert sum(cell.weight for cell in plan.cells) == pytest.approx(1, abs=1e-9)


def test_a_new_cell_stands_before_optimized_and_takes_its_weight_from_it():
    mine = hypothesis_cell("mine", "channel == paid", "free_ship", 0.06)
    plan = edit.with_new_cell(recommended(), mine, FLOORS)
    assert [cell.id for cell in plan.cells] == ["control", "explore", "mine", "optimized"]
    assert weights(plan)["optimized"] == 0.84
    assert weights(plan) == weights(recommended().with_cell(mine))
    assert weights(edit.without_cell(plan, "mine", FLOORS)) == weights(recommended())
    with pytest.raises(DesignError, match="unique"):
        edit.with_new_cell(plan, mine, FLOORS)


def test_a_copy_of_explore_is_a_mix_that_can_be_changed():
    plan, name = edit.duplicated(recommended(), "explore", FLOORS)
    assert name == "explore copy"
    changed = edit.with_shares(plan, name, {"control": 0.2, "free_ship": 0.8})
    assert edit.find_cell(changed, name).policy == MixPolicy({"control": 0.2, "free_ship": 0.8})
    again, other = edit.duplicated(changed, name, FLOORS)
    assert other == "explore copy copy"
    assert edit.find_cell(again, other).policy == edit.find_cell(changed, name).policy
    tree, of_tree = edit.duplicated(recommended(), "optimized", FLOORS)
    assert edit.find_cell(tree, of_tree).policy == TREE


def test_names_with_a_part_in_the_loop_stay():
    plan = recommended(mine=0.1)
    assert edit.renamed(plan, "mine", "  yours ").cells[2].id == "yours"
    for new in ("explore", "optimized", " ", ""):
        with pytest.raises(DesignError, match="still called 'mine'"):
            edit.renamed(plan, "mine", new)
    for name in ("control", "explore", "optimized"):
        with pytest.raises(DesignError, match="cannot be renamed"):
            edit.renamed(plan, name, "other")
        with pytest.raises(DesignError, match="cannot be removed"):
            edit.without_cell(plan, name, FLOORS)
    with pytest.raises(DesignError, match="no cell 'nobody'"):
        edit.without_cell(plan, "nobody", FLOORS)


def test_one_share_changes_and_the_others_keep_their_proportions():
    assert edit.with_share({"a": 0.2, "b": 0.6, "c": 0.2}, "c", 0.6) == {
        "a": 0.1,
        "b": 0.3,
        "c": 0.6,
    }
    assert edit.with_share({"a": 0.0, "b": 0.0, "c": 1.0}, "c", 0.4) == {
        "a": 0.6,
        "b": 0.0,
        "c": 0.4,
    }
    assert edit.with_share({"a": 1.0, "b": 0.0}, "a", 0.0) == {"a": 0.0, "b": 1.0}
    with pytest.raises(DesignError, match=r"and 100%\. 140% was not applied; a still has 20%"):
        edit.with_share({"a": 0.2, "b": 0.8}, "a", 1.4)
    for share in (np.nan, "0.5", True):
        with pytest.raises(DesignError, match="a number such as"):
            edit.with_share({"a": 0.2, "b": 0.8}, "a", share)


def test_shares_of_a_segment_are_those_of_that_segment_alone():
    mix = {"control": 0.5, "low_promo": 0.0, "free_ship": 0.5}
    policy = edit.find_cell(
        edit.with_shares(recommended(), "optimized", mix, "S2"), "optimized"
    ).policy
    assert isinstance(policy, TreePolicy)
    assert [dict(route.shares) for route in policy.routes] == [dict(TREE.routes[0].shares), mix]
    for cell, segment in (
        ("optimized", "S9"),
        ("optimized", None),
        ("explore", None),
        ("explore", "S1"),
    ):
        with pytest.raises(DesignError):
            edit.with_shares(recommended(), cell, mix, segment)
    without = replace(
        TREE,
        routes=(TREE.routes[0],),
        otherwise={"control": 1.0},
        dropped=(DroppedArm("free_ship", 1, "weak", "operator"),),
    )
    plan = override(recommended(), [*recommended().cells[:2], Cell("optimized", without, 0.9)])
    with pytest.raises(DesignError, match="'free_ship' is dropped"):
        edit.with_shares(plan, "optimized", mix, "S1")


def test_changes_are_told_in_a_line():
    start = recommended()
    assert edit.changes(start, start) == "As recommended"
    plan = edit.with_new_cell(start, hypothesis_cell("m", "everyone", "free_ship", 0.06), FLOORS)
    assert edit.changes(plan, start) == "1 cell added, Optimized 6 points lower"
    plan = edit.with_weight(start, "control", 0.06, FLOORS)
    assert edit.changes(plan, start) == "Control 1 point higher, Optimized 1 point lower"
    plan = edit.with_shares(start, "optimized", {"control": 1.0}, "S1")
    assert edit.changes(plan, start) == "1 cell with other arms"


# The code


class Experiment:
    """What the code is run against."""

    def __init__(self, plan: Plan) -> None:
        self.next_recommendation = plan

    def accept(self, cells):
        self.plan = override(self.next_recommendation, cells)


def made_by_its_code(plan: Plan, start: Plan) -> Plan:
    # pytyche_lab gives these names out under its own.
    pt = SimpleNamespace(contracts=contracts, **vars(contracts))
    exp = Experiment(start)
    exec(plan_code(plan, start), {"pt": pt, "exp": exp})  # noqa: S102 - what the code is for
    return exp.plan


def edited_plans():
    start = recommended()
    paid = hypothesis_cell(
        "Social, free shipping",
        "depth > 1.13612 AND channel in {paid, (missing)}",
        {"control": 0.5, "free_ship": 0.5},
        0.06,
    )
    added = edit.with_new_cell(start, paid, FLOORS)
    yield "as recommended", start
    yield "a cell added", added
    yield (
        "an exact cut",
        edit.with_rule(added, paid.id, Rule((Threshold("depth", "<=", 1 / 3, True),))),
    )
    yield (
        "another mix elsewhere",
        edit.with_new_cell(
            start,
            hypothesis_cell(
                "x", "channel == paid", "free_ship", 0.1, otherwise=["control", "low_promo"]
            ),
            FLOORS,
        ),
    )
    yield "a hostile name", edit.renamed(added, paid.id, EVIL)
    yield "hostile levels", edit.with_rule(added, paid.id, Rule((Levels(EVIL, (EVIL, "é")),)))
    yield (
        "a segment's mix",
        edit.with_shares(start, "optimized", {"control": 0.25, "low_promo": 0.75}, "S2"),
    )
    yield "a third", edit.with_weight(added, "explore", 1 / 3, FLOORS)
    copy, name = edit.duplicated(start, "optimized", FLOORS)
    yield "a copy of Optimized", edit.with_shares(copy, name, {"free_ship": 1.0}, "S1")
    yield "a cell with nothing", edit.with_weight(added, paid.id, 0.0, FLOORS)
    other = TreePolicy(
        (Route(EVIL, Rule((Levels("channel", ("paid",)),)), {"control": 1.0}),),
        {"low_promo": 1.0},
        "top_two",
        (DroppedArm("free_ship", 1, EVIL, "operator"),),
    )
    yield "another tree", override(start, [*start.cells[:2], Cell("optimized", other, 0.9)])


@pytest.mark.parametrize("plan", [pytest.param(plan, id=name) for name, plan in edited_plans()])
def test_the_code_makes_exactly_this_plan(plan: Plan):
    assert made_by_its_code(plan, recommended()) == plan


def test_the_code_says_only_what_differs():
    start = recommended()
    plan = edit.with_new_cell(
        start, hypothesis_cell("mine", "channel == paid", "free_ship", 0.06), FLOORS
    )
    plan = edit.with_shares(plan, "optimized", {"control": 1.0}, "S2")
    assert plan_code(plan, start) == (
        "# Round 3: the cells that were chosen\n"
        "recommended = {cell.id: cell for cell in exp.next_recommendation.cells}\n"
        "exp.accept([\n"
        "    recommended['control'],\n"
        "    recommended['explore'],\n"
        "    pt.hypothesis_cell(\n"
        "        'mine',\n"
        "        'channel == paid',\n"
        "        {'free_ship': 1.0},\n"
        "        weight=0.06,\n"
        "    ),\n"
        "    pt.Cell('optimized', recommended['optimized'].policy"
        ".with_shares('S2', {'control': 1.0}), 0.84),\n"
        "])"
    )
