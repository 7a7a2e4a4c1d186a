"""Whether one arm's values tend to be larger, whatever their distribution."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class RankComparison:
    """Mann and Whitney's test of two arms.

    Attributes:
        control_larger: probability that a visitor of control has the larger value of two drawn,
            ties counting half.
        treatment_larger: the same of treatment.
        statistic: U of treatment.
        p_value: two-sided.
    """

    control_larger: float
    treatment_larger: float
    statistic: float
    p_value: float

    @property
    def difference(self) -> float:
        """How much likelier treatment has the larger value."""
        return self.treatment_larger - self.control_larger


def compare_ranks(
    control: Float[np.ndarray, " n"], treatment: Float[np.ndarray, " m"]
) -> RankComparison:
    """Compare two arms by ranks: a second opinion where a few large amounts make the mean.

    It is not a test of means: of money, more buyers with smaller baskets may rank higher and
    bring less.

    Args:
        control: (n,) outcomes of control's visitors.
        treatment: (m,) outcomes of the treatment's.
    """
    from scipy.stats import mannwhitneyu

    found = mannwhitneyu(treatment, control)
    larger = float(found.statistic) / (len(control) * len(treatment))
    return RankComparison(1 - larger, larger, float(found.statistic), float(found.pvalue))
