"""What is measured of a visitor."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.errors import DesignError

Kind = Literal["Mean", "Proportion", "Ratio", "Revenue"]


@dataclass(frozen=True)
class MeanMetric:
    """A number a visitor, averaged.

    Attributes:
        name: what it is called in results.
        value_col: the column of its values.
        pre_period_col: the same before the experiment, which takes variance away (CUPED).
    """

    name: str
    value_col: str
    pre_period_col: str | None = None

    kind = "Mean"

    @property
    def outcome(self) -> tuple[str, ...]:
        """The columns it is made from."""
        return (self.value_col,)

    @property
    def before(self) -> tuple[str, ...]:
        """The columns of the time before."""
        return () if self.pre_period_col is None else (self.pre_period_col,)

    def linear(self, mean: Float[np.ndarray, " k"]) -> tuple[float, Float[np.ndarray, " k"]]:
        """Its value at the columns' means, and the gradient there."""
        return float(mean[0]), np.ones(1)


@dataclass(frozen=True)
class ProportionMetric(MeanMetric):
    """The share of visitors for whom a column is 1; all others have 0."""

    kind = "Proportion"


@dataclass(frozen=True)
class RevenueMetric(MeanMetric):
    """Money a visitor, with the largest amounts capped (winsorised).

    The cap is a quantile of all arms' visitors together, and is fixed when the metric is
    registered. A cap of each arm's own would take away part of what a treatment adds. What is
    estimated is the mean of capped money, which is less than the mean of money.

    Attributes:
        upper: quantile above which amounts count as that quantile; 1 caps nothing.
        lower: the same below; 0 caps nothing.
    """

    upper: float = 0.999
    lower: float = 0.0

    kind = "Revenue"

    def __post_init__(self) -> None:
        if not 0 <= self.lower < self.upper <= 1:
            raise DesignError(
                f"Metric '{self.name}' is capped at the quantiles {self.lower} and {self.upper}; "
                "use 0 <= lower < upper <= 1."
            )


@dataclass(frozen=True)
class RatioMetric:
    """Sum of one column over sum of another, e.g. clicks per impression (delta method).

    Attributes:
        name: what it is called in results.
        numerator_col, denominator_col: the columns.
        pre_numerator_col, pre_denominator_col: the same before the experiment (CUPED).
    """

    name: str
    numerator_col: str
    denominator_col: str
    pre_numerator_col: str | None = None
    pre_denominator_col: str | None = None

    kind = "Ratio"

    @property
    def outcome(self) -> tuple[str, ...]:
        """The columns it is made from."""
        return (self.numerator_col, self.denominator_col)

    @property
    def before(self) -> tuple[str, ...]:
        """The columns of the time before."""
        both = (self.pre_numerator_col, self.pre_denominator_col)
        return tuple(column for column in both if column is not None)

    def linear(self, mean: Float[np.ndarray, " k"]) -> tuple[float, Float[np.ndarray, " k"]]:
        """Its value at the columns' means, and the gradient there."""
        value = mean[0] / mean[1]
        return float(value), np.array([1.0, -value]) / mean[1]


Metric = MeanMetric | ProportionMetric | RevenueMetric | RatioMetric

METRIC_TYPES: dict[str, type[Metric]] = {
    "mean": MeanMetric,
    "proportion": ProportionMetric,
    "ratio": RatioMetric,
    "revenue": RevenueMetric,
}


def metrics_of(asked: object) -> Iterator[Metric]:
    """The metrics of one or of several.

    Raises:
        DesignError: if there is something else among them.
    """
    for metric in asked if isinstance(asked, list | tuple) else [asked]:
        if not isinstance(metric, MeanMetric | RatioMetric):
            raise DesignError(
                f"{metric!r} is no metric; use MeanMetric, ProportionMetric, RatioMetric or "
                "RevenueMetric."
            )
        yield metric
