"""Doubly robust scores from recorded assignment probabilities."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.effects import VisitorEffects
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.leaks import refuse_truth
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.scores import DoublyRobustScores


def doubly_robust_scores(
    observations: Observations, effects: VisitorEffects, floor: float = 0.01
) -> DoublyRobustScores:
    """AIPW scores: the model's RPV, corrected by the weighted residual of the arm seen.

    ``score[i, a] = rpv[i, a] + 1{arm[i] = a} (revenue[i] - rpv[i, a]) / e[i, a]``
    (Robins, Rotnitzky and Zhao 1994; as policy scores Zhou, Athey and Wager 2023). The
    correction undoes the model's error on average, so the scores stay unbiased for any
    model as long as the recorded probabilities ``e`` are right.

    Two things reduce variance. Probabilities below `floor` count as `floor`. That biases the
    scores of such an arm towards the model for every visitor with such a probability, whichever
    arm was seen: the share of those visitors is reported (few of them have the arm, as it was
    improbable). And each round weighs by the inverse
    of its mean score variance, taken as ``mean of sum_a 1 / e[i, a]``: once most traffic is
    routed to one arm, a round says little about the others, and pooling it at full weight
    would drown the rounds that do. One weight a round keeps the mix of visitors within it,
    so this assumes only what the cumulative fit does: that rounds see the same population.

    Args:
        observations: n visitors with recorded (n, K) probabilities.
        effects: the model's posterior means for the same visitors.
        floor: smallest probability to divide by, in (0, 1).

    Raises:
        DesignError: if the two are not about the same visitors and arms.
        TruthError: if ground truth is passed for observations.
    """
    refuse_truth(observations)
    if effects.rpv.shape != observations.propensity.shape or effects.arms != observations.arms:
        raise DesignError(
            f"The effects are for {effects.rpv.shape[0]} visitors and arms {list(effects.arms)}, "
            f"the observations hold {len(observations)} visitors and arms "
            f"{list(observations.arms)}; pass effects of these observations."
        )
    probability = np.maximum(observations.propensity, floor)
    rows = np.arange(len(observations))
    arm = observations.arm
    own = probability[rows, arm]
    scores = np.array(effects.rpv, dtype=float)
    scores[rows, arm] += (observations.revenue - scores[rows, arm]) / own
    rounds, of_round = np.unique(observations.round_index, return_inverse=True)
    variance = (1 / probability).sum(axis=1)
    per_round = np.bincount(of_round, minlength=len(rounds)) / np.bincount(of_round, variance)
    weight = per_round[of_round]
    return DoublyRobustScores(
        scores=scores,
        floored=float(np.mean((observations.propensity < floor).any(axis=1))),
        weight=weight / weight.mean(),
    )


@dataclass(frozen=True, eq=False)
class AipwContrast:
    """AIPW estimates of every arm, control first, money per visitor.

    Attributes:
        rpv, rpv_se: (K,) mean revenue per visitor if everyone got the arm, and its
            standard error.
        lift, lift_se: (K,) the same less control's; zero for control.
    """

    rpv: Float[np.ndarray, " arms"]
    rpv_se: Float[np.ndarray, " arms"]
    lift: Float[np.ndarray, " arms"]
    lift_se: Float[np.ndarray, " arms"]


def aipw_contrast(scores: DoublyRobustScores) -> AipwContrast:
    """AIPW mean of each arm and its lift over control, over all rounds.

    Rounds are weighted as in `doubly_robust_scores`. Standard errors are those of a
    weighted mean of independent rows; ``lift == rpv - rpv[0]`` exactly.
    """
    rpv, rpv_se = weighted_mean(scores.scores, scores.weight)
    lift, lift_se = weighted_mean(scores.scores - scores.scores[:, :1], scores.weight)
    return AipwContrast(rpv=rpv, rpv_se=rpv_se, lift=lift, lift_se=lift_se)


def weighted_mean(
    values: Float[np.ndarray, "n *columns"], weight: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "*columns"], Float[np.ndarray, "*columns"]]:
    """Weighted mean over rows and its standard error, for each column."""
    total = weight.sum()
    mean = np.tensordot(weight, values, axes=1) / total
    se = np.sqrt(np.tensordot(weight**2, (values - mean) ** 2, axes=1)) / total
    return mean, se
