import math

import numpy as np
import pytest
from decision_cases import ARMS, normal_draws
from scipy.stats import norm

from pytyche_engine.contracts import Decision, DecisionThresholds, DesignError, FitError, Money
from pytyche_engine.decisions import recommend, value_of_one_more_round

DEFAULT = DecisionThresholds()


def judge(mean, sd, thresholds=DEFAULT, *, arms=ARMS, **options):
    asked = {"n_so_far": 1000, "next_size": 2000, "converged": True, **options}
    return recommend(normal_draws(mean, sd, arms=arms), 0, thresholds, **asked)


def test_probabilities_and_losses_of_two_normal_arms_have_their_closed_forms():
    sd = np.array([0.06, 0.08])
    r = judge([2.0, 2.1], sd, arms=("control", "t"))
    s = math.hypot(*sd)
    assert r.treatment == "t"
    assert r.lift.mean == pytest.approx(0.1, abs=1e-4)
    assert r.probability_positive == pytest.approx(norm.cdf(0.1 / s), abs=0.02)
    assert r.probability_better == pytest.approx(norm.cdf((0.1 - 0.02) / s), abs=0.02)
    assert r.probability_harmful == pytest.approx(norm.cdf((-0.02 - 0.1) / s), abs=0.02)
    assert r.probability_best == r.probability_positive
    z = 0.1 / s
    lost = s * (norm.pdf(z) - z * norm.sf(z))  # E[max(-lift, 0)]
    assert r.expected_loss_if_shipped == pytest.approx(lost, rel=0.08)
    assert r.expected_loss_if_kept - r.expected_loss_if_shipped == pytest.approx(0.1, abs=1e-3)


def test_a_clear_winner_ships():
    r = judge([2.0, 2.3, 1.9], 0.03)
    assert (r.decision, r.treatment) == (Decision.SHIP, "low_promo")
    assert "lift RPV by $0.3000 per visitor (+15.0%)" in r.reason
    assert "P(lift > 0) > 0.99" in r.reason


def test_a_better_sibling_blocks_shipping_but_an_equal_one_does_not():
    # Both beat control for certain; which of the two is better is open and matters.
    blocked = judge([2.0, 2.5, 2.48], 0.12)
    assert blocked.decision is Decision.CONTINUE
    assert "its expected loss is" in blocked.reason
    equal = judge([2.0, 2.5, 2.5], 0.004)
    assert equal.decision is Decision.SHIP
    assert 0.4 < equal.probability_best < 0.6


def test_regret_is_against_all_arms_not_against_control():
    draws = normal_draws([2.0, 2.5, 2.48], 0.12)
    r = recommend(draws, 0, DEFAULT, n_so_far=1, next_size=None, converged=True)
    rpv = draws.rpv[:, 0]
    expected = np.mean(rpv.max(axis=1) - rpv[:, 1])
    assert r.expected_loss_if_shipped == pytest.approx(expected)
    assert expected > 5 * np.mean(np.maximum(rpv[:, 0] - rpv[:, 1], 0))


@pytest.mark.parametrize("mean", [[2.0, 1.8, 1.7], [2.0, 1.99, 1.9]])
def test_harm_and_futility_stop(mean):
    r = judge(mean, 0.008)
    assert r.decision is Decision.STOP
    assert ("do harm" in r.reason) == (mean[1] == 1.8)
    # Wanting less cannot make a harmful treatment worth having.
    assert ("smaller practical effect" in r.reason) == (mean[1] == 1.99)
    assert "Not enough" not in r.reason


def test_a_futile_leader_does_not_stop_a_sibling_that_is_still_open():
    r = judge([2.0, 2.0, 1.95], [0.001, 0.001, 0.2])
    assert r.treatment == "free_ship"
    assert r.decision is Decision.CONTINUE
    assert r == judge([2.0, 2.0, 1.95], [0.001, 0.001, 0.2], treatment="free_ship")
    alone = judge([2.0, 2.0, 1.95], [0.001, 0.001, 0.2], treatment="low_promo")
    assert alone.decision is Decision.STOP


@pytest.mark.parametrize("mean", [[2.0, 2.5, 1.9], [2.0, 1.5, 1.4]])
def test_an_unconverged_fit_supports_neither_answer(mean):
    r = judge(mean, 0.03, converged=False)
    assert r.decision is Decision.CONTINUE
    assert "has not converged" in r.reason
    assert judge(mean, 0.03).decision is not Decision.CONTINUE


def test_thresholds_scale_with_the_currency():
    """Cents instead of dollars: the same verdict, a hundred times the money."""
    for mean, sd in (([2.0, 2.3, 1.9], 0.03), ([2.0, 2.05, 1.9], 0.05), ([2.0, 1.9, 1.8], 0.01)):
        dollars, cents = judge(mean, sd), judge(np.multiply(mean, 100), sd * 100)
        assert dollars.decision is cents.decision
        assert cents.probability_better == dollars.probability_better
        assert cents.expected_loss_if_shipped == pytest.approx(
            100 * dollars.expected_loss_if_shipped
        )


def test_a_named_treatment_is_judged_alone_and_must_exist():
    assert judge([2.0, 2.3, 1.5], 0.03, treatment="free_ship").decision is Decision.STOP
    with pytest.raises(DesignError, match="'control' is not a treatment"):
        judge([2.0, 2.3, 1.5], 0.03, treatment="control")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_draws_that_are_not_numbers_decide_nothing(bad):
    draws = normal_draws([2.0, 2.3, 1.9], 0.03)
    draws.rpv[7, 0, 1] = bad
    with pytest.raises(FitError, match="posterior RPV of 'everyone' is not finite"):
        recommend(draws, 0, DEFAULT, n_so_far=1, next_size=1, converged=True)


def test_no_sentence_contradicts_the_decision():
    rng = np.random.default_rng(5)
    seen = set()
    for _ in range(300):
        mean = 2 + rng.normal(0, 0.15, 3)
        r = judge(
            mean,
            rng.uniform(0.002, 0.2, 3),
            next_size=None if rng.random() < 0.3 else 2000,
            currency="€",
        )
        seen.add(r.decision)
        assert ("Not enough evidence to ship" in r.reason) == (r.decision is Decision.CONTINUE)
        assert ("within the €" in r.reason) == (r.decision is Decision.SHIP)
        assert ("likely to" in r.reason) == (r.decision is Decision.STOP)
        assert f"'{r.treatment}'" in r.reason
        assert "$" not in r.reason
        assert "nan" not in r.reason
        if r.decision is Decision.CONTINUE:
            assert ("no next round" in r.reason) == (r.expected_value_of_one_more_round == 0)
    assert seen == set(Decision)


def test_a_near_miss_is_printed_with_the_digits_that_tell_it_apart():
    draws = normal_draws([2.0, 2.5], 0.001, arms=("control", "t"), n_draws=10_000)
    draws.rpv[: 10_000 - 9_497, 0, 1] = 1.9  # P(lift > 0) is .9497, and must be above .95
    r = recommend(
        draws,
        0,
        DecisionThresholds(loss_tolerance=1.0),
        n_so_far=1,
        next_size=None,
        converged=True,
    )
    assert r.decision is Decision.CONTINUE
    assert "P(lift > 0) is 0.9497 and must be above 0.9500" in r.reason


def test_value_of_one_more_round_of_two_normal_arms_has_its_closed_form():
    rpv = normal_draws([2.0, 2.05], [0.06, 0.08], arms=("c", "t"), n_draws=100_000).rpv[:, 0]
    s = 0.1 * math.sqrt(2000 / 3000)
    z = 0.05 / s
    closed = s * (norm.pdf(z) - z * norm.sf(z))
    value = value_of_one_more_round(rpv, n_so_far=1000, next_size=2000)
    assert value == pytest.approx(closed, rel=0.02)


def test_value_of_one_more_round_agrees_with_really_seeing_it():
    """Preposterior simulation in a conjugate normal model with four arms."""
    rng = np.random.default_rng(0)
    n_so_far, next_size, sigma = 4000, 6000, 5.0
    mean = np.array([2.0, 2.06, 2.02, 1.9])
    share = np.array([0.4, 0.3, 0.2, 0.1])
    variance = sigma**2 / (n_so_far * share)  # flat prior
    draws = mean + np.sqrt(variance) * rng.standard_normal((100_000, 4))
    value = value_of_one_more_round(draws, n_so_far=n_so_far, next_size=next_size)

    truth = mean + np.sqrt(variance) * rng.standard_normal((200_000, 4))
    noise = sigma**2 / (next_size * share)
    seen = truth + np.sqrt(noise) * rng.standard_normal(truth.shape)
    posterior = (mean / variance + seen / noise) / (1 / variance + 1 / noise)
    chosen = truth[np.arange(len(truth)), posterior.argmax(axis=1)]
    gain = chosen - truth[:, mean.argmax()]
    standard_error = gain.std() / math.sqrt(len(gain))
    assert value > 20 * standard_error
    assert value == pytest.approx(gain.mean(), abs=4 * standard_error + 0.01 * value)


def test_value_of_one_more_round_grows_with_its_size_up_to_perfect_information():
    rpv = normal_draws([2.0, 2.05, 1.98], 0.07).rpv[:, 0]
    values = [
        value_of_one_more_round(rpv, n_so_far=1000, next_size=size)
        for size in (None, 0, 100, 1000, 10**4, 10**9)
    ]
    assert values[:2] == [0.0, 0.0]
    assert values == sorted(values)
    perfect = rpv.max(axis=1).mean() - rpv.mean(axis=0).max()
    assert values[-1] == pytest.approx(perfect, rel=1e-4)


@pytest.mark.parametrize(
    "bad",
    [
        {"p_positive": 1.5},
        {"futility": 0},
        {"practical_effect": -0.1},
        {"loss_tolerance": math.nan},
        {"harm": math.nan},
        {"loss_tolerance": Money(-1)},
        {"practical_effect": "1 %"},
    ],
)
def test_thresholds_that_make_no_sense_are_refused(bad):
    with pytest.raises(DesignError, match=next(iter(bad))):
        DecisionThresholds(**bad)


def test_limits_in_money_are_those_shares_of_control_rpv():
    shares = DecisionThresholds(practical_effect=0.02, loss_tolerance=0.005)
    money = DecisionThresholds(practical_effect=Money(0.04), loss_tolerance=Money(0.01))
    for mean in ([2.0, 2.05, 1.9], [2.0, 2.3, 1.9], [2.0, 1.9, 1.8]):
        a, b = (judge(mean, 0.03, thresholds=t) for t in (shares, money))
        assert (a.decision, a.probability_better) == (b.decision, b.probability_better)
    # A share follows the currency unit, an amount does not.
    assert judge([200, 205, 190], 3, thresholds=shares).probability_better < 0.7
    assert judge([200, 205, 190], 3, thresholds=money).probability_better > 0.8
