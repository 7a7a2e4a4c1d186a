"""Cells, the policies inside them, and the plan of a round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.rules import Rule
from pytyche_engine.contracts.tables import Table

WEIGHT_TOLERANCE = 1e-6
"""How far weights or shares may be from adding up to one."""


@dataclass(frozen=True)
class BaselinePolicy:
    """Everyone in the cell gets the control arm."""

    @property
    def named_arms(self) -> frozenset[str]:
        """The arms that the policy names."""
        return frozenset()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that the policy routes by."""
        return ()

    def arm_shares(self, features: pd.DataFrame, arms: Sequence[str]) -> Float[np.ndarray, "n k"]:
        """(n, K) probability of each arm for each visitor."""
        shares = np.zeros((len(features), len(arms)))
        shares[:, 0] = 1.0
        return shares

    def describe(self) -> str:
        """The policy in a few words, as shown in tables."""
        return "baseline: always control"


@dataclass(frozen=True)
class UniformPolicy:
    """Each of some arms with the same probability."""

    over: tuple[str, ...]

    def __post_init__(self) -> None:
        if isinstance(self.over, str):
            raise DesignError(
                f"A uniform policy takes a list of arms; '{self.over}' is one text. "
                f"Write ['{self.over}']."
            )
        object.__setattr__(self, "over", tuple(self.over))
        if not self.over or len(set(self.over)) != len(self.over):
            raise DesignError("A uniform policy needs at least one arm, each named once.")

    @property
    def named_arms(self) -> frozenset[str]:
        """The arms that the policy names."""
        return frozenset(self.over)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that the policy routes by."""
        return ()

    def arm_shares(self, features: pd.DataFrame, arms: Sequence[str]) -> Float[np.ndarray, "n k"]:
        """(n, K) probability of each arm for each visitor."""
        return np.tile(
            _share_row(dict.fromkeys(self.over, 1 / len(self.over)), arms), (len(features), 1)
        )

    def describe(self) -> str:
        """The policy in a few words, as shown in tables."""
        return f"uniform over {list(self.over)}"


@dataclass(frozen=True)
class Route:
    """Visitors who match a rule get arms with these probabilities."""

    segment: str
    rule: Rule
    shares: Mapping[str, float]

    def __post_init__(self) -> None:
        _check_shares(f"segment '{self.segment}'", self.shares)


@dataclass(frozen=True)
class TreePolicy:
    """Visitors are routed by segment; the first matching route decides.

    ``routes`` cover everyone as long as they are the leaves of one policy tree. A visitor
    who matches none of them (an unseen level, say) gets ``otherwise``.
    """

    routes: tuple[Route, ...]
    otherwise: Mapping[str, float]

    def __post_init__(self) -> None:
        _check_shares("visitors who match no route", self.otherwise)

    @property
    def named_arms(self) -> frozenset[str]:
        """The arms that the policy names."""
        return frozenset(self.otherwise).union(*(route.shares for route in self.routes))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that the policy routes by."""
        return tuple(route.rule for route in self.routes)

    def arm_shares(self, features: pd.DataFrame, arms: Sequence[str]) -> Float[np.ndarray, "n k"]:
        """(n, K) probability of each arm for each visitor."""
        shares = np.tile(_share_row(self.otherwise, arms), (len(features), 1))
        open_rows = np.ones(len(features), dtype=bool)
        for route in self.routes:
            rows = open_rows & route.rule.matches(features)
            shares[rows] = _share_row(route.shares, arms)
            open_rows &= ~rows
        return shares

    def describe(self) -> str:
        """The policy in a few words, as shown in tables."""
        if len(self.routes) == 1:
            return "one segment, everyone, with Thompson allocation"
        return (
            f"policy tree routing over {len(self.routes)} segments "
            "with per-leaf Thompson allocation"
        )


@dataclass(frozen=True)
class MixPolicy:
    """Arms with fixed probabilities, for visitors who match a rule; the rest get control.

    The policy of a cell that an operator adds to test a hypothesis.
    """

    shares: Mapping[str, float]
    rule: Rule = field(default_factory=Rule)

    def __post_init__(self) -> None:
        _check_shares(f"the mix for {self.rule}", self.shares)

    @property
    def named_arms(self) -> frozenset[str]:
        """The arms that the policy names."""
        return frozenset(self.shares)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that the policy routes by."""
        return (self.rule,)

    def arm_shares(self, features: pd.DataFrame, arms: Sequence[str]) -> Float[np.ndarray, "n k"]:
        """(n, K) probability of each arm for each visitor."""
        shares = BaselinePolicy().arm_shares(features, arms)
        shares[self.rule.matches(features)] = _share_row(self.shares, arms)
        return shares

    def describe(self) -> str:
        """The policy in a few words, as shown in tables."""
        mix = ", ".join(f"{arm} {share:.0%}" for arm, share in self.shares.items() if share)
        return mix if not self.rule.clauses else f"{mix} where {self.rule}; control elsewhere"


Policy = BaselinePolicy | UniformPolicy | TreePolicy | MixPolicy


def _check_shares(whose: str, shares: Mapping[str, float]) -> None:
    values = np.array(list(shares.values()), dtype=float)
    # Written so that nan fails too.
    if not ((values >= 0).all() and abs(values.sum() - 1) <= WEIGHT_TOLERANCE):
        raise DesignError(
            f"The arm shares of {whose} must be >= 0 and add up to 1; they are {dict(shares)}."
        )


def _share_row(shares: Mapping[str, float], arms: Sequence[str]) -> Float[np.ndarray, " k"]:
    if unknown := set(shares) - set(arms):
        raise DesignError(
            f"A policy names unknown arm(s) {sorted(unknown)}; the arms are {list(arms)}."
        )
    return np.array([shares.get(arm, 0.0) for arm in arms])


CellRole = Literal["control", "explore", "optimized", "hypothesis"]
_ROLES: Mapping[str, CellRole] = {
    "control": "control",
    "explore": "explore",
    "optimized": "optimized",
}


@dataclass(frozen=True)
class Cell:
    """A named share of a round's traffic and what its visitors get.

    Attributes:
        id: the cell's name, unique in its plan.
        policy: who gets which arm.
        weight: share of the round's visitors, in [0, 1].
    """

    id: str
    policy: Policy
    weight: float

    def __post_init__(self) -> None:
        if not self.id:
            raise DesignError("A cell needs a name.")
        # "What the others leave", computed in floating point, may miss 0 or 1 by a rounding.
        if 0 < -self.weight <= WEIGHT_TOLERANCE or 0 < self.weight - 1 <= WEIGHT_TOLERANCE:
            object.__setattr__(self, "weight", float(round(self.weight)) + 0.0)
        if not 0 <= self.weight <= 1:
            raise DesignError(f"The weight of cell '{self.id}' is {self.weight}; use 0 to 1.")

    @property
    def role(self) -> CellRole:
        """The cell's part in the loop, by its name."""
        return _ROLES.get(self.id, "hypothesis")


@dataclass(frozen=True)
class Assignment:
    """Where a plan put visitors.

    Attributes:
        cell: (n,) codes into the plan's cells.
        arm: (n,) arm codes.
        propensity: (n, K) probability of each arm for each visitor, over all cells.
    """

    cell: Int[np.ndarray, " n"]
    arm: Int[np.ndarray, " n"]
    propensity: Float[np.ndarray, "n arms"]


@dataclass(frozen=True, repr=False)
class Plan:
    """What the next round serves: weighted cells over an expected number of visitors.

    Attributes:
        round_index: the round it is for, from 0.
        arms: arm names, control first.
        cells: its cells; weights add up to 1.
        n_visitors: expected visitors, None when the schedule is exhausted.
    """

    round_index: int
    arms: tuple[str, ...]
    cells: tuple[Cell, ...]
    n_visitors: int | None

    def __post_init__(self) -> None:
        ids = [cell.id for cell in self.cells]
        if not ids:
            raise DesignError("A plan needs at least one cell.")
        if len(set(ids)) != len(ids):
            raise DesignError(f"Cell names must be unique; they are {ids}.")
        total = sum(cell.weight for cell in self.cells)
        if abs(total - 1) > WEIGHT_TOLERANCE:
            raise DesignError(f"Cell weights must add up to 1; they add up to {total:.6g}.")
        for cell in self.cells:
            if unknown := cell.policy.named_arms - set(self.arms):
                raise DesignError(
                    f"Cell '{cell.id}' names unknown arm(s) {sorted(unknown)}; "
                    f"the arms are {list(self.arms)}."
                )

    def table(self) -> Table:
        """The plan as the tutorial shows it: cell, weight, policy."""
        rows = [(c.id, f"{c.weight:.2f}", c.policy.describe()) for c in self.cells]
        return Table(("cell", "weight", "policy"), rows)

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    def cell_arm_shares(self, features: pd.DataFrame) -> list[Float[np.ndarray, "n arms"]]:
        """For each cell, the (n, K) arm probabilities of these visitors."""
        return [cell.policy.arm_shares(features, self.arms) for cell in self.cells]

    def propensity(self, features: pd.DataFrame) -> Float[np.ndarray, "n arms"]:
        """(n, K) probability of each arm over all cells."""
        total = np.zeros((len(features), len(self.arms)))
        for cell, shares in zip(self.cells, self.cell_arm_shares(features), strict=True):
            total += cell.weight * shares
        return total

    def assign(self, features: pd.DataFrame, rng: np.random.Generator) -> Assignment:
        """Draw a cell and an arm for each visitor."""
        n = len(features)
        weights = np.array([cell.weight for cell in self.cells])
        cell = rng.choice(len(weights), size=n, p=weights / weights.sum())
        shares = np.stack(self.cell_arm_shares(features))[cell, np.arange(n)]
        thresholds = np.cumsum(shares, axis=1)
        u = rng.random(n)[:, None] * thresholds[:, -1:]
        arm = np.minimum((u > thresholds).sum(axis=1), len(self.arms) - 1)
        return Assignment(cell=cell, arm=arm, propensity=self.propensity(features))


def policy_to_dict(policy: Policy) -> dict[str, Any]:
    """A policy as plain JSON values."""
    match policy:
        case BaselinePolicy():
            return {"kind": "baseline"}
        case UniformPolicy(over):
            return {"kind": "uniform", "over": list(over)}
        case MixPolicy(shares, rule):
            return {"kind": "mix", "shares": dict(shares), "rule": rule.to_dict()}
        case TreePolicy(routes, otherwise):
            return {
                "kind": "tree",
                "routes": [
                    {"segment": r.segment, "rule": r.rule.to_dict(), "shares": dict(r.shares)}
                    for r in routes
                ],
                "otherwise": dict(otherwise),
            }


def policy_from_dict(value: Mapping[str, Any]) -> Policy:
    """The inverse of `policy_to_dict`."""
    match value["kind"]:
        case "baseline":
            return BaselinePolicy()
        case "uniform":
            return UniformPolicy(tuple(value["over"]))
        case "mix":
            return MixPolicy(dict(value["shares"]), Rule.from_dict(value["rule"]))
        case "tree":
            routes = tuple(
                Route(r["segment"], Rule.from_dict(r["rule"]), dict(r["shares"]))
                for r in value["routes"]
            )
            return TreePolicy(routes, dict(value["otherwise"]))
        case kind:
            raise DesignError(f"Unknown kind of policy '{kind}'.")


def plan_to_dict(plan: Plan) -> dict[str, Any]:
    """A plan as plain JSON values."""
    return {
        "round_index": plan.round_index,
        "arms": list(plan.arms),
        "n_visitors": plan.n_visitors,
        "cells": [
            {"id": c.id, "weight": c.weight, "policy": policy_to_dict(c.policy)} for c in plan.cells
        ],
    }


def plan_from_dict(value: Mapping[str, Any]) -> Plan:
    """The inverse of `plan_to_dict`."""
    return Plan(
        round_index=int(value["round_index"]),
        arms=tuple(value["arms"]),
        n_visitors=value["n_visitors"],
        cells=tuple(
            Cell(c["id"], policy_from_dict(c["policy"]), float(c["weight"])) for c in value["cells"]
        ),
    )
