"""When a fit's reported numbers may be trusted to be the posterior's."""

from collections.abc import Mapping
from dataclasses import dataclass

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
