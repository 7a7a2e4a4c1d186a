"""Small made-up trials with known effects."""

import numpy as np
import pandas as pd

from pytyche_engine.contracts.observations import (
    Feature,
    FeatureKind,
    FeatureSchema,
    Observations,
    Outcome,
)

ARMS = ("control", "a", "b", "c", "d")


def trial(
    n: int = 600,
    n_arms: int = 3,
    n_features: int = 3,
    seed: int = 0,
    rates: tuple[float, ...] = (0.2, 0.3, 0.2, 0.25, 0.2),
    outcome: Outcome = Outcome.HURDLE,
) -> Observations:
    """A balanced trial: conversion by arm, log-normal revenue around 50 for everyone."""
    rng = np.random.default_rng(seed)
    arm = np.arange(n) % n_arms
    features = pd.DataFrame(
        {f"z{j}": rng.normal(size=n) for j in range(n_features)}, index=pd.RangeIndex(n)
    )
    converted = rng.random(n) < np.array(rates)[arm]
    amount = np.exp(np.log(50) + 0.5 * rng.normal(size=n))
    revenue = {
        Outcome.HURDLE: np.where(converted, amount, 0.0),
        Outcome.BINARY: converted.astype(float),
        Outcome.CONTINUOUS: amount * np.where(arm == 1, 1.2, 1.0),
    }[outcome]
    return Observations(
        arms=ARMS[:n_arms],
        visitor_id=np.arange(n).astype(str),
        arm=arm,
        revenue=revenue,
        features=features,
        schema=FeatureSchema(tuple(Feature(c, FeatureKind.NUMERIC, c) for c in features)),
        outcome=outcome,
        propensity=np.full((n, n_arms), 1 / n_arms),
        propensity_recorded=True,
        round_index=np.zeros(n, dtype=np.int64),
        cell=np.full(n, -1),
        cells=(),
    )
