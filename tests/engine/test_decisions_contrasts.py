import numpy as np
import pytest
from decision_cases import ARMS, normal_draws, observations, visitors

from pytyche_engine.contracts import ClaimLevel, DesignError
from pytyche_engine.decisions import compare_arms

DRAWS = normal_draws([2.0, 2.3, 1.9], [0.1, 0.1, 0.05])
REVENUE = np.array([0.0, 6.0, 0.0, 9.0, 0.0, 0.0])
SEEN = observations(visitors(6), np.array([0, 0, 1, 1, 2, 2]), REVENUE)
AIPW = np.array([0.0, 0.31, -0.12])
CLAIMS = dict.fromkeys(ARMS[1:], ClaimLevel.HONEST_ESTIMATE)
SE = np.array([0.0, 0.1, 0.2])


def test_every_figure_of_a_comparison():
    first, second = compare_arms(DRAWS, 0, SEEN, AIPW, SE, CLAIMS)
    assert [(c.treatment, c.control) for c in (first, second)] == [
        ("low_promo", "control"),
        ("free_ship", "control"),
    ]
    rpv = DRAWS.rpv[:, 0]
    assert first.lift.mean == pytest.approx(0.3, abs=1e-4)
    assert first.relative_lift.mean == pytest.approx(np.mean(rpv[:, 1] / rpv[:, 0] - 1))
    assert first.conversion_lift.mean == pytest.approx(0.3 / 50, abs=1e-5)
    assert first.probability_positive == pytest.approx((rpv[:, 1] > rpv[:, 0]).mean())
    assert (first.observed_lift, second.observed_lift) == (1.5, -3.0)
    assert (first.aipw_lift, first.aipw_se) == (0.31, 0.1)
    assert (second.aipw_lift, second.aipw_se) == (-0.12, 0.2)
    assert first.claim_level is ClaimLevel.HONEST_ESTIMATE


def test_parts_add_up_and_intervals_contain_their_points():
    for c in compare_arms(DRAWS, 0, SEEN, AIPW, SE, CLAIMS):
        parts = c.conversion_part.mean + c.severity_part.mean
        assert parts == pytest.approx(c.lift.mean, abs=1e-12)
        estimates = (
            c.lift,
            c.relative_lift,
            c.conversion_part,
            c.severity_part,
            c.conversion_lift,
        )
        for e in estimates:
            assert e.low <= e.mean <= e.high
            assert e.level == 0.8


def test_the_level_of_the_intervals_can_be_chosen():
    wide = compare_arms(DRAWS, 0, SEEN, AIPW, SE, CLAIMS, level=0.9)[0]
    narrow = compare_arms(DRAWS, 0, SEEN, AIPW, SE, CLAIMS)[0]
    assert wide.lift.level == 0.9
    assert wide.lift.high - wide.lift.low > narrow.lift.high - narrow.lift.low


def test_an_arm_without_visitors_has_no_observed_lift():
    seen = observations(visitors(4), np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 3.0, 4.0]))
    first, second = compare_arms(DRAWS, 0, seen, AIPW, SE, CLAIMS)
    assert first.observed_lift == 2.0
    assert np.isnan(second.observed_lift)


def test_inputs_about_other_arms_are_refused():
    other = observations(visitors(2), np.array([0, 1]), np.ones(2), arms=("control", "x", "y"))
    with pytest.raises(DesignError, match=r"'x', 'y'"):
        compare_arms(DRAWS, 0, other, AIPW, SE, CLAIMS)
    with pytest.raises(DesignError, match="one value an arm"):
        compare_arms(DRAWS, 0, SEEN, AIPW[1:], SE, CLAIMS)
    assert DRAWS.arms == ARMS
