"""Bounds for a fixed number of looks, by exact integration."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from pytyche_engine.contracts.errors import DesignError

_NODES = np.polynomial.legendre.leggauss(400)


def _obrien_fleming(t: np.ndarray, alpha: float) -> np.ndarray:
    # Each side spends alpha / 2.
    return 4 * ndtr(ndtri(alpha / 4) / np.sqrt(t))


def _pocock(t: np.ndarray, alpha: float) -> np.ndarray:
    return alpha * np.log1p(math.expm1(1.0) * t)


SPENDING: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "obrien_fleming": _obrien_fleming,
    "pocock": _pocock,
}
"""Error spent by an information fraction (Lan and DeMets 1983). A power of it is a number."""


@dataclass(frozen=True)
class GroupSequentialDesign:
    """A plan of looks, fixed before the first one.

    Two-sided: a look rejects when its z statistic is beyond its bound on either side.

    Attributes:
        information: for each look the share of the final information (visitors) that it has,
            rising to 1 at most.
        alpha: probability of a false positive over all looks.
        spending: ``"obrien_fleming"`` (nearly nothing early), ``"pocock"`` (evenly), or a power
            rho of the information fraction (Kim and DeMets 1987).

    Raises:
        DesignError: if fractions do not rise, or there is no such spending.
    """

    information: tuple[float, ...]
    alpha: float = 0.05
    spending: str | float = "obrien_fleming"

    def __post_init__(self) -> None:
        t = np.asarray(self.information, dtype=float)
        if not len(t) or t[0] <= 0 or t[-1] > 1 + 1e-12 or (np.diff(t) <= 0).any():
            raise DesignError(
                f"Information fractions are {self.information}; they have to rise from above 0 "
                "to 1 at most."
            )
        if not 0 < self.alpha < 1:
            raise DesignError(f"alpha is {self.alpha}; use a number between 0 and 1.")
        if isinstance(self.spending, str):
            if self.spending not in SPENDING:
                raise DesignError(
                    f"There is no spending {self.spending!r}; use one of {', '.join(SPENDING)}, "
                    "or a power as a number."
                )
        elif not self.spending > 0:
            raise DesignError(f"The power of spending is {self.spending}; use one above 0.")

    @cached_property
    def spent(self) -> Float[np.ndarray, " looks"]:
        """Error spent up to each look."""
        t = np.asarray(self.information, dtype=float)
        if isinstance(self.spending, str):
            return SPENDING[self.spending](t, self.alpha)
        return self.alpha * t**self.spending

    @cached_property
    def z_bounds(self) -> Float[np.ndarray, " looks"]:
        """The bound of each look.

        Scores at information t are a Brownian motion. Its density among those that have not
        stopped is carried from look to look by Gauss-Legendre quadrature over the
        continuation region (Armitage, McPherson and Rowe 1969), and each bound is where the
        look's own share of the error is left outside.
        """
        from scipy.optimize import brentq

        t = np.asarray(self.information, dtype=float)
        share = np.diff(self.spent, prepend=0.0)
        bounds = np.empty(len(t))
        score, mass = np.zeros(1), np.ones(1)  # no visitors yet: no score
        before = 0.0
        for look, now in enumerate(t):
            sd = np.sqrt(now - before)

            def outside(
                z: float,
                score: np.ndarray = score,
                mass: np.ndarray = mass,
                sd: float = sd,
                now: float = now,
            ) -> float:
                b = z * np.sqrt(now)
                return float(mass @ (ndtr((-b - score) / sd) + ndtr((score - b) / sd)))

            def missing(
                z: float, spend: float = share[look], outside: Callable[[float], float] = outside
            ) -> float:
                return np.log(max(outside(z), 1e-300)) - np.log(max(spend, 1e-300))

            bounds[look] = brentq(missing, 0.0, 37.0, xtol=1e-10)
            edge = bounds[look] * np.sqrt(now)
            # Further out there is nobody.
            edge = min(edge, 9 * np.sqrt(now))
            nodes = edge * _NODES[0]
            kernel = np.exp(-0.5 * ((nodes[:, None] - score) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
            score, mass = nodes, edge * _NODES[1] * (kernel @ mass)
            before = now
        return bounds

    def decided_at(self, z: Sequence[float]) -> int | None:
        """Index of the first look that rejects, of those that were made; None if none does.

        Raises:
            DesignError: if there are more looks than were planned.
        """
        if len(z) > len(self.information):
            raise DesignError(f"{len(z)} looks were made, {len(self.information)} planned.")
        beyond = np.flatnonzero(np.abs(np.asarray(z)) >= self.z_bounds[: len(z)])
        return int(beyond[0]) if beyond.size else None
