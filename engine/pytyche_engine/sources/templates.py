"""Populations with planted effects. Formulas as published with pytyche 0.2.1's templates.

In each, a visitor has features x; control converts with probability ``baseline_rate`` and
orders ``baseline_severity`` on average, whoever the visitor is. Treatment t converts with
``expit(logit(p0) + effect_scale * shift_t(x))`` and orders
``m0 * (1 + effect_scale * stretch_t(x))`` on average.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.special import expit, logit

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
    """

    features: pd.DataFrame
    conversion: Float[np.ndarray, "n arms"]
    severity: Float[np.ndarray, "n arms"]


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


def _nuisance(n: int, population: Population, rng: np.random.Generator) -> dict[str, object]:
    return {f"z{j}": rng.standard_normal(n) for j in range(population.n_nuisance)}


def _features(n: int, population: Population, rng: np.random.Generator) -> pd.DataFrame:
    """The population of every template but the clustered one."""
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


def _surface(h: Callable[[pd.DataFrame], Float[np.ndarray, " n"]]) -> Draw:
    """A template with effect ``h(x)`` on the logit and ``0.1 h(x)`` on mean orders."""

    def draw(n: int, population: Population, rng: np.random.Generator) -> Drawn:
        features = _features(n, population, rng)
        effect = h(features)[:, None] * arm_strengths(population.n_arms)
        return _planted(features, population, effect, 0.1 * effect)

    return draw


def _recency(x: pd.DataFrame) -> Float[np.ndarray, " n"]:
    return x["session_recency"].to_numpy() - 2


def _depth(x: pd.DataFrame) -> Float[np.ndarray, " n"]:
    return x["browse_depth"].to_numpy() - 3


def _sparse_benefit(n: int, population: Population, rng: np.random.Generator) -> Drawn:
    """15 % of visitors, those with the highest recency, convert more by .4 effect_scale."""
    features = _features(n, population, rng)
    responder = _recency(features) > 1.5 * 1.0364333894937898  # 85th percentile of N(0, 1.5)
    effect = responder[:, None] * arm_strengths(population.n_arms)
    drawn = _planted(features, population, np.zeros_like(effect), 0.1 * effect)
    if population.channel_mode != "severity_only":
        added = 0.4 * population.effect_scale * effect
        drawn.conversion[:, 1:] = np.clip(population.baseline_rate + added, 0.0, 0.99)
    return drawn


# Clusters: loyal-mobile, new-desktop, deal-seekers, inactive.
_WEIGHTS = np.array([0.30, 0.25, 0.25, 0.20])
_RECENCY = np.array([[2.5, 0.8], [1.0, 1.2], [0.5, 1.5], [-1.5, 1.0]])  # mean, sd
_DEPTH = np.array([[4.5, 1.5], [2.5, 1.5], [5.0, 2.0], [1.0, 0.8]])
_DEVICES = ("mobile", "desktop", "tablet")
_DEVICE = np.array([[0.75, 0.15, 0.10], [0.20, 0.70, 0.10], [0.45, 0.40, 0.15], [0.35, 0.50, 0.15]])
_RETURNING = np.array([0.70, 0.15, 0.40, 0.20])
_CHANNELS = ("organic", "direct", "paid", "social", "email")
_CHANNEL = np.array(
    [
        [0.50, 0.30, 0.15, 0.05, 0.00],
        [0.35, 0.00, 0.35, 0.20, 0.10],
        [0.15, 0.00, 0.45, 0.10, 0.30],
        [0.60, 0.00, 0.10, 0.25, 0.05],
    ]
)
_CONVERSION_DELTA = np.array([0.30, -0.15, 0.05, -0.25])
_SEVERITY_DELTA = np.array([0.15, -0.05, 0.20, -0.15])


def _by_cluster(
    rng: np.random.Generator,
    cluster: Int[np.ndarray, " n"],
    shares: Float[np.ndarray, "clusters levels"],
    levels: tuple[str, ...],
) -> np.ndarray:
    above = rng.random(len(cluster))[:, None] > np.cumsum(shares, axis=1)[cluster]
    return np.array(levels, dtype=object)[np.minimum(above.sum(axis=1), len(levels) - 1)]


def _clustered_realistic(n: int, population: Population, rng: np.random.Generator) -> Drawn:
    """Four kinds of shoppers; treatment t treats cluster c as treatment 1 treats c - (t-1)."""
    cluster = rng.choice(len(_WEIGHTS), size=n, p=_WEIGHTS)
    recency = rng.normal(*_RECENCY[cluster].T)
    depth = rng.normal(*_DEPTH[cluster].T)
    features = pd.DataFrame(
        {
            "session_recency": recency,
            "browse_depth": depth,
            "device_type": _by_cluster(rng, cluster, _DEVICE, _DEVICES),
            "is_returning": rng.random(n) < _RETURNING[cluster],
            "channel": _by_cluster(rng, cluster, _CHANNEL, _CHANNELS),
            **_nuisance(n, population, rng),
        }
    )
    r = recency - _WEIGHTS @ _RECENCY[:, 0]
    d = depth - _WEIGHTS @ _DEPTH[:, 0]
    none = np.zeros(n)
    conversion_signal = np.column_stack([0.6 * r + 0.3 * r * d, -0.4 * d, 0.2 * d, -0.3 * r])
    severity_signal = np.column_stack([0.4 * d, none, 0.5 * d, none])
    p0, rows = population.baseline_rate, np.arange(n)
    shift, stretch = [], []
    for t, strength in enumerate(arm_strengths(population.n_arms)):
        profile = (cluster - t) % len(_WEIGHTS)
        target = np.minimum(p0 * (1 + strength * _CONVERSION_DELTA[profile]), 0.99)
        shift.append(logit(target) - logit(p0) + conversion_signal[rows, profile])
        stretch.append(strength * _SEVERITY_DELTA[profile] + severity_signal[rows, profile])
    return _planted(features, population, np.column_stack(shift), np.column_stack(stretch))


TEMPLATES: dict[str, Draw] = {
    "clustered_realistic": _clustered_realistic,
    "constant": _surface(lambda x: np.ones(len(x))),
    "reversal": _surface(_recency),
    "interaction_only": _surface(lambda x: _recency(x) * _depth(x)),
    "nonlinear": _surface(lambda x: 0.5 * _recency(x) ** 2 + 0.5 * _recency(x) * _depth(x)),
    "sparse_benefit": _sparse_benefit,
}
"""Known templates by name."""
