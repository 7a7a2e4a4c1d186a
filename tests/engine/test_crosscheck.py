"""Cross-checks by AIPW against calculations by hand, and on adaptive allocation."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from decision_cases import ARMS as NAMES
from decision_cases import normal_draws, observations, visitors
from scipy import stats

from pytyche_engine.contracts import BaselinePolicy, Cell, DesignError, Plan, UniformPolicy
from pytyche_engine.contracts.scores import DoublyRobustScores
from pytyche_engine.decisions import (
    cell_groups,
    cross_check_arms,
    cross_check_cells,
    observe_cells,
    weighted_estimate,
)
from pytyche_engine.segments import doubly_robust_scores

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from decision_trials import ARM_RPV, adaptive_trial, posterior_of_means


def test_even_weights_give_the_mean_and_a_t_interval():
    values = np.random.default_rng(0).normal(3, 2, 3_000)
    estimate, freedom = weighted_estimate(values, np.full(3_000, 7.0), 0.9)
    se = values.std() / np.sqrt(3_000)
    assert (estimate.mean, estimate.sd) == pytest.approx((values.mean(), se))
    assert freedom == pytest.approx(2_000, rel=0.1)  # 2 n / 3 for a normal
    assert estimate.high - estimate.mean == pytest.approx(stats.t.isf(0.05, freedom) * se)


def test_few_large_values_widen_the_interval():
    values = np.zeros(1_000)
    values[:4] = 250.0
    estimate, freedom = weighted_estimate(values, np.ones(1_000), 0.9)
    assert freedom == pytest.approx(8, rel=0.01)
    assert estimate.high - estimate.mean == pytest.approx(1.86 * estimate.sd, rel=0.01)
    same, _ = weighted_estimate(np.ones(5), np.ones(5))
    assert (same.low, same.high) == (1, 1)


def test_weights_weigh_the_mean_and_its_error():
    values, weight = np.array([1.0, 3.0, 8.0, 4.0]), np.array([3.0, 1.0, 1.0, 0.0])
    estimate, _ = weighted_estimate(values, weight)
    assert estimate.mean == pytest.approx((3 * 1 + 3 + 8) / 5)
    squares = 9 * 1.8**2 + 0.2**2 + 5.2**2
    assert estimate.sd == pytest.approx(np.sqrt(squares) / 5)


def _trial(n: int = 3_000, seed: int = 0):
    rng = np.random.default_rng(seed)
    plan = Plan(
        0,
        NAMES,
        (
            Cell("control", BaselinePolicy(), 0.4),
            Cell("explore", UniformPolicy(NAMES), 0.6),
        ),
        n,
    )
    features = visitors(n)
    drawn = plan.assign(features, rng)
    revenue = np.array([2.0, 3.0, 4.0])[drawn.arm] + rng.normal(0, 0.5, n)
    seen = observations(
        features,
        drawn.arm,
        revenue,
        cell=drawn.cell,
        cells=("control", "explore"),
        propensity=drawn.propensity,
    )
    scores = np.tile([2.0, 3.0, 4.0], (n, 1))
    rows = np.arange(n)
    own = drawn.propensity[rows, drawn.arm]
    scores[rows, drawn.arm] += (revenue - scores[rows, drawn.arm]) / own
    return plan, seen, scores


def test_arms_show_three_estimates_and_flag_a_wrong_model():
    _, seen, scores = _trial()
    of_visitors = DoublyRobustScores(scores, 0.0, np.ones(len(seen)))
    checks = cross_check_arms(seen, of_visitors, normal_draws([2, 3, 4], 0.02))
    assert [c.name for c in checks] == list(NAMES)
    for k, c in enumerate(checks):
        assert c.naive_mean == pytest.approx(seen.revenue[seen.arm == k].mean())
        assert c.aipw.mean == pytest.approx(scores[:, k].mean())
        assert c.model.mean == pytest.approx(k + 2, abs=1e-3)
        assert c.model.level == c.aipw.level == 0.9
    assert not any(c.disagree for c in checks)

    wrong = cross_check_arms(seen, of_visitors, normal_draws([2, 3.3, 4], 0.02))
    assert [c.disagree for c in wrong] == [False, True, False]

    # The normal draws have exactly this mean, two standard errors from AIPW's.
    _, freedom = weighted_estimate(scores[:, 1], of_visitors.weight)
    near = checks[1].aipw.mean + 2 * checks[1].aipw.sd
    slight = cross_check_arms(seen, of_visitors, normal_draws([2, near, 4], 0.02))[1]
    assert slight.p_value == pytest.approx(3 * 2 * stats.t.sf(2, freedom), rel=0.02)
    assert not slight.disagree


def test_cells_are_judged_by_what_their_policy_would_earn():
    plan, seen, scores = _trial()
    groups = cell_groups(plan, seen)
    draws = normal_draws([2, 3, 4], 0.02, groups=groups.names)
    cells = observe_cells(plan, seen, groups, draws)
    control, explore = cross_check_cells(plan, seen, scores, cells)
    assert control.aipw.mean == pytest.approx(scores[:, 0].mean())
    assert explore.aipw.mean == pytest.approx(scores.mean())
    assert explore.naive_mean == pytest.approx(seen.revenue[seen.cell == 1].mean())
    assert explore.model == cells[1].model_rpv
    assert not control.disagree
    assert not explore.disagree
    draws = normal_draws([2, 4, 4], 0.02, groups=groups.names)
    control, explore = cross_check_cells(
        plan, seen, scores, observe_cells(plan, seen, groups, draws)
    )
    assert (control.disagree, explore.disagree) == (False, True)
    empty = (replace(cells[0], model_rpv=None), cells[1])
    assert [c.name for c in cross_check_cells(plan, seen, scores, empty)] == ["explore"]


def test_other_visitors_arms_and_cells_are_refused():
    plan, seen, scores = _trial(300)
    few = DoublyRobustScores(scores[:10], 0.0, np.ones(10))
    with pytest.raises(DesignError, match="300 visitors"):
        cross_check_arms(seen, few, normal_draws([2, 3, 4], 0.1))
    with pytest.raises(DesignError, match="300 visitors"):
        cross_check_cells(plan, seen, scores[:10], ())
    with pytest.raises(DesignError, match="the plan has"):
        cross_check_cells(plan, seen, scores, ())


def test_after_adaptive_rounds_aipw_covers_and_raw_means_do_not():
    covered, raw, raw_covered, flagged = [], [], [], []
    for seed in range(40):
        seen, model, _ = adaptive_trial(seed)
        scores = doubly_robust_scores(seen, model)
        checks = cross_check_arms(seen, scores, posterior_of_means(seen, by_part=True))
        covered.append(
            [c.aipw.low <= t <= c.aipw.high for c, t in zip(checks, ARM_RPV, strict=True)]
        )
        raw.append([c.naive_mean for c in checks] - ARM_RPV)
        se = [seen.revenue[seen.arm == k].std() / np.sqrt((seen.arm == k).sum()) for k in range(3)]
        raw_covered.append(np.abs(raw[-1]) < 1.645 * np.array(se))
        flagged.append(any(c.disagree for c in checks))
    assert 0.83 <= np.mean(covered) <= 0.97  # 120 intervals at 90 %
    z = np.mean(raw, axis=0) / np.std(raw, axis=0) * np.sqrt(40)
    assert np.abs(z).max() > 4
    assert np.mean(raw_covered) < 0.8
    assert sum(flagged) <= 4
