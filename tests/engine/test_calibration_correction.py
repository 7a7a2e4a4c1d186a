import numpy as np
import pytest
from calibration_cases import made_up
from scipy import stats

from pytyche_engine.calibration import CalibrationError
from pytyche_engine.calibration.correction import LEVELS, ends, fit_correction
from pytyche_engine.calibration.validation import coverage_table, fit_corrections, held_out
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.recalibration import Correction, Recalibration

NORMAL = stats.norm.ppf((np.arange(100) + 0.5) / 100)


def learned(errors):
    return fit_correction(errors, np.tile(NORMAL, (len(errors), 1)))


@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_the_factor_of_normal_errors_is_their_spread_at_every_level(spread):
    m = 40_000
    correction = learned(spread * np.random.default_rng(0).normal(size=m))
    for level in LEVELS:
        z = stats.norm.ppf((1 + level) / 2)
        # standard error of a sample quantile of |z|, doubled for the table's interpolation
        error = np.sqrt(level * (1 - level) / m) / (2 * stats.norm.pdf(z)) / z
        assert correction.factor(level) == pytest.approx(spread, rel=6 * error + 0.02)


def test_what_heavy_tails_need_grows_with_the_level():
    correction = learned(np.random.default_rng(1).standard_t(2, size=40_000))
    for level in (0.5, 0.8, 0.95):
        wanted = stats.t.ppf((1 + level) / 2, 2) / stats.norm.ppf((1 + level) / 2)
        assert correction.factor(level) == pytest.approx(wanted, rel=0.05)
    assert correction.factor(0.99) > 1.5 * correction.factor(0.5)


def test_new_intervals_are_covered_at_least_as_often_as_they_say():
    # With few posteriors the finite-sample rank matters: over many small samples, the mean
    # coverage of a new interval is at least nominal (Lei et al. 2018).
    rng, level = np.random.default_rng(2), 0.9
    covered = []
    for _ in range(400):
        factor = learned(rng.normal(size=30) * 1.7)
        low, high = ends(factor(NORMAL)[None], level)
        covered.append(stats.norm.cdf(high[0] / 1.7) - stats.norm.cdf(low[0] / 1.7))
    assert level - 0.005 < np.mean(covered) < level + 0.03


def test_a_correction_rises_and_goes_on_beyond_what_was_seen():
    correction = learned(np.random.default_rng(3).standard_t(3, size=200))
    z = np.linspace(-8, 8, 2001)
    assert (np.diff(correction(z)) > 0).all()
    np.testing.assert_allclose(correction(-z), -correction(z))
    last = correction.needed[-1] / correction.own[-1]
    assert correction(np.array(50.0)) == pytest.approx(50 * last)


def test_ends_of_a_grid_are_its_quantiles():
    grid = np.sort(np.random.default_rng(4).normal(size=(5, 1000)), axis=1)
    low, high = ends(grid, 0.8)
    np.testing.assert_allclose(low, np.quantile(grid, 0.1, axis=1), atol=0.02)
    np.testing.assert_allclose(high, np.quantile(grid, 0.9, axis=1), atol=0.02)


def test_held_out_coverage_is_mended_and_says_its_error():
    result = made_up(too_narrow=2.0, n_sims=150)
    table = coverage_table(held_out(result.rows, [s.key for s in result.scenarios]))
    ate = table[table["quantity"] == "ate"].set_index("level")
    for level in (0.5, 0.8, 0.9):
        before = 2 * stats.norm.cdf(stats.norm.ppf((1 + level) / 2) / 2) - 1
        assert ate.loc[level, "before"] == pytest.approx(before, abs=0.04)
        assert ate.loc[level, "after"] == pytest.approx(level, abs=4 * ate.loc[level, "error"])
    assert ate.loc[0.9, "error"] == pytest.approx(np.sqrt(0.09 / 900), rel=0.2)
    assert ate.loc[0.8, "width_after"] == pytest.approx(2 * ate.loc[0.8, "width_before"], rel=0.1)


def test_a_held_out_scenario_teaches_nothing_about_itself():
    # One scenario's posteriors are ten times worse than all others'. Held out, it is badly
    # covered after correction too; had it taught the correction, it would not be.
    result = made_up(too_narrow=1.0, n_sims=60)
    rows = result.rows.copy()
    odd = rows["scenario"] == result.scenarios[0].key
    rows.loc[odd, "truth"] = rows["mean"] + 10 * (rows["truth"] - rows["mean"])
    keys = [s.key for s in result.scenarios]
    by = coverage_table(held_out(rows, keys, n_folds=6), by=["scenario"], levels=[0.9])
    mine = by[(by["scenario"] == keys[0]) & (by["quantity"] == "ate")]["after"].item()
    assert mine < 0.4


def test_too_little_to_learn_from_is_said():
    result = made_up(n_sims=2)
    with pytest.raises(CalibrationError, match="at least 20 average lifts; the sweep has 12"):
        fit_corrections(result.rows)
    with pytest.raises(CalibrationError, match="two scenarios"):
        held_out(result.rows, [result.scenarios[0].key])


def test_few_segments_share_what_average_lifts_teach():
    rows = made_up(n_sims=40).rows
    few = rows[(rows["quantity"] != "gate") | (rows["sim"] == 0)]
    found = fit_corrections(few)
    assert found["gate"].n_intervals == found["ate"].n_intervals + 6
    assert "cate" not in found


# --- applied to draws ---------------------------------------------------------------------

WIDER = Correction((0.5, 0.9), (0.67, 1.64), (1.34, 3.28), 100)
TWICE = Recalibration("twice", WIDER, WIDER, WIDER)


def some_draws(seed=0):
    rng = np.random.default_rng(seed)
    rpv = rng.gamma(5, 0.5, (400, 2, 3))
    part = rng.normal(size=rpv.shape) * 0.1
    part[..., 0] = 0
    lift = rpv - rpv[..., :1]
    return GroupDraws(
        arms=("control", "a", "b"),
        groups=("x", "y"),
        size=np.ones(2),
        chain=np.repeat([0, 1], 200),
        conversion=np.full(rpv.shape, 0.1),
        rpv=rpv,
        conversion_part=part,
        severity_part=lift - part,
    )


def test_recalibrated_draws_widen_around_their_mean_and_keep_their_order():
    draws = some_draws()
    wide = TWICE.lifts(draws, "gate")
    np.testing.assert_allclose(wide.rpv[..., 0], draws.rpv[..., 0])
    np.testing.assert_allclose(wide.lift.mean(axis=0), draws.lift.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(wide.lift.std(axis=0), 2 * draws.lift.std(axis=0), rtol=0.03)
    for g in range(2):
        for k in (1, 2):
            old, new = draws.lift[:, g, k], wide.lift[:, g, k]
            np.testing.assert_array_equal(np.argsort(old), np.argsort(new))
    parts = wide.conversion_part + wide.severity_part
    np.testing.assert_allclose(parts[..., 1:], wide.lift[..., 1:], atol=1e-9)


def test_probabilities_follow_the_wider_draws():
    draws = some_draws()
    narrow, wide = draws.lift[:, :, 1], TWICE.lifts(draws, "ate").lift[:, :, 1]
    for g in range(2):
        before, after = (narrow[:, g] > -0.5).mean(), (wide[:, g] > -0.5).mean()
        assert 0.5 < after < before


def test_what_targeting_is_worth_widens_too():
    value = Estimate(0.1, 0.1 - 1.2815515655 * 0.05, 0.1 + 1.2815515655 * 0.05, 0.05)
    wide = TWICE.worth(value)
    assert wide.mean == 0.1
    assert wide.high - wide.low == pytest.approx(2 * (value.high - value.low), rel=0.01)
    assert wide.sd == pytest.approx(0.1, rel=0.01)
    assert Recalibration("none", WIDER, WIDER, None).worth(value) == value


def test_a_lift_without_spread_stays():
    draws = some_draws()
    flat = np.broadcast_to(draws.rpv[:1], draws.rpv.shape).copy()
    still = TWICE.lifts(GroupDraws(**{**draws.__dict__, "rpv": flat}), "ate")
    np.testing.assert_allclose(still.rpv, flat)
