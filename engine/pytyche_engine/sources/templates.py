"""Populations with planted effects. Formulas as published with pytyche 0.2.1's templates.

In each, a visitor has features x; control converts with probability ``baseline_rate`` and
orders ``baseline_severity`` on average, whoever the visitor is. Treatment t converts with
``expit(logit(p0) + effect_scale * shift_t(x))`` and orders
``m0 * (1 + effect_scale * stretch_t(x))`` on average.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.special import expit, logit, ndtri
from scipy.stats import rankdata

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.sources.clusters import FOUR, SIX, TWO, Clusters, evaluate_signal

ChannelMode = Literal["mirror", "opposing", "conversion_only", "severity_only"]
"""Severity effects as the template has them, with the other sign, or one channel alone."""

SEVERITY_FLOOR = 0.01
"""Mean order values stay above this share of control's: large effects would turn them negative."""


@dataclass(frozen=True)
class Population:
    """Settings that all templates share.

    Attributes:
        effect_scale: multiplies every effect; 0 plants none.
        n_arms: K, control included.
        baseline_rate: control's conversion probability.
        baseline_severity: control's mean order value, money.
        channel_mode: which channels have effects.
        n_nuisance: pure-noise features ``z0``, ``z1``, ...
    """

    effect_scale: float
    n_arms: int
    baseline_rate: float
    baseline_severity: float
    channel_mode: ChannelMode
    n_nuisance: int


@dataclass(frozen=True, eq=False)
class Drawn:
    """Visitors of a template.

    Attributes:
        features: (n rows) what is seen of them.
        conversion: (n, K) planted probability of converting under each arm.
        severity: (n, K) planted mean order value under each arm, money.
        drivers: (n rows) what stands for a template's features in a real frame; None where
            features are the template's own.
    """

    features: pd.DataFrame
    conversion: Float[np.ndarray, "n arms"]
    severity: Float[np.ndarray, "n arms"]
    drivers: pd.DataFrame | None = None


Draw = Callable[[int, Population, np.random.Generator], Drawn]


def arm_strengths(n_arms: int) -> Float[np.ndarray, " treatments"]:
    """(K-1,) factors that tell treatments apart; one treatment has the plain effect."""
    return np.linspace(0.7, 1.3, n_arms - 1) if n_arms > 2 else np.ones(1)


def _planted(
    features: pd.DataFrame,
    population: Population,
    shift: Float[np.ndarray, "n treatments"],
    stretch: Float[np.ndarray, "n treatments"],
) -> Drawn:
    """Turn effects on the two channels into (n, K) surfaces."""
    mode, scale = population.channel_mode, population.effect_scale
    if mode == "severity_only":
        shift = np.zeros_like(shift)
    stretch = stretch * {"opposing": -1.0, "conversion_only": 0.0}.get(mode, 1.0)
    p0, m0 = population.baseline_rate, population.baseline_severity
    n = len(features)
    treated = expit(logit(p0) + scale * shift)
    orders = m0 * np.maximum(1 + scale * stretch, SEVERITY_FLOOR)
    return Drawn(
        features,
        np.column_stack([np.full(n, p0), treated]),
        np.column_stack([np.full(n, m0), orders]),
    )


def with_prognosis(drawn: Drawn) -> Drawn:
    """The same visitors, who differ under control as well.

    All arms share a shift of the logit of converting, between about -.7 and .9, and orders
    that go with it.
    """
    x = drawn.features if drawn.drivers is None else drawn.drivers
    recency = np.tanh((x["session_recency"].to_numpy() - 1.5) / 1.5)
    desktop = (x["device_type"] == "desktop").to_numpy()
    common = (0.4 * recency + 0.5 * x["is_returning"].to_numpy() - 0.3 * desktop)[:, None]
    return replace(
        drawn,
        conversion=expit(logit(drawn.conversion) + common),
        severity=drawn.severity * np.exp(0.3 * common),
    )


def _nuisance(n: int, population: Population, rng: np.random.Generator) -> dict[str, object]:
    return {f"z{j}": rng.standard_normal(n) for j in range(population.n_nuisance)}


def _features(n: int, population: Population, rng: np.random.Generator) -> pd.DataFrame:
    """The population of every template but the clustered ones."""
    return pd.DataFrame(
        {
            "session_recency": rng.normal(2, 1.5, n),
            "browse_depth": rng.normal(3, 2, n),
            "device_type": _choose(rng, n, ("mobile", "desktop", "tablet"), (0.55, 0.35, 0.10)),
            "is_returning": rng.random(n) < 0.35,
            "channel": _choose(
                rng, n, ("organic", "paid", "social", "email"), (0.4, 0.3, 0.2, 0.1)
            ),
            **_nuisance(n, population, rng),
        }
    )


def _choose(
    rng: np.random.Generator, n: int, levels: tuple[str, ...], shares: tuple[float, ...]
) -> np.ndarray:
    return np.array(levels, dtype=object)[rng.choice(len(levels), size=n, p=shares)]


Plant = Callable[[pd.DataFrame, Population], Drawn]
"""From visitors' features to what is planted for them."""


def _surface(
    h: Callable[[pd.DataFrame], Float[np.ndarray, " n"]], on_conversion: float = 1.0
) -> Plant:
    """Effect ``h(x)`` on the logit, times `on_conversion`, and ``0.1 h(x)`` on mean orders."""

    def plant(features: pd.DataFrame, population: Population) -> Drawn:
        effect = h(features)[:, None] * arm_strengths(population.n_arms)
        return _planted(features, population, on_conversion * effect, 0.1 * effect)

    return plant


def _recency(x: pd.DataFrame) -> Float[np.ndarray, " n"]:
    return x["session_recency"].to_numpy() - 2


def _depth(x: pd.DataFrame) -> Float[np.ndarray, " n"]:
    return x["browse_depth"].to_numpy() - 3


def _sparse_benefit(features: pd.DataFrame, population: Population) -> Drawn:
    """15 % of visitors, those with the highest recency, convert more by .4 effect_scale."""
    responder = _recency(features) > 1.5 * 1.0364333894937898  # 85th percentile of N(0, 1.5)
    effect = responder[:, None] * arm_strengths(population.n_arms)
    drawn = _planted(features, population, np.zeros_like(effect), 0.1 * effect)
    if population.channel_mode != "severity_only":
        added = 0.4 * population.effect_scale * effect
        drawn.conversion[:, 1:] = np.clip(population.baseline_rate + added, 0.0, 0.99)
    return drawn


def _of_kind(
    rng: np.random.Generator,
    kind: Int[np.ndarray, " n"],
    shares: Float[np.ndarray, "kinds levels"],
    levels: tuple[str, ...],
) -> np.ndarray:
    above = rng.random(len(kind))[:, None] > np.cumsum(shares, axis=1)[kind]
    return np.array(levels, dtype=object)[np.minimum(above.sum(axis=1), len(levels) - 1)]


def _clustered(clusters: Clusters) -> Draw:
    """Kinds of visitors; treatment t treats kind c as treatment 1 treats kind c - (t-1)."""
    kinds = clusters.kinds
    shares = np.array([k.share for k in kinds])
    recency_of, depth_of = (np.array([getattr(k, f) for k in kinds]) for f in ("recency", "depth"))
    conversion, severity = np.array([(k.conversion, k.severity) for k in kinds]).T

    def draw(n: int, population: Population, rng: np.random.Generator) -> Drawn:
        kind = rng.choice(len(kinds), size=n, p=shares)
        recency = rng.normal(*recency_of[kind].T)
        depth = rng.normal(*depth_of[kind].T)
        features = pd.DataFrame(
            {
                "session_recency": recency,
                "browse_depth": depth,
                "device_type": _of_kind(
                    rng, kind, np.array([k.devices for k in kinds]), clusters.devices
                ),
                "is_returning": rng.random(n) < np.array([k.returning for k in kinds])[kind],
                "channel": _of_kind(
                    rng, kind, np.array([k.channels for k in kinds]), clusters.channels
                ),
                **_nuisance(n, population, rng),
            }
        )
        r, d = recency - shares @ recency_of[:, 0], depth - shares @ depth_of[:, 0]
        on_conversion = np.column_stack(
            [evaluate_signal(k.conversion_signal, r, d, features["channel"]) for k in kinds]
        )
        on_severity = np.column_stack(
            [evaluate_signal(k.severity_signal, r, d, features["channel"]) for k in kinds]
        )
        p0, rows = population.baseline_rate, np.arange(n)
        shift, stretch = [], []
        for t, strength in enumerate(arm_strengths(population.n_arms)):
            profile = (kind - t) % len(kinds)
            target = np.minimum(p0 * (1 + strength * conversion[profile]), 0.99)
            shift.append(logit(target) - logit(p0) + on_conversion[rows, profile])
            stretch.append(strength * severity[profile] + on_severity[rows, profile])
        return _planted(features, population, np.column_stack(shift), np.column_stack(stretch))

    return draw


SURFACES: dict[str, Plant] = {
    "constant": _surface(lambda x: np.ones(len(x))),
    "reversal": _surface(_recency),
    "interaction_only": _surface(lambda x: _recency(x) * _depth(x)),
    "nonlinear": _surface(lambda x: 0.5 * _recency(x) ** 2 + 0.5 * _recency(x) * _depth(x)),
    "monotone_gradient": _surface(_recency, on_conversion=2.0),
    "sparse_benefit": _sparse_benefit,
}
"""Templates whose effects are a function of what is seen of a visitor."""


def _on_own_features(plant: Plant) -> Draw:
    def draw(n: int, population: Population, rng: np.random.Generator) -> Drawn:
        return plant(_features(n, population, rng), population)

    return draw


TEMPLATES: dict[str, Draw] = {
    "clustered_realistic": _clustered(FOUR),
    **{name: _on_own_features(plant) for name, plant in SURFACES.items()},
    "clustered": _clustered(TWO),
    "clustered_complex": _clustered(SIX),
}
"""Known templates by name."""


def on_frame(frame: pd.DataFrame, name: str) -> Draw:
    """A template's effects on visitors of a real frame, drawn from its rows with replacement.

    The first two numeric columns, as normal scores of their ranks, stand for recency and
    depth.

    Args:
        frame: features of visitors, one row each.
        name: one of `SURFACES`.

    Raises:
        DesignError: if the template has no surface, or the frame fewer than two numeric columns.
    """
    numeric = [c for c in frame if pd.api.types.is_numeric_dtype(frame[c])]
    numeric = [c for c in numeric if not pd.api.types.is_bool_dtype(frame[c])][:2]
    if name not in SURFACES:
        raise DesignError(
            f"The template '{name}' has features of its own; with a frame of features use one of "
            f"{', '.join(SURFACES)}."
        )
    if len(numeric) < 2:
        raise DesignError(
            "A frame of features needs two numeric columns for effects to depend on; it has "
            f"{numeric}."
        )

    def draw(n: int, population: Population, rng: np.random.Generator) -> Drawn:
        seen = frame.iloc[rng.integers(0, len(frame), n)].reset_index(drop=True)
        score = {c: ndtri((rankdata(seen[c].fillna(seen[c].median())) - 0.5) / n) for c in numeric}
        stand_in = pd.DataFrame(
            {
                "session_recency": 2 + 1.5 * score[numeric[0]],
                "browse_depth": 3 + 2 * score[numeric[1]],
                # for `with_prognosis`
                "device_type": np.where(score[numeric[1]] > 0, "desktop", "mobile"),
                "is_returning": score[numeric[0]] > 0.4,
            }
        )
        return replace(SURFACES[name](stand_in, population), features=seen, drivers=stand_in)

    return draw
