"""Two proportions by every classical test, for few conversions and for second opinions."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytyche_engine.classic.contrast import ArmEstimate, Contrast
from pytyche_engine.contracts.errors import DataError

FEWEST = 5
"""Visitors with and without it, in each arm, below which normal approximations are not used."""


@dataclass(frozen=True)
class TwoProportions:
    """A table of two arms by success and failure.

    Attributes:
        control_successes, control_n: of control.
        treatment_successes, treatment_n: of treatment.

    Raises:
        DataError: if a count is impossible.
    """

    control_successes: int
    control_n: int
    treatment_successes: int
    treatment_n: int

    def __post_init__(self) -> None:
        for arm, successes, n in (
            ("control", self.control_successes, self.control_n),
            ("treatment", self.treatment_successes, self.treatment_n),
        ):
            if n < 1 or not 0 <= successes <= n:
                raise DataError(
                    f"There are {successes} successes of {n} visitors in {arm}",
                    mend="Give at least one visitor, and no more successes than visitors.",
                )

    @property
    def counts(self) -> np.ndarray:
        """(2, 2) treatment first, successes first."""
        t, c = self.treatment_successes, self.control_successes
        return np.array([[t, self.treatment_n - t], [c, self.control_n - c]])

    @property
    def few(self) -> bool:
        """Whether normal approximations are doubtful."""
        return bool(self.counts.min() < FEWEST)

    @property
    def rates(self) -> tuple[float, float]:
        """Control's and treatment's rate."""
        return (
            self.control_successes / self.control_n,
            self.treatment_successes / self.treatment_n,
        )

    @property
    def wald(self) -> Contrast:
        """Difference with the rates' own variances ``p (1 - p)``."""
        c, t = self.rates
        variance = c * (1 - c) / self.control_n + t * (1 - t) / self.treatment_n
        return Contrast(t - c, float(np.sqrt(variance)))

    @property
    def pooled(self) -> Contrast:
        """Difference with the variance that a common rate would have (score test)."""
        n = self.control_n, self.treatment_n
        p = (self.control_successes + self.treatment_successes) / sum(n)
        return Contrast(
            self.rates[1] - self.rates[0], float(np.sqrt(p * (1 - p) * (1 / n[0] + 1 / n[1])))
        )

    @property
    def continuity(self) -> float:
        """Yates's correction of the difference."""
        return 0.5 * (1 / self.control_n + 1 / self.treatment_n)

    def chi_square_p(self, *, yates: bool = False) -> float | None:
        """Pearson's chi-square; None where nobody, or everybody, converted."""
        return self._contingency("pearson", yates)

    def log_likelihood_p(self, *, yates: bool = False) -> float | None:
        """G-test; None where nobody, or everybody, converted."""
        return self._contingency("log-likelihood", yates)

    def fisher_p(self) -> float:
        """Fisher's exact test, right for any counts."""
        from scipy.stats import fisher_exact

        return float(fisher_exact(self.counts).pvalue)

    def boschloo_p(self) -> float:
        """Boschloo's exact test: the smaller of both one-sided p-values, doubled, as scipy does."""
        from scipy.stats import boschloo_exact

        return float(boschloo_exact(self.counts.T, n=64).pvalue)

    def newcombe_interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Interval of the difference from Wilson's of each rate (Newcombe 1998)."""
        return self._interval("newcomb", alpha)

    def score_interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Interval of the difference by inverting the score test (Miettinen and Nurminen 1985)."""
        return self._interval("score", alpha)

    def arms(self) -> tuple[ArmEstimate, ArmEstimate]:
        """Control and treatment with variances ``p (1 - p)``."""
        c, t = self.rates
        return (
            ArmEstimate(self.control_n, c, c * (1 - c)),
            ArmEstimate(self.treatment_n, t, t * (1 - t)),
        )

    def _contingency(
        self, statistic: Literal["pearson", "log-likelihood"], yates: bool
    ) -> float | None:
        from scipy.stats import chi2_contingency

        counts = self.counts
        if not counts.sum(axis=0).all():
            return None
        return float(chi2_contingency(counts, correction=yates, lambda_=statistic).pvalue)

    def _interval(self, method: str, alpha: float) -> tuple[float, float]:
        from statsmodels.stats.proportion import confint_proportions_2indep

        # It also divides by control's rate, for a ratio that is not asked for.
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = confint_proportions_2indep(
                self.treatment_successes,
                self.treatment_n,
                self.control_successes,
                self.control_n,
                method=method,
                compare="diff",
                alpha=alpha,
            )
        return float(low), float(high)
