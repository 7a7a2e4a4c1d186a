"""One simulated data set: fitted, analysed as a round is, and put beside its truth."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from pytyche_engine.bcf.fit import fit
from pytyche_engine.bcf.posterior import Posterior
from pytyche_engine.calibration.design import Scenario, SweepDesign, sim_seeds, simulate
from pytyche_engine.contracts.decisions import SegmentSearch
from pytyche_engine.contracts.effects import GroupDraws, VisitorEffects
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.truth import GroundTruth
from pytyche_engine.segments import discover_segments

QUANTITIES = ("ate", "rpv", "gate", "cate", "value")
"""What is recorded: average effects, every arm's RPV, effects in the segments found, effects on
single visitors, and what targeting is worth where it pays."""

GRID = 100
"""Quantiles of the draws that a row keeps, evenly spaced."""

CATE_VISITORS = 12
"""Visitors of a data set whose own effect is recorded."""

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Reported:
    """What a first round reports.

    Attributes:
        everyone: draws of everyone's means, as the only group.
        search: the segments, with their draws.
        effects: the model's means for every visitor.
    """

    everyone: GroupDraws
    search: SegmentSearch
    effects: VisitorEffects


def report(
    posterior: Posterior,
    observations: Observations,
    *,
    max_depth: int = 3,
    min_segment_share: float = 0.10,
    seed: int = 0,
) -> Reported:
    """Draw the conclusions of a first round that rest on draws."""
    x, e = observations.features, observations.propensity

    def group_draws(
        membership: Float[np.ndarray, "n groups"], groups: tuple[str, ...]
    ) -> GroupDraws:
        return posterior.group_draws(x, membership, groups, propensity=e)

    everyone = posterior.effects(x, propensity=e)
    effects = posterior.predict(x, propensity=e)
    search = discover_segments(
        observations,
        effects,
        group_draws,
        best_arm=observations.arms[int(everyone.rpv[:, 0].mean(axis=0).argmax())],
        max_depth=max_depth,
        min_segment_share=min_segment_share,
        seed=seed,
        n_refits=1,  # stability is not asked about
    )
    return Reported(everyone, search, effects)


def fit_one(design: SweepDesign, scenario: Scenario, sim: int, seed: int) -> list[Row]:
    """Simulate, fit and report once.

    Args:
        design: the deployment.
        scenario: what is true.
        sim: which of its simulations.
        seed: the sweep's.

    Returns:
        A row for every reported quantity.
    """
    data_seed, fit_seed = sim_seeds(seed, scenario, sim)
    start, cpu = time.perf_counter(), time.process_time()
    observations, truth = simulate(design, scenario, data_seed)
    posterior = fit(observations, settings=design.settings, seed=fit_seed)
    found = report(
        posterior,
        observations,
        max_depth=design.max_segment_depth,
        min_segment_share=design.min_segment_share,
        seed=fit_seed,
    )
    common = {
        "scenario": scenario.key,
        "sim": sim,
        "converged": posterior.convergence(found.everyone).ok,
        "conversion_rate": float(observations.converted.mean()),
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
    }
    return [common | row for row in beside(found, posterior, observations, truth)]


def beside(
    found: Reported, posterior: Posterior, observations: Observations, truth: GroundTruth
) -> list[Row]:
    """Every reported quantity with its truth: a mean over the same visitors."""
    rpv, arms = truth.rpv, truth.arms
    mean = rpv.mean(axis=0)
    rows = [
        _row("rpv", arm, "everyone", mean[k], found.everyone.rpv[:, 0, k], mean[0])
        for k, arm in enumerate(arms)
    ]
    rows += _lifts("ate", found.everyone, rpv.mean(axis=0)[None])
    search = found.search
    # One segment for everyone is no discovery: its effect is the average one.
    if not search.targeting_pays:
        return rows + _single_visitors(posterior, observations, rpv)
    members = search.membership[:, None] == np.arange(len(search.segments))
    rows += _lifts("gate", search.draws, np.stack([rpv[m].mean(axis=0) for m in members.T]))
    served = [arms.index(s.recommended_arm) for s in search.segments]
    best = arms.index(search.best_arm)
    policy = np.append(served, best)[search.membership]
    gain = rpv[np.arange(len(rpv)), policy] - rpv[:, best]
    value = search.value_of_targeting
    normal = value.mean + value.sd * ndtri((np.arange(GRID) + 0.5) / GRID)
    rows.append(_row("value", search.best_arm, "everyone", gain.mean(), normal, mean[0]))
    return rows + _single_visitors(posterior, observations, rpv)


def _single_visitors(
    posterior: Posterior, observations: Observations, rpv: Float[np.ndarray, "n arms"]
) -> list[Row]:
    some = np.linspace(0, len(observations) - 1, CATE_VISITORS).astype(int)
    single = posterior.group_draws(
        observations.features.iloc[some],
        np.eye(len(some)),
        tuple(map(str, some)),
        propensity=observations.propensity[some],
    )
    return _lifts("cate", single, rpv[some])


def _lifts(quantity: str, draws: GroupDraws, rpv: Float[np.ndarray, "groups arms"]) -> list[Row]:
    lift = draws.lift.astype(np.float64)
    return [
        _row(quantity, arm, group, rpv[g, k] - rpv[g, 0], lift[:, g, k], rpv[g, 0])
        for g, group in enumerate(draws.groups)
        for k, arm in enumerate(draws.arms)
        if k > 0
    ]


def _row(
    quantity: str,
    arm: str,
    group: str,
    truth: float,
    draws: Float[np.ndarray, " draws"],
    control: float,
) -> Row:
    """One quantity.

    ``rank`` is how many of ``n_draws`` draws lie below the truth, ``grid`` the draws'
    quantiles at (i + 1/2) / GRID, ``control`` the true RPV under control of the same visitors.
    """
    levels = (np.arange(GRID) + 0.5) / GRID
    return {
        "quantity": quantity,
        "arm": arm,
        "group": group,
        "truth": float(truth),
        "mean": float(draws.mean()),
        "sd": float(draws.std()),
        "rank": int((draws < truth).sum()),
        "n_draws": len(draws),
        "control": float(control),
        "grid": np.quantile(draws, levels).astype(np.float64).tolist(),
    }
