"""One verdict for every arm and segment, its worth, and what changed."""

from dataclasses import replace

import numpy as np
import pytest
from decision_cases import normal_draws

from pytyche_engine.contracts import ClaimLevel, Decision, DecisionThresholds, DesignError, Rule
from pytyche_engine.contracts.rules import Threshold
from pytyche_engine.decisions import Horizon, Judged, judge

DEEP = Rule((Threshold("depth", ">", 3.0),))
HORIZON = Horizon(round_index=1, n_so_far=3_000, next_size=8_000, visitors_per_year=1_000_000)


def verdicts(mean, sd=0.03, claim=ClaimLevel.HONEST_ESTIMATE, horizon=HORIZON, **more):
    groups = [
        Judged("everyone", Rule(), 1.0, ClaimLevel.HONEST_ESTIMATE, True),
        Judged("S1", DEEP, 0.25, claim, True),
    ]
    draws = normal_draws(mean, sd, groups=("everyone", "S1"))
    return judge(draws, groups, DecisionThresholds(), horizon, **more)


def test_every_arm_has_one_verdict_in_every_group():
    found = verdicts([2.0, 2.3, 1.7])
    assert [(v.segment, v.arm, v.recommendation.decision) for v in found] == [
        ("everyone", "low_promo", Decision.SHIP),
        ("everyone", "free_ship", Decision.STOP),
        ("S1", "low_promo", Decision.SHIP),
        ("S1", "free_ship", Decision.STOP),
    ]


def test_an_exploratory_segment_does_not_ship_however_good_it_looks():
    everyone, _, segment, harmful = verdicts([2.0, 2.3, 1.7], claim=ClaimLevel.EXPLORATORY)
    assert everyone.recommendation.decision is Decision.SHIP
    assert segment.recommendation.decision is Decision.CONTINUE
    assert "found on the rows that estimate it" in segment.recommendation.reason
    assert "next round's visitors can confirm it" in segment.recommendation.reason
    assert harmful.recommendation.decision is Decision.STOP
    last = replace(HORIZON, next_size=None)
    segment = verdicts([2.0, 2.3, 1.7], claim=ClaimLevel.EXPLORATORY, horizon=last)[2]
    assert "extend it" in segment.recommendation.reason


def test_money_is_the_lift_times_the_segments_visitors():
    found = verdicts([2.0, 2.3, 1.7])
    segment = found[2]
    lift = segment.recommendation.lift
    assert segment.worth.per_round.mean == pytest.approx(lift.mean * 0.25 * 8_000)
    assert segment.worth.per_year.low == pytest.approx(lift.low * 250_000)
    assert segment.worth.per_year.sd == pytest.approx(lift.sd * 250_000)
    assert "$75,000 [$" in segment.sentence()
    assert "a year" in segment.sentence()
    silent = replace(HORIZON, next_size=None, visitors_per_year=None)
    assert verdicts([2.0, 2.3, 1.7], horizon=silent)[0].worth.sentence() == ""


def test_a_verdict_says_what_changed():
    first = verdicts([2.0, 2.02, 1.99], 0.2, horizon=replace(HORIZON, round_index=0))
    assert {v.changed for v in first} == {""}
    later = verdicts([2.0, 2.3, 1.7], before=first)
    assert "verdict changed from CONTINUE" in later[2].changed
    assert "from $0.0200 to $0.3000" in later[2].changed
    stands = verdicts([2.0, 2.4, 1.7], before=later)
    assert "the verdict stands" in stands[2].changed
    new = verdicts([2.0, 2.4, 1.7], before=later[:2])
    assert new[2].changed == "S1 is new in round 2."
    moved = verdicts([2.0, 2.4, 1.7], before=[replace(v, rule=Rule()) for v in later])
    assert "its rule changed from everyone" in moved[2].changed


def test_draws_of_other_groups_are_refused():
    with pytest.raises(DesignError, match="2 groups"):
        judge(
            normal_draws([2.0, 2.1, 2.0], 0.1),
            [Judged(s, Rule(), 1.0, ClaimLevel.HONEST_ESTIMATE, True) for s in ("everyone", "S1")],
            DecisionThresholds(),
            HORIZON,
        )


@pytest.mark.parametrize("seed", range(20))
def test_no_verdict_contradicts_another(seed):
    """Of a group's arms at most equals ship; whoever ships beats every arm that is stopped."""
    rng = np.random.default_rng(seed)
    mean = 2 + 0.2 * rng.standard_normal(3)
    group = verdicts(mean, 10 ** rng.uniform(-3, -0.5))[:2]
    shipped = [v for v in group if v.recommendation.decision is Decision.SHIP]
    for v in shipped:
        assert v.recommendation.lift.mean > 0
        for other in group:
            tolerance = 0.004 * 2 * 1.5
            assert other.recommendation.lift.mean < v.recommendation.lift.mean + tolerance
