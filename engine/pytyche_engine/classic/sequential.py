"""Tests that hold at every look: the mixture SPRT and its confidence sequences.

One engine under several names. With V the estimated variance of the difference d, and a
N(0, tau^2) mixture over true differences,

    log L = 1/2 log(V / (V + tau^2)) + tau^2 d^2 / (2 V (V + tau^2))

(Johari, Pekelis and Walsh 2015, arXiv:1512.04922, for two samples of any sizes and variances).
Under no difference L exceeds ``1 / alpha`` at any look with probability alpha at most, so
``min 1 / L`` over looks is an always-valid p-value, and what it does not reject is a confidence
sequence. Everything stays in logs: L itself overflows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import betaln, log_ndtr

from pytyche_engine.classic.contrast import Contrast
from pytyche_engine.contracts.errors import DesignError

FEWEST_VISITORS = 100
"""Visitors of each arm before which no verdict is given: variances are estimated (Bibaut, Kallus
and Lindon 2022, arXiv:2212.14411: the guarantee is one of large samples)."""

FEWEST_CONVERSIONS = 10
"""The same for conversions."""


@dataclass(frozen=True)
class MixtureTest:
    """The test, fixed before the first look.

    Attributes:
        tau: standard deviation of the mixture over true differences, in the metric's unit.
            The interval is shortest for differences of about its size. Its choice is
            forgiving: within .6 to 1.3 times the best one, it costs a few per cent of visitors.
        alpha: probability of a false positive at any look.

    Raises:
        DesignError: if tau is not positive, or alpha no probability.
    """

    tau: float
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not (np.isfinite(self.tau) and self.tau > 0):
            raise DesignError(f"tau is {self.tau}; use the size of an effect that matters.")
        if not 0 < self.alpha < 1:
            raise DesignError(f"alpha is {self.alpha}; use a number between 0 and 1.")

    @classmethod
    def for_mde(cls, baseline: float, relative_mde: float, alpha: float = 0.05) -> "MixtureTest":
        """With tau the smallest effect that matters, as a share of control's mean.

        Args:
            baseline: control's mean as it is known before the first look.
            relative_mde: e.g. 0.05 for 5 %.
            alpha: probability of a false positive at any look.
        """
        return cls(abs(baseline) * relative_mde, alpha)

    @classmethod
    def tightest_at(
        cls, visitors: float, contrast: Contrast, n: float, alpha: float = 0.05
    ) -> "MixtureTest":
        """With the interval shortest at a number of visitors (Waudby-Smith et al. 2024, eq. 9).

        Args:
            visitors: that number, both arms together.
            contrast: a difference seen at `n` visitors, for its standard error.
            n: how many.
            alpha: probability of a false positive at any look.
        """
        return cls(
            float(np.sqrt(mixture_precision(alpha) / visitors * n)) * contrast.std_error, alpha
        )

    @property
    def threshold(self) -> float:
        """What log L has to reach."""
        return float(-np.log(self.alpha))

    def log_lr(
        self,
        difference: Float[np.ndarray, "*looks"] | float,
        variance: Float[np.ndarray, "*looks"] | float,
    ) -> Float[np.ndarray, "*looks"]:
        """Log L of differences with variances of the difference; 0 where there is no variance."""
        v = np.asarray(variance, dtype=float)
        known = v > 0
        v, t2 = np.where(known, v, 1.0), self.tau**2
        value = 0.5 * np.log(v / (v + t2)) + t2 * np.square(difference) / (2 * v * (v + t2))
        return np.where(known, value, 0.0)

    def half_width(
        self, variance: Float[np.ndarray, "*looks"] | float
    ) -> Float[np.ndarray, "*looks"]:
        """Half the width of the confidence sequence; inf where there is no variance."""
        v = np.asarray(variance, dtype=float)
        known = v > 0
        v, t2 = np.where(known, v, 1.0), self.tau**2
        half = np.sqrt(v * (v + t2) / t2 * (2 * self.threshold + np.log1p(t2 / v)))
        return np.where(known, half, np.inf)

    def interval(self, contrast: Contrast) -> tuple[float, float]:
        """The confidence sequence at one look."""
        half = float(self.half_width(contrast.std_error**2))
        return contrast.estimate - half, contrast.estimate + half

    def lower_limit(self, contrast: Contrast) -> float:
        """A one-sided confidence sequence: the difference is above it at all looks.

        By the mixture over positive differences alone, for guardrails and non-inferiority.
        """
        from scipy.optimize import brentq

        v, t2 = contrast.std_error**2, self.tau**2
        if not v > 0:
            return -np.inf

        def excess(x: float) -> float:
            two_sided = float(self.log_lr(x, v))
            tail = float(log_ndtr(self.tau * x / np.sqrt(v * (v + t2))))
            return two_sided + np.log(2) + tail - self.threshold

        return contrast.estimate - float(
            brentq(excess, 0.0, 2 * float(self.half_width(v)), xtol=1e-14)
        )

    def watch(self, looks: Sequence[Contrast]) -> "Watched":
        """All looks so far, in order."""
        differences = np.array([look.estimate for look in looks])
        variances = np.array([look.std_error**2 for look in looks])
        return Watched.of(
            self, differences, self.log_lr(differences, variances), self.half_width(variances)
        )


@dataclass(frozen=True, eq=False)
class Watched:
    """A difference over its looks.

    Attributes:
        test: the test.
        log_lr: (looks,) log L.
        p_values: (looks,) always-valid p-values: they never rise, so that a decision once
            taken stays.
        intervals: (looks, 2) confidence sequence.
        decided_at: index of the first look that rejects; None as long as none does.
    """

    test: MixtureTest
    log_lr: Float[np.ndarray, " looks"]
    p_values: Float[np.ndarray, " looks"]
    intervals: Float[np.ndarray, "looks 2"]
    decided_at: int | None

    @classmethod
    def of(
        cls,
        test: MixtureTest,
        differences: Float[np.ndarray, " looks"],
        log_lr: Float[np.ndarray, " looks"],
        half_width: Float[np.ndarray, " looks"],
    ) -> "Watched":
        """The looks of a test, from what each of them found."""
        p_values = always_valid_p(log_lr)
        crossed = np.flatnonzero(p_values <= test.alpha)
        return cls(
            test,
            log_lr,
            p_values,
            np.stack([differences - half_width, differences + half_width], axis=-1),
            int(crossed[0]) if crossed.size else None,
        )


def always_valid_p(
    log_lr: Float[np.ndarray, "*streams looks"],
) -> Float[np.ndarray, "*streams looks"]:
    """Always-valid p-values after each look, ``min(1, 1 / max L so far)``."""
    p: Float[np.ndarray, "*streams looks"] = np.exp(
        -np.maximum.accumulate(np.maximum(log_lr, 0.0), axis=-1)
    )
    return p


def mixture_precision(alpha: float) -> float:
    """Ratio of V to tau^2 at which the interval is shortest for its tau, nearly.

    ``-2 log alpha + log(1 - 2 log alpha)`` (Howard et al. 2021, eq. 3.20 and appendix).
    """
    return float(-2 * np.log(alpha) + np.log1p(-2 * np.log(alpha)))


def rate_interval(
    successes: int, n: int, alpha: float = 0.05, shortest_at: float = 1000
) -> tuple[float, float]:
    """Confidence sequence of one rate, exact for any number of visitors.

    Beta-binomial mixture (Howard et al. 2021): each rate p is tested with a Beta prior around
    it, whose weight makes the interval shortest at about `shortest_at` visitors.

    Args:
        successes: converted visitors so far.
        n: all visitors so far.
        alpha: error over all looks.
        shortest_at: visitors at which it should be shortest.

    Examples:
        >>> low, high = rate_interval(30, 1_000)
        >>> round(low, 3), round(high, 3)
        (0.016, 0.049)
    """
    from scipy.optimize import brentq

    weight = max(shortest_at / mixture_precision(alpha) - 1, 1e-3)

    def excess(p: float) -> float:
        a, b = weight * p, weight * (1 - p)
        likelihood = successes * np.log(p) + (n - successes) * np.log1p(-p)
        return float(
            betaln(a + successes, b + n - successes) - betaln(a, b) - likelihood + np.log(alpha)
        )

    rate, edge = successes / n, 1e-12
    low = brentq(excess, edge, min(rate, 1 - edge)) if successes and excess(edge) > 0 else 0.0
    high = (
        brentq(excess, max(rate, edge), 1 - edge) if successes < n and excess(1 - edge) > 0 else 1.0
    )
    return float(low), float(high)
