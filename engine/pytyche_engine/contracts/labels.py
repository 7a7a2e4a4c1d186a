"""The words that go with an experiment's numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Labels:
    """What is printed with an experiment's numbers.

    Attributes:
        name: the experiment's name.
        metric: what is measured.
        currency: symbol printed with money.
        visitors_per_year: the operator's horizon, for money per year; None leaves that out.
    """

    name: str = "experiment"
    metric: str = "revenue_per_visitor"
    currency: str = "$"
    visitors_per_year: int | None = None
