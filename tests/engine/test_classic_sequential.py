"""Tests that are looked at again and again, bandits, splits: by simulation and by quadrature."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import quad

from pytyche_engine import classic
from pytyche_engine.classic import Contrast, GroupSequentialDesign, MixtureTest
from pytyche_engine.classic.contrast import ArmEstimate
from pytyche_engine.classic.srm import SplitCounts, split_test

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import classic_streams

DATA = Path(__file__).parents[2].parent / "shared" / "data"
ASOS = DATA / "asos" / "asos_digital_experiments_dataset.parquet"


@pytest.mark.parametrize(("d", "v", "tau"), [(0.0, 1.0, 1.0), (0.3, 0.01, 0.2), (5.0, 1.0, 0.1)])
def test_the_log_likelihood_ratio_is_the_mixture(d: float, v: float, tau: float) -> None:
    def ratio(theta: float) -> float:
        return np.exp((d * theta - theta**2 / 2) / v) * stats.norm.pdf(theta, 0, tau)

    whole = quad(ratio, -8 * tau, 8 * tau, epsabs=0, epsrel=1e-10)[0]
    assert float(MixtureTest(tau).log_lr(d, v)) == pytest.approx(np.log(whole), abs=1e-8)


def test_the_interval_is_what_the_test_does_not_reject() -> None:
    test, contrast = MixtureTest(0.3, 0.01), Contrast(0.7, 0.2)
    for end in test.interval(contrast):
        assert float(test.log_lr(contrast.estimate - end, 0.04)) == pytest.approx(test.threshold)


def test_a_strong_difference_does_not_overflow() -> None:
    watched = MixtureTest(1.0).watch([Contrast(1e4, 0.01)])
    assert np.isfinite(watched.log_lr).all()
    assert watched.p_values[0] == 0.0


def test_without_variance_there_is_no_verdict() -> None:
    watched = MixtureTest(1.0).watch([Contrast(1.0, 0.0)])
    assert watched.decided_at is None
    assert watched.intervals[0].tolist() == [-np.inf, np.inf]


def test_a_decision_once_taken_stays() -> None:
    watched = MixtureTest(0.3).watch([Contrast(d, 0.1) for d in (0.1, 0.5, 0.05)])
    assert watched.decided_at == 1
    assert watched.p_values[2] == watched.p_values[1]
    assert watched.log_lr[2] < watched.log_lr[1]


def test_false_positives_at_any_look() -> None:
    found = classic_streams.rates(2000, 1)
    assert found.naive > 0.3
    assert found.msprt < 0.03
    assert classic_streams.amounts(2000, 1).msprt < 0.03
    rare = classic_streams.rates(2000, 2, rate=0.02, per_look=20)
    assert rare.msprt < 0.03


def test_a_difference_is_found() -> None:
    assert classic_streams.rates(2000, 3, lift=0.01).msprt > 0.6


def test_a_one_sided_sequence_is_above_the_two_sided_and_holds() -> None:
    rng = np.random.default_rng(0)
    test, n = MixtureTest(0.2), np.arange(1, 41) * 25
    assert test.lower_limit(Contrast(0.0, 0.1)) > test.interval(Contrast(0.0, 0.1))[0]
    wrong = 0
    for _ in range(200):
        means = np.cumsum(rng.normal(0, 5, 40)) / n
        limits = [
            test.lower_limit(Contrast(float(m), 1 / np.sqrt(k)))
            for m, k in zip(means, n, strict=True)
        ]
        wrong += max(limits) > 0
    assert wrong / 200 < 0.08


def test_a_rate_is_covered_at_all_looks() -> None:
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(150):
        wins = np.cumsum(rng.random(400) < 0.2)
        looks = [(int(wins[k - 1]), k) for k in range(20, 401, 20)]
        intervals = [classic.rate_interval(*look, shortest_at=200) for look in looks]
        missed += any(not low <= 0.2 <= high for low, high in intervals)
    assert missed / 150 < 0.08
    assert classic.rate_interval(0, 50)[0] == 0.0
    assert classic.rate_interval(50, 50)[1] == 1.0


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock", 2])
def test_group_sequential_bounds_spend_alpha(spending: str | float) -> None:
    design = GroupSequentialDesign((0.1, 0.35, 0.6, 1.0), 0.05, spending)
    rng = np.random.default_rng(0)
    t = np.array(design.information)
    steps = rng.normal(0, 1, (400_000, 4)) * np.sqrt(np.diff(t, prepend=0))
    z = np.cumsum(steps, axis=1) / np.sqrt(t)
    beyond = np.abs(z) >= design.z_bounds
    first = np.where(beyond.any(axis=1), beyond.argmax(axis=1), 4)
    spent = np.cumsum(np.bincount(first, minlength=5)[:4]) / len(z)
    np.testing.assert_allclose(spent, design.spent, atol=0.0012)
    assert design.spent[-1] == pytest.approx(0.05)


def test_one_look_is_a_fixed_horizon() -> None:
    design = GroupSequentialDesign((1.0,))
    assert design.z_bounds[0] == pytest.approx(1.959964, abs=1e-5)
    assert design.decided_at([2.0]) == 0
    assert design.decided_at([1.9]) is None


def test_power_visitors_and_mde_are_one_relation() -> None:
    plan = classic.plan_means(10.0, correlation=0.6)
    n = plan.visitors(0.5, 0.9)
    assert plan.mde(n, 0.9) == pytest.approx(0.5)
    assert plan.power(0.5, n) == pytest.approx(0.9, abs=1e-6)
    assert n == pytest.approx(0.64 * classic.plan_means(10.0).visitors(0.5, 0.9))
    uneven = classic.plan_means(10.0, treatment_share=0.1)
    assert uneven.visitors(0.5) == pytest.approx(classic.plan_means(10.0).visitors(0.5) / 0.36)


def test_planned_power_is_reached() -> None:
    rng = np.random.default_rng(0)
    plan = classic.plan_rates(0.1, 0.02)
    n = int(plan.visitors(0.02) / 2)
    won = [rng.binomial(n, p, 4000) for p in (0.1, 0.12)]
    p = (won[0] + won[1]) / (2 * n)
    z = (won[1] - won[0]) / n / np.sqrt(2 * p * (1 - p) / n)
    assert (np.abs(z) > 1.96).mean() == pytest.approx(0.8, abs=0.02)


def test_days_are_whole_weeks_unless_asked_otherwise() -> None:
    assert classic.duration_days(10_000, 1000) == 14
    assert classic.duration_days(10_000, 1000, whole_weeks=False) == 10
    assert classic.duration_days(7_000, 1000) == 7


def test_enough_visitors_need_no_more() -> None:
    arms = ArmEstimate(10_000, 0.1, 0.09), ArmEstimate(10_000, 0.1, 0.09)
    assert classic.visitors_still_needed(*arms, 0.3).visitors == 0.0


@pytest.mark.parametrize("k", [2, 3, 5])
def test_the_probability_of_being_best(k: int) -> None:
    rng = np.random.default_rng(k)
    n = [10, 1000, 100_000, 50, 3][:k]
    arms = classic.BetaArms.of([int(0.3 * x) for x in n], n)
    draws = rng.beta(arms.alpha, arms.beta, (400_000, k))
    best = np.bincount(draws.argmax(axis=1), minlength=k) / len(draws)
    np.testing.assert_allclose(arms.probability_best(), best, atol=0.003)
    loss = draws.max(axis=1).mean() - draws.mean(axis=0)
    np.testing.assert_allclose(arms.expected_loss(), loss, atol=0.001)


def test_two_arms_are_exact_however_many_visitors() -> None:
    assert classic.BetaArms.of([5, 5], [20, 20]).probability_best() == pytest.approx([0.5, 0.5])
    far = classic.BetaArms.of([100_000, 130_000], [1_000_000, 1_000_000]).probability_best()
    assert far == pytest.approx([0.0, 1.0])
    # P(B > A) for whole numbers is a finite sum (Cook 2005).
    arms = classic.BetaArms.of([3, 6], [10, 11])
    (a, c), (b, d) = arms.alpha, arms.beta
    from scipy.special import betaln

    i = np.arange(int(c))
    exact = np.exp(betaln(a + i, b + d) - np.log(d + i) - betaln(1 + i, d) - betaln(a, b)).sum()
    assert arms.probability_best()[1] == pytest.approx(exact, abs=1e-10)


def test_floors_hold() -> None:
    arms = classic.BetaArms.of([1, 50, 90], [100, 100, 100])
    shares = classic.thompson_shares(arms, floor=0.1)
    assert shares.sum() == pytest.approx(1)
    assert shares.min() >= 0.1 - 1e-12
    assert shares[2] == pytest.approx(0.1 + 0.7 * arms.probability_best()[2])


def test_bandit_weights_are_not_pooled() -> None:
    found = classic_streams.bandit(1500, 1, floor=0.1)
    assert found.pooled > 0.5
    assert found.aipw <= 0.03


def periods(seed: int, lift: float = 0.05) -> classic.Periods:
    """Shares that move towards treatment while the level rises."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0.2, 0.9, 20)
    level = np.linspace(0.1, 0.3, 20)
    n = np.array([[2000 - x, x] for x in rng.binomial(2000, share)])
    won = np.stack([rng.binomial(n[:, 0], level), rng.binomial(n[:, 1], level + lift)], axis=1)
    return classic.Periods.of_counts(np.stack([1 - share, share], axis=1), n, won)


def test_both_period_estimates_cover_the_truth_and_pooled_means_do_not() -> None:
    runs = 200
    covered, pooled = np.zeros(2), []
    for seed in range(runs):
        p = periods(seed)
        found = classic.stratified_contrast(p), classic.aipw_path(p).contrasts()[-1]
        covered += [low < 0.05 < high for low, high in (c.interval() for c in found)]
        rate = p.sums.sum(axis=0) / p.visitors.sum(axis=0)
        pooled.append(rate[1] - rate[0])
    assert np.mean(pooled) > 0.08
    assert (covered / runs > 0.91).all()


def test_what_a_period_weighs_is_known_before_it() -> None:
    p = periods(0)
    sums = p.sums.copy()
    sums[-1] = [1, 900]
    other = classic.Periods(p.shares, p.visitors, sums, sums)
    first, second = classic.aipw_path(p), classic.aipw_path(other)
    assert first.weight[-1] == second.weight[-1]
    assert first.difference[-1] != second.difference[-1]


def test_a_bandits_difference_is_found_and_stays_in_its_sequence() -> None:
    watched = classic.aipw_path(periods(0)).watch(MixtureTest(0.02))
    assert watched.decided_at is not None
    assert ((watched.intervals[:, 0] < 0.05) & (watched.intervals[:, 1] > 0.05)).all()


def test_arms_that_were_not_compared_do_not_matter() -> None:
    p = periods(0)
    third = np.full((20, 1), 0.0)
    more = classic.Periods(
        *(np.hstack([x, third]) for x in (p.shares, p.visitors, p.sums, p.squares))
    )
    first, second = classic.stratified_contrast(p), classic.stratified_contrast(more)
    assert first == second


def test_an_arm_without_visitors_is_an_alarm() -> None:
    found = classic.check_srm({"a": 500, "b": 500}, {"a": 1, "b": 1, "c": 1})
    assert found.alarm
    assert (found.worst, found.observed) == ("c", 0)
    assert classic.check_srm({"a": 0, "b": 0}, {"a": 1, "b": 1}).p_value == 1.0


def test_an_uneven_plan_is_no_alarm() -> None:
    assert not classic.check_srm({"a": 9512, "b": 488}, {"a": 0.95, "b": 0.05}).alarm


@pytest.mark.parametrize("k", [2, 3])
def test_few_visitors_are_tested_exactly(k: int) -> None:
    """False alarms stay below the level however few there are."""
    rng = np.random.default_rng(0)
    p = np.array([0.9, 0.1]) if k == 2 else np.array([0.9, 0.05, 0.05])
    seen = rng.multinomial(30, p, 3000)
    counts = {tuple(x) for x in seen.tolist()}
    tested = {
        x: split_test(
            SplitCounts.of("arm", "abc"[:k], np.array(x), p[None], np.array([30]))
        ).p_value
        for x in counts
    }
    wrong = np.mean([tested[tuple(x)] < 0.05 for x in seen.tolist()])
    assert wrong < 0.06


def test_a_split_is_watched_while_shares_change() -> None:
    rng = np.random.default_rng(0)
    shares = [{"a": 1 - w, "b": w} for w in np.linspace(0.5, 0.1, 40)]

    def alarms(loss: float) -> float:
        found = 0
        for _ in range(60):
            seen = []
            for w in shares:
                b = rng.binomial(500, w["b"])
                seen.append({"a": 500 - b, "b": rng.binomial(b, 1 - loss)})
            last = classic.sequential_srm(seen, shares)[-1]
            found += last.alarm
        return found / 60

    assert alarms(0.0) <= 0.02
    assert alarms(0.2) > 0.9


def checkpoints(lift: float = 0.1, share: float = 0.5) -> pd.DataFrame:
    n = np.arange(1, 21) * 1000
    c, t = 0.1, 0.1 * (1 + lift)
    return pd.DataFrame(
        {
            "experiment_id": "e",
            "variant_id": 1,
            "metric_id": 1,
            "time_since_start": np.arange(20) / 2,
            "count_c": (n * 2 * (1 - share)).astype(int),
            "count_t": (n * 2 * share).astype(int),
            "mean_c": c,
            "mean_t": t,
            "variance_c": c * (1 - c),
            "variance_t": t * (1 - t),
        }
    )


def test_checkpoints_get_verdicts() -> None:
    frames = {
        "winner": checkpoints(0.3),
        "loser": checkpoints(-0.3),
        "keep running": checkpoints(0.0),
        "SRM": checkpoints(0.3, share=0.45),
        "not enough data": checkpoints(0.3).assign(variance_t=np.nan),
    }
    log = pd.concat([f.assign(experiment_id=name) for name, f in frames.items()])
    report = classic.analyze_checkpoints(log)
    assert {t.experiment: t.verdict for t in report.tests} == {name: name for name in frames}
    assert report.verdicts() == dict.fromkeys(frames, 1)
    winner = report.tests[0]
    assert winner.relative_lift == pytest.approx(0.3)
    assert winner.decided_at is not None
    assert len(report.frame()) == 5
    assert "20 rows without a variance" in repr(report)
    assert "winner" in report._repr_html_()


def test_several_variants_share_the_error() -> None:
    log = pd.concat([checkpoints(0.1).assign(variant_id=v) for v in range(3)])
    alone, *_ = classic.analyze_checkpoints(checkpoints(0.1)).tests
    beside, *_ = classic.analyze_checkpoints(log).tests
    assert beside.lift_low < alone.lift_low


@pytest.mark.skipif(not ASOS.exists(), reason="the ASOS data do not lie beside this checkout")
def test_all_asos_tests_in_one_call() -> None:
    report = classic.analyze_checkpoints(pd.read_parquet(ASOS))
    assert report.experiments == 78
    assert len(report.tests) == 396
    assert all(t.srm.p_value is not None for t in report.tests)
    assert set(report.verdicts()) >= {"SRM", "winner", "loser", "keep running"}
