"""Small posteriors and observations that the decision and allocation tests share."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from pytyche_engine.contracts import (
    ClaimLevel,
    Estimate,
    Feature,
    FeatureKind,
    FeatureSchema,
    GroupDraws,
    Observations,
    Outcome,
    Rule,
    Segment,
)
from pytyche_engine.contracts.decisions import SegmentSearch

ARMS = ("control", "low_promo", "free_ship")
SCHEMA = FeatureSchema(
    (
        Feature("depth", FeatureKind.NUMERIC, "depth"),
        Feature("channel", FeatureKind.CATEGORICAL, "channel", ("email", "paid", "social")),
    )
)


def normal_draws(
    mean: Sequence[float],
    sd: float | Sequence[float],
    *,
    arms: tuple[str, ...] = ARMS,
    groups: tuple[str, ...] = ("everyone",),
    n_draws: int = 4000,
    seed: int = 0,
) -> GroupDraws:
    """Independent normal RPV per arm, the same for every group; all lift by conversion.

    Stratified in each arm, so that moments are the stated ones to four digits.
    """
    rng = np.random.default_rng(seed)
    k, g = len(arms), len(groups)
    strata = norm.ppf((np.arange(n_draws) + 0.5) / n_draws)
    one = np.stack([rng.permutation(strata) for _ in range(k)], axis=1)
    rpv = np.repeat((np.asarray(mean) + one * np.asarray(sd))[:, None, :], g, axis=1)
    lift = rpv - rpv[:, :, :1]
    return GroupDraws(
        arms=arms,
        groups=groups,
        size=np.full(g, 1000.0),
        chain=np.arange(n_draws) % 4,
        conversion=rpv / 50.0,
        rpv=rpv,
        conversion_part=0.7 * lift,
        severity_part=0.3 * lift,
    )


def visitors(n: int, seed: int = 0) -> pd.DataFrame:
    """A feature frame with missing values."""
    rng = np.random.default_rng(seed)
    depth = rng.normal(3, 2, n)
    depth[rng.random(n) < 0.05] = np.nan
    channel = rng.choice(["email", "paid", "social"], n).astype(object)
    channel[rng.random(n) < 0.05] = None
    levels = ["email", "paid", "social"]
    return pd.DataFrame({"depth": depth, "channel": pd.Categorical(channel, categories=levels)})


def observations(
    features: pd.DataFrame,
    arm: np.ndarray,
    revenue: np.ndarray,
    *,
    cell: np.ndarray | None = None,
    cells: tuple[str, ...] = (),
    arms: tuple[str, ...] = ARMS,
    propensity: np.ndarray | None = None,
) -> Observations:
    n = len(features)
    return Observations(
        arms=arms,
        visitor_id=np.array([f"v{i}" for i in range(n)], dtype=object),
        arm=arm,
        revenue=revenue,
        features=features,
        schema=SCHEMA,
        outcome=Outcome.HURDLE,
        propensity=np.full((n, len(arms)), 1 / len(arms)) if propensity is None else propensity,
        propensity_recorded=True,
        round_index=np.zeros(n, dtype=int),
        cell=np.full(n, -1) if cell is None else cell,
        cells=cells,
    )


def segment(
    id: str = "S1",  # noqa: A002 - the field's name
    rule: Rule | None = None,
    *,
    best: Sequence[float] = (0.1, 0.8, 0.1),
    arms: tuple[str, ...] = ARMS,
    claim_level: ClaimLevel = ClaimLevel.EXPLORATORY,
) -> Segment:
    return Segment(
        id=id,
        rule=Rule() if rule is None else rule,
        population_share=1.0,
        n_visitors=1000,
        n_converted=50,
        recommended_arm=arms[int(np.argmax(best))],
        gates={a: Estimate(0.2, 0.1, 0.3, 0.08) for a in arms[1:]},
        arm_best_probabilities=dict(zip(arms, best, strict=True)),
        stability_score=0.9,
        claims=dict.fromkeys(arms[1:], claim_level),
    )


def search(segments: Sequence[Segment], *, targeting_pays: bool) -> SegmentSearch:
    return SegmentSearch(
        segments=tuple(segments),
        membership=np.zeros(10, int),
        best_arm="low_promo",
        value_of_targeting=Estimate(0.0, 0.0, 0.0, 0.0),
        value_claim=ClaimLevel.CONFIRMED,
        targeting_pays=targeting_pays,
        draws=normal_draws([2.0, 2.1, 2.0], 0.1, groups=tuple(s.id for s in segments)),
    )
