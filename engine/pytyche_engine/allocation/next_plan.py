"""The plan of the next round: cold start, proposal, and the operator's own cells."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pytyche_engine.allocation.thompson import thompson_shares
from pytyche_engine.contracts.cells import (
    WEIGHT_TOLERANCE,
    BaselinePolicy,
    Cell,
    Route,
    TreePolicy,
    UniformPolicy,
)
from pytyche_engine.contracts.decisions import SegmentSearch
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.observations import FeatureKind, FeatureSchema
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.rules import Levels, Rule, Threshold

DEFAULT_FLOOR = 0.05
"""Default least weight of the Control cell, and of the Explore cell."""


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
) -> Plan:
    """The recommended plan: Control and Explore at their floors, Optimized with the rest.

    Optimized routes by segment, with Thompson shares in each. Where targeting does not
    pay there is one route for everyone, with Thompson shares over everyone; the same
    shares serve visitors who match no route.

    Args:
        search: the round's segments and whether targeting pays.
        arms: arm names, control first.
        arm_best_probabilities: per arm, P(its RPV is the highest) over everyone.
        round_index: the round the plan is for, from 0.
        n_visitors: its size, None when the schedule is exhausted.
        min_control_weight: least weight of the Control cell.
        min_explore_weight: least weight of the Explore cell.

    Raises:
        DesignError: if the floors contradict each other, or an arm is unknown.
    """
    check_floors(min_control_weight, min_explore_weight)
    overall = _shares(arms, arm_best_probabilities)
    routes = (
        tuple(Route(s.id, s.rule, _shares(arms, s.arm_best_probabilities)) for s in search.segments)
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
                TreePolicy(routes, overall),
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
        _check_rules(changed.cells, schema)
    return changed


def plan_notices(plan: Plan) -> tuple[str, ...]:
    """What is allowed in a plan but easily overlooked, one sentence each."""
    notices = []
    optimized = sum(cell.weight for cell in plan.cells if cell.role == "optimized")
    if plan.round_index > 0 and optimized < WEIGHT_TOLERANCE:
        taken = ", ".join(f"'{cell.id}' {cell.weight:.1%}" for cell in plan.cells if cell.weight)
        notices.append(f"Nothing is left for Optimized this round: {taken}.")
    if plan.n_visitors is not None:
        notices += [
            f"Cell '{cell.id}' expects fewer than one of the round's {plan.n_visitors:,} visitors."
            for cell in plan.cells
            if cell.weight * plan.n_visitors < 1
        ]
    return tuple(notices)


def check_floors(min_control_weight: float, min_explore_weight: float) -> None:
    """Check the least weights of Control and Explore.

    Raises:
        DesignError: if one is not a share, or together they leave nothing for Optimized.
    """
    floors = {"min_control_weight": min_control_weight, "min_explore_weight": min_explore_weight}
    for name, value in floors.items():
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise DesignError(f"'{name}' is {value!r}; use a share such as 0.05.")
        if not (math.isfinite(value) and 0 <= value < 1):
            raise DesignError(
                f"'{name}' is {value}; use a share of the traffic from 0 to below 1, "
                "such as 0.05 for 5 %."
            )
    if min_control_weight + min_explore_weight >= 1 - WEIGHT_TOLERANCE:
        raise DesignError(
            f"'min_control_weight' ({min_control_weight}) and 'min_explore_weight' "
            f"({min_explore_weight}) add up to 1 or more and leave nothing for Optimized."
        )


def _shares(arms: Sequence[str], probabilities: Mapping[str, float]) -> dict[str, float]:
    """Thompson shares by arm name."""
    if unknown := set(probabilities) - set(arms):
        raise DesignError(f"Unknown arm(s) {sorted(unknown)}; the arms are {list(arms)}.")
    shares = thompson_shares(np.array([probabilities.get(arm, 0.0) for arm in arms]))
    return dict(zip(arms, shares.tolist(), strict=True))


def _check_rules(cells: Sequence[Cell], schema: FeatureSchema) -> None:
    """Whether every clause is about a feature of the experiment, of the clause's kind."""
    kinds = {feature.name: feature.kind for feature in schema.features}
    for cell in cells:
        for clause in (clause for rule in cell.policy.rules for clause in rule.clauses):
            kind = kinds.get(clause.feature)
            if kind is None:
                raise DesignError(
                    f"Cell '{cell.id}' has a rule on '{clause.feature}', which is not a feature; "
                    f"the features are {list(kinds)}."
                )
            numeric = kind is FeatureKind.NUMERIC
            if isinstance(clause, Threshold) and not numeric:
                raise DesignError(
                    f"Cell '{cell.id}' compares '{clause.feature}' with a number, but it is "
                    f"{kind}. Use Levels('{clause.feature}', (...))."
                )
            if isinstance(clause, Levels) and numeric:
                raise DesignError(
                    f"Cell '{cell.id}' asks for levels of '{clause.feature}', but it is numeric. "
                    f"Use Threshold('{clause.feature}', '>', ...)."
                )
