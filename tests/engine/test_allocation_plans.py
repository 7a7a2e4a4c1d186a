from itertools import pairwise

import numpy as np
import pytest
from decision_cases import ARMS, SCHEMA, search, segment, visitors

from pytyche_engine.allocation import (
    check_floors,
    cold_start,
    override,
    propose,
    thompson_shares,
)
from pytyche_engine.contracts import (
    BaselinePolicy,
    Cell,
    DesignError,
    Levels,
    MixPolicy,
    Rule,
    Threshold,
    TreePolicy,
    UniformPolicy,
)
from pytyche_engine.contracts.plans import plan_from_dict, plan_to_dict

OVERALL = dict(zip(ARMS, (0.2, 0.7, 0.1), strict=True))


TWO = (
    segment("S1", Rule((Threshold("depth", ">", 3.0),)), best=(0.0, 1.0, 0.0)),
    segment("S2", Rule((Threshold("depth", "<=", 3.0, True),)), best=(0.3, 0.2, 0.5)),
)


def propose_two(**options):
    asked = {"round_index": 1, "n_visitors": 4000, **options}
    return propose(search(TWO, targeting_pays=True), ARMS, OVERALL, **asked)


def test_thompson_serves_each_arm_as_often_as_it_is_best():
    np.testing.assert_allclose(thompson_shares(np.array([0.2, 0.5, 0.3])), [0.2, 0.5, 0.3])


def test_thompson_floors_are_exact_and_the_others_keep_their_proportions():
    shares = thompson_shares(np.array([0.0, 0.6, 0.4]))
    assert shares[0] == 0.02 / 3
    assert shares[1] / shares[2] == pytest.approx(1.5)
    # Raising one arm pushes another under the floor: both end on it.
    shares = thompson_shares(np.array([0.0, 0.101, 0.899]), floor=0.1)
    assert shares[:2].tolist() == [0.1, 0.1]
    assert shares[2] == pytest.approx(0.8)


def test_thompson_in_random_loops():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        k = int(rng.integers(2, 9))
        p = rng.dirichlet(np.full(k, rng.choice([0.05, 0.3, 1.0])))
        p[rng.random(k) < 0.2] = 0.0
        if p.sum() == 0:
            p[0] = 1e-300
        floor = None if rng.random() < 0.3 else float(rng.uniform(0, 1 / k))
        least = 0.02 / k if floor is None else floor
        shares = thompson_shares(p, floor)
        assert shares.sum() == pytest.approx(1.0, abs=1e-15 * k)
        assert (shares >= least).all()
        free = shares > least
        if free.sum() > 1:  # proportions among those above the floor
            ratio = shares[free] / p[free]
            assert ratio.max() == pytest.approx(ratio.min(), rel=1e-9)
        order = np.argsort(p, kind="stable")
        assert (np.diff(shares[order]) >= -1e-15).all()


def test_thompson_edges():
    assert thompson_shares(np.ones(4), floor=0.25).tolist() == [0.25] * 4
    assert thompson_shares(np.array([1.0, 0.0]), floor=0).tolist() == [1.0, 0.0]
    for p in ([0.5, -0.1], [np.nan, 1.0], [0.0, 0.0]):
        with pytest.raises(DesignError, match="probabilities of being best"):
            thompson_shares(np.array(p))
    with pytest.raises(DesignError, match="does not fit into 1"):
        thompson_shares(np.array([0.5, 0.5]), floor=0.6)


def test_the_first_round_is_half_control_half_explore():
    plan = cold_start(ARMS, 2000)
    assert [(c.id, c.weight) for c in plan.cells] == [("control", 0.5), ("explore", 0.5)]
    assert (plan.round_index, plan.n_visitors) == (0, 2000)
    np.testing.assert_allclose(plan.propensity(visitors(1)), [[2 / 3, 1 / 6, 1 / 6]])


@pytest.mark.parametrize(
    ("floors", "control"), [((0.6, 0.05), 0.6), ((0.05, 0.7), 0.3), ((0, 0), 0.5)]
)
def test_the_first_round_keeps_large_floors(floors, control):
    plan = cold_start(ARMS, 10, min_control_weight=floors[0], min_explore_weight=floors[1])
    assert plan.cells[0].weight == pytest.approx(control)
    assert plan.cells[1].weight >= floors[1]


def test_a_proposal_routes_by_segment_where_targeting_pays():
    plan = propose_two()
    assert [(c.id, c.weight) for c in plan.cells] == [
        ("control", 0.05),
        ("explore", 0.05),
        ("optimized", pytest.approx(0.9)),
    ]
    policy = plan.cells[2].policy
    assert isinstance(policy, TreePolicy)
    assert [(r.segment, r.rule) for r in policy.routes] == [(s.id, s.rule) for s in TWO]
    assert policy.routes[0].shares["low_promo"] == pytest.approx(1 - 2 * 0.02 / 3)
    assert policy.routes[0].shares["control"] == 0.02 / 3
    assert policy.routes[1].shares == pytest.approx(dict(zip(ARMS, (0.3, 0.2, 0.5), strict=True)))
    assert policy.otherwise == pytest.approx(OVERALL)
    assert plan_from_dict(plan_to_dict(plan)) == plan


def test_a_proposal_has_one_route_where_targeting_does_not_pay():
    plan = propose(search(TWO, targeting_pays=False), ARMS, OVERALL, round_index=2, n_visitors=None)
    (route,) = plan.cells[2].policy.routes
    assert route.rule == Rule()
    assert route.shares == pytest.approx(OVERALL)
    assert plan.n_visitors is None
    assert "one segment, everyone" in repr(plan)


def test_proposals_always_sum_to_one_and_keep_every_floor():
    rng = np.random.default_rng(1)
    features = visitors(300, seed=2)
    for _ in range(100):
        k = int(rng.integers(2, 6))
        arms = ("control", *(f"t{i}" for i in range(1, k)))
        cuts = np.sort(rng.normal(3, 2, int(rng.integers(0, 4))))
        edges = [-np.inf, *cuts, np.inf]
        segments = [
            segment(
                f"S{i}",
                Rule((Threshold("depth", ">", lo), Threshold("depth", "<=", hi))),
                best=rng.dirichlet(np.full(k, 0.3)),
                arms=arms,
            )
            for i, (lo, hi) in enumerate(pairwise(edges))
        ]
        floors = rng.uniform(0, 0.45, 2)
        plan = propose(
            search(segments, targeting_pays=bool(rng.random() < 0.8)),
            arms,
            dict(zip(arms, rng.dirichlet(np.ones(k)), strict=True)),
            round_index=1,
            n_visitors=100,
            min_control_weight=floors[0],
            min_explore_weight=floors[1],
        )
        control, explore, optimized = plan.cells
        assert control.weight >= floors[0]
        assert explore.weight >= floors[1]
        assert control.weight + explore.weight + optimized.weight == pytest.approx(1)
        np.testing.assert_allclose(plan.propensity(features).sum(axis=1), 1)
        least = floors[1] / k + optimized.weight * 0.02 / k
        assert (plan.propensity(features) >= least - 1e-12).all()
        assert (plan.propensity(features)[:, 0] >= floors[0] + least - 1e-12).all()


def test_recorded_probabilities_of_a_proposal_are_those_served():
    n = 40_000
    features = visitors(n, seed=5)
    a = propose_two(min_explore_weight=0.2).assign(features, np.random.default_rng(0))
    for arm in range(3):
        expected = a.propensity[:, arm].mean()
        assert (a.arm == arm).mean() == pytest.approx(expected, abs=4 * np.sqrt(0.25 / n))
    # Inverse probability weights are right for every segment.
    deep = TWO[0].rule.matches(features)
    for rows in (deep, ~deep):
        for arm in range(3):
            w = (a.arm == arm)[rows] / a.propensity[rows, arm]
            assert w.mean() == pytest.approx(1, abs=4 * w.std() / np.sqrt(rows.sum()))


def test_an_unknown_arm_in_the_evidence_is_named():
    with pytest.raises(DesignError, match=r"Unknown arm\(s\) \['x'\]"):
        propose(search(TWO, targeting_pays=True), ARMS, {"x": 1.0}, round_index=1, n_visitors=10)


HYPOTHESIS = Cell(
    "social_free_ship", MixPolicy({"free_ship": 1.0}, Rule((Levels("channel", ("social",)),))), 0.06
)


def with_cells(*, control=0.05, explore=0.05, extra=(HYPOTHESIS,)):
    plan = propose_two()
    rest = 1 - control - explore - sum(c.weight for c in extra)
    return [
        Cell("control", BaselinePolicy(), control),
        Cell("explore", UniformPolicy(ARMS), explore),
        *extra,
        Cell("optimized", plan.cells[2].policy, rest),
    ]


def test_an_operator_can_add_a_cell_and_the_recommended_plan_stays_as_it_was():
    recommended = propose_two()
    plan = override(recommended, with_cells(), schema=SCHEMA)
    assert [c.id for c in plan.cells] == ["control", "explore", "social_free_ship", "optimized"]
    assert (plan.round_index, plan.n_visitors) == (1, 4000)
    assert len(recommended.cells) == 3
    assert plan.notices == ()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (lambda: with_cells(control=0.03), "'control' has a floor of 5.00%; 3.00% is below it"),
        (lambda: with_cells(explore=0.0), "'explore' has a floor of 5.00%; 0.00% is below it"),
        (
            lambda: [Cell("explore", UniformPolicy(ARMS), 1.0)],
            "no cell 'control', which has a floor of 5.00%",
        ),
        (lambda: [Cell("control", BaselinePolicy(), 1.0)], "no cell 'explore'"),
        (
            lambda: [
                Cell("control", MixPolicy({"free_ship": 1.0}), 0.5),
                Cell("explore", UniformPolicy(ARMS), 0.5),
            ],
            "'control' must serve control to everyone",
        ),
        (
            lambda: [
                Cell("control", BaselinePolicy(), 0.5),
                Cell("explore", UniformPolicy(ARMS[:2]), 0.5),
            ],
            "'explore' must serve every arm evenly",
        ),
        (lambda: with_cells(extra=(HYPOTHESIS, HYPOTHESIS)), "must be unique"),
        (
            lambda: with_cells(extra=(Cell("x", MixPolicy({"tv": 1.0}), 0.1),)),
            r"Cell 'x' names unknown arm\(s\) \['tv'\]",
        ),
        (lambda: [*with_cells(), HYPOTHESIS], "must be unique"),
        (lambda: with_cells()[:-1], "must add up to 1; they add up to 0.16"),
        (lambda: ["control", "explore"], "must be a list of Cell"),
        (lambda: HYPOTHESIS, "must be a list of Cell"),
        (lambda: None, "must be a list of Cell"),
        (
            lambda: with_cells(
                extra=(
                    Cell(
                        "x", MixPolicy({"free_ship": 1.0}, Rule((Threshold("age", ">", 3),))), 0.1
                    ),
                )
            ),
            "rule on 'age', which is not a feature; the features are",
        ),
        (
            lambda: with_cells(
                extra=(
                    Cell(
                        "x",
                        MixPolicy({"free_ship": 1.0}, Rule((Threshold("channel", ">", 3),))),
                        0.1,
                    ),
                )
            ),
            "compares 'channel' with a number, but it is categorical",
        ),
        (
            lambda: with_cells(
                extra=(
                    Cell("x", MixPolicy({"free_ship": 1.0}, Rule((Levels("depth", ("3",)),))), 0.1),
                )
            ),
            "levels of 'depth', but it is numeric",
        ),
    ],
)
def test_cells_that_break_a_floor_or_the_plan_are_refused(cells, message):
    with pytest.raises(DesignError, match=message):
        override(propose_two(), cells(), schema=SCHEMA)


def test_a_cell_exactly_on_its_floor_is_accepted_and_floors_may_be_zero():
    override(propose_two(), with_cells(control=0.05))
    everything = [Cell("mine", MixPolicy({"low_promo": 1.0}), 1.0)]
    override(propose_two(), everything, min_control_weight=0, min_explore_weight=0)


def test_a_plan_that_leaves_nothing_for_optimized_says_so():
    full = Cell("mine", MixPolicy({"low_promo": 1.0}), 0.9)
    (notice,) = override(propose_two(), with_cells(extra=(full,))[:-1]).notices
    assert notice == (
        "Nothing is left for Optimized this round: 'control' 5.0%, 'explore' 5.0%, 'mine' 90.0%."
    )
    assert cold_start(ARMS, 100).notices == ()
    tiny = propose_two(n_visitors=10)
    assert tiny.notices == (
        "Cell 'control' expects fewer than one of the round's 10 visitors.",
        "Cell 'explore' expects fewer than one of the round's 10 visitors.",
    )


@pytest.mark.parametrize(
    "floors", [(1.0, 0.05), (0.05, 1.2), (-0.2, 0.05), (float("nan"), 0.05), (5, 0.05), ("5%", 0)]
)
def test_floors_must_be_shares(floors):
    with pytest.raises(DesignError, match="use a share"):
        check_floors(*floors)


def test_floors_must_leave_room():
    with pytest.raises(DesignError, match="leave nothing for Optimized"):
        check_floors(0.5, 0.5)
    check_floors(0.0, 0.0)
    check_floors(0.45, 0.45)
