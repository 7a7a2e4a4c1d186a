"""The predictive check of severity, and whether what it says of the consequences is true."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from trials import trial

from pytyche_engine.bcf import Settings, fit
from pytyche_engine.bcf.predictive import replicate_revenue
from pytyche_engine.contracts import DataError, DesignError, Outcome
from pytyche_engine.contracts.health import SeverityCheck
from pytyche_engine.decisions.severity_check import MATERIAL, check_severity

DATA = Path(__file__).parents[2].parent / "shared" / "data"
HILLSTROM = DATA / "hillstrom" / "hillstrom.csv.gz"
KARLAN_LIST = DATA / "karlan_list" / "charitable.parquet"


def replicates(y: np.ndarray, rng: np.random.Generator, count: int = 250) -> np.ndarray:
    """Posterior predictive draws of a log-normal with flat priors, in closed form."""
    logs, n = np.log(y), len(y)
    sd = np.sqrt(logs.var() * n / rng.chisquare(n - 1, count))
    mean = logs.mean() + sd / np.sqrt(n) * rng.normal(size=count)
    return np.exp(mean[:, None] + sd[:, None] * rng.normal(size=(count, n)))


def check(y: np.ndarray, seed: int = 0) -> SeverityCheck:
    return check_severity(y, replicates(y, np.random.default_rng(seed)))


def names(found: SeverityCheck) -> set[str]:
    return {s.name for s in found.flagged}


def log_normal(n: int, seed: int) -> np.ndarray:
    return np.exp(4 + 0.9 * np.random.default_rng(seed).normal(size=n))


@pytest.mark.skipif(not HILLSTROM.exists(), reason="the Hillstrom data are not beside the checkout")
def test_hillstroms_lowest_price_and_cap_are_found():
    with gzip.open(HILLSTROM) as file:
        spend = pd.read_csv(file)["spend"].to_numpy()
    found = check(spend[spend > 0])
    assert {"atom", "cap", "tail"} <= names(found)
    atom, cap = found.statistics[:2]
    assert atom.finding() == "23.5% of orders are $29.99; the model expects 0.4%"
    assert cap.at == 499.0
    # A log-normal with these two faults gets the mean order right all the same.
    assert "mean" not in names(found)
    assert "shows none beyond chance" in found.statistics[2].consequence


@pytest.mark.skipif(not KARLAN_LIST.exists(), reason="Karlan and List's data are not there")
def test_round_gifts_are_found():
    gifts = pd.read_parquet(KARLAN_LIST)["out_amountgive"].dropna().to_numpy()
    found = check(gifts[gifts > 0])
    assert names(found) == {"atom"}
    # Gifts are whole dollars, and a log-normal rounded to them has ties too.
    assert found.statistics[0].at == 25.0
    assert 0.02 < found.statistics[0].predicted.mean < 0.04


def test_data_that_the_model_fits_are_not_flagged():
    flags = []
    for seed in range(60):
        y = log_normal(150, seed)
        # As they come, in cents, and in whole units.
        y = (y, np.round(y, 2), np.maximum(np.round(y), 1))[seed % 3]
        flags.append([s.flagged for s in check(y, seed).statistics])
    # 5 % in all is the bound, 3 of 60; data used twice stay below it.
    assert np.any(flags, axis=1).mean() <= 0.05
    large = check(np.round(log_normal(4_000, 1), 2))
    assert not large.flagged


def test_statistics_are_those_of_the_data():
    y = log_normal(400, 3)
    y[:60] = 19.99
    y[60:70] = y.max() * 2
    found = {s.name: s for s in check(y).statistics}
    assert found["atom"].observed == pytest.approx(60 / 400)
    assert found["atom"].at == 19.99
    assert found["cap"].observed == pytest.approx(10 / 400)
    assert found["tail"].observed == pytest.approx(np.sort(y)[-4:].sum() / y.sum())
    assert found["mean"].observed == pytest.approx(y.mean())
    # Replicates of one mean: residuals are logs, up to a constant and the replicates' noise.
    assert found["skew"].observed == pytest.approx(stats.skew(np.log(y)), abs=0.1)
    for statistic in found.values():
        assert statistic.predicted.low <= statistic.predicted.mean <= statistic.predicted.high


def test_the_currency_does_not_matter():
    y = np.round(log_normal(300, 4), 2)
    y[:50] = 24.99
    one, other = check(y), check(np.round(y * 100))
    for a, b in zip(one.statistics, other.statistics, strict=True):
        assert a.flagged == b.flagged
        assert a.tail_probability == b.tail_probability


RNG = np.random.default_rng(5)
BASE = np.exp(4 + 0.9 * RNG.normal(size=100_000))
POPULATIONS = {
    "atom": np.where(RNG.random(100_000) < 0.4, 24.99, BASE),
    "cap": np.minimum(BASE, 172.0),  # the 90 % quantile
    "tail": 20 * RNG.pareto(2.2, 100_000) + 20,
    "skew": np.exp(6 - 0.6 * RNG.gamma(2, 1, 100_000)),
}


def lifts(
    population: np.ndarray, arm: Callable[[np.ndarray], np.ndarray], n: int = 1_500
) -> dict[str, float]:
    """What the log-normal model with one spread reports of severity, over 200 trials."""
    rng = np.random.default_rng(6)
    treated = arm(population)
    a, b = np.log(rng.choice(population, (200, n))), np.log(rng.choice(treated, (200, n)))
    variance = ((a.var(1) + b.var(1)) * n)[:, None] / rng.chisquare(2 * n - 2, (200, 150))
    control, treatment = (
        np.exp(
            x.mean(1)[:, None] + np.sqrt(variance / n) * rng.normal(size=(200, 150)) + variance / 2
        )
        for x in (a, b)
    )

    def coverage(draws: np.ndarray, truth: float) -> float:
        low, high = np.quantile(draws, [0.05, 0.95], axis=1)
        return float(np.mean((low <= truth) & (truth <= high)))

    true = treated.mean() / population.mean() - 1
    return {
        "bias": control.mean() / population.mean() - 1,
        "level": coverage(control, population.mean()),
        "lift": coverage(treatment - control, treated.mean() - population.mean()),
        "per cent": coverage(treatment / control - 1, true),
        "ratio": float((treatment / control - 1).mean() / true) if true else 1.0,
    }


def move(y: np.ndarray) -> np.ndarray:
    """Some of those who paid little take a price above the middle."""
    low, high = np.quantile(y, [0.4, 0.7])
    return np.where((y <= low) & (np.random.default_rng(7).random(len(y)) < 0.3), high, y)


@pytest.mark.parametrize("fault", POPULATIONS)
def test_what_is_said_of_the_consequences_is_true(fault):
    population = POPULATIONS[fault]
    found = check(population[:10_000])
    assert fault in names(found)
    assert "mean" in names(found)
    # Lifts are covered without an effect, and in per cent if orders are scaled alike.
    assert 0.84 <= lifts(population, lambda y: y)["lift"] <= 0.96
    scaled = lifts(population, lambda y: 1.2 * y)
    assert scaled["per cent"] >= 0.84
    # The level is biased beyond its interval, to the side and by about what is said.
    assert scaled["level"] < 0.7
    mean = next(s for s in found.statistics if s.name == "mean")
    side = "high" if scaled["bias"] > 0 else "low"
    assert f"too {side} in the model" in mean.consequence
    assert mean.predicted.mean / mean.observed - 1 == pytest.approx(scaled["bias"], abs=0.03)
    if fault == "atom":
        few = np.random.default_rng(8).random(len(population)) < 0.1
        assert lifts(population, move)["ratio"] > 1.5
        assert lifts(population, lambda y: np.where(few, 3 * y, y))["ratio"] < 0.7
    if fault == "cap":
        assert lifts(population, lambda y: np.minimum(1.2 * y, y.max()))["ratio"] > 1.15


def test_too_few_converters_say_nothing_and_too_few_replicates_are_refused():
    assert check(log_normal(49, 1)).statistics == ()
    y = log_normal(60, 1)
    few = replicates(y, np.random.default_rng(0), 2 * len(MATERIAL) * 20 - 2)
    with pytest.raises(DesignError, match="199 or more"):
        check_severity(y, few)
    with pytest.raises(DesignError, match="59 converters"):
        check_severity(y[1:], few)
    with pytest.raises(DesignError, match="positive"):
        check_severity(y * 0, few)


def test_replicates_of_a_fit_look_like_its_data():
    settings = Settings(
        num_trees_mu=10, num_trees_tau=5, num_warm_up=100, min_draws=200, max_draws=200, thin=2
    )  # those of test_bcf: compiled once
    observations = trial()
    posterior = fit(observations, settings=settings, seed=1)
    found = replicate_revenue(posterior, observations, seed=3, replicates=400)
    rows = np.flatnonzero(observations.converted)
    np.testing.assert_array_equal(found.observed, observations.revenue[rows])
    assert found.replicated.shape == (400, len(rows))
    # Against predictions by another way, at each converter's own arm.
    severity = posterior.predict(observations.features).severity[rows, observations.arm[rows]]
    ratio = found.replicated.mean(axis=0) / severity
    for k in range(3):
        assert ratio[observations.arm[rows] == k].mean() == pytest.approx(1, abs=0.012)
    assert ratio.std() < 2 * 0.55 / np.sqrt(400)
    spread = np.log(found.replicated).std(axis=1).mean()
    assert spread == pytest.approx(np.log(found.observed).std(), rel=0.05)
    assert not check_severity(found.observed, found.replicated).flagged
    again = replicate_revenue(posterior, observations, seed=3, replicates=400)
    np.testing.assert_array_equal(found.replicated, again.replicated)
    with pytest.raises(DesignError, match="no severity model"):
        replicate_revenue(replace(posterior, outcome=Outcome.BINARY), observations, seed=0)
    with pytest.raises(DesignError, match="arms"):
        replicate_revenue(posterior, replace(observations, arms=("x", "y", "z")), seed=0)
    with pytest.raises(DataError, match="Nobody converted"):
        replicate_revenue(
            posterior, replace(observations, revenue=observations.revenue * 0), seed=0
        )
