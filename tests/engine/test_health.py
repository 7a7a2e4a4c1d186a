"""Sample ratio mismatch against scipy's own tests, and against simulated traffic."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pytyche_engine.classic.srm import TILTS
from pytyche_engine.contracts import (
    BaselinePolicy,
    Cell,
    FeatureSchema,
    Observations,
    Outcome,
    Plan,
    UniformPolicy,
)
from pytyche_engine.decisions.traffic import traffic_over_rounds, traffic_split

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


def two_cells(explore: float) -> Plan:
    """A round's plan of two cells; what they serve does not matter here."""
    cells = (Cell("explore", UniformPolicy(ARMS), explore),)
    return replace(PLAN, cells=(*cells, Cell("optimized", UniformPolicy(ARMS), 1 - explore)))


def only_cells(plan: Plan, counts: list[int]) -> tuple[Plan, Observations]:
    n = sum(counts)
    names = tuple(cell.id for cell in plan.cells)
    cell = np.repeat(np.arange(len(counts)), counts)
    return plan, seen(cell, np.zeros(n, dtype=np.int64), cells=names)


def only_arms(p: np.ndarray, arm: np.ndarray) -> tuple[Plan, Observations]:
    return PLAN, seen(np.full(len(arm), -1), arm, p)


def test_rounds_give_the_mean_of_scipys_likelihood_ratios():
    plans, counts = [two_cells(0.5), two_cells(0.2)], [[560, 440], [450, 1550]]
    e_values = []
    for cell in (0, 1):
        for tilt in TILTS:
            log_ratio = 0.0
            for plan, seen_counts in zip(plans, counts, strict=True):
                fair = np.array([c.weight for c in plan.cells])
                odds = np.where(np.arange(2) == cell, np.exp(tilt), 1.0) * fair
                log_ratio += stats.multinomial.logpmf(
                    seen_counts, sum(seen_counts), odds / odds.sum()
                ) - stats.multinomial.logpmf(seen_counts, sum(seen_counts), fair)
            e_values.append(np.exp(log_ratio))
    split = traffic_over_rounds([only_cells(*r) for r in zip(plans, counts, strict=True)])
    # Arms were not recorded: their e-process is 1.
    assert split.p_value == pytest.approx(2 / (1 + np.mean(e_values)), rel=1e-9)
    assert (split.worst, split.kind) == ("explore", "cell")
    assert (split.observed, split.expected) == (1010, 900.0)


def test_visitors_count_against_their_own_probabilities():
    p = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.1, 0.9, 0.0]])[np.arange(60) % 3]
    arm = np.where(np.arange(60) % 3 == 2, 1, np.arange(60) % 4 // 2)
    one_by_one = [
        np.prod(
            [np.exp(t * (z == a)) / (1 + np.expm1(t) * e[a]) for z, e in zip(arm, p, strict=True)]
        )
        for a in range(3)
        for t in TILTS
    ]
    expected = 2 / (1 + np.mean(one_by_one))
    assert 1e-6 < expected < 0.5
    assert traffic_over_rounds([only_arms(p, arm)]).p_value == pytest.approx(expected)


def test_looking_after_every_round_alarms_no_more_often_than_it_says():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(400):
        rounds, lead = [], np.zeros(3)
        for n in (100, 200, 200, 400):
            # A policy by visitor that follows what was seen, as Thompson sampling does.
            odds = 0.1 + rng.random((4, 3)) ** 2 + np.maximum(lead, 0)
            p = (odds / odds.sum(axis=1, keepdims=True))[rng.integers(0, 4, n)]
            arm = (rng.random(n)[:, None] > p.cumsum(axis=1)).sum(axis=1)
            lead = (np.bincount(arm, minlength=3) - p.sum(axis=0)) / np.sqrt(n)
            rounds.append(only_arms(p, arm))
        p_value = traffic_over_rounds(rounds).p_value
        assert p_value is not None
        found.append(p_value)
    # The bound is for any stopping; a maximum over four rounds stays below it.
    assert np.mean(np.array(found) <= 0.1) <= 0.1
    assert np.mean(np.array(found) <= 0.5) > 0.01  # and is not idle
    # The p-value only falls as rounds come in.
    by_round = [traffic_over_rounds(rounds[: r + 1]).p_value for r in range(4)]
    assert by_round == sorted(by_round, reverse=True)


def test_two_per_cent_lost_in_one_arm_is_found_over_rounds():
    rng = np.random.default_rng(4)
    rounds = []
    for n, share in ((100_000, 1 / 3), (200_000, 0.5), (400_000, 0.6)):
        fair = np.array([0.4 * (1 - share), 0.6 * (1 - share), share])
        arm = rng.choice(3, n, p=fair)
        kept = (arm != 2) | (rng.random(n) > 0.02)
        rounds.append(only_arms(np.tile(fair, (int(kept.sum()), 1)), arm[kept]))
    assert not traffic_over_rounds(rounds[:1]).alarm  # too few visitors to tell
    split = traffic_over_rounds(rounds)
    assert split.alarm
    assert (split.worst, split.kind) == ("b", "arm")
    assert "Arm 'b'" in split.sentence


def test_a_cell_of_a_later_plan_is_checked_and_a_stray_one_is_an_alarm():
    first = only_cells(two_cells(0.5), [500, 500])
    late = replace(PLAN, cells=(*two_cells(0.5).cells[:1], Cell("new", UniformPolicy(ARMS), 0.5)))
    assert not traffic_over_rounds([first, only_cells(late, [2_000, 2_000])]).alarm
    split = traffic_over_rounds([first, only_cells(late, [2_200, 1_800])])
    assert split.alarm
    assert split.worst == "new"
    stray = (
        PLAN,
        seen(
            np.repeat([0, 1, 2, 3], [200, 300, 499, 1]),
            np.zeros(1000, dtype=np.int64),
            cells=("control", "explore", "optimized", "stray"),
        ),
    )
    split = traffic_over_rounds([first, stray])
    assert (split.p_value, split.worst) == (0.0, "stray")


def test_rounds_with_nothing_recorded_are_not_checked():
    nothing = (PLAN, seen(np.full(10, -1), np.zeros(10, dtype=np.int64)))
    assert traffic_over_rounds([nothing]).p_value is None
    assert traffic_over_rounds([]).p_value is None
