"""Comparing arms whose shares followed what was seen.

Pooled means are no good there: an arm that was unlucky early is hardly shown again, and when
the level of all arms drifts, arms that had their visitors at different times differ for that alone
(with a drift from 10 to 20 % a pooled mSPRT "found" a difference in 9 of 10 A/A tests). What was
served is known, so each period is estimated by itself with its recorded shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pytyche_engine.classic.contrast import Contrast
from pytyche_engine.classic.sequential import MixtureTest, Watched
from pytyche_engine.contracts.errors import DesignError


@dataclass(frozen=True, eq=False)
class Periods:
    """Periods of constant shares, in order; the leading axes may be many streams.

    Attributes:
        shares: (..., periods, K) probabilities that visitors of the period had of each arm, as
            recorded when they were served.
        visitors: (..., periods, K) of each arm.
        sums: (..., periods, K) of their outcomes.
        squares: (..., periods, K) of their outcomes squared; for 0 and 1 the sums again.

    Raises:
        DesignError: if shapes differ, shares are no probabilities, or an arm has visitors in a
            period in which nobody could get it.
    """

    shares: Float[np.ndarray, "*streams periods arms"]
    visitors: Float[np.ndarray, "*streams periods arms"]
    sums: Float[np.ndarray, "*streams periods arms"]
    squares: Float[np.ndarray, "*streams periods arms"]

    def __post_init__(self) -> None:
        shapes = {np.shape(x) for x in (self.shares, self.visitors, self.sums, self.squares)}
        if len(shapes) > 1 or len(shape := shapes.pop()) < 2 or shape[-1] < 2:
            raise DesignError("Shares, visitors, sums and squares need the shape (periods, arms).")
        if (self.shares < 0).any() or not np.allclose(self.shares.sum(axis=-1), 1, atol=1e-6):
            raise DesignError(
                "Shares of a period are below 0 or do not add up to 1; they add up to "
                f"{self.shares.sum(axis=-1).min():g} to {self.shares.sum(axis=-1).max():g}."
            )
        if (self.visitors[self.shares <= 0] > 0).any():
            *_, period, arm = np.argwhere((self.visitors > 0) & (self.shares <= 0))[0]
            raise DesignError(
                f"Arm {arm} has visitors in period {period}, in which its share was 0. Give the "
                "share that it was served with."
            )

    @classmethod
    def of_counts(
        cls,
        shares: Sequence[Sequence[float]],
        visitors: Sequence[Sequence[int]],
        successes: Sequence[Sequence[int]],
    ) -> "Periods":
        """Of conversions."""
        s = np.asarray(successes, dtype=float)
        return cls(np.asarray(shares, dtype=float), np.asarray(visitors, dtype=float), s, s)


@dataclass(frozen=True, eq=False)
class AipwPath:
    """A treatment's difference to control after each period.

    Attributes:
        score: (..., periods) weighted sums of scores; a martingale less its mean.
        variance: (..., periods) its variance.
        weight: (..., periods) sums of weights, so that ``score / weight`` is the difference.
    """

    score: Float[np.ndarray, "*streams periods"]
    variance: Float[np.ndarray, "*streams periods"]
    weight: Float[np.ndarray, "*streams periods"]

    @property
    def difference(self) -> Float[np.ndarray, "*streams periods"]:
        """Estimates after each period; 0 as long as nothing is known."""
        return self.score / np.where(self.weight > 0, self.weight, 1.0)

    def contrasts(self) -> tuple[Contrast, ...]:
        """Estimates and standard errors after each period, of a single stream."""
        sds = self._per_weight(np.sqrt(self.variance))
        return tuple(
            Contrast(float(d), float(sd)) for d, sd in zip(self.difference, sds, strict=True)
        )

    def log_lr(self, test: MixtureTest) -> Float[np.ndarray, "*streams periods"]:
        """Log of the mixture e-process after each period.

        ``-1/2 log(1 + tau^2 V) + tau^2 S^2 / (2 (1 + tau^2 V))`` for the sum S with variance V
        (Robins 1970's normal mixture). With weights of inverse variance, V is their sum and
        this is the mSPRT of the difference.
        """
        scaled = 1 + test.tau**2 * self.variance
        return -0.5 * np.log(scaled) + test.tau**2 * self.score**2 / (2 * scaled)

    def watch(self, test: MixtureTest) -> Watched:
        """The looks after each period, of a single stream."""
        scaled = 1 + test.tau**2 * self.variance
        half = np.sqrt(scaled / test.tau**2 * (2 * test.threshold + np.log(scaled)))
        return Watched.of(test, self.difference, self.log_lr(test), self._per_weight(half))

    def _per_weight(
        self, spread: Float[np.ndarray, "*streams periods"]
    ) -> Float[np.ndarray, "*streams periods"]:
        """A spread of the sum as one of the difference; inf as long as nothing is known."""
        known = self.weight > 0
        return np.where(known, spread / np.where(known, self.weight, 1.0), np.inf)


def aipw_path(periods: Periods, treatment: int = 1, control: int = 0) -> AipwPath:
    """Difference of two arms from recorded shares, period by period (AIPW).

    A visitor's score is ``m_t - m_c + [arm = t] (y - m_t) / e_t - [arm = c] (y - m_c) / e_c`` with
    the recorded shares e of the period and m what was known of the outcome before it: the mean
    of the period before, of all arms together; the first period has nothing before it and counts
    for nothing. Given the past its mean is the period's true difference, whatever the shares
    follow and wherever the level drifts; m only takes variance away. Periods weigh by the inverse
    of the variance that they are expected to have, known beforehand too (Hadad et al. 2021;
    Bibaut, Kallus and Lindon 2022 for the sequence).

    Args:
        periods: what was served and seen.
        treatment: position of the arm to compare.
        control: position of the arm to compare with.

    Raises:
        DesignError: if one of them could not be got in a period.
    """
    shares, n = np.asarray(periods.shares), np.asarray(periods.visitors)
    pair = [treatment, control]
    if (shares[..., pair] <= 0).any():
        raise DesignError(
            "An arm's share is 0 in a period; compare periods in which it was served."
        )
    total = n.sum(axis=-1)
    seen = np.maximum(total, 1)
    mean = periods.sums.sum(axis=-1) / seen
    spread = np.maximum(periods.squares.sum(axis=-1) / seen - mean**2, 0.0)
    # What was known before each period; before the first one nothing.
    baseline = np.concatenate([np.zeros_like(mean[..., :1]), mean[..., :-1]], axis=-1)
    average = np.cumsum(spread, axis=-1) / np.arange(1, spread.shape[-1] + 1)
    known = np.concatenate([np.zeros_like(average[..., :1]), average[..., :-1]], axis=-1)

    residual, square = np.zeros_like(mean), np.zeros_like(mean)
    for arm, sign in ((treatment, 1.0), (control, -1.0)):
        e, visitors = shares[..., arm], n[..., arm]
        left = periods.sums[..., arm] - visitors * baseline
        residual = residual + sign * left / e
        squares = (
            periods.squares[..., arm]
            - 2 * baseline * periods.sums[..., arm]
            + visitors * baseline**2
        )
        square = square + squares / e**2
    own = np.maximum(square / seen - (residual / seen) ** 2, 0.0)
    # As long as nothing is known to vary, periods only teach: their weight would be hindsight.
    scale = np.where(known > 0, known, np.inf)
    weight = 1 / (scale * (1 / shares[..., treatment] + 1 / shares[..., control]))
    return AipwPath(
        np.cumsum(weight * residual, axis=-1),
        np.cumsum(weight**2 * total * own, axis=-1),
        np.cumsum(weight * total, axis=-1),
    )


def stratified_contrast(periods: Periods, treatment: int = 1, control: int = 0) -> Contrast:
    """Difference of two arms within periods, averaged by the periods' recorded shares.

    Each period gives a plain difference of means with a variance of its own. Periods weigh
    by ``visitors * e_t e_c / (e_t + e_c)``, what their shares promised before anything was seen.
    A period in which either arm has fewer than two visitors is left out, so this is for few,
    large periods; `aipw_path` uses them all.

    Args:
        periods: of one stream, (periods, K).
        treatment: index of the arm to compare.
        control: index of the arm to compare with.

    Raises:
        DesignError: if no period has two visitors of each.
    """
    n, sums, squares = periods.visitors, periods.sums, periods.squares
    pair = [control, treatment]
    usable = (n[:, pair] >= 2).all(axis=1)
    if not usable.any():
        raise DesignError(
            "No period has two visitors of each of both arms; nothing can be compared."
        )
    n, sums, squares = n[usable][:, pair], sums[usable][:, pair], squares[usable][:, pair]
    e = periods.shares[usable][:, pair]
    means = sums / n
    variances = np.maximum(squares - n * means**2, 0.0) / (n - 1)
    weight = periods.visitors[usable].sum(axis=1) * e.prod(axis=1) / e.sum(axis=1)
    weight = weight / weight.sum()
    parts = weight[:, None] ** 2 * variances / n
    variance = float(parts.sum())
    dof = variance**2 / float((parts**2 / (n - 1)).sum()) if variance > 0 else np.inf
    difference = float(weight @ (means[:, 1] - means[:, 0]))
    return Contrast(difference, float(np.sqrt(variance)), dof)
