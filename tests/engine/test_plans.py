import json

import numpy as np
import pytest
from decision_cases import ARMS, visitors

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
from pytyche_engine.contracts.plans import plan_from_dict, plan_to_dict

DEEP = Rule((Threshold("depth", ">", 3.0),))
PAID = Rule((Levels("channel", ("paid",)),))


def a_plan() -> Plan:
    tree = TreePolicy(
        (
            Route("S1", DEEP, {"low_promo": 0.75, "control": 0.25}),
            Route("S2", PAID, {"free_ship": 1.0}),
        ),
        {"control": 0.2, "low_promo": 0.3, "free_ship": 0.5},
    )
    return Plan(
        1,
        ARMS,
        (
            Cell("control", BaselinePolicy(), 0.1),
            Cell("explore", UniformPolicy(ARMS), 0.2),
            Cell("mine", MixPolicy({"free_ship": 0.5, "low_promo": 0.5}, PAID), 0.1),
            Cell("optimized", tree, 0.6),
        ),
        2000,
    )


def test_shares_of_every_policy_add_up_to_one_for_every_visitor():
    features = visitors(500)
    for shares in [*a_plan().cell_arm_shares(features), a_plan().propensity(features)]:
        assert shares.min() >= 0
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-12)


def test_the_first_matching_route_decides_and_the_rest_get_otherwise():
    features = visitors(500)
    shares = a_plan().cells[3].policy.arm_shares(features, ARMS)
    deep, paid = DEEP.matches(features), PAID.matches(features)
    assert (deep & paid).any()
    assert (~deep & ~paid).any()
    np.testing.assert_array_equal(shares[deep], np.tile([0.25, 0.75, 0], (deep.sum(), 1)))
    only_paid = paid & ~deep
    np.testing.assert_array_equal(shares[only_paid], np.tile([0, 0, 1], (only_paid.sum(), 1)))
    rest = ~deep & ~paid
    np.testing.assert_array_equal(shares[rest], np.tile([0.2, 0.3, 0.5], (rest.sum(), 1)))


def test_a_hypothesis_cell_serves_control_outside_its_rule():
    features = visitors(200)
    shares = a_plan().cells[2].policy.arm_shares(features, ARMS)
    paid = PAID.matches(features)
    assert (shares[~paid] == [1, 0, 0]).all()
    assert (shares[paid] == [0, 0.5, 0.5]).all()


def test_assignment_frequencies_agree_with_the_recorded_probabilities():
    plan, n = a_plan(), 60_000
    features = visitors(n, seed=1)
    assignment = plan.assign(features, np.random.default_rng(7))
    weights = np.array([cell.weight for cell in plan.cells])
    share = np.bincount(assignment.cell, minlength=4) / n
    np.testing.assert_allclose(share, weights, atol=4 * np.sqrt(0.25 / n))
    # Within each stratum of equal probabilities, every arm as often as recorded.
    strata = np.unique(assignment.propensity.round(12), axis=0, return_inverse=True)[1].ravel()
    assert strata.max() == 3
    for s in range(strata.max() + 1):
        rows = strata == s
        seen = np.bincount(assignment.arm[rows], minlength=3) / rows.sum()
        np.testing.assert_allclose(
            seen, assignment.propensity[rows][0], atol=4 * np.sqrt(0.25 / rows.sum())
        )
    # And within each cell only arms that its policy gives.
    for c, shares in enumerate(plan.cell_arm_shares(features)):
        rows = np.flatnonzero(assignment.cell == c)
        assert (shares[rows, assignment.arm[rows]] > 0).all()


def test_assignment_is_reproducible():
    features = visitors(300)
    a = a_plan().assign(features, np.random.default_rng(3))
    b = a_plan().assign(features, np.random.default_rng(3))
    c = a_plan().assign(features, np.random.default_rng(4))
    np.testing.assert_array_equal(a.arm, b.arm)
    assert (a.arm != c.arm).any()


def test_plans_survive_json():
    assert plan_from_dict(json.loads(json.dumps(plan_to_dict(a_plan())))) == a_plan()


def test_the_plan_reads_as_in_the_tutorial_and_escapes_names():
    text = repr(a_plan())
    assert "| control   | 0.10   | baseline: always control" in text
    assert "uniform over ['control', 'low_promo', 'free_ship']" in text
    assert "policy tree routing over 2 segments with per-leaf Thompson allocation" in text
    evil = Plan(
        0, ("c", "<img src=x>"), (Cell("<b>", UniformPolicy(("c", "<img src=x>")), 1.0),), 5
    )
    assert "<img" not in evil._repr_html_()
    assert "&lt;b&gt;" in evil._repr_html_()


def test_a_weight_that_misses_its_end_by_a_rounding_is_that_end():
    left = 1 - 0.05 - 0.05 - 0.9
    assert left < 0
    assert str(Cell("optimized", BaselinePolicy(), left).weight) == "0.0"
    assert Cell("all", BaselinePolicy(), 1 + 1e-12).weight == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cell("a", BaselinePolicy(), -0.5), "weight of cell 'a' is -0.5"),
        (lambda: Cell("a", BaselinePolicy(), float("nan")), "weight of cell 'a' is nan"),
        (lambda: Cell("", BaselinePolicy(), 0.5), "needs a name"),
        (lambda: Plan(0, ARMS, (), 10), "at least one cell"),
        (
            lambda: Plan(0, ARMS, (Cell("a", BaselinePolicy(), 0.8),), 10),
            "must add up to 1; they add up to 0.8",
        ),
        (
            lambda: Plan(0, ARMS, (Cell("a", BaselinePolicy(), 0.5),) * 2, 10),
            "must be unique",
        ),
        (
            lambda: Plan(0, ARMS, (Cell("a", UniformPolicy(("x",)), 1.0),), 10),
            r"unknown arm\(s\) \['x'\]",
        ),
        (lambda: UniformPolicy(()), "at least one arm"),
        (lambda: UniformPolicy("control"), "takes a list of arms"),
        (lambda: Route("S1", Rule(), {"a": 0.5}), "segment 'S1' must be >= 0 and add up to 1"),
        (lambda: Route("S1", Rule(), {"a": 1.5, "b": -0.5}), "must be >= 0"),
        (lambda: Route("S1", Rule(), {"a": float("nan")}), "must be >= 0"),
        (lambda: TreePolicy((), {"a": 0.9}), "visitors who match no route"),
        (lambda: MixPolicy({"a": 0.9}), "the mix for everyone"),
    ],
)
def test_what_cannot_be_served_is_refused(make, message):
    with pytest.raises(DesignError, match=message):
        make()
