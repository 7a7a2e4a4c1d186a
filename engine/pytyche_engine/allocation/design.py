"""What an operator fixes when an experiment is made, checked before anything is served."""

from collections.abc import Sequence
from dataclasses import dataclass

from pytyche_engine.allocation.next_plan import (
    DEFAULT_FLOOR,
    check_floors,
    cold_start,
    override,
)
from pytyche_engine.allocation.schedules import Schedule, schedule
from pytyche_engine.contracts.arms import check_arms
from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.given import count, is_number, shown
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.policies import MAX_DEPTH, AllocationRule, check_allocation

CONTROL = "control"
"""The usual name of the control arm; a cell of that name is in every plan."""


@dataclass(frozen=True)
class Design:
    """A design that holds together.

    Attributes:
        arms: arm names, control first.
        schedule: visitors per round.
        first_plan: what the first round serves.
        min_control_weight: least weight of the Control cell in every round.
        min_explore_weight: least weight of the Explore cell in every round.
        max_segment_depth: depth of the deepest policy tree considered.
        min_segment_share: least share of the visitors in a segment.
        notices: what was assumed, one sentence each.
        allocation: how Optimized turns P(best) into shares; see `allocation_shares`.
    """

    arms: tuple[str, ...]
    schedule: Schedule
    first_plan: Plan
    min_control_weight: float
    min_explore_weight: float
    max_segment_depth: int
    min_segment_share: float
    notices: tuple[str, ...] = ()
    allocation: AllocationRule = "thompson"


def check_design(
    *,
    treatments: Sequence[str],
    schedule_or_sizes: Schedule | Sequence[int],
    cells: Sequence[Cell] | None = None,
    min_control_weight: float = DEFAULT_FLOOR,
    min_explore_weight: float = DEFAULT_FLOOR,
    max_segment_depth: int = 3,
    min_segment_share: float = 0.10,
    allocation: AllocationRule = "thompson",
) -> Design:
    """Check a design as a whole.

    Args:
        treatments: arm names, control first.
        schedule_or_sizes: a schedule, or a list of round sizes.
        cells: the first round's cells; None takes half Control, half Explore.
        min_control_weight: least weight of the Control cell.
        min_explore_weight: least weight of the Explore cell.
        max_segment_depth: 1 to 3.
        min_segment_share: above 0, at most 0.5.
        allocation: ``"thompson"``, ``"top_two"`` or ``"exploration_sampling"``.

    Raises:
        DesignError: at the first contradiction; the message says what to write instead.
    """
    arms, notices = _control_first(treatments)
    rounds = schedule(schedule_or_sizes)
    check_floors(min_control_weight, min_explore_weight)
    check_allocation(allocation)
    depth = count("'max_segment_depth'", max_segment_depth, 1, MAX_DEPTH)
    if not is_number(min_segment_share) or not 0 < min_segment_share <= 0.5:
        raise DesignError(
            f"'min_segment_share' is {shown(min_segment_share)}; use a share above 0 and at most "
            "0.5, as two segments cannot both hold more than half of the visitors."
        )
    plan = cold_start(
        arms,
        rounds.next_round_size(0),
        min_control_weight=min_control_weight,
        min_explore_weight=min_explore_weight,
    )
    if cells is not None:
        plan = override(
            plan,
            cells,
            min_control_weight=min_control_weight,
            min_explore_weight=min_explore_weight,
        )
    return Design(
        arms=arms,
        schedule=rounds,
        first_plan=plan,
        min_control_weight=float(min_control_weight),
        min_explore_weight=float(min_explore_weight),
        max_segment_depth=depth,
        min_segment_share=float(min_segment_share),
        notices=notices,
        allocation=allocation,
    )


def _control_first(treatments: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The arms, and what was assumed about them."""
    arms = check_arms(treatments)
    if CONTROL in arms and arms[0] != CONTROL:
        raise DesignError(
            f"'treatments' has '{CONTROL}' in position {arms.index(CONTROL) + 1}; control comes "
            f"first: {[CONTROL, *(a for a in arms if a != CONTROL)]}."
        )
    if arms[0] != CONTROL:
        return arms, (f"'{arms[0]}' is taken as the control arm, as it comes first.",)
    return arms, ()
