from dataclasses import replace

import numpy as np
import pytest
from decision_cases import ARMS, observations, visitors

from pytyche_engine.contracts import (
    BaselinePolicy,
    Cell,
    DesignError,
    GroupDraws,
    Levels,
    MixPolicy,
    Plan,
    Route,
    Rule,
    Threshold,
    TreePolicy,
    UniformPolicy,
)
from pytyche_engine.decisions import cell_groups, observe_cells

DEEP = Rule((Threshold("depth", ">", 3.0),))
PAID = Rule((Levels("channel", ("paid",)),))
PLAN = Plan(
    1,
    ARMS,
    (
        Cell("control", BaselinePolicy(), 0.2),
        Cell("explore", UniformPolicy(ARMS), 0.2),
        Cell("mine", MixPolicy({"free_ship": 1.0}, PAID), 0.1),
        Cell(
            "optimized",
            TreePolicy(
                (
                    Route("S1", DEEP, {"low_promo": 0.8, "control": 0.2}),
                    Route("S2", PAID, {"free_ship": 0.6, "control": 0.4}),
                ),
                {"control": 0.2, "low_promo": 0.3, "free_ship": 0.5},
            ),
            0.5,
        ),
    ),
    400,
)


def served(n=400, seed=0, plan=PLAN):
    rng = np.random.default_rng(seed)
    features = visitors(n, seed)
    a = plan.assign(features, rng)
    revenue = np.where(rng.random(n) < 0.2, rng.lognormal(3, 1, n), 0.0)
    return observations(
        features,
        a.arm,
        revenue,
        cell=a.cell,
        cells=tuple(cell.id for cell in plan.cells),
        propensity=a.propensity,
    )


def visitor_rpv(n, n_draws=50, seed=1):
    """(S, n, K) a made-up posterior for single visitors."""
    rng = np.random.default_rng(seed)
    base = rng.gamma(2.0, 1.0, (1, n, 1))
    return base * rng.gamma(5.0, 0.2, (n_draws, 1, 3)) + rng.gamma(2.0, 0.1, (n_draws, n, 3))


def group_draws(rpv, groups):
    """What the model hands back: weighted means over each group's visitors."""
    size = groups.membership.sum(axis=0)
    means = np.einsum("snk,ng->sgk", rpv, groups.membership) / size[None, :, None]
    zero = np.zeros_like(means)
    return GroupDraws(ARMS, groups.names, size, np.zeros(len(rpv), int), zero, means, zero, zero)


def test_groups_are_the_cells_split_by_what_their_policy_serves():
    seen = served()
    groups = cell_groups(PLAN, seen)
    assert groups.names == (
        *("control #1", "explore #1", "mine #1", "mine #2"),
        *("optimized #1", "optimized #2", "optimized #3"),
    )
    assert groups.cell.tolist() == [0, 1, 2, 2, 3, 3, 3]
    assert groups.recorded
    np.testing.assert_allclose(groups.shares.sum(axis=1), 1)
    # Everyone is in exactly one group, and that group is of the right cell and shares.
    assert (groups.membership.sum(axis=1) == 1).all()
    mine = groups.membership.argmax(axis=1)
    np.testing.assert_array_equal(groups.cell[mine], seen.cell)
    expected = np.stack(PLAN.cell_arm_shares(seen.features))[seen.cell, np.arange(len(seen))]
    np.testing.assert_array_equal(groups.shares[mine], expected)


def test_the_models_rpv_is_exactly_that_of_serving_the_policy_visitor_by_visitor():
    seen = served()
    groups = cell_groups(PLAN, seen)
    rpv = visitor_rpv(len(seen))
    cells = observe_cells(PLAN, seen, groups, group_draws(rpv, groups))
    for c, (cell, shares) in enumerate(
        zip(cells, PLAN.cell_arm_shares(seen.features), strict=True)
    ):
        rows = seen.cell == c
        by_visitor = np.einsum("snk,nk->sn", rpv[:, rows], shares[rows])
        draws = by_visitor.mean(axis=1)
        assert cell.model_rpv.mean == pytest.approx(draws.mean())
        assert cell.model_rpv.sd == pytest.approx(draws.std())
        assert cell.model_rpv.low <= cell.model_rpv.mean <= cell.model_rpv.high
        if c == 0:
            assert cell.model_lift is None
        else:
            lift = draws - rpv[:, rows, 0].mean(axis=1)
            assert cell.model_lift.mean == pytest.approx(lift.mean())
            assert cell.model_lift.sd == pytest.approx(lift.std())


def test_observed_figures_are_raw_means():
    seen = served()
    groups = cell_groups(PLAN, seen)
    cells = observe_cells(PLAN, seen, groups, group_draws(visitor_rpv(len(seen)), groups))
    assert [c.id for c in cells] == ["control", "explore", "mine", "optimized"]
    means = [seen.revenue[seen.cell == c].mean() for c in range(4)]
    assert [c.observed_rpv for c in cells] == pytest.approx(means)
    assert cells[0].observed_lift is None
    assert cells[3].observed_lift == pytest.approx(means[3] - means[0])
    assert [c.n_visitors for c in cells] == np.bincount(seen.cell).tolist()
    assert cells[3].policy.startswith("policy tree routing over 2 segments")


def test_a_cell_without_visitors_has_no_figures():
    seen = served()
    seen = seen.take(seen.cell != 1)
    groups = cell_groups(PLAN, seen)
    cells = observe_cells(PLAN, seen, groups, group_draws(visitor_rpv(len(seen)), groups))
    empty = cells[1]
    assert (empty.id, empty.n_visitors) == ("explore", 0)
    assert np.isnan(empty.observed_rpv)
    assert (empty.observed_lift, empty.model_rpv, empty.model_lift) == (None, None, None)
    assert cells[3].model_rpv is not None
    no_control = served()
    no_control = no_control.take(no_control.cell != 0)
    groups = cell_groups(PLAN, no_control)
    cells = observe_cells(
        PLAN, no_control, groups, group_draws(visitor_rpv(len(no_control)), groups)
    )
    assert [c.observed_lift for c in cells] == [None] * 4
    assert cells[3].model_lift is not None


def test_cell_codes_are_matched_by_name():
    seen = served()
    order = np.array([2, 0, 3, 1])
    names = tuple(seen.cells[i] for i in order)
    shuffled = replace(seen, cell=np.argsort(order)[seen.cell], cells=names)
    a, b = cell_groups(PLAN, seen), cell_groups(PLAN, shuffled)
    np.testing.assert_array_equal(a.membership, b.membership)


def test_unrecorded_cells_count_by_their_probability_given_the_arm():
    n = 40_000
    seen = served(n, seed=3)
    blind = replace(seen, cell=np.full(n, -1), cells=())
    groups = cell_groups(PLAN, blind)
    assert not groups.recorded
    np.testing.assert_allclose(groups.membership.sum(axis=1), 1)
    weight = np.zeros((n, 4))
    for g, c in enumerate(groups.cell):
        weight[:, c] += groups.membership[:, g]
    # Nobody on a treatment was in Control, and Control's expected size is right.
    assert (weight[seen.arm > 0, 0] == 0).all()
    np.testing.assert_allclose(weight.mean(axis=0), [0.2, 0.2, 0.1, 0.5], atol=0.01)
    # Calibrated: of those said to be in Control with p, a share p was.
    p = weight[:, 0].round(9)
    for value in np.unique(p[p > 0]):
        rows = p == value
        error = 4 * np.sqrt(0.25 / rows.sum())
        assert (seen.cell[rows] == 0).mean() == pytest.approx(value, abs=error)
    zero = np.zeros((3, len(groups.names), 3))
    size = groups.membership.sum(axis=0)
    draws = GroupDraws(ARMS, groups.names, size, np.zeros(3, int), zero, zero + 1, zero, zero)
    blind_cells = observe_cells(PLAN, blind, groups, draws)
    for c, cell in enumerate(blind_cells):
        rows = seen.revenue[seen.cell == c]
        assert cell.observed_rpv == pytest.approx(
            rows.mean(), abs=4 * rows.std() / len(rows) ** 0.5
        )
        assert not cell.cell_recorded


def test_a_cell_that_is_not_in_the_plan_is_treated_as_unrecorded():
    seen = served()
    renamed = replace(seen, cells=("control", "explore", "mine", "other"))
    groups = cell_groups(PLAN, renamed)
    assert not groups.recorded
    known = seen.cell != 3
    np.testing.assert_array_equal(
        groups.cell[groups.membership[known].argmax(axis=1)], seen.cell[known]
    )


def test_draws_about_other_groups_are_refused():
    seen = served()
    groups = cell_groups(PLAN, seen)
    draws = group_draws(visitor_rpv(len(seen)), groups)
    with pytest.raises(DesignError, match="not about the groups"):
        observe_cells(PLAN, seen, groups, replace(draws, groups=tuple(reversed(draws.groups))))
    with pytest.raises(DesignError, match="about the arms"):
        cell_groups(PLAN, replace(seen, arms=("control", "x", "y")))
