"""What every source writes down about the visitors that it served."""

import pandas as pd

from pytyche_engine.contracts.arms import propensity_columns
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.plans import Assignment, Plan


def planned_visitors(plan: Plan, arms: tuple[str, ...]) -> int:
    """How many visitors a plan asks for.

    Raises:
        DesignError: if the plan is for other arms, or asks for no visitors.
    """
    if plan.arms != arms:
        raise DesignError(
            f"The plan is for the arms {list(plan.arms)}; this source has {list(arms)}. "
            "Name the same arms in the same order, control first."
        )
    if plan.n_visitors is None or plan.n_visitors < 1:
        raise DesignError(
            f"The plan asks for {plan.n_visitors} visitors, so there is no round to serve. "
            "The schedule may be exhausted; give the plan a positive number of visitors."
        )
    return plan.n_visitors


def recorded_columns(plan: Plan, assignment: Assignment) -> dict[str, object]:
    """The columns ``cell`` and ``propensity_<arm>`` of visitors whom a plan assigned."""
    cells = pd.Series([cell.id for cell in plan.cells], dtype=object)
    return {
        "cell": cells.to_numpy()[assignment.cell],
        **{
            name: assignment.propensity[:, k]
            for k, name in enumerate(propensity_columns(plan.arms))
        },
    }
