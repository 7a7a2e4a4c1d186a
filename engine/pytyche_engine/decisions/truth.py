"""A round's estimates against what a simulation planted."""

import numpy as np
from jaxtyping import Float, Int

from pytyche_engine.contracts.errors import DesignError, TruthError
from pytyche_engine.contracts.truth import GroundTruth, TruthComparison


def compare_with_truth(
    truth: GroundTruth,
    cate: Float[np.ndarray, "n treatments"],
    recommended_arm: Int[np.ndarray, " n"],
) -> TruthComparison:
    """Judge estimates by the planted truth, with the predictors they have to beat.

    Args:
        truth: what was planted, row for row with the estimates.
        cate: (n, K-1) posterior-mean CATEs, money per visitor.
        recommended_arm: (n,) codes of the arm that the policy gives each visitor.

    Raises:
        TruthError: if `truth` is not a `GroundTruth`: observations are no truth.
        DesignError: if the arrays do not fit the truth row for row.
    """
    if not isinstance(truth, GroundTruth):
        raise TruthError(
            "A truth comparison needs the planted GroundTruth of a simulated source, not "
            f"{type(truth).__name__}. There is none for logged data."
        )
    rpv, true_cate = truth.rpv, truth.cate
    n = len(rpv)
    if cate.shape != true_cate.shape or recommended_arm.shape != (n,):
        raise DesignError(
            f"The truth has {n} visitors and {true_cate.shape[1]} treatments; the estimates "
            f"have shape {cate.shape}, the recommended arms {recommended_arm.shape}."
        )

    def rmse(guess: Float[np.ndarray, "*shape"]) -> float:
        return float(np.sqrt(np.mean((guess - true_cate) ** 2)))

    oracle = rpv.max(axis=1)
    served = rpv[np.arange(n), recommended_arm]
    by_arm = rpv.mean(axis=0)
    return TruthComparison(
        cate_rmse=rmse(cate),
        cate_rmse_no_effect=rmse(np.zeros(1)),
        cate_rmse_constant=rmse(true_cate.mean(axis=0)),
        # Arms of equal RPV are equally right, e.g. when no effect was planted.
        policy_accuracy=float((served >= oracle).mean()),
        rpv_policy=float(served.mean()),
        rpv_uniform=float(by_arm.mean()),
        rpv_best_arm=float(by_arm.max()),
        rpv_oracle=float(oracle.mean()),
        best_arm=truth.arms[int(by_arm.argmax())],
    )
