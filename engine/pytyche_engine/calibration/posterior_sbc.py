"""Posterior SBC, to see if the next round of this very experiment would be calibrated.

Prior SBC averages over all that the prior holds possible. Here truths are draws of the posterior
that there is: for each, the visitors of a next round are simulated, everything is fitted
together, and the truth is ranked among the new draws (Saeilynoja, Schmitt, Buerkner and Vehtari
2025, "Posterior SBC: simulation-based calibration checking conditional on data").
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pytyche_engine.bcf.fit import fit
from pytyche_engine.bcf.posterior import Posterior
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.calibration.cluster import Tally, connected, run_all
from pytyche_engine.calibration.ecdf import ecdf_band_level
from pytyche_engine.contracts.given import count
from pytyche_engine.contracts.observations import Observations, Outcome, concat
from pytyche_engine.jobs.control import Control

RANKED = 99
"""Draws of a refit that a truth is ranked among, evenly spaced."""


@dataclass(frozen=True, eq=False, repr=False)
class PosteriorSbc:
    """Ranks of simulated truths.

    Attributes:
        ranks: a row a simulation: sim, draw (the posterior's that was the truth), n_draws, and
            for each treatment the rank of the truth's average lift.
        n_draws: draws that truths are ranked among.
        p_values: per treatment, simultaneous p-value of the ranks being uniform.
    """

    ranks: pd.DataFrame
    n_draws: int
    p_values: dict[str, float]

    def __repr__(self) -> str:
        said = ", ".join(f"{arm}: p = {p:.3f}" for arm, p in self.p_values.items())
        return f"PosteriorSbc({len(self.ranks)} simulated next rounds; uniform ranks: {said})"


def posterior_sbc(
    posterior: Posterior,
    observations: Observations,
    n_sims: int = 20,
    *,
    n_visitors: int | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    cluster: Any = None,
    n_workers: int | None = None,
    control: Control | None = None,
) -> PosteriorSbc:
    """Simulate next rounds from a posterior, refit, and rank.

    The next round's visitors are drawn from those seen, with the probabilities of each arm that
    were recorded for them.

    Args:
        posterior: fitted on `observations`.
        observations: all visitors so far.
        n_sims: simulated next rounds; each costs a fit.
        n_visitors: of the next round; by default as many as there are.
        settings: of the refits; by default the posterior's.
        seed: of everything random.
        cluster: as for `sweep`.
        n_workers: as for `sweep`.
        control: can pause or cancel between fits.

    Raises:
        CalibrationError: if Dask is missing, or no refit succeeded.
        DesignError: if `n_sims` or `n_visitors` is no whole number of 1 or more.
    """
    n_next = len(observations) if n_visitors is None else n_visitors
    n_sims, n_next = count("'n_sims'", n_sims, 1), count("'n_visitors'", n_next, 1)
    tally = Tally(control or Control(), n_sims, len(observations) + n_next, observations.n_arms)
    found: dict[int, dict[str, int]] = {}
    with connected(cluster, n_workers) as client:
        # Sent once: a posterior with its forests is some megabytes.
        start, seen = client.scatter([posterior, observations], broadcast=True)
        calls = {
            sim: (start, seen, sim, n_next, settings or posterior.settings, seed)
            for sim in range(n_sims)
        }
        run_all(client, rank_one, calls, found.__setitem__, tally)
    tally.settle("refits")
    ranks = pd.DataFrame([found[sim] for sim in sorted(found)])
    n_draws = int(ranks["n_draws"].iloc[0])
    return PosteriorSbc(
        ranks=ranks,
        n_draws=n_draws,
        p_values={
            arm: ecdf_band_level(ranks[arm].to_numpy(), n_draws) for arm in posterior.arms[1:]
        },
    )


def rank_one(
    posterior: Posterior,
    observations: Observations,
    sim: int,
    n: int,
    settings: Settings,
    seed: int,
) -> dict[str, int]:
    """Simulate a next round of n visitors, refit, and rank each treatment's average lift."""
    rng = np.random.default_rng([seed, sim])
    draw = int(rng.integers(len(posterior.draws)))
    later = simulate_next(posterior, observations, draw, n, rng)
    everything = concat([observations, later])
    again = fit(everything, settings=settings, seed=int(rng.integers(2**31)), previous=posterior)
    x, e = everything.features, everything.propensity
    lift = again.effects(x, propensity=e).lift[:, 0, 1:]
    # Neighbours in a chain resemble each other, and their ranks would not be uniform. A fixed
    # number, because fits differ in length.
    thinned = lift[np.linspace(0, len(lift) - 1, min(RANKED, len(lift))).round().astype(int)]
    conversion, severity = _surfaces(posterior, draw, x, e)
    rpv = (conversion * severity).mean(axis=1)
    below = (thinned < rpv[1:] - rpv[0]).sum(axis=0)
    ranks = {arm: int(r) for arm, r in zip(posterior.arms[1:], below, strict=True)}
    return {"sim": sim, "draw": draw, "n_draws": len(thinned), **ranks}


def simulate_next(
    posterior: Posterior,
    observations: Observations,
    draw: int,
    n: int,
    rng: np.random.Generator,
) -> Observations:
    """A next round in which a draw of the posterior is the truth."""
    later = observations.take(rng.integers(0, len(observations), n))
    share = later.propensity.cumsum(axis=1)
    arm: Int[np.ndarray, " n"] = (rng.random(n)[:, None] * share[:, -1:] > share).sum(axis=1)
    one = posterior.draws.take(np.array([draw]))
    conversion, severity = _surfaces(posterior, draw, later.features, later.propensity)
    rows = np.arange(n)
    converted = rng.random(n) < conversion[arm, rows]
    revenue = np.where(converted, severity[arm, rows], 0.0)
    if observations.outcome is not Outcome.BINARY:
        spread = posterior.scale.scale * np.sqrt(float(one.sigma2[0]))
        revenue = revenue * np.exp(spread * rng.standard_normal(n) - spread**2 / 2)
    latest = int(observations.round_index.max())
    return replace(
        later,
        visitor_id=np.array([f"next{i}" for i in range(n)], dtype=object),
        arm=arm,
        revenue=revenue,
        round_index=np.full(n, latest + 1),
    )


def _surfaces(
    posterior: Posterior, draw: int, x: pd.DataFrame, propensity: Float[np.ndarray, "n arms"]
) -> tuple[Float[np.ndarray, "arms n"], Float[np.ndarray, "arms n"]]:
    one = posterior.draws.take(np.array([draw]))
    conversion, severity = [], []
    for _, surfaces, _ in posterior.surface_batches(x, propensity, one, Control()):
        conversion.append(surfaces.conversion[0].astype(float))
        severity.append(surfaces.severity[0].astype(float))
    return np.concatenate(conversion, axis=1), np.concatenate(severity, axis=1)
