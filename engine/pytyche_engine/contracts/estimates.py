"""A point estimate and its interval, always together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.money import signed

INTERVAL_LEVEL = 0.80
"""Default level of every credible interval that is shown."""


@dataclass(frozen=True)
class Estimate:
    """One estimand: its posterior mean and a central credible interval.

    The interval contains the mean by construction: for a posterior so skewed that its
    mean lies outside the central interval, the nearer end is moved to the mean.

    Attributes:
        mean: posterior mean, in the estimand's unit.
        low, high: ends of the interval.
        level: its level, e.g. 0.80.
        sd: posterior standard deviation.
    """

    mean: float
    low: float
    high: float
    sd: float
    level: float = INTERVAL_LEVEL

    @classmethod
    def from_draws(cls, draws: Float[np.ndarray, " draws"], level: float = INTERVAL_LEVEL) -> Self:
        """Summarise posterior draws of one quantity."""
        mean = float(np.mean(draws))
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
        return cls(
            mean=mean,
            low=min(float(low), mean),
            high=max(float(high), mean),
            sd=float(np.std(draws)),
            level=level,
        )

    def text(self, write: Callable[[float], str] = signed) -> str:
        """The mean and the interval's ends, e.g. ``+0.1526 [+0.0120, +0.2931]``.

        Args:
            write: how one number is written, such as `amount` or `percent` of `contracts.money`.
        """
        return f"{write(self.mean)} [{write(self.low)}, {write(self.high)}]"

    def times(self, factor: float) -> Self:
        """The same quantity in units of which `factor`, 0 or more, go into one."""
        return type(self)(
            self.mean * factor, self.low * factor, self.high * factor, self.sd * factor, self.level
        )
