"""How each cell of a round did: raw means, and the posterior RPV of its policy.

A cell's policy gives each of its visitors one row of arm shares, and there are only a few
different rows (one for a baseline, one a route for a policy tree). So the RPV of serving
the policy is exact from group means: one group for each cell and share row, mixed over arms by
that row and over groups by their sizes.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pytyche_engine.contracts.decisions import CellObservation
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.plans import Plan


@dataclass(frozen=True, eq=False)
class CellGroups:
    """The groups whose posterior means make up the cells of a round.

    Attributes:
        names: (G,) group names, e.g. ``"optimized #2"``.
        cell: (G,) the plan's cell that each group belongs to.
        shares: (G, K) arm shares that the cell's policy gives the group's visitors.
        membership: (n, G) weight of each visitor in each group: 1 in the one that it was
            in, or, where its cell was not recorded, the probability of each cell given the
            visitor's arm.
        recorded: whether every visitor's cell was recorded.
    """

    names: tuple[str, ...]
    cell: Int[np.ndarray, " groups"]
    shares: Float[np.ndarray, "groups arms"]
    membership: Float[np.ndarray, "n groups"]
    recorded: bool


def cell_groups(plan: Plan, observations: Observations) -> CellGroups:
    """Split each cell's visitors by the arm shares that its policy gives them.

    Cells without visitors have no group.

    Args:
        plan: what the round served.
        observations: the visitors of that round alone.

    Raises:
        DesignError: if the plan and the observations differ in their arms.
    """
    if plan.arms != observations.arms:
        raise DesignError(
            f"The plan is about the arms {list(plan.arms)}, "
            f"the observations about {list(observations.arms)}."
        )
    shares_of_cell = plan.cell_arm_shares(observations.features)
    known = _plan_code(plan, observations)
    in_cell = _membership(plan, observations.arm, known, shares_of_cell)
    names, cells, shares, columns = [], [], [], []
    for c, cell in enumerate(plan.cells):
        rows = np.flatnonzero(in_cell[:, c])
        of_visitor = shares_of_cell[c][rows]
        code = pd.DataFrame(of_visitor).groupby(list(range(len(plan.arms)))).ngroup().to_numpy()
        for j, first in enumerate(np.unique(code, return_index=True)[1]):
            column = np.zeros(len(observations))
            mine = rows[code == j]
            column[mine] = in_cell[mine, c]
            names.append(f"{cell.id} #{j + 1}")
            cells.append(c)
            shares.append(of_visitor[first])
            columns.append(column)
    return CellGroups(
        names=tuple(names),
        cell=np.array(cells, dtype=np.int64),
        shares=np.array(shares).reshape(len(names), len(plan.arms)),
        membership=np.column_stack(columns) if columns else np.zeros((len(observations), 0)),
        recorded=bool((known >= 0).all()),
    )


def observe_cells(
    plan: Plan,
    observations: Observations,
    groups: CellGroups,
    draws: GroupDraws,
) -> tuple[CellObservation, ...]:
    """How each cell did, in the plan's order.

    The observed RPV is the raw mean of the cell's visitors. The model's RPV is the mean
    over the same visitors of what the posterior expects under the cell's policy, and its
    lift that less the same visitors' RPV under control. The two answer different questions:
    an observed mean has the luck of the draw in it and no interval here.

    Args:
        plan: what the round served.
        observations: the visitors of that round alone.
        groups: `cell_groups` of the two.
        draws: posterior draws of those groups' means.

    Raises:
        DesignError: if `draws` is not about `groups`.
    """
    if draws.groups != groups.names or draws.arms != plan.arms:
        raise DesignError("The draws are not about the groups and arms of these cells.")
    weight = groups.membership.sum(axis=0)
    revenue = groups.membership.T @ observations.revenue
    visitors = np.bincount(groups.cell, weights=weight, minlength=len(plan.cells))
    total = np.bincount(groups.cell, weights=revenue, minlength=len(plan.cells))
    raw = np.divide(total, visitors, out=np.full(len(visitors), np.nan), where=visitors > 0)
    controls = [c for c, cell in enumerate(plan.cells) if cell.role == "control"]
    control_raw = raw[controls[0]] if controls else np.nan

    observed = []
    for c, cell in enumerate(plan.cells):
        mine = np.flatnonzero(groups.cell == c)
        is_control = cell.role == "control"
        model_rpv = model_lift = None
        if mine.size:
            rpv = draws.rpv[:, mine].astype(np.float64)
            within = weight[mine] / weight[mine].sum()
            served = np.einsum("sgk,gk,g->s", rpv, groups.shares[mine], within)
            model_rpv = Estimate.from_draws(served)
            if not is_control:
                model_lift = Estimate.from_draws(served - rpv[:, :, 0] @ within)
        raw_lift = raw[c] - control_raw
        observed.append(
            CellObservation(
                id=cell.id,
                n_visitors=int(np.rint(visitors[c])),
                observed_rpv=float(raw[c]),
                observed_lift=None if is_control or np.isnan(raw_lift) else float(raw_lift),
                model_rpv=model_rpv,
                model_lift=model_lift,
                policy=cell.policy.describe(),
                cell_recorded=groups.recorded,
            )
        )
    return tuple(observed)


def _plan_code(plan: Plan, observations: Observations) -> Int[np.ndarray, " n"]:
    """Each visitor's cell as a code into the plan's, -1 where it is none of them."""
    position = {cell.id: c for c, cell in enumerate(plan.cells)}
    codes = np.array([*(position.get(name, -1) for name in observations.cells), -1], dtype=np.int64)
    return codes[observations.cell]


def _membership(
    plan: Plan,
    arm: Int[np.ndarray, " n"],
    known: Int[np.ndarray, " n"],
    shares_of_cell: list[Float[np.ndarray, "n arms"]],
) -> Float[np.ndarray, "n cells"]:
    """(n, C) weight of each visitor in each cell.

    Where the cell is not known, Bayes' rule on the plan: P(cell | arm, x) is proportional to
    the cell's weight times the share that its policy gives the arm. Revenue depends on the
    cell through the arm alone, so weighted means remain unbiased for the cell's.
    """
    weights = np.zeros((len(arm), len(plan.cells)))
    rows = np.arange(len(arm))
    unknown = known < 0
    if unknown.any():
        for c, (cell, shares) in enumerate(zip(plan.cells, shares_of_cell, strict=True)):
            weights[:, c] = cell.weight * shares[rows, arm]
        total = weights.sum(axis=1, keepdims=True)
        # A visitor whose arm no cell of the plan could have given belongs to none.
        weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    weights[~unknown] = 0.0
    weights[rows[~unknown], known[~unknown]] = 1.0
    return weights
