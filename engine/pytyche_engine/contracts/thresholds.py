"""When evidence is enough: limits in money, as amounts or as shares of control's RPV."""

from collections.abc import Mapping
from dataclasses import dataclass

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.given import is_number, shown


@dataclass(frozen=True)
class Money:
    """A limit in the experiment's currency, per visitor.

    Examples:
        >>> print(Money(0.02))
        0.02 per visitor
    """

    amount: float

    def __str__(self) -> str:
        return f"{self.amount:g} per visitor"


Limit = float | Money
"""A share of the control arm's RPV, or an amount of money per visitor."""


def in_money(limit: Limit, control_rpv: float) -> float:
    """A limit as money per visitor, given the control arm's RPV."""
    return limit.amount if isinstance(limit, Money) else limit * control_rpv


def check_limits(owner: str, limits: Mapping[str, Limit]) -> None:
    """Raise DesignError unless every limit is finite and 0 or more."""
    for name, limit in limits.items():
        value = limit.amount if isinstance(limit, Money) else limit
        if not is_number(value) or value < 0:
            raise DesignError(
                f"'{name}' of {owner} is {shown(limit)}; use a share of control RPV such as 0.01, "
                "or an amount per visitor such as Money(0.02), of 0 or more."
            )


def check_chances(owner: str, chances: Mapping[str, float]) -> None:
    """Raise DesignError unless every probability is between 0 and 1, and neither."""
    for name, value in chances.items():
        if not is_number(value) or not 0 < value < 1:
            raise DesignError(
                f"'{name}' of {owner} is {shown(value)}; use a probability between 0 and 1."
            )


@dataclass(frozen=True)
class DecisionThresholds:
    """When evidence is enough.

    Money limits are shares of the control arm's RPV in the group that is judged, or
    ``Money(...)`` per visitor.

    Attributes:
        practical_effect: smallest lift worth having.
        loss_tolerance: expected loss per visitor that shipping may cost.
        p_positive: SHIP needs P(lift > 0) above this.
        p_better: SHIP needs P(lift > practical effect) above this.
        futility: STOP when P(lift > practical effect) is below this.
        harm: STOP when P(lift < -practical effect) is above this.
    """

    practical_effect: Limit = 0.01
    loss_tolerance: Limit = 0.004
    p_positive: float = 0.95
    p_better: float = 0.80
    futility: float = 0.05
    harm: float = 0.90

    def __post_init__(self) -> None:
        owner = "the decision thresholds"
        chances = ("p_positive", "p_better", "futility", "harm")
        check_chances(owner, {name: getattr(self, name) for name in chances})
        limits = ("practical_effect", "loss_tolerance")
        check_limits(owner, {name: getattr(self, name) for name in limits})
