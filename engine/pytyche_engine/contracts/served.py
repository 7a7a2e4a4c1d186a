"""A plan that was served, with what came of it."""

from dataclasses import dataclass

from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.truth import GroundTruth


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
