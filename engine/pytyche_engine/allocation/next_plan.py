"""The plan of the next round: cold start, proposal, and the operator's own cells."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

import numpy as np

from pytyche_engine.allocation.shares import allocation_shares
from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.decisions import SegmentSearch
from pytyche_engine.contracts.dropped import DroppedArm
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.given import is_number, shown
from pytyche_engine.contracts.observations import FeatureSchema
from pytyche_engine.contracts.plans import Plan, check_rules
from pytyche_engine.contracts.policies import (
    WEIGHT_TOLERANCE,
    AllocationRule,
    BaselinePolicy,
    Route,
    TreePolicy,
    UniformPolicy,
)
from pytyche_engine.contracts.rules import Rule

DEFAULT_FLOOR = 0.05
"""Default least weight of the Control cell, and of the Explore cell."""

FEWEST_ARMS = 2
"""Arms that Optimized serves at the least, control included."""


def cold_start(
    arms: Sequence[str],
    n_visitors: int | None,
    *,
    min_control_weight: float = DEFAULT_FLOOR,
    min_explore_weight: float = DEFAULT_FLOOR,
) -> Plan:
    """The first round: half Control, half Explore, or as near to that as the floors allow.

    Raises:
        DesignError: if the floors contradict each other.
    """
    check_floors(min_control_weight, min_explore_weight)
    control = min(max(0.5, min_control_weight), 1 - min_explore_weight)
    return Plan(
        round_index=0,
        arms=tuple(arms),
        cells=(
            Cell("control", BaselinePolicy(), control),
            Cell("explore", UniformPolicy(tuple(arms)), 1 - control),
        ),
        n_visitors=n_visitors,
    )


def propose(
    search: SegmentSearch,
    arms: Sequence[str],
    arm_best_probabilities: Mapping[str, float],
    *,
    round_index: int,
    n_visitors: int | None,
    min_control_weight: float = DEFAULT_FLOOR,
    min_explore_weight: float = DEFAULT_FLOOR,
    allocation: AllocationRule = "thompson",
    dropped: Sequence[DroppedArm] = (),
) -> Plan:
    """The recommended plan: Control and Explore at their floors, Optimized with the rest.

    Optimized routes by segment, with the allocation rule's shares in each. Where targeting
    does not pay there is one route for everyone, with the shares over everyone; the same
    shares serve visitors who match no route. Dropped arms have no share in any of them, and
    P(best) of the others is taken given that no dropped arm is the best.

    Args:
        search: the round's segments and whether targeting pays.
        arms: arm names, control first.
        arm_best_probabilities: per arm, P(its RPV is the highest) over everyone.
        round_index: the round the plan is for, from 0.
        n_visitors: its size, None when the schedule is exhausted.
        min_control_weight: least weight of the Control cell.
        min_explore_weight: least weight of the Explore cell.
        allocation: how P(best) becomes shares.
        dropped: arms that Optimized leaves out; Explore serves them all the same.

    Raises:
        DesignError: if the floors contradict each other, an arm or the allocation rule is
            unknown, or control is dropped or fewer than two arms remain.
    """
    check_floors(min_control_weight, min_explore_weight)
    check_dropped(arms, dropped)
    left_out = {d.arm for d in dropped}

    def shares(probabilities: Mapping[str, float]) -> dict[str, float]:
        return _shares(arms, probabilities, allocation, left_out)

    overall = shares(arm_best_probabilities)
    routes = (
        tuple(Route(s.id, s.rule, shares(s.arm_best_probabilities)) for s in search.segments)
        if search.targeting_pays
        else (Route("everyone", Rule(), overall),)
    )
    return Plan(
        round_index=round_index,
        arms=tuple(arms),
        cells=(
            Cell("control", BaselinePolicy(), min_control_weight),
            Cell("explore", UniformPolicy(tuple(arms)), min_explore_weight),
            Cell(
                "optimized",
                TreePolicy(routes, overall, allocation, tuple(dropped)),
                1 - min_control_weight - min_explore_weight,
            ),
        ),
        n_visitors=n_visitors,
    )


def override(
    plan: Plan,
    cells: Sequence[Cell],
    *,
    min_control_weight: float = DEFAULT_FLOOR,
    min_explore_weight: float = DEFAULT_FLOOR,
    schema: FeatureSchema | None = None,
) -> Plan:
    """The plan with the operator's own cells, for one round.

    The floors hold for these too: they keep control and every arm measured whatever the
    other cells do. So the Control cell serves control to everyone in it, Explore every arm
    evenly, and neither may fall below its floor.

    Args:
        plan: the recommended plan.
        cells: all cells of the round, the recommended ones that stay included.
        min_control_weight: least weight of the Control cell.
        min_explore_weight: least weight of the Explore cell.
        schema: the experiment's features, to check rules against; None before there are any.

    Raises:
        DesignError: if the cells are not a plan, break a floor, or name arms or features
            that do not exist.
    """
    check_floors(min_control_weight, min_explore_weight)
    if not isinstance(cells, Sequence) or not all(isinstance(cell, Cell) for cell in cells):
        raise DesignError("'cells' must be a list of Cell, e.g. the cells of a plan.")
    changed = replace(plan, cells=tuple(cells))
    by_id = {cell.id: cell for cell in changed.cells}
    for name, floor in (("control", min_control_weight), ("explore", min_explore_weight)):
        cell = by_id.get(name)
        if cell is None and floor > 0:
            raise DesignError(
                f"The plan has no cell '{name}', which has a floor of {floor:.2%}. "
                f"Add Cell('{name}', ..., weight={floor:g})."
            )
        if cell is not None and cell.weight < floor - WEIGHT_TOLERANCE:
            raise DesignError(
                f"Cell '{name}' has a floor of {floor:.2%}; {cell.weight:.2%} is below it. "
                f"Give it at least {floor:g}."
            )
    control, explore = by_id.get("control"), by_id.get("explore")
    if control is not None and not isinstance(control.policy, BaselinePolicy):
        raise DesignError(
            "Cell 'control' must serve control to everyone in it: use BaselinePolicy(). "
            "Give a cell with another policy another name."
        )
    if explore is not None and not (
        isinstance(explore.policy, UniformPolicy) and explore.policy.named_arms == set(plan.arms)
    ):
        raise DesignError(
            "Cell 'explore' must serve every arm evenly: use "
            f"UniformPolicy({tuple(plan.arms)}). Give a cell with another policy another name."
        )
    if schema is not None:
        check_rules(changed.cells, schema)
    return changed


def check_floors(min_control_weight: float, min_explore_weight: float) -> None:
    """Check the least weights of Control and Explore.

    Raises:
        DesignError: if one is not a share, or together they leave nothing for Optimized.
    """
    floors = {"min_control_weight": min_control_weight, "min_explore_weight": min_explore_weight}
    for name, value in floors.items():
        if not is_number(value) or not 0 <= value < 1:
            raise DesignError(
                f"'{name}' is {shown(value)}; use a share of the traffic from 0 to below 1, such "
                "as 0.05 for 5 %."
            )
    if min_control_weight + min_explore_weight >= 1 - WEIGHT_TOLERANCE:
        raise DesignError(
            f"'min_control_weight' ({min_control_weight}) and 'min_explore_weight' "
            f"({min_explore_weight}) add up to 1 or more and leave nothing for Optimized."
        )


def check_dropped(arms: Sequence[str], dropped: Sequence[DroppedArm]) -> None:
    """Whether Optimized can do without these arms.

    Raises:
        DesignError: for control, unknown arms, an arm named twice, or fewer than two left.
    """
    names = [d.arm for d in dropped]
    if unknown := set(names) - set(arms):
        raise DesignError(f"Unknown arm(s) {sorted(unknown)} dropped; the arms are {list(arms)}.")
    if arms[0] in names:
        raise DesignError(
            f"Control ('{arms[0]}') cannot be dropped: every treatment is compared with it."
        )
    if len(set(names)) != len(names):
        raise DesignError(f"An arm is dropped twice: {names}.")
    if len(arms) - len(names) < FEWEST_ARMS:
        raise DesignError(
            f"Without {names}, Optimized has only '{arms[0]}' to serve; it needs at least two "
            "arms. Revive one, or end the experiment."
        )


def _shares(
    arms: Sequence[str],
    probabilities: Mapping[str, float],
    allocation: AllocationRule,
    left_out: Set[str],
) -> dict[str, float]:
    """Shares by arm name, 0 for the arms left out."""
    if unknown := set(probabilities) - set(arms):
        raise DesignError(f"Unknown arm(s) {sorted(unknown)}; the arms are {list(arms)}.")
    kept = [arm for arm in arms if arm not in left_out]
    best = np.array([probabilities.get(arm, 0.0) for arm in kept])
    if left_out and not best.any():
        best = np.ones(len(kept))  # every draw was for a dropped arm: nothing tells these apart
    shares = dict(zip(kept, allocation_shares(allocation, best).tolist(), strict=True))
    return {arm: shares.get(arm, 0.0) for arm in arms}
