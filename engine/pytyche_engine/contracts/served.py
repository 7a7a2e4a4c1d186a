"""A served round, and the words that go with an experiment's numbers."""

from dataclasses import dataclass

from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.truth import GroundTruth


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


@dataclass(frozen=True, eq=False)
class Served:
    """A plan that was served and what came of it.

    Attributes:
        plan: the plan.
        observations: its visitors.
        truth: what was planted, for simulated visitors.
    """

    plan: Plan
    observations: Observations
    truth: GroundTruth | None = None
