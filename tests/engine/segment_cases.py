"""Small experiments with known effects, and stand-ins for a fitted model."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from pytyche_engine.contracts import GroupDraws, Observations, VisitorEffects
from pytyche_engine.contracts.observations import Feature, FeatureKind, FeatureSchema, Outcome

ARMS = ("control", "low_promo", "free_ship")


def schema_of(features: pd.DataFrame) -> FeatureSchema:
    def kind(column: pd.Series) -> FeatureKind:
        if column.dtype == "boolean":
            return FeatureKind.BOOLEAN
        numeric = column.dtype.kind == "f"
        return FeatureKind.NUMERIC if numeric else FeatureKind.CATEGORICAL

    return FeatureSchema(tuple(Feature(str(n), kind(features[n]), str(n)) for n in features))


def observe(
    features: pd.DataFrame,
    rpv: np.ndarray,
    propensity: np.ndarray,
    rng: np.random.Generator,
    noise: Callable[[int, np.random.Generator], np.ndarray],
    round_index: int = 0,
) -> Observations:
    """Assign by `propensity` and see ``rpv`` of the arm plus noise (revenue may be < 0)."""
    n, k = rpv.shape
    arm = np.minimum((rng.random(n)[:, None] > propensity.cumsum(axis=1)).sum(axis=1), k - 1)
    return Observations(
        arms=ARMS[:k],
        visitor_id=np.array([f"{round_index}-{i}" for i in range(n)]),
        arm=arm,
        revenue=rpv[np.arange(n), arm] + noise(n, rng),
        features=features,
        schema=schema_of(features),
        outcome=Outcome.HURDLE,
        propensity=propensity,
        propensity_recorded=True,
        round_index=np.full(n, round_index),
        cell=np.full(n, -1),
        cells=(),
    )


def hurdle(
    features: pd.DataFrame,
    conversion: np.ndarray,
    rng: np.random.Generator,
    shares: tuple[float, ...] = (2 / 3, 1 / 6, 1 / 6),
    round_index: int = 0,
) -> Observations:
    """Most spend nothing; converters spend log-normal amounts with mean 50."""
    n = len(features)
    propensity = np.tile(shares, (n, 1))
    seen = observe(features, conversion, propensity, rng, lambda n, _: np.zeros(n), round_index)
    amount = 50 * np.exp(rng.normal(-0.125, 0.5, n))
    revenue = np.where(rng.random(n) < seen.revenue, amount, 0.0)
    return Observations(**{**seen.__dict__, "revenue": revenue})


def effects_of(rpv: np.ndarray, sd: float = 0.3) -> VisitorEffects:
    """A model whose posterior mean RPV is the (n, K) array given."""
    k = rpv.shape[1]
    return VisitorEffects(
        arms=ARMS[:k],
        conversion=np.full(rpv.shape, 0.05),
        severity=rpv / 0.05,
        rpv=rpv,
        cate=rpv[:, 1:] - rpv[:, :1],
        cate_sd=np.full((len(rpv), k - 1), sd),
    )


def arm_means(observations: Observations) -> VisitorEffects:
    """A model that sees no heterogeneity: each arm's mean for everyone."""
    means = [observations.revenue[observations.arm == a].mean() for a in range(observations.n_arms)]
    return effects_of(np.tile(means, (len(observations), 1)))


def draws_around(
    effects: VisitorEffects, sd: float = 0.3, n_draws: int = 400
) -> Callable[[np.ndarray, tuple[str, ...]], GroupDraws]:
    """Normal posterior draws of group means around the model's own."""

    def group_draws(membership: np.ndarray, groups: tuple[str, ...]) -> GroupDraws:
        size = membership.sum(axis=0)
        mean = membership.T @ effects.rpv / size[:, None]
        error = np.random.default_rng(0).normal(0, sd, (n_draws, *mean.shape))
        empty = np.zeros_like(error)
        return GroupDraws(
            arms=effects.arms,
            groups=groups,
            size=size,
            chain=np.zeros(n_draws, dtype=int),
            conversion=empty,
            rpv=mean + error,
            conversion_part=empty,
            severity_part=empty,
        )

    return group_draws
