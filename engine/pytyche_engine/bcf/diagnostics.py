"""Convergence of chains: split R-hat and effective sample size, rank-normalised.

Vehtari, Gelman, Simpson, Carpenter and Buerkner 2021, "Rank-normalization, folding, and
localization: an improved R-hat", Bayesian Analysis 16(2).
"""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.special import ndtri


def by_chain(
    draws: Float[np.ndarray, " draws"], chain: Int[np.ndarray, " draws"]
) -> Float[np.ndarray, "chains length"]:
    """Draws as one row a chain, cut to the shortest chain."""
    parts = [draws[chain == c] for c in np.unique(chain)]
    length = min(len(part) for part in parts)
    return np.stack([part[:length] for part in parts])


def _split(chains: Float[np.ndarray, "chains length"]) -> Float[np.ndarray, "halves half"]:
    half = chains.shape[1] // 2
    return np.concatenate([chains[:, :half], chains[:, -half:]])


def _rank_normalise(chains: Float[np.ndarray, "c l"]) -> Float[np.ndarray, "c l"]:
    # pandas is there already; scipy.stats takes half a second to import.
    ranks = pd.Series(chains.ravel()).rank().to_numpy().reshape(chains.shape)
    return ndtri((ranks - 0.375) / (chains.size + 0.25))


def _r_hat(chains: Float[np.ndarray, "c l"]) -> float:
    length = chains.shape[1]
    within = chains.var(axis=1, ddof=1).mean()
    between = length * chains.mean(axis=1).var(ddof=1)
    if within == 0:
        return 1.0 if between == 0 else float("inf")
    return float(np.sqrt(((length - 1) / length * within + between / length) / within))


def r_hat(chains: Float[np.ndarray, "chains length"]) -> float:
    """Rank-normalised split R-hat, the larger of bulk and folded; nan below 8 draws a chain."""
    if chains.shape[1] < 8:
        return float("nan")
    halves = _split(chains)
    folded = np.abs(halves - np.median(halves))
    return max(_r_hat(_rank_normalise(halves)), _r_hat(_rank_normalise(folded)))


def ess(chains: Float[np.ndarray, "chains length"]) -> float:
    """Bulk effective sample size (Geyer's initial monotone sequence); nan below 8 draws."""
    if chains.shape[1] < 8:
        return float("nan")
    x = _rank_normalise(_split(chains))
    m, n = x.shape
    if np.ptp(x) == 0:
        return float(m * n)
    centred = x - x.mean(axis=1, keepdims=True)
    size = 2 ** int(np.ceil(np.log2(2 * n)))
    spectrum = np.fft.rfft(centred, size, axis=1)
    autocov = np.fft.irfft(np.abs(spectrum) ** 2, size, axis=1)[:, :n] / n
    within = autocov[:, 0].mean() * n / (n - 1)
    total = within * (n - 1) / n + (x.mean(axis=1).var(ddof=1) if m > 1 else 0.0)
    rho = 1 - (within - autocov.mean(axis=0)) / total
    rho[0] = 1.0
    pairs = rho[: 2 * (n // 2)].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs < 0)
    pairs = np.minimum.accumulate(pairs[: negative[0] if len(negative) else len(pairs)])
    tau = max(-1 + 2 * pairs.sum(), 1 / np.log10(m * n))
    return float(m * n / tau)
