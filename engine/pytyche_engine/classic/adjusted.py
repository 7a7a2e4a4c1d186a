"""Both arms' means of a metric, with what was known before taken out (CUPED)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pytyche_engine.classic.contrast import ArmEstimate
from pytyche_engine.classic.metrics import Metric
from pytyche_engine.classic.moments import Column, Moments


@dataclass(frozen=True, eq=False)
class AdjustedArms:
    """Control and treatment, adjusted for covariates.

    Attributes:
        control, treatment: their means and variances.
        theta: (c,) coefficients of the covariates; empty where there are none.
        variance_reduction: share of the variance that the covariates took away.
    """

    control: ArmEstimate
    treatment: ArmEstimate
    theta: Float[np.ndarray, " c"]
    variance_reduction: float


def adjusted_arms(
    metric: Metric,
    outcome: Sequence[Column],
    covariates: Sequence[Column],
    control: Moments,
    treatment: Moments,
) -> AdjustedArms:
    """Estimate a metric in two arms.

    A metric is a smooth function of means, so that near the means each visitor adds
    ``L = gradient . outcome`` to it (delta method). CUPED (Deng et al. 2013) regresses L on the
    covariates over the visitors of these two arms together and takes off
    ``theta . (covariates - their pooled mean)``. The expectation stays, as visitors were
    assigned at random; the variance becomes that of the residuals. For a ratio, L is
    regressed on both pre-period columns, of which the ratio before is one combination.

    Args:
        metric: what to estimate.
        outcome: its columns.
        covariates: columns that treatment cannot have changed.
        control: moments of these columns, of two visitors or more.
        treatment: the same.
    """
    columns = (*outcome, *covariates)
    arms = control.of(columns), treatment.of(columns)
    pooled = arms[0] + arms[1]
    m = len(outcome)
    spread = pooled.covariance
    gradient = metric.linear(pooled.mean[:m])[1]
    with_outcome = spread[m:, :m] @ gradient
    theta = _coefficients(spread[m:, m:], with_outcome)
    before = float(gradient @ spread[:m, :m] @ gradient)
    taken = float(theta @ with_outcome)

    def estimate(arm: Moments) -> ArmEstimate:
        value, slope = metric.linear(arm.mean[:m])
        weights = np.concatenate([slope, -theta])
        variance = float(weights @ arm.covariance @ weights)
        shift = float(theta @ (arm.mean[m:] - pooled.mean[m:])) if m < len(columns) else 0.0
        return ArmEstimate(arm.n, value - shift, max(variance, 0.0))

    return AdjustedArms(
        estimate(arms[0]), estimate(arms[1]), theta, taken / before if before > 0 else 0.0
    )


def _coefficients(
    spread: Float[np.ndarray, "c c"], with_outcome: Float[np.ndarray, " c"]
) -> Float[np.ndarray, " c"]:
    """Least squares, on covariates in their own units; constant and repeated ones add nothing."""
    if not len(spread):
        return np.zeros(0)
    sd = np.sqrt(np.diag(spread))
    unit = np.where(sd > 0, sd, 1.0)
    return (
        np.linalg.pinv(spread / np.outer(unit, unit), hermitian=True, rcond=1e-10)
        @ (with_outcome / unit)
        / unit
    )
