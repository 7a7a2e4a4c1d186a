"""The console's statistics against closed forms, peers and simulations with known truth."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pytyche_engine.classic.best_mean import probability_best_mean
from pytyche_engine.classic.corrections import adjusted_p_values
from pytyche_engine.classic.running import (
    RunningAnalysis,
    analyse_running,
    check_split,
    holm,
)
from pytyche_engine.classic.running_figures import RunningDesign, RunningSums
from pytyche_engine.contracts.errors import DesignError

NAMES = ("control", "badge", "banner")


def sums(weights: Any, exposures: Any, conversions: Any, **more: Any) -> RunningSums:
    n, k = (
        np.atleast_2d(np.asarray(exposures, float)),
        np.atleast_2d(np.asarray(conversions, float)),
    )
    columns = {"conversions": k, "total": k, "total_squares": k, **more}
    for field in fields(RunningSums)[2:]:
        columns.setdefault(field.name, np.zeros_like(n))
    columns = {name: np.atleast_2d(np.asarray(value, float)) for name, value in columns.items()}
    return RunningSums(np.atleast_2d(np.asarray(weights, float)), n, **columns)


def look(given: RunningSums, previous: Any = None, **changes: Any) -> RunningAnalysis:
    design: dict[str, Any] = {
        "names": NAMES[: given.weights.shape[1]],
        "alpha": 0.05,
        "expected_lift": 0.1,
        "tau": None,
        "is_bandit": False,
        "planned_visitors": None,
        "is_stopped": False,
        "unit": "conversion",
    }
    return analyse_running(given, RunningDesign(**{**design, **changes}), previous)


def test_msprt_is_that_of_the_closed_form() -> None:
    # n = 12000 and 11800, 1200 and 1298 conversions, tau^2 = 1e-4: log L = 1.7374245 with
    # variances p (1 - p) / n; ours have n - 1 below.
    (c,) = look(sums([0.5, 0.5], [12000, 11800], [1200, 1298]), tau=0.01).comparisons
    assert c.log_lr == pytest.approx(1.7374245, abs=1e-3)
    assert c.p_always == pytest.approx(np.exp(-1.7374245), abs=1e-3)
    assert c.lift is not None
    assert c.lift_low is not None
    assert c.lift_high is not None
    # The interval of the difference is [-.00208, .02208]; that of the lift is a little wider,
    # as control's mean is uncertain too.
    assert -0.03 < c.lift_low < -0.0208
    assert 0.2208 < c.lift_high < 0.23


def test_classical_p_is_welchs() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.exponential(10, 900), rng.exponential(11, 700)
    given = sums(
        [0.5, 0.5],
        [900, 700],
        [900, 700],
        total=[a.sum(), b.sum()],
        total_squares=[(a**2).sum(), (b**2).sum()],
    )
    (c,) = look(given, unit="revenue").comparisons
    assert c.p_classical == pytest.approx(stats.ttest_ind(b, a, equal_var=False).pvalue, rel=1e-9)


def test_cuped_agrees_with_a_peer() -> None:
    # GrowthBook's gbstats: d = .40623, standard error .10241, with one theta for both arms.
    given = sums(
        [0.5, 0.5],
        [3000, 3100],
        [3000, 3100],
        total=[31000, 33200],
        total_squares=[450000, 490000],
        pre_exposures=[3000, 3100],
        pre_total=[30500, 31400],
        pre_squares=[440000, 452000],
        pre_cross=[420000, 441000],
    )
    found = look(given, unit="revenue", tau=0.5)
    (c,) = found.comparisons
    assert c.lift == pytest.approx(0.4062283 / (31000 / 3000), rel=1e-3)
    assert c.p_classical == pytest.approx(7.367e-5, rel=0.02)
    assert c.variance_reduction is not None
    assert 0.5 < c.variance_reduction < 0.9
    assert found.cuped.startswith("Applied")


def test_cuped_takes_variance_away_and_nothing_else() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(50, 10, 4000)
    y = x + rng.normal(0, 5, 4000) + 1.0 * (np.arange(4000) % 2)
    parts = [(y[i::2], x[i::2]) for i in range(2)]
    given = sums(
        [0.5, 0.5],
        [2000, 2000],
        [2000, 2000],
        total=[a.sum() for a, _ in parts],
        total_squares=[(a**2).sum() for a, _ in parts],
        pre_exposures=[2000, 2000],
        pre_total=[b.sum() for _, b in parts],
        pre_squares=[(b**2).sum() for _, b in parts],
        pre_cross=[(a * b).sum() for a, b in parts],
    )
    with_pre = look(given, unit="revenue").comparisons[0]
    assert with_pre.variance_reduction == pytest.approx(0.8, abs=0.03)
    assert with_pre.lift is not None
    assert with_pre.lift * parts[0][0].mean() == pytest.approx(1.0, abs=0.4)
    some = sums([0.5, 0.5], [2000, 2000], [300, 320], pre_exposures=[1999, 2000], pre_total=[1, 1])
    assert look(some).cuped == "Not applied: 1 of 4,000 visitors came without a pre-period value."
    assert look(some).comparisons[0].variance_reduction is None


def test_a_split_is_compared_period_by_period() -> None:
    weights = [[0.5, 0.5], [0.7, 0.3], [0.9, 0.1]]
    counts = [[512, 488], [689, 311], [1811, 189]]
    given = sums(weights, counts, np.zeros((3, 2)))
    split = check_split(given, NAMES[:2])
    # The exact variance of counts whose weights changed, not that of their average.
    assert split.p_value == pytest.approx(0.6352563, rel=1e-6)
    assert split.expected == pytest.approx((0.75, 0.25))
    stale = check_split(sums([0.9, 0.1], np.sum(counts, axis=0), [0, 0]), NAMES[:2])
    assert stale.alarm


def test_a_variant_that_is_never_served_is_an_alarm() -> None:
    found = look(sums([0.5, 0.5], [4000, 0], [400, 0]))
    assert found.split.alarm
    assert found.split.worst in NAMES
    assert found.verdict.kind == "split"


@pytest.mark.parametrize(
    ("exposures", "conversions", "changes", "kind", "words"),
    [
        ([0, 0, 0], [0, 0, 0], {}, "no data", "No data yet"),
        ([9000, 9000, 9900], [900, 1400, 990], {}, "split", "Fix assignment first"),
        ([60, 60, 60], [30, 20, 25], {}, "too early", "Too early"),
        ([9000, 9000, 9000], [900, 905, 911], {}, "keep running", "Keep running"),
        ([9000, 9000, 9000], [900, 1200, 1100], {}, "winner", "badge beats control"),
        ([9000, 9000, 9000], [900, 600, 640], {}, "keep control", "Keep control"),
        ([9000, 9000, 9000], [900, 905, 911], {"is_stopped": True}, "no difference", "No variant"),
        (
            [9000, 9000, 9000],
            [900, 905, 911],
            {"planned_visitors": 27000},
            "no difference",
            "No variant",
        ),
    ],
)
def test_the_recommendation_goes_by_its_order(
    exposures: list[int], conversions: list[int], changes: dict[str, Any], kind: str, words: str
) -> None:
    verdict = look(sums([1 / 3] * 3, exposures, conversions), **changes).verdict
    assert verdict.kind == kind
    assert words in verdict.headline
    assert verdict.winner == ("badge" if kind == "winner" else None)
    assert verdict.reason


def test_a_variant_that_lost_is_not_the_closest_one() -> None:
    verdict = look(sums([1 / 3] * 3, [9000] * 3, [900, 500, 950])).verdict
    assert verdict.kind == "keep running"
    assert verdict.reason.startswith("banner is closest")
    assert "badge does worse" in verdict.reason
    assert "more visitors will tell" in verdict.reason


def test_several_variants_are_adjusted_by_holm() -> None:
    found = look(sums([1 / 3] * 3, [9000] * 3, [900, 1000, 1010]))
    p = [c.p_classical for c in found.comparisons]
    assert p[0] is not None
    assert p[1] is not None
    assert found.comparisons[1].p_classical_holm == pytest.approx(2 * p[1])
    assert found.comparisons[0].p_classical_holm == pytest.approx(max(p[0], 2 * p[1]))
    assert found.log_lr_limit == pytest.approx(np.log(2 / 0.05))


def test_holm_is_statsmodels() -> None:
    p: list[float | None] = [0.03, None, 0.001, 0.2, 0.012, 0.03]
    assert holm(p) == pytest.approx(adjusted_p_values(p, "holm"))


def test_a_look_never_takes_a_decision_back() -> None:
    given = sums([0.5, 0.5], [9000, 9000], [900, 905])
    assert look(given, [0.001], tau=0.01).comparisons[0].p_always == 0.001


def test_what_cannot_be_estimated_is_not_known() -> None:
    (c,) = look(sums([0.5, 0.5], [5000, 5000], [0, 0])).comparisons
    assert (c.lift, c.log_lr, c.p_classical, c.p_always) == (None, None, None, 1.0)
    assert not c.enough


def test_weights_that_follow_outcomes_do_not_fool_it() -> None:
    """Traffic moves to the badge while the baseline doubles: only pooled means differ."""
    p = np.linspace(0.1, 0.2, 10)
    w = np.linspace(0.5, 0.95, 10)
    weights = np.stack([1 - w, w], axis=1)
    n = 10_000 * weights
    given = sums(weights, n, n * p[:, None])
    pooled = look(given).comparisons[0]
    assert pooled.p_classical is not None
    assert pooled.p_classical < 1e-6
    ours = look(given, is_bandit=True).comparisons[0]
    assert ours.lift == pytest.approx(0, abs=1e-12)
    assert ours.p_classical is None
    assert ours.p_always == 1.0


def test_a_bandits_winner_is_rarely_false_and_its_lift_is_not_biased() -> None:
    """Weights follow who leads, and the baseline drifts; 12 looks, 60 streams of each truth."""
    rng = np.random.default_rng(11)
    wins, lifts = {1.0: 0, 1.2: 0}, {1.0: 0.0, 1.2: 0.0}
    for truth in wins:
        for _ in range(60):
            weights, exposures, conversions = [], [], []
            w, p_before = 0.5, [1.0]
            for period in range(12):
                n = rng.multinomial(600, [1 - w, w])
                k = rng.binomial(n, (0.1 + 0.01 * period) * np.array([1, truth]))
                weights.append([1 - w, w])
                exposures.append(n)
                conversions.append(k)
                seen, got = np.sum(exposures, axis=0), np.sum(conversions, axis=0)
                w = 0.9 if got[1] * seen[0] > got[0] * seen[1] else 0.1
                given = sums(weights, exposures, conversions)
                found = look(given, p_before, is_bandit=True, tau=0.03)
                p_before = [found.comparisons[0].p_always]
            wins[truth] += found.verdict.winner is not None
            lifts[truth] += (found.comparisons[0].lift or 0.0) / 60
    assert wins[1.0] <= 0.05 * 60
    assert wins[1.2] > wins[1.0]
    assert lifts[1.0] == pytest.approx(0.0, abs=0.04)
    assert lifts[1.2] == pytest.approx(0.2, abs=0.04)


def test_probability_best_of_means_against_draws() -> None:
    rng = np.random.default_rng(5)
    n, mean, sd = np.array([400, 300, 500]), np.array([10, 10.5, 10.2]), np.array([4, 5, 3])
    squares = (n - 1) * sd**2 + n * mean**2
    draws = rng.normal(mean, sd / np.sqrt(n), (200_000, 3))
    expected = np.bincount(draws.argmax(axis=1), minlength=3) / 200_000
    assert probability_best_mean(n, n * mean, squares) == pytest.approx(expected, abs=0.005)
    same = probability_best_mean(np.full(3, 10.0), np.full(3, 5.0), np.full(3, 2.5))
    assert same == pytest.approx(np.full(3, 1 / 3))


def test_shapes_have_to_agree() -> None:
    with pytest.raises(DesignError, match="one shape"):
        sums([0.5, 0.5], [[1, 2], [3, 4]], [1, 2])
