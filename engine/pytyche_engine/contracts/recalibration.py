"""Posterior draws stretched so that intervals hold the truth as often as they say."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.estimates import Estimate

Recalibrated = Literal["ate", "gate"]
"""Lifts of everyone and of groups that nobody chose by the data; lifts of segments found."""


@dataclass(frozen=True)
class Correction:
    """A monotone map of z.

    Attributes:
        levels: nominal levels.
        own: |z| that the draws' central intervals reach at these levels.
        needed: |z| that they have to reach.
        n_intervals: how many reported intervals it was learned on.
    """

    levels: tuple[float, ...]
    own: tuple[float, ...]
    needed: tuple[float, ...]
    n_intervals: int

    def __call__(self, z: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """What z becomes, where z is (value - mean) / sd of a posterior.

        Between levels it is interpolated; beyond the last one and below the first one the
        nearest one's factor holds. It is strictly increasing, and odd.
        """
        size = np.abs(z)
        inside = np.interp(size, (0.0, *self.own), (0.0, *self.needed))
        beyond = size * (self.needed[-1] / self.own[-1])
        return np.sign(z) * np.where(size > self.own[-1], beyond, inside)

    def factor(self, level: float) -> float:
        """By how much an interval of this level grows."""
        return float(np.interp(level, self.levels, np.divide(self.needed, self.own)))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "levels": list(self.levels),
            "own": list(self.own),
            "needed": list(self.needed),
            "n_intervals": self.n_intervals,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Correction":
        """The inverse of `to_dict`.

        Raises:
            ValueError: if it is no increasing map.
        """
        levels, own, needed = (tuple(map(float, value[k])) for k in ("levels", "own", "needed"))
        rises = all(np.diff((0.0, *v)).min() > 0 for v in (levels, own, needed))
        if not (len(levels) == len(own) == len(needed) > 0 and rises):
            raise ValueError("a correction that does not increase")
        return cls(levels, own, needed, int(value["n_intervals"]))


@dataclass(frozen=True)
class Recalibration:
    """What is done to the draws of a round, and so to all that follows from them.

    Attributes:
        name: of the artifact that it comes from.
        ate: for average lifts.
        gate: for lifts in segments.
        value: for what targeting is worth; None leaves it as it is.
    """

    name: str
    ate: Correction
    gate: Correction
    value: Correction | None

    def lifts(self, draws: GroupDraws, quantity: Recalibrated) -> GroupDraws:
        """Draws whose lifts over control are recalibrated.

        A draw ``d`` of a lift with posterior mean ``m`` and standard deviation ``s`` becomes
        ``m + s c((d - m) / s)``. The map rises, so that draws keep their order, and what is
        joint between arms and groups stays joint. Control is as it was. Half of a move is put
        down to conversion and half to severity, which keeps their sum the lift.
        """
        correction = self.ate if quantity == "ate" else self.gate
        lift = draws.lift.astype(np.float64)
        mean, sd = lift.mean(axis=0), lift.std(axis=0)
        z = np.divide(lift - mean, sd, out=np.zeros_like(lift), where=sd > 0)
        moved = mean + sd * correction(z) - lift
        return replace(
            draws,
            rpv=draws.rpv + moved,
            conversion_part=draws.conversion_part + moved / 2,
            severity_part=draws.severity_part + moved / 2,
        )

    def worth(self, value: Estimate) -> Estimate:
        """What targeting is worth, an estimate with a normal distribution, recalibrated."""
        if self.value is None:
            return value
        z = float(ndtri((1 + value.level) / 2))
        half = float(self.value(np.array(z))) * value.sd
        return replace(value, low=value.mean - half, high=value.mean + half, sd=half / z)
