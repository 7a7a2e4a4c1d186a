"""One verdict for every arm and segment, its worth, and what changed."""

from dataclasses import replace

import numpy as np
import pytest
from decision_cases import normal_draws, segment

from pytyche_engine.contracts import ClaimLevel, Decision, DecisionThresholds, DesignError, Rule
from pytyche_engine.contracts.rules import Threshold
from pytyche_engine.decisions import Horizon, judge

DEEP = Rule((Threshold("depth", ">", 3.0),))
HORIZON = Horizon(round_index=1, n_so_far=3_000, next_size=8_000, visitors_per_year=1_000_000)


def verdicts(mean, sd=0.03, claim=ClaimLevel.HONEST_ESTIMATE, horizon=HORIZON, rule=DEEP, **more):
    groups = [
        segment("S0", claim_level=ClaimLevel.HONEST_ESTIMATE),
        replace(segment("S1", rule, claim_level=claim), population_share=0.25),
    ]
    draws = normal_draws(mean, sd, groups=("S0", "S1"))
    return judge(draws, groups, DecisionThresholds(), horizon, **more)


def test_every_arm_has_one_verdict_in_every_group():
    found = verdicts([2.0, 2.3, 1.7])
    assert [(v.segment.label, v.arm, v.recommendation.decision) for v in found] == [
        ("everyone", "low_promo", Decision.SHIP),
        ("everyone", "free_ship", Decision.STOP),
        ("S1", "low_promo", Decision.SHIP),
        ("S1", "free_ship", Decision.STOP),
    ]


def test_an_exploratory_segment_does_not_ship_however_good_it_looks():
    everyone, _, held, harmful = verdicts([2.0, 2.3, 1.7], claim=ClaimLevel.EXPLORATORY)
    assert everyone.recommendation.decision is Decision.SHIP
    assert held.recommendation.decision is Decision.CONTINUE
    assert "the claim on it is exploratory" in held.recommendation.reason
    assert "next round's visitors can settle it" in held.recommendation.reason
    assert harmful.recommendation.decision is Decision.STOP
    last = replace(HORIZON, next_size=None)
    held = verdicts([2.0, 2.3, 1.7], claim=ClaimLevel.EXPLORATORY, horizon=last)[2]
    assert "extend the schedule" in held.recommendation.reason


def test_money_is_the_lift_times_the_segments_visitors():
    found = verdicts([2.0, 2.3, 1.7])
    one = found[2]
    lift = one.recommendation.lift
    assert one.worth.per_round.mean == pytest.approx(lift.mean * 0.25 * 8_000)
    assert one.worth.per_year.low == pytest.approx(lift.low * 250_000)
    assert one.worth.per_year.sd == pytest.approx(lift.sd * 250_000)
    assert "$75,000 [$" in one.sentence()
    assert "a year" in one.sentence()
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
    moved = verdicts([2.0, 2.4, 1.7], before=later, rule=Rule((Threshold("depth", ">", 4.0),)))
    assert "the rule changed from depth > 3" in moved[2].changed


def test_draws_of_other_groups_are_refused():
    with pytest.raises(DesignError, match="2 segments"):
        judge(
            normal_draws([2.0, 2.1, 2.0], 0.1),
            [segment("S0"), segment("S1", DEEP)],
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
