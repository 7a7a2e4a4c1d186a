"""P(best) of arms by their means, for Thompson sampling of what is not 0 or 1."""

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

NODES = 512
"""Quantiles at which the integral is taken."""


def probability_best_mean(
    visitors: Float[np.ndarray, " arms"],
    sums: Float[np.ndarray, " arms"],
    squares: Float[np.ndarray, " arms"],
) -> Float[np.ndarray, " arms"]:
    """P(best) of each arm under the normal limits of their means' posteriors.

    With F_k a posterior's distribution function, the probability that arm k is best is

        integral over u from 0 to 1 of prod_{j != k} F_j(F_k^-1(u)),

    taken by the midpoint rule: no random numbers.

    Args:
        visitors: of each arm, 2 or more.
        sums: of their outcomes.
        squares: sums of their outcomes squared.

    Returns:
        (K,) probabilities; they add up to 1.
    """
    mean = sums / visitors
    variance = np.maximum(squares - visitors * mean**2, 0.0) / (visitors - 1)
    if not variance.max() > 0:
        return np.full(len(mean), 1 / len(mean))
    # An arm in which nothing has varied yet is not known exactly.
    sd = np.sqrt(np.where(variance > 0, variance, variance.max()) / visitors)
    points = mean[:, None] + sd[:, None] * ndtri((np.arange(NODES) + 0.5) / NODES)
    below = ndtr((points - mean[:, None, None]) / sd[:, None, None])  # F_j at the points of k
    below[np.eye(len(mean), dtype=bool)] = 1.0
    best: Float[np.ndarray, " arms"] = below.prod(axis=0).mean(axis=1)
    return best / best.sum()
