"""What a test of a rate can find, against experiments that were drawn at random."""

import numpy as np
import pytest

from pytyche_engine.classic import detectable_rise
from pytyche_engine.contracts.errors import DesignError


def found(baseline: float, rise: float, visitors: list[int], z: float, n_trials: int) -> float:
    """How often a pooled two-sided z-test finds the rise."""
    rng = np.random.default_rng(5)
    n, m = visitors
    c = rng.binomial(n, baseline, n_trials) / n
    t = rng.binomial(m, baseline + rise, n_trials) / m
    pooled = (n * c + m * t) / (n + m)
    return float(np.mean(np.abs(t - c) > z * np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))))


def test_it_is_found_with_the_power_that_was_asked_for() -> None:
    rise = detectable_rise(0.05, 20_000, [0.7, 0.3])
    assert rise is not None
    # 40,000 trials: a standard error of 0.002.
    assert abs(found(0.05, rise, [14_000, 6_000], 1.959964, 40_000) - 0.8) < 0.008


def test_several_treatments_share_alpha_and_the_smallest_one_counts() -> None:
    rise = detectable_rise(0.05, 20_000, [40, 40, 20])
    assert rise is not None
    assert abs(found(0.05, rise, [8_000, 4_000], 2.241403, 40_000) - 0.8) < 0.008


def test_too_few_find_nothing() -> None:
    assert detectable_rise(0.5, 3, [1, 1]) is None


@pytest.mark.parametrize(
    ("baseline", "visitors", "weights"),
    [(0.0, 10, [1, 1]), (0.5, 0, [1, 1]), (0.5, 10, [1]), (0.5, 10, [1, 0])],
)
def test_what_makes_no_sense_is_refused(
    baseline: float, visitors: float, weights: list[float]
) -> None:
    with pytest.raises(DesignError):
        detectable_rise(baseline, visitors, weights)
