"""Simulation-based calibration against the model's own prior, to see if the sampler is exact.

Talts et al. 2018, "Validating Bayesian inference algorithms with simulation-based
calibration", with the log-likelihood among the test quantities as Modrak et al. 2023 advise:
a sampler that ignores data would pass without it. This is not coverage under scenarios.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float
from scipy.special import log_ndtr, ndtri

from pytyche_engine.bcf.chain import run_chunk
from pytyche_engine.bcf.draws import Draws, draws_of_trace, evaluate
from pytyche_engine.bcf.prior import sample_prior
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.bcf.start import Encoded, cold_start, init_state
from pytyche_engine.bcf.state import CHANNELS, LatentScale
from pytyche_engine.contracts.observations import Outcome

QUANTITIES = (
    "ate_1",
    "ate_2",
    "cate",
    "sigma2",
    "conversion_multiplier",
    "conversion_arm_variance",
    "mu_splits",
    "tau_splits",
    "log_likelihood",
)
"""What is ranked. Splits are counts: ties are broken at random, so that ranks are uniform."""

SMALL_SETTINGS = Settings(
    num_trees_mu=6,
    num_trees_tau=4,
    num_chains=1,
    num_warm_up=400,
    min_draws=99,
    thin=20,
    arm_scale=0.3,
    arm_scale_df=8.0,
    mu_scale=0.6,
    tau_scale=0.6,
    loading_scale=0.4,
    multiplier_df=8.0,
    min_leaf=3,
    max_depth=4,
    # Wide error priors make prior-predictive money explode; this keeps exp() moderate.
    sigma_df=10.0,
)


@dataclass(frozen=True)
class SbcDesign:
    """A tiny trial: small enough that hundreds of fits take a minute.

    Attributes:
        n_per_arm: visitors of each arm; 128 in all at most, so that every data set shares one
            compiled shape whatever converts.
        n_arms: K.
    """

    n_per_arm: int = 30
    n_arms: int = 3
    n_features: int = 3
    n_bins: int = 6


def prior_sbc_ranks(
    n_sims: int,
    seed: int = 0,
    settings: Settings = SMALL_SETTINGS,
    design: SbcDesign | None = None,
) -> Iterator[dict[str, int]]:
    """For each simulation, the rank (0 to min_draws) of the truth in its posterior."""
    design = design or SbcDesign()
    scale = LatentScale(offset=-0.4, centre=0.5, scale=0.5)
    channels = CHANNELS[Outcome.HURDLE]
    n = design.n_per_arm * design.n_arms
    for sim in range(n_sims):
        rng = np.random.default_rng([seed, sim])
        X = rng.integers(0, design.n_bins, (design.n_features, n)).astype(np.uint8)
        max_split = np.full(design.n_features, design.n_bins - 1, dtype=np.uint8)
        arm = np.repeat(np.arange(design.n_arms), design.n_per_arm)
        truth = sample_prior(rng, X, max_split, arm, design.n_arms, len(channels), settings)
        latent = _latent(truth, X, scale)[0][:, arm, np.arange(n)]
        converted = scale.offset + latent[0] + rng.normal(size=n) > 0
        logs = latent[1] + np.sqrt(truth.sigma2[0]) * rng.normal(size=n)
        revenue = np.where(converted, np.exp(scale.centre + scale.scale * logs), 0.0)
        data = Encoded(
            X=X,
            max_split=max_split,
            mu_only=np.zeros(len(X), dtype=bool),
            arm=arm,
            revenue=revenue,
            n_arms=design.n_arms,
            outcome=Outcome.HURDLE,
            scale=scale,
        ).padded()
        state = init_state(data, cold_start(data, settings, rng), settings, rng)
        key = jax.random.key(int(rng.integers(2**31)))
        state, _ = run_chunk(key, state, settings.min_draws, 1)
        for _ in range(settings.num_warm_up // settings.min_draws):
            state, _ = run_chunk(key, state, settings.min_draws, 1)
        state, trace = run_chunk(key, state, settings.min_draws, settings.thin)
        draws = draws_of_trace(trace, 0)
        at_truth = _quantities(truth, X, arm, revenue, scale, rng)
        at_draws = _quantities(draws, X, arm, revenue, scale, rng)
        yield {q: int((at_draws[i] < at_truth[i]).sum()) for i, q in enumerate(QUANTITIES)}


def _latent(
    draws: Draws, X: np.ndarray, scale: LatentScale
) -> Float[np.ndarray, "draws channels arms n"]:
    """Latent means, recovered from the surfaces so that evaluation is checked as well."""
    surfaces = evaluate(draws, X, scale, CHANNELS[Outcome.HURDLE])
    conversion = ndtri(np.clip(surfaces.conversion.astype(float), 1e-12, 1 - 1e-7)) - scale.offset
    severity = (
        np.log(surfaces.severity.astype(float))
        - scale.centre
        - 0.5 * scale.scale**2 * draws.sigma2[:, None, None]
    ) / scale.scale
    return np.stack([conversion, severity], axis=1)


def _quantities(
    draws: Draws,
    X: np.ndarray,
    arm: np.ndarray,
    revenue: np.ndarray,
    scale: LatentScale,
    rng: np.random.Generator,
) -> Float[np.ndarray, "quantities draws"]:
    latent = _latent(draws, X, scale)
    surfaces = evaluate(draws, X, scale, CHANNELS[Outcome.HURDLE])
    rpv = (surfaces.conversion * surfaces.severity).astype(float)
    lift = rpv[:, 1:] - rpv[:, :1]
    own = latent[:, :, arm, np.arange(len(arm))]
    converted = revenue > 0
    logs = (np.log(np.where(converted, revenue, 1.0)) - scale.centre) / scale.scale
    sigma2 = draws.sigma2.astype(float)[:, None]
    density = -0.5 * np.log(sigma2) - 0.5 * (logs - own[:, 1]) ** 2 / sigma2
    sign = np.where(converted, 1.0, -1.0)
    likelihood = log_ndtr(sign * (scale.offset + own[:, 0])).sum(axis=1) + np.where(
        converted, density, 0.0
    ).sum(axis=1)
    return np.stack(
        [
            lift[:, 0].mean(axis=1),
            lift[:, 1].mean(axis=1),
            lift[:, 0, 0],
            draws.sigma2.astype(float),
            np.abs(draws.mu_multiplier[:, 0, 0]).astype(float),
            draws.arm_variance[:, 0].astype(float),
            _count_splits(draws.mu_split, rng),
            _count_splits(draws.tau_split, rng),
            likelihood,
        ]
    )


def _count_splits(split: np.ndarray, rng: np.random.Generator) -> Float[np.ndarray, " draws"]:
    return (split > 0).sum(axis=(1, 2)) + rng.random(len(split))
