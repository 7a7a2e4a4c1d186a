"""What the fitted severity model would have converters spend."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from pytyche_engine.bcf.posterior import Posterior
from pytyche_engine.bcf.state import CHANNELS
from pytyche_engine.contracts.errors import DataError, DesignError
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.jobs.control import Control

MOST_DRAWS = 100
MOST_CONVERTERS = 20_000


@dataclass(frozen=True, eq=False)
class ReplicatedRevenue:
    """Converters' revenue as observed, and as the model would have had it.

    Attributes:
        observed: (C,) revenue, money.
        replicated: (R, C) replicates of it, money.
    """

    observed: Float[np.ndarray, " converters"]
    replicated: Float32[np.ndarray, "replicates converters"]


def replicate_revenue(
    posterior: Posterior,
    observations: Observations,
    *,
    seed: int,
    replicates: int = 500,
    control: Control | None = None,
) -> ReplicatedRevenue:
    """Draw the revenue of the converters anew, given that they convert.

    Each replicate takes one posterior draw of the mean ``m`` and standard deviation ``s`` of
    log revenue at every converter's own features, probabilities and arm, and draws
    ``exp(m + s N(0, 1))`` (posterior predictive distribution; Gelman, Meng and Stern 1996). At
    most `MOST_DRAWS` evenly spaced draws are evaluated and used in turn, at most
    `MOST_CONVERTERS` evenly spaced converters: 40 MB for 500 replicates.

    Args:
        posterior: a fit with a severity channel.
        observations: the visitors it was fitted on, or others.
        seed: of the noise.
        replicates: R.
        control: can pause or cancel it between batches.

    Raises:
        DesignError: if the fit has no severity channel or other arms.
        DataError: if nobody converted, or a feature is missing.
        FitCancelled: if the control was cancelled.
    """
    if "severity" not in CHANNELS[posterior.outcome]:
        raise DesignError(
            f"A {posterior.outcome} outcome has no severity model; there is no revenue to "
            "replicate."
        )
    if posterior.arms != observations.arms:
        raise DesignError(
            f"The posterior is about arms {list(posterior.arms)}, the observations about "
            f"{list(observations.arms)}."
        )
    converters = np.flatnonzero(observations.converted)
    if not len(converters):
        raise DataError("Nobody converted; there is no revenue to replicate")
    rows = _evenly(converters, MOST_CONVERTERS)
    draws = posterior.draws.take(_evenly(np.arange(len(posterior.draws)), MOST_DRAWS))
    arm = observations.arm[rows]
    sd = posterior.scale.scale * np.sqrt(draws.sigma2)
    log_mean = np.empty((len(draws), len(rows)), dtype=np.float32)
    for batch, surfaces, which in posterior.surface_batches(
        observations.features.iloc[rows],
        observations.propensity[rows] if observations.propensity_recorded else None,
        draws,
        control or Control(),
    ):
        mine = np.arange(batch.stop - batch.start)
        # The surface is the mean of a log-normal.
        own = np.log(surfaces.severity[:, arm[batch], mine])
        log_mean[which, batch] = own - 0.5 * sd[which, None] ** 2
    of_draw = np.arange(replicates) % len(draws)
    noise = np.random.default_rng(seed).standard_normal((replicates, len(rows)), dtype=np.float32)
    noise *= sd[of_draw, None]
    noise += log_mean[of_draw]
    return ReplicatedRevenue(observations.revenue[rows], np.exp(noise, out=noise))


def _evenly(values: np.ndarray, most: int) -> np.ndarray:
    """All of them, or `most` of them evenly spaced."""
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).round().astype(int)]
