import numpy as np
import pytest
from decision_cases import ARMS, observations, visitors

from pytyche_engine.contracts import DesignError, GroundTruth, TruthError
from pytyche_engine.decisions import compare_with_truth

TRUTH = GroundTruth(
    ARMS,
    conversion=np.array([[0.1, 0.2, 0.1], [0.1, 0.1, 0.3], [0.1, 0.3, 0.1], [0.2, 0.1, 0.1]]),
    severity=np.full((4, 3), 10.0),
)  # RPV 1 2 1 | 1 1 3 | 1 3 1 | 2 1 1


def test_every_figure_by_hand():
    cate = TRUTH.cate + np.array([[0.3, -0.3]] * 4)
    t = compare_with_truth(TRUTH, cate, np.array([1, 1, 1, 0]))
    assert t.cate_rmse == pytest.approx(0.3)
    assert t.cate_rmse_no_effect == pytest.approx(np.sqrt((1 + 0 + 0 + 4 + 4 + 0 + 1 + 1) / 8))
    # Average effects are .5 and .25.
    errors = np.array([0.5, -0.25, -0.5, 1.75, 1.5, -0.25, -1.5, -1.25])
    assert t.cate_rmse_constant == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert t.policy_accuracy == 0.75
    assert (t.rpv_policy, t.rpv_best_arm, t.rpv_oracle) == pytest.approx((2.0, 1.75, 2.5))
    assert t.rpv_uniform == pytest.approx(TRUTH.rpv.mean())
    assert t.oracle_gap == pytest.approx(0.5)
    assert t.best_arm == "low_promo"


def test_the_constant_predictor_is_the_best_constant():
    rng = np.random.default_rng(0)
    constant = compare_with_truth(TRUTH, TRUTH.cate, np.zeros(4, int)).cate_rmse_constant
    for _ in range(50):
        guess = np.tile(rng.normal(0.4, 0.5, 2), (4, 1))
        assert compare_with_truth(TRUTH, guess, np.zeros(4, int)).cate_rmse >= constant


def test_without_any_effect_every_arm_is_right():
    null = GroundTruth(ARMS, np.full((4, 3), 0.1), np.full((4, 3), 50.0))
    t = compare_with_truth(null, np.zeros((4, 2)), np.array([0, 1, 2, 1]))
    assert (t.policy_accuracy, t.oracle_gap, t.cate_rmse) == (1.0, 0.0, 0.0)


def test_it_reads_as_in_the_tutorial():
    t = compare_with_truth(TRUTH, TRUTH.cate, np.array([1, 1, 1, 0]))
    assert repr(t).splitlines() == [
        "TruthComparison",
        "cate_rmse: 0.0000 policy_accuracy: 75%",
        "cate_rmse of predicting no effect: 1.1726 of the true average effect for everyone: 1.1040",
        "rpv — policy: 2.0000 uniform: 1.5000 best single arm: 1.7500 (low_promo) "
        "oracle: 2.5000 oracle gap: 0.5000",
    ]
    evil = GroundTruth(("c", "<img>"), np.array([[0.1, 0.2]]), np.full((1, 2), 10.0))
    html = compare_with_truth(evil, evil.cate, np.array([1]))._repr_html_()
    assert "<img>" not in html
    assert "&lt;img&gt;" in html


@pytest.mark.parametrize(
    "offered", [None, observations(visitors(2), np.array([0, 1]), np.ones(2)), TRUTH.rpv]
)
def test_only_planted_truth_is_accepted(offered):
    with pytest.raises(TruthError, match="needs the planted GroundTruth"):
        compare_with_truth(offered, TRUTH.cate, np.zeros(4, int))


def test_estimates_must_fit_row_for_row():
    with pytest.raises(DesignError, match="4 visitors and 2 treatments"):
        compare_with_truth(TRUTH, TRUTH.cate[:3], np.zeros(4, int))
    with pytest.raises(DesignError, match="recommended arms"):
        compare_with_truth(TRUTH, TRUTH.cate, np.zeros(3, int))
