"""Posteriors of segments that allow for a bias of the model."""

import numpy as np
import pytest
from decision_cases import normal_draws

from pytyche_engine.contracts import Estimate
from pytyche_engine.segments.honest import HeldOut
from pytyche_engine.segments.leaning import BIAS, lean_on_held_out

MODEL_SD, AIPW_SD = 0.1, 0.15


def held(mean, sd=AIPW_SD):
    return HeldOut({"low_promo": Estimate(mean, mean - sd, mean + sd, sd)}, {}, {}, 100)


def draws_of(mean, sd=MODEL_SD):
    """Draws whose lift of low_promo has this mean and sd; control does not vary."""
    return normal_draws([2.0, 2.0 + mean, 2.3], [0.0, sd, sd], groups=("S1",))


def test_the_lift_has_the_closed_form_and_everything_else_stays():
    before = draws_of(0.2)
    after = lean_on_held_out(before, [held(0.5)])
    s2, v = MODEL_SD**2, AIPW_SD**2
    t2, d = BIAS**2 * s2, v - s2
    lift = after.lift[:, 0, 1]
    assert lift.mean() == pytest.approx(0.2 + 0.3 * t2 / (t2 + d), abs=1e-3)
    assert lift.var() == pytest.approx(s2 + t2 * d / (t2 + d), rel=1e-2)
    np.testing.assert_allclose(after.rpv[:, 0, [0, 2]], before.rpv[:, 0, [0, 2]], rtol=1e-12)
    np.testing.assert_allclose(after.conversion_part + after.severity_part, after.lift, atol=1e-12)
    # The order of the draws stays: joint draws of segments stay joint.
    assert (np.argsort(lift) == np.argsort(before.lift[:, 0, 1])).all()


def test_little_evidence_moves_little_and_none_moves_nothing():
    before = draws_of(0.2)
    vague = lean_on_held_out(before, [held(5.0, sd=10.0)]).lift[:, 0, 1]
    assert vague.mean() == pytest.approx(0.2, abs=0.01)
    assert vague.std() == pytest.approx(MODEL_SD * np.sqrt(1 + BIAS**2), rel=0.01)
    silent = lean_on_held_out(before, [HeldOut({}, {}, {}, 0)])
    np.testing.assert_allclose(silent.rpv, before.rpv, rtol=1e-12)


def test_intervals_of_a_biased_model_cover_and_its_error_shrinks():
    rng = np.random.default_rng(0)
    covered, before, after = [], [], []
    for _ in range(600):
        truth = 0.2
        own = rng.normal(0, MODEL_SD)  # what model and AIPW have in common
        model = truth + own + rng.normal(0, MODEL_SD)  # a bias of its own
        aipw = truth + own + rng.normal(0, np.sqrt(AIPW_SD**2 - MODEL_SD**2))
        lift = lean_on_held_out(
            normal_draws(
                [2.0, 2.0 + model, 2.0], [0.0, MODEL_SD, 0.1], groups=("S1",), n_draws=400
            ),
            [held(aipw)],
        ).lift[:, 0, 1]
        low, high = np.quantile(lift, [0.1, 0.9])
        covered.append(low <= truth <= high)
        before.append(model - truth)
        after.append(lift.mean() - truth)
    assert 0.76 < np.mean(covered) < 0.84
    assert np.std(after) < 0.95 * np.std(before)
