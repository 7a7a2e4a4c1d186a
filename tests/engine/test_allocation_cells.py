"""Cells of the operator's own: written, put into a plan, looked at, served and kept."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from decision_cases import ARMS, SCHEMA, search, segment, visitors
from experiment_cases import experiment, finished, quietly

from pytyche_engine.allocation import (
    check_design,
    cold_start,
    override,
    propose,
)
from pytyche_engine.contracts import (
    BaselinePolicy,
    Cell,
    DesignError,
    Feature,
    FeatureKind,
    FeatureSchema,
    Levels,
    MixPolicy,
    Rule,
    Threshold,
)
from pytyche_engine.contracts.cells import hypothesis_cell
from pytyche_engine.contracts.plans import plan_from_dict, plan_to_dict
from pytyche_engine.experiment import open_experiment
from pytyche_engine.store.spec import spec_from_dict, spec_to_dict

PAID = Rule((Levels("channel", ("paid",)),))


def a_plan(**options):
    best = dict(zip(ARMS, (0.2, 0.7, 0.1), strict=True))
    one = search([segment("S1")], targeting_pays=False)
    return propose(one, ARMS, best, **{"round_index": 1, "n_visitors": 4000, **options})


def mine(weight=0.1, name="mine", rule="channel == paid", arms="free_ship", **options):
    return hypothesis_cell(name, rule, arms, weight, **options)


# Writing a cell


def test_a_cell_can_be_written_in_several_ways():
    by_hand = Cell("mine", MixPolicy({"free_ship": 1.0}, PAID), 0.1)
    assert mine() == mine(rule=PAID) == mine(arms={"free_ship": 1.0}) == by_hand
    both = mine(arms=["free_ship", "low_promo"], otherwise={"control": 0.25, "low_promo": 0.75})
    assert both.policy == MixPolicy(
        {"free_ship": 0.5, "low_promo": 0.5}, PAID, {"control": 0.25, "low_promo": 0.75}
    )
    assert both.role == "hypothesis"
    assert mine(rule="everyone").policy.rule == Rule()


def test_those_it_is_not_for_get_what_the_cell_says():
    features = visitors(300)
    paid = PAID.matches(features)
    shares = mine(otherwise=["control", "low_promo"]).policy.arm_shares(features, ARMS)
    assert (shares[paid] == [0, 0, 1]).all()
    assert (shares[~paid] == [0.5, 0.5, 0]).all()
    assert (mine().policy.arm_shares(features, ARMS)[~paid] == [1, 0, 0]).all()


def test_a_cell_says_what_it_does():
    assert mine().policy.describe() == "free_ship 100% where channel == paid; control elsewhere"
    assert mine(otherwise=["control", "low_promo"]).policy.describe() == (
        "free_ship 100% where channel == paid; control 50%, low_promo 50% elsewhere"
    )


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda: mine(name="optimized"), "'optimized' is the name of a cell that every plan has"),
        (lambda: mine(name="control"), "'control' is the name of a cell"),
        (lambda: mine(name=" "), "The name of a cell is text"),
        (lambda: mine(name=None), "The name of a cell is text"),
        (lambda: mine(0), "The weight of cell 'mine' is 0; use a share above 0"),
        (lambda: mine(-0.1), "The weight of cell 'mine' is -0.1"),
        (lambda: mine(float("nan")), "The weight of cell 'mine' is nan"),
        (lambda: mine("10%"), "The weight of cell 'mine' is '10%'; use a share"),
        (lambda: mine(10), "The weight of cell 'mine' is 10.0; use 0 to 1"),
        (lambda: mine(rule="channel = paid"), "'channel = paid' is not a clause"),
        (lambda: mine(rule=None), "A rule is text, not NoneType"),
        (lambda: mine(arms={"free_ship": 0.9}), "mix for channel == paid must be >= 0 and add up"),
        (lambda: mine(arms={"free_ship": "100%"}), "must be >= 0 and add up to 1"),
        (lambda: mine(name="explore "), "'explore ' is the name of a cell"),
        (lambda: mine(arms=[]), "at least one arm"),
        (lambda: mine(arms=None), "An arm mix is shares by arm, an arm, or a list of arms; None"),
        (lambda: mine(otherwise={"control": 2}), "mix elsewhere than channel == paid must be"),
        (lambda: mine(rule="everyone", otherwise="control"), "nobody is left for 'otherwise'"),
    ],
)
def test_a_cell_that_makes_no_sense_is_refused(write, message):
    with pytest.raises(DesignError, match=message):
        write()


# Into a plan


def test_a_cell_takes_its_weight_from_optimized():
    plan = a_plan()
    changed = plan.with_cell(mine(0.15))
    assert [c.id for c in changed.cells] == ["control", "explore", "mine", "optimized"]
    weights = [c.weight for c in changed.cells]
    assert weights == pytest.approx([0.05, 0.05, 0.15, 0.75])
    assert changed.cells[3].policy == plan.cells[2].policy
    assert len(plan.cells) == 3
    override(plan, changed.cells, schema=SCHEMA)
    assert plan_from_dict(json.loads(json.dumps(plan_to_dict(changed)))) == changed
    twice = changed.with_cell(mine(0.1, "second", otherwise=["control", "low_promo"]))
    assert [c.id for c in twice.cells][2:] == ["mine", "second", "optimized"]
    assert plan_from_dict(json.loads(json.dumps(plan_to_dict(twice)))) == twice


def test_a_cell_can_take_all_that_optimized_has():
    changed = a_plan().with_cell(mine(0.9))
    assert changed.cells[3].weight == pytest.approx(0, abs=1e-12)
    assert changed.notices == (
        "Nothing is left for Optimized this round: 'control' 5.0%, 'explore' 5.0%, 'mine' 90.0%.",
    )


def test_a_cell_can_take_from_another_cell():
    changed = cold_start(ARMS, 100).with_cell(mine(0.2), taken_from="explore")
    assert [(c.id, c.weight) for c in changed.cells] == [
        ("control", 0.5),
        ("mine", 0.2),
        ("explore", pytest.approx(0.3)),
    ]


def test_visitors_of_the_other_cells_stay_where_they_are():
    def assigned(plan):
        code: dict = {}
        exec(plan.export("python", experiment="x"), code)  # noqa: S102 - what is exported
        who = {"depth": 1.0, "channel": "paid"}
        return [code["assign"](f"v{i}", who)[0] for i in range(2000)]

    plan = a_plan(min_control_weight=0.2).with_cell(mine(0.2, "first"))
    before, after = assigned(plan), assigned(plan.with_cell(mine(0.3, "second")))
    moved = {(b, a) for b, a in zip(before, after, strict=True) if b != a}
    assert moved == {("optimized", "second")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda: a_plan().with_cell(mine(0.95)),
            "'mine' asks for 95.00%, but 'optimized' has only 90.00%. Ask for at most 0.9",
        ),
        (lambda: a_plan().with_cell(mine()).with_cell(mine()), "has a cell 'mine' already"),
        (
            lambda: cold_start(ARMS, 10).with_cell(mine()),
            r"no cell 'optimized' to take weight from; its cells are \['control', 'explore'\]",
        ),
        (lambda: a_plan().with_cell(mine(), "explor"), "no cell 'explor' to take weight from"),
        (lambda: a_plan().with_cell(mine(arms="tv")), r"'mine' names unknown arm\(s\) \['tv'\]"),
        (
            lambda: a_plan().with_cell(mine(otherwise="tv")),
            r"'mine' names unknown arm\(s\) \['tv'\]",
        ),
        (
            lambda: a_plan().with_cell(mine(rule="age > 3"), schema=SCHEMA),
            "'mine' has a rule on 'age', which is not a feature; the features are",
        ),
        (
            lambda: a_plan().with_cell(mine(rule="channel > 3"), schema=SCHEMA),
            "compares 'channel' with a number, but it is categorical",
        ),
        (
            lambda: a_plan().with_cell(
                mine(rule="new == yes"),
                schema=FeatureSchema((Feature("new", FeatureKind.BOOLEAN, "new"),)),
            ),
            "asks for .'yes'. of 'new', but it is boolean: its levels are 'True' and 'False'",
        ),
        (lambda: a_plan().with_cell("mine"), "A plan takes a Cell"),
    ],
)
def test_a_cell_that_does_not_fit_is_refused(change, message):
    with pytest.raises(DesignError, match=message):
        change()


def test_a_cell_may_not_push_another_below_its_floor():
    changed = a_plan().with_cell(mine(0.02), taken_from="control")
    with pytest.raises(DesignError, match="'control' has a floor of 5"):
        override(a_plan(), changed.cells)


# In an experiment


@pytest.mark.timeout(300)
def test_an_experiment_takes_such_cells_and_its_allocation_rule(tmp_path):
    path = tmp_path / "promo"
    exp = experiment(allocation="exploration_sampling", path=path)
    quietly(next, exp)
    assert "exploration sampling" in repr(exp.plan)
    optimized = exp.plan.cells[2].policy
    assert max(optimized.otherwise.values()) <= 0.5 + 1e-9
    thompson = finished().history[0].next_recommendation.cells[2].policy
    assert asdict(thompson)["otherwise"] != asdict(optimized)["otherwise"]

    cell = hypothesis_cell("deep", "browse_depth > 3", "low_promo", 0.25, otherwise="free_ship")
    exp.accept(exp.plan.with_cell(cell).cells)
    assert open_experiment(path).plan == exp.plan
    done = quietly(exp.advance)
    seen = done.observations
    there = seen.cell == seen.cells.index("deep")
    deep = seen.features["browse_depth"].to_numpy() > 3
    np.testing.assert_array_equal(seen.arm[there], np.where(deep[there], 1, 2))
    assert there.any()
    back = open_experiment(path)
    assert back.design.allocation == "exploration_sampling"
    assert back.history[1].plan == done.plan
    assert back.plan == exp.plan
    with pytest.raises(DesignError, match="'age', which is not a feature"):
        exp.advance(exp.plan.with_cell(mine(rule="age > 3")).cells)


def test_experiments_from_before_there_was_a_choice_use_thompson_sampling():
    exp = experiment(
        allocation="top_two", cells=[Cell("control", BaselinePolicy(), 0.5), *explore_and_mine()]
    )
    kept = json.loads(json.dumps(spec_to_dict(exp._spec)))
    assert spec_from_dict(kept) == exp._spec
    del kept["design"]["allocation"]
    for cell in kept["design"]["first_plan"]["cells"]:
        cell["policy"].pop("otherwise", None)
    old = spec_from_dict(kept)
    assert old.design == replace(exp.design, allocation="thompson")
    kept["design"]["allocation"] = "ucb"
    with pytest.raises(DesignError, match="Unknown allocation rule 'ucb'"):
        spec_from_dict(kept)


def explore_and_mine():
    return cold_start(ARMS, 10).cells[1], Cell("mine", MixPolicy({"low_promo": 1.0}, PAID), 0.0)


def test_old_plans_have_thompson_shares_and_no_dropped_arms():
    kept = plan_to_dict(a_plan())
    for cell in kept["cells"]:
        cell["policy"].pop("allocation", None)
        cell["policy"].pop("dropped", None)
    assert plan_from_dict(kept) == a_plan()


@pytest.mark.parametrize("name", ["ucb", None, "Thompson"])
def test_an_unknown_allocation_rule_is_refused_at_once(name):
    with pytest.raises(DesignError, match=r"Unknown allocation rule .*; use one of \['thompson'"):
        check_design(treatments=ARMS, schedule_or_sizes=[10, 10], allocation=name)
    with pytest.raises(DesignError, match="Unknown allocation rule"):
        experiment(allocation=name)


def test_a_threshold_rule_object_is_taken_as_it_is():
    exact = Rule((Threshold("depth", ">", 0.1 + 0.2),))
    assert mine(rule=exact).policy.rule == exact
