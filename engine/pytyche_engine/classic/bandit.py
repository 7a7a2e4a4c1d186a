"""How probably each variant is the best, for Thompson sampling of variants as a whole."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import betainc, betaincinv, ndtr, ndtri

NODES = 512
"""Quantiles at which the integral is taken."""


def probabilities_best(
    exposures: Int[np.ndarray, " K"],
    total: Float[np.ndarray, " K"],
    total_squares: Float[np.ndarray, " K"],
    *,
    binary: bool,
) -> Float[np.ndarray, " K"]:
    """P(best) of each variant under independent posteriors, without random numbers.

    Binary outcomes have Beta(successes + 1, failures + 1); others the normal limit of a mean's
    posterior. With F_k a posterior's distribution function,

        P(k is best) = integral over u from 0 to 1 of prod_{j != k} F_j(F_k^-1(u)),

    taken by the midpoint rule.

    Args:
        exposures: (K,) visitors, 2 or more where outcomes are not binary.
        total: (K,) sums of outcomes.
        total_squares: (K,) sums of their squares.
        binary: whether outcomes are 0 or 1.

    Returns:
        (K,) probabilities; they add up to 1.
    """
    u = (np.arange(NODES) + 0.5) / NODES
    if binary:
        a, b = total + 1.0, exposures - total + 1.0
        points = betaincinv(a[:, None], b[:, None], u)
        below = betainc(a[:, None, None], b[:, None, None], points)
    else:
        mean = total / exposures
        variance = np.maximum(total_squares - exposures * mean**2, 0.0) / (exposures - 1)
        # A variant of which nothing varied yet is not known exactly.
        sd = np.sqrt(np.where(variance > 0, variance, variance.max() + 1e-300) / exposures)
        points = mean[:, None] + sd[:, None] * ndtri(u)
        below = ndtr((points - mean[:, None, None]) / sd[:, None, None])
    own: Bool[np.ndarray, "K K"] = np.eye(len(exposures), dtype=bool)
    below[own] = 1.0  # below[j, k] is F_j at k's points
    best = below.prod(axis=0).mean(axis=1)
    return best / best.sum()
