"""What a person wants to know of a plan's cells before accepting them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.plans import Plan


@dataclass(frozen=True)
class ExpectedCell:
    """Who is expected in a cell.

    Attributes:
        id: the cell's name.
        n_visitors: expected visitors in the round; None when the schedule is exhausted.
        matching: share of visitors that some rule of the cell holds for, in [0, 1]; None for a
            cell that treats everyone alike.
        n_matching: how many of the cell's visitors that makes; None where either is None.
    """

    id: str
    n_visitors: float | None
    matching: float | None
    n_matching: float | None


def expected_visitors(plan: Plan, features: pd.DataFrame) -> tuple[ExpectedCell, ...]:
    """Expected visitors of each cell, and how many of them its rules hold for.

    Args:
        plan: the plan.
        features: (n rows) a feature frame of visitors like those expected, such as
            ``exp.latest.observations.features``. Cells do not depend on features, so a rule's
            share among all visitors is its share in a cell.

    Raises:
        DataError: if a feature of a rule is not a column.
    """
    return tuple(_expected(cell, plan.n_visitors, features) for cell in plan.cells)


def _expected(cell: Cell, n_round: int | None, features: pd.DataFrame) -> ExpectedCell:
    n = None if n_round is None else cell.weight * n_round
    rules = cell.policy.rules
    if not any(rule.clauses for rule in rules) or not len(features):
        return ExpectedCell(cell.id, n, None, None)
    matching = float(np.any([rule.matches(features) for rule in rules], axis=0).mean())
    return ExpectedCell(cell.id, n, matching, None if n is None else n * matching)
