"""What decides that a fit may end: lifts of a sample of visitors and of halves of it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from pytyche_engine.bcf.diagnostics import ess, r_hat
from pytyche_engine.bcf.draws import Draws, evaluate
from pytyche_engine.bcf.layout import bucket
from pytyche_engine.bcf.state import Channel, LatentScale
from pytyche_engine.contracts.convergence import R_HAT_LIMIT

ROWS = 1000
"""Visitors that lifts are averaged over while sampling."""

ESS_TO_STOP = 200
"""Twice the limit that an analysis needs: all visitors' lifts differ a little from these."""

_HALVED = 3


@dataclass(frozen=True, eq=False)
class Monitor:
    """A sample of the visitors and the groups whose lifts are watched.

    Attributes:
        X: (p, m) their bins.
        weights: (m, G) each visitor's weight in each group's mean; group 0 is everyone, the
            others are halves by the columns that split them most evenly.
    """

    X: UInt8[np.ndarray, "p m"]
    weights: Float[np.ndarray, "m groups"]

    @classmethod
    def of(cls, X: UInt8[np.ndarray, "p n"]) -> "Monitor":
        """An evenly spaced sample of the visitors."""
        n = X.shape[1]
        X = X[:, np.linspace(0, n - 1, min(n, ROWS)).round().astype(int)]
        # Not the median: most visitors may share the upper one of two bins.
        upper = X.mean(axis=1, keepdims=True) < X
        evenness = np.abs(upper.mean(axis=1) - 0.5)
        halves = upper[np.argsort(evenness, kind="stable")[:_HALVED]]
        halves = halves[halves.any(axis=1)]
        groups = np.concatenate([np.ones((1, X.shape[1]), bool), halves, ~halves]).astype(float)
        return cls(X, (groups / groups.sum(axis=1, keepdims=True)).T)

    def lifts(
        self, draws: Draws, scale: LatentScale, channels: tuple[Channel, ...]
    ) -> Float[np.ndarray, "draws groups treatments"]:
        """Each group's mean lift over control, money."""
        m = self.X.shape[1]
        # A bucket's shape, so that few visitors more compile nothing.
        surfaces = evaluate(draws, np.pad(self.X, ((0, 0), (0, bucket(m) - m))), scale, channels)
        rpv = (surfaces.conversion * surfaces.severity)[:, :, :m]
        rpv = np.einsum("skn,ng->sgk", rpv, self.weights, optimize=True)
        return rpv[:, :, 1:] - rpv[:, :, :1]


def passed(chains: Float[np.ndarray, "chains draws groups treatments"]) -> bool:
    """Whether every lift meets R_HAT_LIMIT and everyone's have ESS_TO_STOP."""
    flat = chains.reshape(*chains.shape[:2], -1)
    treatments = chains.shape[3]
    return all(r_hat(flat[:, :, i]) <= R_HAT_LIMIT for i in range(flat.shape[2])) and all(
        ess(flat[:, :, i]) >= ESS_TO_STOP for i in range(treatments)
    )
