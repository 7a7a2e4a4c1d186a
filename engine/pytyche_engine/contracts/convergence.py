"""When a fit's reported numbers may be trusted to be the posterior's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

R_HAT_LIMIT = 1.05
"""R-hat above this on a reported quantity marks the fit as unconverged."""

ESS_LIMIT = 100
"""An effective sample size below this on a reported quantity does so too."""


@dataclass(frozen=True)
class Convergence:
    """R-hat and effective sample size of what is reported.

    Attributes:
        r_hat: per quantity, the rank-normalised split R-hat.
        ess: per quantity, the effective sample size.
    """

    r_hat: Mapping[str, float]
    ess: Mapping[str, float]

    @property
    def ok(self) -> bool:
        """Whether every quantity meets both limits; a nan meets none."""
        return all(v <= R_HAT_LIMIT for v in self.r_hat.values()) and all(
            v >= ESS_LIMIT for v in self.ess.values()
        )


@dataclass(frozen=True)
class Sampling:
    """How long the sampler ran and why it ended.

    Attributes:
        start: ``"cold"`` from prior trees, ``"warm"`` from an earlier fit.
        warm_up: iterations dropped in each chain.
        iterations: iterations of each chain, warm-up included.
        chains: how many chains.
        stopped: ``"converged"`` when R-hat and effective sample size of the lifts had passed,
            ``"maximum"`` when they had not by the last iteration allowed, ``"operator"`` when
            somebody ended sampling before that.
    """

    start: Literal["cold", "warm"]
    warm_up: int
    iterations: int
    chains: int
    stopped: Literal["converged", "maximum", "operator"]

    @property
    def line(self) -> str:
        """In one line."""
        end = {
            "converged": "R-hat and ESS passed",
            "maximum": "the most allowed; R-hat or ESS did not pass",
            "operator": "stopped by the operator; R-hat or ESS did not pass",
        }[self.stopped]
        return (
            f"sampler: {self.chains} chain(s), {self.start} start, {self.warm_up} warm-up + "
            f"{self.iterations - self.warm_up} iterations ({end})"
        )
