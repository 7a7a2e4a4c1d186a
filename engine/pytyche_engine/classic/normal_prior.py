"""A difference with a normal prior: shrunken lift, chance to win, risk."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from pytyche_engine.classic.contrast import Contrast


@dataclass(frozen=True)
class NormalPosterior:
    """What is believed of a difference after it was estimated.

    Attributes:
        mean, sd: of the normal posterior.
    """

    mean: float
    sd: float

    @classmethod
    def of(
        cls, contrast: Contrast, prior_mean: float = 0.0, prior_sd: float = np.inf
    ) -> "NormalPosterior":
        """Combine an estimate with a prior; an infinite `prior_sd` is a flat one."""
        precision = 1 / contrast.std_error**2, 1 / prior_sd**2
        total = sum(precision)
        mean = (contrast.estimate * precision[0] + prior_mean * precision[1]) / total
        return cls(mean, float(np.sqrt(1 / total)))

    @property
    def chance_to_win(self) -> float:
        """Probability that treatment is better."""
        return float(ndtr(self.mean / self.sd))

    @property
    def risk_of_treatment(self) -> float:
        """What is lost on average by taking treatment: the mean of how much control is better."""
        return self.risk_of_control - self.mean

    @property
    def risk_of_control(self) -> float:
        """What is lost on average by staying with control."""
        z = self.mean / self.sd
        density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
        return float(self.sd * density + self.mean * ndtr(z))

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Central credible interval."""
        return Contrast(self.mean, self.sd).interval(alpha)
