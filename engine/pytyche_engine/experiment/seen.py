"""The last round's visitors, as those whom a plan's preview asks about."""

import numpy as np

from pytyche_engine.allocation import SeenVisitors
from pytyche_engine.experiment.round import Round
from pytyche_engine.jobs import Control

MOST_VISITORS = 100_000
"""Visitors that rules are tried on; of a larger round, this many evenly spaced ones."""

SAMPLE = 2_000
"""Of these, visitors for whom the posterior is evaluated."""

DRAWS = 200
"""Draws that it is evaluated at."""


def sample_visitors(latest: Round) -> SeenVisitors:
    """Evaluate a round's posterior for a sample of its visitors. Deterministic.

    Two samples make it quick: the means of a cell and their intervals are over
    `SAMPLE` visitors and `DRAWS` draws, so they differ a little from those of a finished round's
    scoreboard, which are over all.
    """
    observations, posterior = latest.observations, latest.posterior
    if len(observations) > MOST_VISITORS:
        observations = observations.take(_evenly(len(observations), MOST_VISITORS))
    rows = _evenly(len(observations), SAMPLE)
    draws = posterior.draws.take(_evenly(len(posterior.draws), DRAWS))
    rpv = np.zeros((len(draws), len(rows), observations.n_arms), dtype=np.float32)
    sampled = observations.take(rows)
    batches = posterior.surface_batches(sampled.features, sampled.propensity, draws, Control())
    for batch, surfaces, which in batches:
        rpv[which, batch] = np.swapaxes(surfaces.conversion * surfaces.severity, 1, 2)
    return SeenVisitors(observations, rows, rpv, level=latest.analysis.recommendation.lift.level)


def _evenly(n: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))
