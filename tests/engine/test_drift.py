"""Drift against a calculation by hand, and against simulated experiments."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from pytyche_engine.contracts import (
    DesignError,
    Feature,
    FeatureKind,
    FeatureSchema,
    Observations,
    Outcome,
    Rule,
    Threshold,
)
from pytyche_engine.decisions import lift_drift

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from decision_trials import REVERSED, SEGMENTS, DriftTrial

EVERYONE = {"everyone": Rule()}


def rounds_of(rates: list[tuple[float, float]], n: int = 1000) -> Observations:
    """Exactly these shares of converters a round, for control and one arm; orders of 10 and 30."""
    arm = np.tile(np.repeat([0, 1], n), len(rates))
    revenue = []
    for pair in rates:
        for rate in pair:
            orders = np.resize([10.0, 30.0], round(rate * n))
            revenue.append(np.concatenate([orders, np.zeros(n - len(orders))]))
    total = len(arm)
    return Observations(
        arms=("control", "a"),
        visitor_id=np.arange(total).astype(str),
        arm=arm,
        revenue=np.concatenate(revenue),
        features=pd.DataFrame({"x": np.tile([0.0, 1.0], total // 2)}),
        schema=FeatureSchema((Feature("x", FeatureKind.NUMERIC, "x"),)),
        outcome=Outcome.HURDLE,
        propensity=np.full((total, 2), 0.5),
        propensity_recorded=True,
        round_index=np.repeat(np.arange(len(rates)), 2 * n),
        cell=np.where(arm == 0, 0, 1),
        cells=("control", "explore", "optimized"),
    )


def test_two_rounds_by_hand():
    check = lift_drift(rounds_of([(0.05, 0.10), (0.05, 0.02)]), EVERYONE, error=0.05)
    (change,) = check.changes
    assert (change.segment, change.arm, change.round_index, change.since) == ("everyone", "a", 1, 1)
    assert (change.before, change.after) == pytest.approx((1.0, -0.6))
    # Variance of conversion: each round's, pulled by 5 converters' worth of both rounds'.
    both = (0.10 * 0.90 + 0.02 * 0.98) / 2
    orders = 1000 * 0.06
    pulled = [(orders * own + 5 * both) / (orders + 5) for own in (0.10 * 0.90, 0.02 * 0.98)]
    sd = np.sqrt((sum(pulled) + 2 * 0.05 * 0.95) / 1000)
    assert change.conversion is not None
    assert change.conversion.mean == pytest.approx(-0.08)
    assert change.conversion.sd == pytest.approx(sd)
    # Half of the error in round 2; one pair, one split, two channels.
    p = 2 * norm.sf(0.08 / sd)
    assert change.p_value == pytest.approx(p * 2 * 2)
    assert change.conversion.high == pytest.approx(-0.08 + norm.isf(0.05 / 2 / 2 / 2) * sd)
    assert change.conversion.level == 0.95
    assert (change.channel, change.direction, change.alarm) == ("conversion", "down", True)
    assert change.sentence("EUR").startswith(
        "Round 2: the lift of 'a' in segment 'everyone' went down, from EUR 1.0000 per visitor "
        "before round 2 to −EUR 0.6000 since, a change of −EUR 1.6000 [−EUR 2."
    )
    assert "; in conversion −8.0 [" in change.sentence()


def test_the_alarm_names_the_round_since_when():
    steady = [(0.05, 0.10)] * 3
    check = lift_drift(rounds_of([*steady, (0.05, 0.02), (0.05, 0.02)]), EVERYONE)
    (alarm,) = check.alarms
    assert (alarm.round_index, alarm.since, alarm.direction) == (4, 3, "down")
    assert not lift_drift(rounds_of(steady), EVERYONE).alarms


def test_a_season_in_all_arms_cancels():
    season = rounds_of([(0.03, 0.03), (0.09, 0.09), (0.03, 0.03)])
    (change,) = lift_drift(season, EVERYONE).changes
    assert change.size.mean == pytest.approx(0)
    assert change.p_value == 1


def test_only_control_and_explore_count():
    seen = rounds_of([(0.05, 0.10), (0.05, 0.02)])
    more = rounds_of([(0.50, 0.01), (0.05, 0.90)])
    more = replace(more, cell=np.full(len(more), 2))
    both = replace(
        seen,
        **{
            name: np.concatenate([getattr(seen, name), getattr(more, name)])
            for name in ("visitor_id", "arm", "revenue", "propensity", "round_index", "cell")
        },
        features=pd.concat([seen.features, more.features], ignore_index=True),
    )
    assert lift_drift(both, EVERYONE) == lift_drift(seen, EVERYONE)
    unknown = replace(seen, cell=np.full(len(seen), -1))
    assert lift_drift(unknown, EVERYONE).unwatched == (("everyone", "a"),)


def test_rounds_that_are_left_out_are_forgotten():
    seen = rounds_of([(0.05, 0.10), (0.05, 0.02), (0.05, 0.02), (0.05, 0.02)])
    assert lift_drift(seen, EVERYONE).alarms
    check = lift_drift(seen.take(seen.round_index >= 1), EVERYONE)
    assert not check.alarms
    assert (check.changes[0].since, check.changes[0].size.mean) == (2, 0)


def test_who_cannot_be_watched_is_named():
    seen = rounds_of([(0.05, 0.002), (0.05, 0.002)])
    assert lift_drift(seen, EVERYONE).unwatched == (("everyone", "a"),)
    one = lift_drift(seen.take(seen.round_index == 0), EVERYONE)
    assert (one.changes, one.unwatched) == ((), (("everyone", "a"),))
    # An arm that a round did not show leaves that round out.
    gap = rounds_of([(0.05, 0.10), (0.05, 0.50), (0.05, 0.02)])
    gap = gap.take((gap.round_index != 1) | (gap.arm == 0))
    (alarm,) = lift_drift(gap, EVERYONE).alarms
    assert alarm.before == pytest.approx(1.0)
    nobody = {**EVERYONE, "nobody": Rule((Threshold("x", ">", 5.0),))}
    assert lift_drift(rounds_of([(0.05, 0.10)] * 2), nobody).unwatched == (("nobody", "a"),)


def test_other_outcomes_have_one_channel():
    seen = rounds_of([(0.05, 0.10), (0.05, 0.02)])
    binary = replace(seen, revenue=(seen.revenue > 0).astype(float), outcome=Outcome.BINARY)
    (change,) = lift_drift(binary, EVERYONE).changes
    assert (change.conversion, change.channel, change.direction) == (None, "revenue", "down")
    assert change.size.mean == pytest.approx(-0.08)
    assert change.alarm


def test_nothing_to_check_is_refused():
    seen = rounds_of([(0.05, 0.10)])
    with pytest.raises(DesignError, match="at least one segment"):
        lift_drift(seen, {})
    with pytest.raises(DesignError, match="error of false alarms"):
        lift_drift(seen, EVERYONE, error=5)


def test_a_reversed_effect_is_found_where_it_is_and_soon():
    found, elsewhere = 0, 0
    for seed in range(16):
        trial = DriftTrial(explore=(3_000,) * 4, reversed_from=2, sigma=1.2)
        alarms = [lift_drift(seen, SEGMENTS).alarms for seen in trial.run(seed)]
        assert not alarms[0]
        found += any(a.segment == REVERSED and a.arm == "a" for a in alarms[2] + alarms[3])
        elsewhere += any(a.segment != REVERSED for of_round in alarms for a in of_round)
    assert found >= 13
    assert elsewhere <= 2


@pytest.mark.parametrize(
    "trial",
    [
        DriftTrial(explore=(1_500,) * 5),
        DriftTrial(explore=(1_500,) * 5, rates=(0.02, 0.05), effect_scale=0),
        DriftTrial(explore=(8_000, *(1_000,) * 4), rates=(0.015,), sigma=1.2),
    ],
    ids=["steady", "season", "few orders"],
)
def test_without_drift_alarms_are_rare(trial: DriftTrial):
    """At 5 %, more than 3 of 20 runs would come up once in 60 times."""
    alarmed = [any(lift_drift(s, SEGMENTS).alarms for s in trial.run(seed)) for seed in range(20)]
    assert sum(alarmed) <= 3
