"""Arms and cells by AIPW with recorded probabilities, next to the model's estimates.

Allocation that follows earlier rounds biases raw means: an arm that was unlucky in a segment is
hardly shown there again, so that its bad luck stays, and the visitors who see an arm are
those it was thought good for. Recorded probabilities undo both.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.special import stdtr, stdtrit

from pytyche_engine.contracts.crosscheck import CrossCheck
from pytyche_engine.contracts.decisions import CellObservation
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.scores import DoublyRobustScores

LEVEL = 0.90
"""Level of the intervals."""

ERROR = 0.05
"""Probability that any row of a table disagrees by chance, at most."""


def cross_check_arms(
    observations: Observations,
    scores: DoublyRobustScores,
    everyone: GroupDraws,
) -> tuple[CrossCheck, ...]:
    """Each arm's revenue per visitor if everyone got it, over all rounds; control first.

    AIPW takes the rounds' weights from the scores. They are made from the rounds' recorded
    probabilities, hence known before a round's outcomes, which is what estimates from
    adaptive data need (the adaptively weighted AIPW of Hadad et al. 2021), and they are the
    same for all arms. Weights of each arm's own (variance stabilising, proportional to the
    root of its probability) are right asymptotically too, but grow with how well the arm did
    in earlier rounds: in three adaptive rounds of 4,000 visitors they left a bias of .1 to .2
    standard errors where the shared ones left less than .1, at the same coverage.

    Args:
        observations: visitors of all rounds.
        scores: their doubly robust scores.
        everyone: posterior draws of everyone's means, as the only group.

    Raises:
        DesignError: if scores, draws and observations are not about the same.
    """
    if scores.scores.shape != observations.propensity.shape or everyone.arms != observations.arms:
        raise DesignError(
            f"The scores are {scores.scores.shape} (visitors, arms) and the draws about "
            f"{list(everyone.arms)}; the observations hold {len(observations)} visitors and arms "
            f"{list(observations.arms)}."
        )
    checks = []
    for k, arm in enumerate(observations.arms):
        mine = observations.arm == k
        checks.append(
            _check(
                arm,
                float(observations.revenue[mine].mean()) if mine.any() else np.nan,
                *weighted_estimate(scores.scores[:, k], scores.weight),
                Estimate.from_draws(everyone.rpv[:, 0, k].astype(np.float64), LEVEL),
                observations.n_arms,
            )
        )
    return tuple(checks)


def cross_check_cells(
    plan: Plan,
    observations: Observations,
    scores: Float[np.ndarray, "n arms"],
    cells: Sequence[CellObservation],
) -> tuple[CrossCheck, ...]:
    """Each cell's revenue per visitor, over the visitors of the latest round.

    A cell's policy was chosen before the round, so the round's own rows judge it without
    bias; earlier ones chose it and would flatter it. AIPW averages the scores of all the
    round's visitors over the arm shares that the policy gives them, whichever cell they were
    in. Cells without visitors are left out.

    Args:
        plan: what the round served.
        observations: the visitors of that round alone.
        scores: (n, K) their doubly robust scores.
        cells: how the cells did, in the plan's order; the model's intervals keep their level.

    Raises:
        DesignError: if scores, cells and observations are not about the plan's round.
    """
    if scores.shape != observations.propensity.shape or plan.arms != observations.arms:
        raise DesignError(
            f"The scores are {scores.shape} (visitors, arms) and the plan about "
            f"{list(plan.arms)}; the observations hold {len(observations)} visitors and arms "
            f"{list(observations.arms)}."
        )
    if [cell.id for cell in cells] != [cell.id for cell in plan.cells]:
        raise DesignError(
            f"The cells are {[c.id for c in cells]}; the plan has {[c.id for c in plan.cells]}."
        )
    shares = plan.cell_arm_shares(observations.features)
    n_rows = sum(cell.model_rpv is not None for cell in cells)
    even = np.ones(len(observations))
    return tuple(
        _check(
            cell.id,
            cell.observed_rpv,
            *weighted_estimate((share * scores).sum(axis=1), even),
            cell.model_rpv,
            n_rows,
        )
        for cell, share in zip(cells, shares, strict=True)
        if cell.model_rpv is not None
    )


def weighted_estimate(
    values: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"], level: float = LEVEL
) -> tuple[Estimate, float]:
    """Weighted mean of independent values with a t interval, and its degrees of freedom.

    The variance of the mean is a sum of squares, of which a few orders of rarely served
    arms make up the most. The degrees of freedom say how many: with ``d`` the summands,
    ``2 (sum d)^2 / sum d^2`` (Satterthwaite 1946, with each ``d`` its own variance's root), which
    for n normal values is about ``2 n / 3``.

    Args:
        values: (n,) values, scores of one arm say.
        weight: (n,) their weights, 0 or more.
        level: level of the interval.
    """
    share = weight / weight.sum()
    mean = float(share @ values)
    d = (share * (values - mean)) ** 2
    variance = float(d.sum())
    freedom = 2 * variance**2 / float(d @ d) if variance > 0 else np.inf
    se = float(np.sqrt(variance))
    half = float(stdtrit(freedom, (1 + level) / 2)) * se if variance > 0 else 0.0
    return Estimate(mean, mean - half, mean + half, se, level), freedom


def _check(
    name: str, naive: float, aipw: Estimate, freedom: float, model: Estimate, n_rows: int
) -> CrossCheck:
    """Compare AIPW with the model, which was fitted to the same visitors.

    If the model is right and efficient, the difference varies by AIPW's variance less the
    model's (Hausman 1978). AIPW's alone is taken: a bound, which does not depend on how well
    the posterior knows its own spread.
    """
    distance = abs(aipw.mean - model.mean)
    if aipw.sd > 0:
        p_value = min(1.0, n_rows * float(2 * stdtr(freedom, -distance / aipw.sd)))
    else:
        p_value = 1.0
    return CrossCheck(name, naive, aipw, model, p_value, p_value <= ERROR)
