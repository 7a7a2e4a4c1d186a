"""Beta-Bernoulli Thompson sampling: who is best, and who gets how much."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import betainc, betaincinv, betaln, xlog1py, xlogy

from pytyche_engine.contracts.errors import DesignError

_NODES = np.polynomial.legendre.leggauss(24)
_TAILS = np.array([1e-14, 1e-10, 1e-7, 1e-5, 1e-3, 1e-2, 0.05, 0.15, 0.3, 0.5])
_CUTS = np.concatenate([_TAILS, 1 - _TAILS[::-1]])


@dataclass(frozen=True, eq=False)
class BetaArms:
    """Posteriors of conversion rates with uniform priors.

    Attributes:
        alpha: (K,) successes + 1.
        beta: (K,) failures + 1.
    """

    alpha: Float[np.ndarray, " arms"]
    beta: Float[np.ndarray, " arms"]

    @classmethod
    def of(cls, successes: Sequence[int], visitors: Sequence[int]) -> "BetaArms":
        """From counts of each arm.

        Raises:
            DesignError: if there is no arm, or more successes than visitors.
        """
        s, n = np.asarray(successes, dtype=float), np.asarray(visitors, dtype=float)
        if s.shape != n.shape or not s.size or (s < 0).any() or (s > n).any():
            raise DesignError(
                f"{list(successes)} successes of {list(visitors)} visitors cannot be: give one "
                "number of each an arm, and no more successes than visitors."
            )
        return cls(s + 1, n - s + 1)

    @property
    def means(self) -> Float[np.ndarray, " arms"]:
        """Posterior means."""
        return self.alpha / (self.alpha + self.beta)

    def probability_best(self) -> Float[np.ndarray, " arms"]:
        """Probability of each arm to have the highest rate, by quadrature.

        ``P(i best) = int f_i prod F_j``, over panels between all arms' quantiles, so that one
        narrow posterior among wide ones is not stepped over.
        """
        if len(self.alpha) == 1:
            return np.ones(1)
        cuts = betaincinv(self.alpha[:, None], self.beta[:, None], _CUTS).ravel()
        edges = np.unique(np.concatenate([[0.0], cuts, [1.0]]))
        half, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
        x = (middle[:, None] + half[:, None] * _NODES[0]).ravel()
        width = (half[:, None] * _NODES[1]).ravel()
        a, b = self.alpha[:, None], self.beta[:, None]
        density = np.exp(xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b))
        below = betainc(a, b, x)
        found = np.empty(len(self.alpha))
        for k in range(len(found)):
            found[k] = (density[k] * np.delete(below, k, axis=0).prod(axis=0)) @ width
        return found / found.sum()

    def expected_loss(self) -> Float[np.ndarray, " arms"]:
        """What is lost on average by taking each arm: mean of the best rate less its own.

        ``E[max] = sum_k mean_k P(k best with one success more)``, as ``x f(x; a, b)`` is the mean
        times ``f(x; a + 1, b)``.
        """
        best = 0.0
        for k, mean in enumerate(self.means):
            one_more = self.alpha + (np.arange(len(self.alpha)) == k)
            best += mean * BetaArms(one_more, self.beta).probability_best()[k]
        return best - self.means


def thompson_shares(arms: BetaArms, floor: float = 0.0) -> Float[np.ndarray, " arms"]:
    """Shares of the next period: probability of being best, and a floor for everyone.

    ``floor + (1 - K floor) P(best)``. Raising small shares to the floor and scaling the rest
    down would break the floor again.

    Args:
        arms: posteriors.
        floor: smallest share.

    Raises:
        DesignError: if the floors do not leave room.
    """
    k = len(arms.alpha)
    if not 0 <= floor <= 1 / k:
        raise DesignError(f"The floor is {floor}; for {k} arms use 0 to {1 / k:.4g}.")
    return floor + (1 - k * floor) * arms.probability_best()
