import numpy as np
import pytest
from scipy.stats import norm

from pytyche_engine.contracts import Estimate
from pytyche_engine.contracts.money import amount, money, percent, probability, signed


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_a_normal_posterior_gives_the_normal_interval(level):
    draws = 3 + 2 * norm.ppf((np.arange(10_000) + 0.5) / 10_000)
    estimate = Estimate.from_draws(draws, level)
    half = 2 * norm.ppf((1 + level) / 2)
    assert estimate.mean == pytest.approx(3, abs=1e-9)
    assert (estimate.low, estimate.high) == pytest.approx((3 - half, 3 + half), abs=2e-3)
    assert estimate.sd == pytest.approx(2, abs=1e-2)
    assert estimate.level == level


def test_the_interval_contains_the_mean_however_skewed():
    draws = np.array([0.0] * 95 + [1000.0] * 5)
    estimate = Estimate.from_draws(draws)
    assert np.quantile(draws, 0.9) < estimate.mean
    assert estimate.low <= estimate.mean <= estimate.high
    mirrored = Estimate.from_draws(-draws)
    assert mirrored.low <= mirrored.mean <= mirrored.high


def test_money_and_probabilities_as_text():
    assert amount(2.406) == "2.4060"
    assert signed(-0.13382) == "−0.1338"
    assert signed(0.2517) == "+0.2517"
    assert percent(0.0612) == "+6.1%"
    assert money(0.25) == "$0.2500"
    assert money(-0.25, "€", 2) == "−€0.25"
    assert money(1.5, "EUR", 2) == "EUR 1.50"
    assert money(-0.00001) == "$0.0000"
    assert [probability(p) for p in (1.0, 0.5, 0.0)] == ["> 0.99", "0.50", "< 0.01"]


def test_an_estimate_is_written_with_its_interval():
    lift = Estimate(0.1526, -0.012, 0.2931, 0.1)
    assert lift.text() == "+0.1526 [−0.0120, +0.2931]"
    assert lift.text(percent) == "+15.3% [−1.2%, +29.3%]"
