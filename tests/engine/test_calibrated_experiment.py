"""Rounds whose draws are recalibrated, and those for which no artifact holds."""

import functools
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from calibration_cases import artifact
from experiment_cases import SETTINGS, experiment, finished, quietly
from segment_cases import draws_around, effects_of, hurdle

from pytyche_engine.calibration import (
    CalibrationArtifact,
    CalibrationError,
    CalibrationMismatchWarning,
)
from pytyche_engine.contracts import PytycheWarning, UncalibratedWarning
from pytyche_engine.contracts.actions import RegisterSegment
from pytyche_engine.contracts.recalibration import Correction, Recalibration
from pytyche_engine.contracts.rules import Rule, Threshold
from pytyche_engine.contracts.served import Served
from pytyche_engine.experiment import open_experiment
from pytyche_engine.experiment.evidence import _round_evidence
from pytyche_engine.segments import discover_segments, doubly_robust_scores, follow_segments


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


# --- segments, where a round this small finds none ------------------------------------------


@pytest.fixture(scope="module")
def shop():
    """Visitors whom the two treatments divide, with a model that has half of the truth."""
    rng = np.random.default_rng(3)
    features = pd.DataFrame({"recency": rng.normal(size=6_000), "z": rng.normal(size=6_000)})
    good = (features["recency"] > 0).to_numpy()
    rate = np.column_stack(
        [np.full(6_000, 0.05), np.where(good, 0.09, 0.01), np.where(good, 0.01, 0.09)]
    )
    seen = hurdle(features, rate, rng, shares=(1 / 3, 1 / 3, 1 / 3))
    rpv = 50 * rate
    model = effects_of(rpv.mean(axis=0) + 0.5 * (rpv - rpv.mean(axis=0)))
    return seen, model, draws_around(model)


def only_gates(factor=2.0):
    """A recalibration that shows what it was applied to: average effects stay."""
    same = Correction((0.5, 0.9), (0.67, 1.64), (0.67, 1.64), 100)
    wider = Correction((0.5, 0.9), (0.67, 1.64), (0.67 * factor, 1.64 * factor), 100)
    return Recalibration("gates", same, wider, wider)


def test_segments_and_their_worth_are_recalibrated_after_they_leaned(shop):
    seen, model, draws = shop
    raw = discover_segments(seen, model, draws, n_refits=1)
    wide = discover_segments(seen, model, draws, n_refits=1, recalibration=only_gates())
    assert len(raw.segments) == len(wide.segments) > 1
    for one, other in zip(raw.segments, wide.segments, strict=True):
        assert other.rule == one.rule
        for arm, gate in one.gates.items():
            assert other.gates[arm].mean == pytest.approx(gate.mean, abs=0.05 * gate.sd)
            assert other.gates[arm].sd == pytest.approx(2 * gate.sd, rel=0.02)
            assert other.held_out[arm] == one.held_out[arm]  # which is no posterior
        leader = one.leader
        assert other.arm_best_probabilities[leader] <= one.arm_best_probabilities[leader]
    assert wide.value_of_targeting.sd == pytest.approx(2 * raw.value_of_targeting.sd)


def test_one_segment_for_everyone_is_corrected_as_an_average_effect(shop):
    seen, model, draws = shop
    raw = discover_segments(seen, model, draws, max_depth=0, n_refits=1)
    same = discover_segments(
        seen, model, draws, max_depth=0, n_refits=1, recalibration=only_gates()
    )
    assert len(raw.segments) == 1
    np.testing.assert_allclose(same.draws.lift, raw.draws.lift, atol=1e-9)


def test_registered_segments_are_recalibrated(shop):
    seen, model, draws = shop
    registered = [RegisterSegment(1, "R1", "mine", Rule((Threshold("recency", ">", 0.5),)))]
    scores = doubly_robust_scores(seen, model)
    (raw,), _ = follow_segments(registered, seen, scores, draws)
    (wide,), _ = follow_segments(registered, seen, scores, draws, only_gates())
    for arm, gate in raw.gates.items():
        assert wide.gates[arm].sd == pytest.approx(2 * gate.sd, rel=0.02)


def test_past_rounds_answer_about_new_rules_with_recalibrated_draws():
    rule = Rule((Threshold("session_recency", ">", 1.0),))
    raw, mended = finished().history[0], recalibrated()
    spread = [
        _round_evidence(done, [Served(done.plan, done.observations, None)])
        .draws([rule])
        .lift[:, 0, 1]
        .std()
        for done in (raw, mended)
    ]
    assert spread[1] > 1.8 * spread[0]
