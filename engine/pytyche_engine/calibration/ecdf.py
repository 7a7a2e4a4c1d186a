"""Whether ranks are uniform, judged at all of them at once.

Saeilynoja, Buerkner and Vehtari 2022, "Graphical test for discrete uniformity and its
applications in goodness-of-fit evaluation and multiple sample comparison".
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import binom


def ecdf_band_level(
    ranks: Int[np.ndarray, " sims"], n_draws: int, *, n_null: int = 2000, seed: int = 0
) -> float:
    """Simultaneous p-value of ranks being uniform on 0..n_draws.

    The statistic is the smallest pointwise tail probability of the ECDF over all ranks; its
    null distribution is simulated. Ranks leave the simultaneous 1 - a band exactly when this is
    below a.
    """
    p = (np.arange(n_draws) + 1) / (n_draws + 1)
    rng = np.random.default_rng(seed)
    null = _least_tail(rng.integers(0, n_draws + 1, (n_null, len(ranks))), p)
    return float((null <= _least_tail(ranks[None], p)[0]).mean())


def ecdf_band(
    n: int, *, level: float = 0.95, points: int = 50, n_null: int = 2000, seed: int = 0
) -> tuple[
    Float[np.ndarray, " points"], Float[np.ndarray, " points"], Float[np.ndarray, " points"]
]:
    """A band that the ECDF of n uniform values leaves anywhere with probability 1 - level.

    Returns:
        Places between 0 and 1, and the band's lower and upper end there.
    """
    p = (np.arange(points) + 1) / (points + 1)
    rng = np.random.default_rng(seed)
    tail = float(np.quantile(_least_tail(rng.integers(0, points + 1, (n_null, n)), p), 1 - level))
    low, high = (np.asarray(binom.ppf(side, n, p)) / n for side in (tail / 2, 1 - tail / 2))
    return p, low, high


def _least_tail(
    sample: Int[np.ndarray, "sets n"], p: Float[np.ndarray, " points"]
) -> Float[np.ndarray, " sets"]:
    """Of each set of ranks 0..len(p), the smallest two-sided tail probability of its ECDF."""
    n = sample.shape[1]
    grid = np.arange(len(p))
    counts = np.stack([np.searchsorted(np.sort(row), grid, side="right") for row in sample])
    low, high = binom.cdf(counts, n, p), binom.sf(counts - 1, n, p)
    return 2 * np.minimum(low, high).min(axis=1)
