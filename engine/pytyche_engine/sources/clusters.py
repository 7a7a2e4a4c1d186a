"""Populations of a few kinds of visitors, each with a response of its own.

What is seen of a visitor are noisy signs of the kind. Numbers as published with pytyche 0.2.1's
templates ``clustered``, ``clustered_realistic`` and ``clustered_complex``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from pytyche_engine.contracts.errors import DesignError

Signal = Mapping[str, float]
"""Sizes of terms: centred recency ``"r"`` and depth ``"d"``, ``"rd"``, ``"dd"``, ``"channel"``."""

_BY_CHANNEL = {"paid": 0.8, "organic": -0.2, "social": -0.3}
"""The term ``"channel"``; other channels have none."""


def evaluate_signal(
    signal: Signal,
    r: Float[np.ndarray, " n"],
    d: Float[np.ndarray, " n"],
    channel: pd.Series,
) -> Float[np.ndarray, " n"]:
    """(n,) the sum of a signal's terms.

    Args:
        signal: which terms, and how large.
        r: recency, centred.
        d: depth, centred.
        channel: names of channels.
    """
    total = np.zeros(len(r))
    for term, size in signal.items():
        match term:
            case "r":
                total = total + size * r
            case "d":
                total = total + size * d
            case "rd":
                total = total + size * r * d
            case "dd":
                total = total + size * d**2
            case "channel":
                total = total + size * channel.map(_BY_CHANNEL).fillna(0.0).to_numpy(dtype=float)
            case _:
                raise DesignError(f"Unknown term '{term}' of a signal.")
    return total


@dataclass(frozen=True)
class Cluster:
    """One kind of visitors.

    Attributes:
        share: of all visitors.
        recency, depth: mean and standard deviation of ``session_recency`` and ``browse_depth``.
        devices: shares of `Clusters.devices`.
        returning: share of returning visitors.
        channels: shares of `Clusters.channels`.
        conversion: relative effect on converting, at effect scale 1.
        severity: relative effect on the mean order.
        conversion_signal: what is added to the logit's effect, by visitor.
        severity_signal: what is added to the relative effect on the mean order, by visitor.
    """

    share: float
    recency: tuple[float, float]
    depth: tuple[float, float]
    devices: tuple[float, ...]
    returning: float
    channels: tuple[float, ...]
    conversion: float
    severity: float
    conversion_signal: Signal = field(default_factory=dict)
    severity_signal: Signal = field(default_factory=dict)


@dataclass(frozen=True)
class Clusters:
    """All kinds of visitors of a population; shares add up to 1."""

    kinds: tuple[Cluster, ...]
    devices: tuple[str, ...]
    channels: tuple[str, ...]


_DEVICES = ("mobile", "desktop", "tablet")
_CHANNELS = ("organic", "direct", "paid", "social", "email")

TWO = Clusters(
    kinds=(
        Cluster(
            share=0.6,
            recency=(1.5, 1.0),
            depth=(3.0, 1.0),
            devices=(0.60, 0.25, 0.10, 0.05),
            returning=0.45,
            channels=(0.30, 0.40, 0.20, 0.10, 0.0),
            conversion=0.60,
            severity=0.15,
            conversion_signal={"r": 0.5},
            severity_signal={"r": 0.3},
        ),
        Cluster(
            share=0.4,
            recency=(-1.5, 1.0),
            depth=(1.5, 1.0),
            devices=(0.20, 0.60, 0.15, 0.05),
            returning=0.20,
            channels=(0.25, 0.15, 0.45, 0.15, 0.0),
            conversion=-0.50,
            severity=-0.15,
            conversion_signal={"r": -0.3},
            severity_signal={"r": -0.2},
        ),
    ),
    devices=(*_DEVICES, "other"),
    channels=_CHANNELS,
)
"""Recent visitors who gain and old ones who lose."""

FOUR = Clusters(
    kinds=(
        Cluster(  # loyal, mobile
            share=0.30,
            recency=(2.5, 0.8),
            depth=(4.5, 1.5),
            devices=(0.75, 0.15, 0.10),
            returning=0.70,
            channels=(0.50, 0.30, 0.15, 0.05, 0.0),
            conversion=0.30,
            severity=0.15,
            conversion_signal={"r": 0.6, "rd": 0.3},
            severity_signal={"d": 0.4},
        ),
        Cluster(  # new, desktop
            share=0.25,
            recency=(1.0, 1.2),
            depth=(2.5, 1.5),
            devices=(0.20, 0.70, 0.10),
            returning=0.15,
            channels=(0.35, 0.0, 0.35, 0.20, 0.10),
            conversion=-0.15,
            severity=-0.05,
            conversion_signal={"d": -0.4},
        ),
        Cluster(  # deal seekers
            share=0.25,
            recency=(0.5, 1.5),
            depth=(5.0, 2.0),
            devices=(0.45, 0.40, 0.15),
            returning=0.40,
            channels=(0.15, 0.0, 0.45, 0.10, 0.30),
            conversion=0.05,
            severity=0.20,
            conversion_signal={"d": 0.2},
            severity_signal={"d": 0.5},
        ),
        Cluster(  # inactive
            share=0.20,
            recency=(-1.5, 1.0),
            depth=(1.0, 0.8),
            devices=(0.35, 0.50, 0.15),
            returning=0.20,
            channels=(0.60, 0.0, 0.10, 0.25, 0.05),
            conversion=-0.25,
            severity=-0.15,
            conversion_signal={"r": -0.3},
        ),
    ),
    devices=_DEVICES,
    channels=_CHANNELS,
)
"""Four kinds of shoppers."""

SIX = Clusters(
    kinds=(
        replace(
            FOUR.kinds[0],
            share=0.25,
            conversion=0.35,
            severity=0.20,
            conversion_signal={"r": 0.6, "rd": 0.4},
            severity_signal={"d": 0.5},
        ),
        replace(
            FOUR.kinds[1],
            share=0.20,
            conversion=-0.20,
            severity=-0.10,
            conversion_signal={"d": -0.5, "dd": 0.1},
        ),
        replace(
            FOUR.kinds[2],
            share=0.20,
            conversion=0.10,
            severity=0.25,
            conversion_signal={"d": 0.3, "channel": 0.4},
            severity_signal={"d": 0.6},
        ),
        replace(
            FOUR.kinds[3],
            share=0.15,
            conversion=-0.30,
            severity=-0.20,
            conversion_signal={"r": -0.4},
        ),
        Cluster(  # premium, tablet
            share=0.12,
            recency=(1.5, 1.0),
            depth=(2.0, 1.0),
            devices=(0.15, 0.20, 0.65),
            returning=0.60,
            channels=(0.30, 0.50, 0.15, 0.0, 0.05),
            conversion=0.25,
            severity=0.30,
            conversion_signal={"rd": 0.5},
            severity_signal={"dd": 0.2},
        ),
        Cluster(  # browsing on social media
            share=0.08,
            recency=(0.0, 1.5),
            depth=(6.0, 2.5),
            devices=(0.60, 0.25, 0.15),
            returning=0.25,
            channels=(0.15, 0.0, 0.10, 0.70, 0.05),
            conversion=0.02,
            severity=-0.10,
            conversion_signal={"d": -0.3},
            severity_signal={"d": -0.4},
        ),
    ),
    devices=_DEVICES,
    channels=_CHANNELS,
)
"""Six kinds of shoppers, and every form of response."""
