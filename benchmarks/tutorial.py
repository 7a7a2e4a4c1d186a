"""The seeds' tutorial, at any size."""

from collections.abc import Sequence

import pytyche_lab as pt
from pytyche_engine.experiment import SequentialExperiment
from pytyche_engine.sources import SimulatedSource

ARMS = ["control", "low_promo", "free_ship"]


def tutorial_source(effect_scale: float, seed: int) -> SimulatedSource:
    """Its visitors; its own effect scale is .1."""
    return pt.simulated_experiment_generator(
        template="clustered_realistic",
        metric="revenue_per_visitor",
        effect_scale=effect_scale,
        K=len(ARMS),
        seed=seed,
        treatment_names=ARMS,
    )


def tutorial_experiment(
    effect_scale: float, seed: int, sizes: Sequence[int]
) -> SequentialExperiment:
    """Its loop, with so many visitors a round."""
    return pt.sequential_experiment(
        generator=tutorial_source(effect_scale, seed),
        schedule=list(sizes),
        treatments=ARMS,
        seed=seed,
        progress=False,
    )
