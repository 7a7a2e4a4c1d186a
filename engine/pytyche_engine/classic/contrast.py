"""Two arms compared: difference, standard error, p-value, interval, power."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import nctdtr, ndtr, ndtri, stdtr, stdtrit

Alternative = Literal["two-sided", "greater", "less"]


@dataclass(frozen=True)
class ArmEstimate:
    """What one arm does.

    Attributes:
        n: visitors.
        mean: its mean, rate or ratio.
        variance: of one visitor, so that ``variance / n`` is that of the mean.
    """

    n: int
    mean: float
    variance: float


@dataclass(frozen=True)
class Contrast:
    """A difference and how well it is known.

    Attributes:
        estimate: treatment less control.
        std_error: its standard error.
        dof: degrees of freedom of the t distribution; inf for the normal one.
    """

    estimate: float
    std_error: float
    dof: float = np.inf

    def p_value(self, alternative: Alternative = "two-sided", null: float = 0.0) -> float | None:
        """Probability of a difference this far from `null`, from the tail itself.

        One minus the distribution function would be 0 beyond 8 standard errors. Without any
        variance there is nothing to tell chance from: 1 where the difference is `null`, else
        None.
        """
        distance = self.estimate - null
        if not self.std_error > 0:
            return 1.0 if distance == 0 else None
        t = distance / self.std_error
        if alternative == "two-sided":
            return 2 * self._below(-abs(t))
        return self._below(-t if alternative == "greater" else t)

    def interval(
        self, alpha: float = 0.05, alternative: Alternative = "two-sided"
    ) -> tuple[float, float]:
        """Interval of level ``1 - alpha``, open on the side that `alternative` points to."""
        half = self.critical(alpha if alternative != "two-sided" else alpha / 2) * self.std_error
        low = -np.inf if alternative == "less" else self.estimate - half
        high = np.inf if alternative == "greater" else self.estimate + half
        return low, high

    def critical(self, tail: float) -> float:
        """The value that is exceeded with probability `tail`."""
        return float(-ndtri(tail) if np.isinf(self.dof) else -stdtrit(self.dof, tail))

    def power(self, alpha: float = 0.05) -> float | None:
        """Probability that a two-sided test finds an effect as large as the one seen.

        By the noncentral t distribution. It is a function of the p-value and says nothing
        more: to plan, use `power.plan_means`. None where there is no variance.
        """
        if not self.std_error > 0:
            return None
        away, limit = abs(self.estimate) / self.std_error, self.critical(alpha / 2)
        if np.isinf(self.dof) or self.dof > 1e5:
            return float(ndtr(away - limit) + ndtr(-away - limit))
        # nctdtr loses its way far out, where there is nothing left to add.
        if away - limit > 8:
            return 1.0
        return float(1 - nctdtr(self.dof, away, limit) + nctdtr(self.dof, away, -limit))

    def _below(self, t: float) -> float:
        return float(ndtr(t) if np.isinf(self.dof) else stdtr(self.dof, t))


def welch(control: ArmEstimate, treatment: ArmEstimate) -> Contrast:
    """Difference of two means with variances of their own (Welch 1938, Satterthwaite 1946).

    Args:
        control: what control does.
        treatment: what the treatment does.
    """
    parts = (control.variance / control.n, treatment.variance / treatment.n)
    variance = sum(parts)
    dof = np.inf
    if variance > 0:
        dof = variance**2 / (parts[0] ** 2 / (control.n - 1) + parts[1] ** 2 / (treatment.n - 1))
    return Contrast(treatment.mean - control.mean, float(np.sqrt(variance)), float(dof))
