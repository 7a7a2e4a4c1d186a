"""Rounds whose draws are recalibrated, and those for which no artifact holds."""

import functools
import warnings
from dataclasses import replace

import numpy as np
import pytest
from calibration_cases import artifact
from experiment_cases import SETTINGS, experiment, finished, quietly

from pytyche_engine.calibration import (
    CalibrationArtifact,
    CalibrationError,
    CalibrationMismatchWarning,
)
from pytyche_engine.contracts import PytycheWarning, UncalibratedWarning
from pytyche_engine.experiment import open_experiment


@functools.cache
def made(n_visitors=40, too_narrow=3.0, name="made-up"):
    return artifact(too_narrow, name=name, n_visitors=n_visitors)


def first_round(calibration):
    exp = experiment(calibration=calibration)
    return quietly(exp.advance)


@functools.cache
def recalibrated():
    return first_round(made())


def test_all_that_rests_on_draws_changes_together():
    raw, mended = finished().history[0], recalibrated()
    np.testing.assert_array_equal(
        np.asarray(raw.posterior.draws.arm_effect), np.asarray(mended.posterior.draws.arm_effect)
    )
    assert (raw.analysis.is_calibrated, mended.analysis.is_calibrated) == (False, True)
    for one, other in zip(raw.analysis.comparisons, mended.analysis.comparisons, strict=True):
        assert other.lift.mean == pytest.approx(one.lift.mean, abs=0.4 * one.lift.sd)
        ratio = (other.lift.high - other.lift.low) / (one.lift.high - one.lift.low)
        assert 2 < ratio < 4.5
        assert other.expected_loss > one.expected_loss
        assert other.conversion_part.mean + other.severity_part.mean == pytest.approx(
            other.lift.mean
        )
    before, after = (dict(r.analysis.everyone.probability_positive) for r in (raw, mended))
    for arm in before:
        assert abs(after[arm] - 0.5) <= abs(before[arm] - 0.5) + 0.04
    # Each treatment's verdict, cell and place in the next plan come from the same draws.
    (verdict, *_) = (v for v in mended.analysis.verdicts if v.arm == "low_promo")
    assert verdict.recommendation.lift == mended.analysis.comparisons[0].lift
    (explore,) = (c for c in mended.cell_observations if c.id == "explore")
    (explored,) = (c for c in raw.cell_observations if c.id == "explore")
    assert explore.model_lift.sd > 1.8 * explored.model_lift.sd
    shares = mended.analysis.everyone.arm_best_probabilities
    drawn = mended.analysis.draws.rpv[:, 0].argmax(axis=1)
    assert shares["low_promo"] == pytest.approx((drawn == 1).mean())


def test_a_recalibrated_round_says_so():
    done = recalibrated()
    assert "(calibrated" in done.analysis.recommendation_line()
    assert "uncalibrated" not in str(done) + str(done.analysis)


def test_it_is_the_same_after_opening(tmp_path):
    exp = experiment(calibration=made(), path=tmp_path / "exp")
    done = quietly(exp.advance)
    again = open_experiment(tmp_path / "exp")
    assert [a.digest for a in again.calibration] == [made().digest]
    assert str(again.latest.analysis) == str(done.analysis)
    assert again.latest.analysis.is_calibrated
    with pytest.raises(CalibrationError, match="without its results"):
        again.calibration[0].save(tmp_path / "art")


def test_no_warning_where_the_artifact_holds_and_once_where_it_hardly_does():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UncalibratedWarning)
        warnings.simplefilter("error", CalibrationMismatchWarning)
        experiment(calibration=made()).advance()
    exp = experiment(calibration=made(n_visitors=90))
    with pytest.warns(CalibrationMismatchWarning, match="'made-up': it is for 90 visitors, and 32"):
        done = exp.advance()
    assert done.analysis.is_calibrated


def test_a_round_that_no_artifact_holds_for_is_labelled_and_warned_of():
    exp = experiment(calibration=replace(made(), conversion_rates=(0.005, 0.01)))
    with pytest.warns(UncalibratedWarning, match="no calibration artifact holds") as caught:
        done = exp.advance()
    assert len([w for w in caught if w.category is UncalibratedWarning]) == 1
    assert not done.analysis.is_calibrated
    assert "uncalibrated" in done.analysis.recommendation_line()


def test_artifacts_that_cannot_hold_are_refused_at_construction():
    with pytest.raises(CalibrationError, match=r"'made-up': it is for 900 visitors, and 32 are"):
        experiment(calibration=made(n_visitors=900))
    with pytest.raises(CalibrationError, match="'calibration' is object"):
        experiment(calibration=object())
    with pytest.raises(CalibrationError, match="No artifact 'k9'"):
        experiment(calibration="k9")
    found = made().applies_to(experiment(settings=SETTINGS))
    assert found
    assert isinstance(made(), CalibrationArtifact)


def test_each_round_takes_the_nearest_artifact():
    small, large = made(n_visitors=30, name="small"), made(n_visitors=64, name="large")
    exp = experiment(calibration=[small, large])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PytycheWarning)
        rounds = exp.run_to_completion()
    names = [r.analysis.recalibration.name for r in rounds]
    assert names == ["small", "large", "large"]
    assert exp.has_graduation_candidate() in (True, False)
