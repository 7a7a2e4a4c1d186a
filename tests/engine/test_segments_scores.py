import numpy as np
import pandas as pd
import pytest
from segment_cases import effects_of, observe

from pytyche_engine.contracts import DesignError
from pytyche_engine.contracts.observations import concat
from pytyche_engine.segments import aipw_contrast, doubly_robust_scores


def _normal(n, rng):
    return rng.normal(0, 1, n)


def _frame(n, rng):
    return pd.DataFrame({"x": rng.normal(size=n)})


def test_scores_are_the_textbook_formula_visitor_by_visitor():
    rng = np.random.default_rng(0)
    frame = _frame(50, rng)
    share = rng.dirichlet([3, 2, 1], 50)
    seen = observe(frame, np.tile([1.0, 2.0, 3.0], (50, 1)), share, rng, _normal)
    model = effects_of(rng.normal(2, 1, (50, 3)))

    scores = doubly_robust_scores(seen, model, floor=0.05)

    for i in range(50):
        for a in range(3):
            expected = model.rpv[i, a]
            if seen.arm[i] == a:
                expected += (seen.revenue[i] - model.rpv[i, a]) / max(share[i, a], 0.05)
            assert scores.scores[i, a] == pytest.approx(expected)
    assert scores.floored == np.mean(share.min(axis=1) < 0.05) > 0
    np.testing.assert_allclose(scores.weight, 1)


def test_a_wrong_model_and_confounded_arms_leave_no_bias():
    """The model is badly wrong and arms follow x; raw means are biased, AIPW is not."""
    estimates, raw = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        frame = _frame(2_000, rng)
        x = frame["x"].to_numpy()
        rpv = np.column_stack([2 + x, 3 + x, 2.5 - x])
        tilt = np.column_stack([np.full(2_000, 0.2), 0.1 + 0.6 * (x > 0), 0.7 - 0.6 * (x > 0)])
        seen = observe(frame, rpv, tilt, rng, _normal)
        wrong = effects_of(np.tile([10.0, 0.0, 5.0], (2_000, 1)))
        estimates.append(aipw_contrast(doubly_robust_scores(seen, wrong)).lift)
        raw.append([seen.revenue[seen.arm == a].mean() for a in range(3)])
    mean, se = np.mean(estimates, axis=0), np.std(estimates, axis=0) / np.sqrt(40)
    assert mean[0] == 0
    np.testing.assert_array_less(np.abs(mean[1:] - [1.0, 0.5]), 4 * se[1:])
    assert abs(np.mean(raw, axis=0)[1] - 3) > 0.3


def test_standard_errors_are_the_spread_of_repeated_experiments():
    lifts, reported = [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        rpv = np.tile([2.0, 2.5, 3.0], (400, 1))
        seen = observe(_frame(400, rng), rpv, np.tile([0.5, 0.3, 0.2], (400, 1)), rng, _normal)
        contrast = aipw_contrast(doubly_robust_scores(seen, effects_of(rpv)))
        lifts.append(contrast.lift[1:])
        reported.append(contrast.lift_se[1:])
        np.testing.assert_allclose(contrast.lift, contrast.rpv - contrast.rpv[0])
    np.testing.assert_allclose(np.mean(reported, axis=0), np.std(lifts, axis=0), rtol=0.2)


def test_rounds_that_hardly_show_an_arm_weigh_less_and_tighten_the_lift():
    """Equal pooling of a 1 % round ruins what the even round knows; precision weights do not."""
    weighted, equal = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rounds = [
            observe(
                _frame(n, rng),
                np.tile([2.0, 3.0], (n, 1)),
                np.tile([1 - rare, rare], (n, 1)),
                rng,
                _normal,
                round_index=r,
            )
            for r, (n, rare) in enumerate([(1_000, 0.5), (3_000, 0.01)])
        ]
        seen = concat(rounds)
        scores = doubly_robust_scores(seen, effects_of(np.full((4_000, 2), 2.0)))
        weighted.append(aipw_contrast(scores).lift[1])
        equal.append((scores.scores[:, 1] - scores.scores[:, 0]).mean())
    assert scores.weight.mean() == pytest.approx(1)
    assert np.std(weighted) < 0.5 * np.std(equal)
    assert abs(np.mean(weighted) - 1) < 4 * np.std(weighted) / np.sqrt(60)


def test_effects_of_other_visitors_are_refused():
    rng = np.random.default_rng(0)
    share = np.full((30, 3), 1 / 3)
    seen = observe(_frame(30, rng), np.ones((30, 3)), share, rng, _normal)
    with pytest.raises(DesignError, match="20 visitors"):
        doubly_robust_scores(seen, effects_of(np.ones((20, 3))))
