"""Planted ground truth. Analysis code never receives it; only truth comparison does."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.money import amount


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """What a simulation planted, row for row with the round's observations.

    Attributes:
        arms: arm names, control first.
        conversion: (n, K) probability that the visitor converts under each arm.
        severity: (n, K) expected revenue given conversion, in money.
    """

    arms: tuple[str, ...]
    conversion: Float[np.ndarray, "n arms"]
    severity: Float[np.ndarray, "n arms"]

    @property
    def rpv(self) -> Float[np.ndarray, "n arms"]:
        """(n, K) expected revenue per visitor under each arm."""
        return self.conversion * self.severity

    @property
    def cate(self) -> Float[np.ndarray, "n treatments"]:
        """(n, K-1) RPV of each treatment less that of control."""
        return self.rpv[:, 1:] - self.rpv[:, :1]


def concat_truth(rounds: Sequence[GroundTruth]) -> GroundTruth:
    """The truth of all rounds, in round order."""
    return GroundTruth(
        arms=rounds[0].arms,
        conversion=np.concatenate([r.conversion for r in rounds]),
        severity=np.concatenate([r.severity for r in rounds]),
    )


@dataclass(frozen=True, repr=False)
class TruthComparison:
    """A round's estimates against what was planted.

    Attributes:
        cate_rmse: root mean squared error of the posterior-mean CATEs over all visitors
            and treatments, money per visitor.
        cate_rmse_no_effect: the same for predicting no effect at all.
        cate_rmse_constant: the same for the true average effect given to everyone.
        policy_accuracy: share of visitors whose recommended arm is truly best (any of
            several that tie).
        rpv_policy: true RPV if everyone got the recommended arm.
        rpv_uniform: true RPV if arms were drawn evenly.
        rpv_best_arm: true RPV of the best single arm for everyone.
        rpv_oracle: true RPV if everyone got their best arm.
        best_arm: the name of the truly best single arm.
        converged: whether the fit that made the estimates converged.
    """

    cate_rmse: float
    cate_rmse_no_effect: float
    cate_rmse_constant: float
    policy_accuracy: float
    rpv_policy: float
    rpv_uniform: float
    rpv_best_arm: float
    rpv_oracle: float
    best_arm: str
    converged: bool = True

    @property
    def oracle_gap(self) -> float:
        """Regret of the policy against the oracle, money per visitor."""
        return self.rpv_oracle - self.rpv_policy

    def _lines(self) -> tuple[str, ...]:
        return (
            "TruthComparison" if self.converged else "TruthComparison of an unconverged fit",
            f"cate_rmse: {amount(self.cate_rmse)} policy_accuracy: {self.policy_accuracy:.0%}",
            f"cate_rmse of predicting no effect: {amount(self.cate_rmse_no_effect)} "
            f"of the true average effect for everyone: {amount(self.cate_rmse_constant)}",
            f"rpv — policy: {amount(self.rpv_policy)} uniform: {amount(self.rpv_uniform)} "
            f"best single arm: {amount(self.rpv_best_arm)} ({self.best_arm}) "
            f"oracle: {amount(self.rpv_oracle)} oracle gap: {amount(self.oracle_gap)}",
        )

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        return "".join(f"<p>{html.escape(line)}</p>" for line in self._lines())
