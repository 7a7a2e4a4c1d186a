"""Simulated streams without a difference, looked at again and again."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from pytyche_engine.classic import MixtureTest, Periods, aipw_path, plan_means
from pytyche_engine.classic.sequential import FEWEST_CONVERSIONS, FEWEST_VISITORS

LOOKS = 100


@dataclass(frozen=True)
class FalsePositives:
    """Shares of streams called different at any look."""

    naive: float
    msprt: float


def rates(
    streams: int,
    seed: int,
    *,
    rate: float = 0.10,
    per_look: int = 200,
    lift: float = 0.0,
    tau_of_mde: float = 1.0,
) -> FalsePositives:
    """Two arms of one conversion rate, `per_look` visitors each from look to look.

    tau is the difference that the last look would find with a power of 80 %.
    """
    rng = np.random.default_rng(seed)
    n = per_look * np.arange(1, LOOKS + 1)
    shape = (streams, LOOKS)
    counts = [np.cumsum(rng.binomial(per_look, p, shape), axis=1) for p in (rate, rate + lift)]
    control, treatment = (x / n for x in counts)
    variance = (control * (1 - control) + treatment * (1 - treatment)) / n
    mde = plan_means(np.sqrt(rate * (1 - rate))).mde(2 * n[-1])
    enough = (n >= FEWEST_VISITORS) & (np.minimum(*counts) >= FEWEST_CONVERSIONS)
    return _called(MixtureTest(tau_of_mde * mde), treatment - control, variance, enough)


def amounts(streams: int, seed: int, *, per_look: int = 100) -> FalsePositives:
    """The same for normal values, each arm's variance estimated."""
    rng = np.random.default_rng(seed)
    n = per_look * np.arange(1, LOOKS + 1)
    arms = []
    for _ in range(2):
        # Sums and sums of squares of a look's visitors, drawn without drawing the visitors.
        mean = rng.normal(0, 1 / np.sqrt(per_look), (streams, LOOKS))
        within = rng.chisquare(per_look - 1, (streams, LOOKS))
        total = np.cumsum(mean * per_look, axis=1)
        squares = np.cumsum(within + per_look * mean**2, axis=1)
        arms.append((total / n, (squares - total**2 / n) / (n - 1) / n))
    (c, v_c), (t, v_t) = arms
    mde = plan_means(1.0).mde(2 * n[-1])
    return _called(MixtureTest(mde), t - c, v_c + v_t, n >= FEWEST_VISITORS)


def _called(
    test: MixtureTest, difference: np.ndarray, variance: np.ndarray, enough: np.ndarray
) -> FalsePositives:
    with np.errstate(divide="ignore", invalid="ignore"):
        naive = np.abs(difference) / np.sqrt(variance) > 1.959964
    log_lr = np.where(enough, test.log_lr(difference, variance), 0.0)
    return FalsePositives(
        float(naive.any(axis=1).mean()), float((log_lr >= test.threshold).any(axis=1).mean())
    )


@dataclass(frozen=True)
class BanditErrors:
    """Shares of streams called different at any look, by how it was analysed."""

    pooled: float
    aipw: float


def bandit(
    streams: int,
    seed: int,
    *,
    floor: float = 0.01,
    start: float = 0.10,
    end: float = 0.20,
    per_period: int = 200,
    lift: float = 0.0,
) -> BanditErrors:
    """Two arms whose rates drift together, `lift` apart, with shares by Thompson sampling.

    The probability of being best is by the normal approximation to the Beta posteriors: any
    recorded shares must do.
    """
    rng = np.random.default_rng(seed)
    level = np.linspace(start, end, LOOKS)
    shape = (streams, LOOKS, 2)
    shares, visitors, successes = np.full(shape, 0.5), np.zeros(shape), np.zeros(shape)
    seen, won = np.zeros((streams, 2)), np.zeros((streams, 2))
    for t in range(LOOKS):
        a, b = won + 1, seen - won + 1
        mean = a / (a + b)
        sd = np.sqrt((mean * (1 - mean) / (a + b + 1)).sum(axis=1))
        best = ndtr((mean[:, 1] - mean[:, 0]) / sd)
        share = floor + (1 - 2 * floor) * best
        shares[:, t] = np.stack([1 - share, share], axis=1)
        got = rng.binomial(per_period, share)
        visitors[:, t] = np.stack([per_period - got, got], axis=1)
        successes[:, t] = rng.binomial(visitors[:, t].astype(int), level[t] + np.array([0.0, lift]))
        seen, won = seen + visitors[:, t], won + successes[:, t]
    middle = (start + end) / 2
    test = MixtureTest(plan_means(np.sqrt(middle * (1 - middle))).mde(per_period * LOOKS))
    n, s = np.cumsum(visitors, axis=1), np.cumsum(successes, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = s / n
        variance = (p * (1 - p) / n).sum(axis=2)
    enough = (n.min(axis=2) >= FEWEST_VISITORS) & (s.min(axis=2) >= FEWEST_CONVERSIONS)
    enough &= np.isfinite(variance)
    difference = np.where(enough, p[:, :, 1] - p[:, :, 0], 0.0)
    pooled = np.where(enough, test.log_lr(difference, np.where(enough, variance, 1.0)), 0.0)
    path = aipw_path(Periods(shares, visitors, successes, successes))
    aipw = np.where(enough, path.log_lr(test), 0.0)
    return BanditErrors(*(float((x >= test.threshold).any(axis=1).mean()) for x in (pooled, aipw)))
