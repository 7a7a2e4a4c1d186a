"""Each treatment against control: the model's lift, how it comes about, and cross-checks."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.decisions import Comparison
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.estimates import INTERVAL_LEVEL, Estimate
from pytyche_engine.contracts.observations import Observations


def compare_arms(
    draws: GroupDraws,
    group: int,
    observations: Observations,
    aipw_lift: Float[np.ndarray, " arms"],
    aipw_se: Float[np.ndarray, " arms"],
    claims: Mapping[str, ClaimLevel],
    *,
    level: float = INTERVAL_LEVEL,
) -> tuple[Comparison, ...]:
    """Compare every treatment with control in one group, normally everyone.

    The parts that conversion and severity play add up to the lift in every draw, hence
    their means add up to its mean. The relative lift is the lift over control's RPV, draw
    by draw; it is nan if a draw leaves control no revenue at all.

    Args:
        draws: posterior draws of group means.
        group: index of the group in `draws`.
        observations: the visitors of that group, for the raw means.
        aipw_lift: (K,) AIPW estimate of each arm's RPV less control's, control first.
        aipw_se: (K,) their standard errors.
        claims: per treatment, what supports the group's estimate.
        level: level of the intervals.

    Returns:
        One comparison a treatment, in the order of the arms.

    Raises:
        DesignError: if the arms of `draws` and `observations` differ, or an AIPW array does
            not hold one value an arm.
    """
    if draws.arms != observations.arms:
        raise DesignError(
            f"The posterior is about the arms {list(draws.arms)}, "
            f"the observations about {list(observations.arms)}."
        )
    expected = (len(draws.arms),)
    if aipw_lift.shape != expected or aipw_se.shape != expected:
        raise DesignError(
            f"AIPW lifts and standard errors need one value an arm, shape {expected}; "
            f"they have {aipw_lift.shape} and {aipw_se.shape}."
        )
    raw = _raw_means(observations)
    rpv = draws.rpv[:, group].astype(np.float64)
    conversion = draws.conversion[:, group].astype(np.float64)
    control_rpv = np.where(rpv[:, 0] > 0, rpv[:, 0], np.nan)

    def estimate(values: Float[np.ndarray, " draws"]) -> Estimate:
        return Estimate.from_draws(values, level)

    comparisons = []
    for k in range(1, len(draws.arms)):
        conversion_part = draws.conversion_part[:, group, k].astype(np.float64)
        severity_part = draws.severity_part[:, group, k].astype(np.float64)
        lift = rpv[:, k] - rpv[:, 0]
        comparisons.append(
            Comparison(
                treatment=draws.arms[k],
                control=draws.arms[0],
                lift=estimate(lift),
                relative_lift=estimate(lift / control_rpv),
                conversion_part=estimate(conversion_part),
                severity_part=estimate(severity_part),
                conversion_lift=estimate(conversion[:, k] - conversion[:, 0]),
                probability_positive=float((lift > 0).mean()),
                observed_lift=float(raw[k] - raw[0]),
                aipw_lift=float(aipw_lift[k]),
                aipw_se=float(aipw_se[k]),
                claim_level=claims[draws.arms[k]],
                expected_loss=float((rpv.max(axis=1) - rpv[:, k]).mean()),
            )
        )
    return tuple(comparisons)


def _raw_means(observations: Observations) -> Float[np.ndarray, " arms"]:
    """Mean revenue per arm; nan for an arm without visitors."""
    k = observations.n_arms
    visitors = np.bincount(observations.arm, minlength=k)
    revenue = np.bincount(observations.arm, weights=observations.revenue, minlength=k)
    return np.divide(revenue, visitors, out=np.full(k, np.nan), where=visitors > 0)
