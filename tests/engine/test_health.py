"""Sample ratio mismatch against scipy's own test, and against simulated traffic."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pytyche_engine.contracts import (
    BaselinePolicy,
    Cell,
    FeatureSchema,
    Observations,
    Outcome,
    Plan,
    UniformPolicy,
)
from pytyche_engine.decisions.health import traffic_split

ARMS = ("control", "a", "b")
PLAN = Plan(
    round_index=0,
    arms=ARMS,
    cells=(
        Cell("control", BaselinePolicy(), 0.2),
        Cell("explore", UniformPolicy(ARMS), 0.3),
        Cell("optimized", UniformPolicy(("a", "b")), 0.5),
    ),
    n_visitors=1000,
)


def seen(
    cell: np.ndarray,
    arm: np.ndarray,
    propensity: np.ndarray | None = None,
    cells: tuple[str, ...] = ("control", "explore", "optimized"),
) -> Observations:
    n = len(cell)
    return Observations(
        arms=ARMS,
        visitor_id=np.arange(n).astype(str),
        arm=arm,
        revenue=np.zeros(n),
        features=pd.DataFrame(index=range(n)),
        schema=FeatureSchema(()),
        outcome=Outcome.HURDLE,
        propensity=np.full((n, 3), 1 / 3) if propensity is None else propensity,
        propensity_recorded=propensity is not None,
        round_index=np.zeros(n, dtype=np.int64),
        cell=cell,
        cells=cells,
    )


def test_cells_give_pearsons_chi_square():
    counts = np.array([230, 290, 480])
    cell = np.repeat(np.arange(3), counts)
    split = traffic_split(PLAN, seen(cell, np.zeros(1000, dtype=np.int64)))
    assert split.p_value == pytest.approx(stats.chisquare(counts, [200, 300, 500]).pvalue)
    assert (split.worst, split.observed, split.expected) == ("control", 230, 200.0)


def test_arms_give_pearsons_chi_square_where_everyone_has_the_same_probabilities():
    counts = np.array([300, 400, 300])
    p = np.array([0.3, 0.35, 0.35])
    none = np.full(1000, -1)
    split = traffic_split(PLAN, seen(none, np.repeat(np.arange(3), counts), np.tile(p, (1000, 1))))
    assert split.p_value == pytest.approx(stats.chisquare(counts, 1000 * p).pvalue)


def test_p_values_are_uniform_when_the_plan_was_served():
    rng = np.random.default_rng(1)
    n = 2000
    # Probabilities that differ between visitors: Pearson's test would be too timid here.
    p = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]])[rng.integers(0, 3, n)]
    found = []
    for _ in range(400):
        arm = (rng.random(n)[:, None] > p.cumsum(axis=1)).sum(axis=1)
        split = traffic_split(PLAN, seen(np.full(n, -1), arm, p))
        assert split.p_value is not None
        found.append(split.p_value)
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_two_tests_share_the_error():
    rng = np.random.default_rng(2)
    n = 1000
    p = np.tile([0.3, 0.35, 0.35], (n, 1))
    cell = np.repeat(np.arange(3), [200, 300, 500])
    arm = rng.choice(3, n, p=[0.2, 0.4, 0.4])
    both = traffic_split(PLAN, seen(cell, arm, p))
    arms = traffic_split(PLAN, seen(np.full(n, -1), arm, p))
    assert arms.p_value is not None
    assert both.p_value == pytest.approx(2 * arms.p_value)
    assert both.alarm


def test_a_cell_or_an_arm_that_was_not_planned_is_an_alarm():
    cell = np.repeat(np.arange(4), [200, 300, 499, 1])
    names = ("control", "explore", "optimized", "stray")
    split = traffic_split(PLAN, seen(cell, np.zeros(1000, dtype=np.int64), cells=names))
    assert (split.p_value, split.worst, split.observed) == (0.0, "stray", 1)
    p = np.tile([0.5, 0.5, 0.0], (1000, 1))
    arm = np.repeat([0, 1, 2], [500, 499, 1])
    assert traffic_split(PLAN, seen(np.full(1000, -1), arm, p)).worst == "b"


def test_probabilities_of_one_leave_no_room_and_raise_no_alarm():
    p = np.tile([0.0, 1.0, 0.0], (50, 1))
    split = traffic_split(PLAN, seen(np.full(50, -1), np.ones(50, dtype=np.int64), p))
    assert split.p_value == 1.0
    assert not split.alarm


def test_nothing_recorded_is_not_checked():
    split = traffic_split(PLAN, seen(np.full(10, -1), np.zeros(10, dtype=np.int64)))
    assert split.p_value is None
    assert not split.alarm
