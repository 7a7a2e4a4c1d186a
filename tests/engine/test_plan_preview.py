"""What a plan is expected to do, against figures worked out in other ways."""

import itertools
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from decision_cases import ARMS, observations, visitors
from experiment_cases import finished
from scipy import stats

from pytyche_engine.allocation import Floors, SeenVisitors, edit, preview
from pytyche_engine.allocation.preview import distribution, overlaps
from pytyche_engine.contracts import (
    BaselinePolicy,
    Cell,
    Levels,
    MixPolicy,
    Plan,
    Route,
    Rule,
    Threshold,
    TreePolicy,
    UniformPolicy,
)
from pytyche_engine.experiment.seen import sample_visitors

FLOORS = Floors(0.05, 0.05)
PAID = Rule((Levels("channel", ("paid",)),))
DEEP = Rule((Threshold("depth", ">", 3.0),))
N = 4000


def seen(n: int = N, draws: int = 50, every: int = 3) -> SeenVisitors:
    """Visitors whose RPV differs by visitor, arm and draw; some of them are sampled."""
    rng = np.random.default_rng(5)
    features = visitors(n)
    revenue = np.where(rng.random(n) < 0.1, rng.lognormal(3, 0.8, n), 0.0)
    sample = np.arange(0, n, every)
    worth = 2 + (features["channel"] == "paid").to_numpy()[sample, None] * [0.0, 1.0, -0.5]
    rpv = worth + rng.normal(0, 0.2, (draws, 1, len(ARMS)))
    return SeenVisitors(observations(features, rng.integers(0, 3, n), revenue), sample, rpv)


def plan(n_visitors: int | None = 100_000) -> Plan:
    tree = TreePolicy(
        (
            Route("S1", PAID, {"low_promo": 1.0}),
            Route("S2", Rule(), {"control": 0.5, "free_ship": 0.5}),
        ),
        {"control": 1.0},
    )
    cells = (
        Cell("control", BaselinePolicy(), 0.05),
        Cell("explore", UniformPolicy(ARMS), 0.05),
        Cell("optimized", tree, 0.9),
    )
    return Plan(2, ARMS, cells, n_visitors)


def edited() -> Plan:
    mine = Cell("mine", MixPolicy({"free_ship": 1.0}, DEEP), 0.1)
    changed = edit.with_new_cell(plan(), mine, FLOORS)
    changed = edit.with_weight(changed, "explore", 0.15, FLOORS)
    return edit.with_shares(changed, "optimized", {"control": 1.0}, "S1")


def test_rpv_is_that_of_the_probabilities_that_the_plan_gives():
    looked, changed = seen(), edited()
    features = looked.observations.features.iloc[looked.sample]
    expected = (looked.rpv * changed.propensity(features)).sum(axis=2).mean(axis=1)
    found = preview(changed, plan(), looked)
    assert found.rpv is not None
    assert found.rpv.mean == pytest.approx(expected.mean())
    assert (found.rpv.low, found.rpv.high) == pytest.approx(
        tuple(np.quantile(expected, [0.1, 0.9]))
    )


def test_regret_is_the_difference_to_the_recommendation_and_adds_up_over_cells():
    looked = seen()
    found = preview(edited(), plan(), looked)
    before = preview(plan(), plan(), looked)
    assert found.rpv
    assert found.regret
    assert before.rpv
    assert found.regret.mean == pytest.approx(before.rpv.mean - found.rpv.mean)
    assert found.regret_in_all == pytest.approx(100_000 * found.regret.mean)
    assert sum(c.regret_in_all for c in found.cells) == pytest.approx(found.regret_in_all)
    assert before.regret
    assert before.regret.mean == pytest.approx(0)


def test_a_cell_costs_what_its_visitors_would_have_had_in_optimized():
    mine = Cell("mine", MixPolicy({"free_ship": 1.0}), 0.06)
    looked = seen()
    found = preview(edit.with_new_cell(plan(), mine, FLOORS), plan(), looked)
    cells = {c.id: c for c in found.cells}
    optimized, own = cells["optimized"], cells["mine"]
    assert own.regret.mean == pytest.approx(optimized.rpv.mean - own.rpv.mean)
    assert own.regret_in_all == pytest.approx(6000 * own.regret.mean)
    for untouched in ("control", "explore", "optimized"):
        assert cells[untouched].regret.mean == pytest.approx(0, abs=1e-12)


def test_who_matches_is_counted_over_all_visitors_seen():
    looked = seen()
    own = next(c for c in preview(edited(), plan(), looked).cells if c.id == "mine")
    held = looked.observations.features["depth"] > 3.0
    assert own.n_matching == held.sum()
    assert own.matching == pytest.approx(held.mean())
    assert own.n_visitors == pytest.approx(10_000)


def test_the_detectable_effect_is_found_with_80_percent_power():
    looked = seen()
    changed = edited()
    found = {c.id: c for c in preview(changed, plan(), looked).cells}
    assert found["control"].detectable is None
    assert found["control"].detectable_between == "baseline"
    held = DEEP.matches(looked.observations.features)
    rng = np.random.default_rng(0)
    # Each round is drawn from the revenue that was seen: of those who match for the hypothesis.
    cases = {
        "mine": (looked.observations.revenue[held], 10_000 * held.mean(), 5000 * held.mean()),
        "explore": (looked.observations.revenue, 5000, 5000),
        "optimized": (looked.observations.revenue, 75_000, 5000),
    }
    for name, (revenue, treated, control) in cases.items():
        power = []
        for _ in range(400):
            a = rng.choice(revenue, round(treated)) + found[name].detectable
            b = rng.choice(revenue, round(control))
            power.append(stats.ttest_ind(a, b, equal_var=False).pvalue < 0.05)
        assert np.mean(power) == pytest.approx(0.8, abs=0.06), name


def test_what_cannot_be_known_is_none():
    none = preview(edited(), plan(), None)
    assert [c.n_visitors for c in none.cells] == pytest.approx([5000, 15_000, 10_000, 70_000])
    assert {c.rpv for c in none.cells} == {None}
    assert none.rpv is None
    assert none.regret is None
    looked = seen()
    no_round = preview(replace(edited(), n_visitors=None), plan(None), looked)
    assert no_round.regret is not None
    assert no_round.regret_in_all is None
    assert {c.detectable for c in no_round.cells} == {None}
    poor = replace(
        looked,
        observations=replace(looked.observations, revenue=np.zeros(N)),
        _values={},
        _matches={},
    )
    assert {c.detectable for c in preview(edited(), plan(), poor).cells} == {None}
    nothing = edit.with_weight(edited(), "mine", 0.0, FLOORS)
    own = next(c for c in preview(nothing, plan(), looked).cells if c.id == "mine")
    assert own.regret is None
    assert own.detectable is None
    assert own.rpv is not None


def test_it_reads_as_a_table():
    found = preview(edited(), plan(), seen())
    lines = repr(found).splitlines()
    assert "expected RPV (80% CI)" in lines[0]
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        *(cell.id for cell in edited().cells),
        "all",
    ]
    assert f"{found.rpv.mean:.4f} [{found.rpv.low:.4f}, {found.rpv.high:.4f}]" in lines[-1]
    assert "100,000" in lines[-1]
    assert "—" in repr(preview(edited(), plan(), None))
    assert found._repr_html_().startswith("<table")


def test_overlaps_say_how_much_of_each_segment_a_rule_covers():
    looked = seen()
    policy = plan().cells[2].policy
    assert {o.segment: o.share for o in overlaps(PAID, policy, looked)} == {"S1": 1.0, "S2": 0.0}
    part = {o.segment: o.share for o in overlaps(DEEP, policy, looked)}
    features = looked.observations.features
    paid = (features["channel"] == "paid").to_numpy(dtype=bool)
    assert part["S1"] == pytest.approx((features["depth"] > 3.0)[paid].mean())
    assert overlaps(PAID, BaselinePolicy(), looked) == ()


def test_a_distribution_counts_everyone_who_has_a_value():
    looked = seen()
    found = distribution(looked, "depth")
    values = looked.observations.features["depth"].dropna()
    assert found is not None
    assert sum(found.counts) == len(values)
    assert found.middle == pytest.approx(values.median())
    assert found.low > values.min()
    assert found.high < values.max()
    empty = replace(looked.observations, features=pd.DataFrame({"depth": [np.nan] * N}))
    assert distribution(replace(looked, observations=empty), "depth") is None


def test_an_edit_of_200_segments_is_answered_at_once():
    looked = seen(n=50_000, draws=200, every=25)
    cuts = np.linspace(-3, 9, 201)
    routes = tuple(
        Route(
            f"S{i}",
            Rule((Threshold("depth", ">", low), Threshold("depth", "<=", high))),
            {"control": 1.0},
        )
        for i, (low, high) in enumerate(itertools.pairwise(cuts))
    )
    start = plan()
    start = replace(
        start,
        cells=(*start.cells[:2], Cell("optimized", TreePolicy(routes, {"control": 1.0}), 0.9)),
    )
    preview(start, start, looked)
    began = time.perf_counter()
    preview(edit.with_shares(start, "optimized", {"low_promo": 1.0}, "S100"), start, looked)
    assert time.perf_counter() - began < 0.1


def test_the_posterior_is_asked_as_the_round_was():
    latest = finished().latest
    looked = sample_visitors(latest)
    own = latest.observations
    expected = latest.posterior.effects(own.features, propensity=own.propensity).rpv[:, 0]
    assert len(looked.sample) == len(own)
    np.testing.assert_allclose(looked.rpv.mean(axis=1), expected, rtol=1e-4)
    for k, arm in enumerate(own.arms):
        np.testing.assert_allclose(looked.value(MixPolicy({arm: 1.0})), expected[:, k], rtol=1e-4)
