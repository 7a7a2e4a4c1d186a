"""How far draws have to be stretched for intervals to hold the truth as often as they say.

Everything is in units of ``z = (value - mean) / sd`` of a posterior, so that what is learned on
many posteriors applies to another.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.recalibration import Correction

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99)
"""Levels at which a correction is fitted."""

FEWEST = 20
"""Fewest reported intervals that a correction is fitted on."""

_LEAST_Z = 0.05
"""A quantile that is nearer to the mean than this, or beyond it, says nothing about scale."""


def fit_correction(
    truth: Float[np.ndarray, " m"],
    grid: Float[np.ndarray, "m quantiles"],
    levels: Sequence[float] = LEVELS,
) -> Correction | None:
    """Learn a correction from m reported posteriors and their truths, both as z.

    At each level, an interval's factor is what its end on the truth's side has to be multiplied
    by to reach the truth. The correction's factor is the empirical quantile of these at the
    level, with the finite-sample rank of split conformal inference (Lei et al. 2018): the
    ceil((m + 1) level)-th smallest, so that another interval of the same kind is covered at
    least that often. Where needed |z| would not rise with the level it is made to.

    Args:
        truth: (m,) the truths.
        grid: (m, Q) quantiles of each posterior, evenly spaced.
        levels: at which levels.

    Returns:
        None if there are fewer than `FEWEST`.
    """
    m = len(truth)
    if m < FEWEST:
        return None
    own, needed = [], []
    for level in levels:
        low, high = ends(grid, level)
        low, high = np.maximum(-low, _LEAST_Z), np.maximum(high, _LEAST_Z)
        factor = np.sort(np.where(truth >= 0, truth / high, -truth / low))
        rank = min(int(np.ceil((m + 1) * level)), m)
        own.append(float(np.median(np.concatenate([low, high]))))
        needed.append(float(factor[rank - 1]) * own[-1])
    own, needed = (_increasing(v) for v in (own, needed))
    return Correction(tuple(levels), tuple(own), tuple(needed), m)


def ends(
    grid: Float[np.ndarray, "m quantiles"], level: float
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Ends of the central interval of each posterior that a row of quantiles describes."""
    count = grid.shape[1]
    place = np.clip(np.array([(1 - level) / 2, (1 + level) / 2]) * count - 0.5, 0, count - 1)
    below = np.floor(place).astype(int)
    above, share = np.minimum(below + 1, count - 1), place - below
    low, high = (grid[:, below] * (1 - share) + grid[:, above] * share).T
    return low, high


def _increasing(values: Sequence[float]) -> list[float]:
    """The same, each at least a trifle above the one before."""
    found: list[float] = []
    for value in values:
        least = found[-1] * (1 + 1e-6) if found else 1e-6
        found.append(max(float(value), least))
    return found
