"""The plan of a round: weighted cells over an expected number of visitors."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.export import Exported, as_json, as_python, as_sql
from pytyche_engine.contracts.observations import FeatureKind, FeatureSchema
from pytyche_engine.contracts.policies import (
    WEIGHT_TOLERANCE,
    TreePolicy,
    policy_from_dict,
    policy_to_dict,
)
from pytyche_engine.contracts.rules import Rule, Threshold
from pytyche_engine.contracts.tables import Table


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

    @property
    def notices(self) -> tuple[str, ...]:
        """What is allowed in a plan but easily overlooked, one sentence each."""
        notices = []
        optimized = sum(cell.weight for cell in self.cells if cell.role == "optimized")
        if self.round_index > 0 and optimized < WEIGHT_TOLERANCE:
            taken = ", ".join(f"'{c.id}' {c.weight:.1%}" for c in self.cells if c.weight)
            notices.append(f"Nothing is left for Optimized this round: {taken}.")
        if self.n_visitors is not None:
            notices += [
                f"Cell '{c.id}' expects fewer than one of the round's {self.n_visitors:,} visitors."
                for c in self.cells
                if 0 < c.weight * self.n_visitors < 1
            ]
        for cell in self.cells:
            if isinstance(cell.policy, TreePolicy):
                notices += [
                    f"Cell '{cell.id}' does not serve '{d.arm}' since round {d.since_round + 1} "
                    f"(dropped by the {d.by}): {d.reason.rstrip('.')}."
                    for d in cell.policy.dropped
                ]
        return tuple(notices)

    def __repr__(self) -> str:
        return "\n".join([self.table().text(), *self.notices])

    def _repr_html_(self) -> str:
        return self.table().html() + "".join(f"<p>{html.escape(n)}</p>" for n in self.notices)

    def with_cell(
        self, cell: Cell, taken_from: str = "optimized", *, schema: FeatureSchema | None = None
    ) -> "Plan":
        """A plan with one cell more, whose weight another cell gives up.

        The new cell stands before the one that gives, so that with `export` no visitor of any
        other cell changes cells. A cell that gives all it has stays, with weight 0.

        Args:
            cell: e.g. from `hypothesis_cell`.
            taken_from: the cell that gives.
            schema: the experiment's features, to check the cell's rules against; None before
                there are any.

        Raises:
            DesignError: if the plan has a cell of that name or none to take from, if that one
                has too little, or if the cell names arms or features that do not exist.
        """
        if not isinstance(cell, Cell):
            raise DesignError(
                "A plan takes a Cell, e.g. hypothesis_cell(name, rule, arms, weight)."
            )
        weights = {c.id: c.weight for c in self.cells}
        if cell.id in weights:
            raise DesignError(
                f"The plan has a cell '{cell.id}' already; give the new one another name."
            )
        if taken_from not in weights:
            raise DesignError(
                f"The plan has no cell '{taken_from}' to take weight from; its cells are "
                f"{list(weights)}. Name one of these as 'taken_from'."
            )
        left = weights[taken_from] - cell.weight
        if left < -WEIGHT_TOLERANCE:
            raise DesignError(
                f"Cell '{cell.id}' asks for {cell.weight:.2%}, but '{taken_from}' has only "
                f"{weights[taken_from]:.2%}. Ask for at most {weights[taken_from]:g}."
            )
        if schema is not None:
            check_rules((cell,), schema)
        return replace(
            self,
            cells=tuple(
                new
                for c in self.cells
                for new in ((cell, replace(c, weight=left)) if c.id == taken_from else (c,))
            ),
        )

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

    def export(self, form: Literal["json", "sql", "python"], *, experiment: str = "") -> str:
        """The plan as text that an experimentation platform or a CRM can run by itself.

        All forms give a visitor the same cell and arm, from the visitor's id and features and
        from nothing else; that is, the plan's probabilities, though not the draws of `assign`.

        - ``"json"``: a document for programs. Each cell has a weight and ``routes``; the first
          route whose rule a visitor matches decides, and the last is for everyone. A rule is
          there as clauses and as an SQL condition; ``round_index`` counts from 0. ``schema``
          and ``version`` say how to read it, ``assignment`` how to draw; `plan_from_dict` reads
          the plan back.
        - ``"sql"``: one SELECT over ``"visitors"`` that gives ``visitor_id``, ``cell`` and
          ``arm``. Databases hash differently, so the table brings two numbers in [0, 1),
          ``u_cell`` and ``u_arm``; the comment at the top defines them and has the query by
          which PostgreSQL computes them.
        - ``"python"``: a module that needs the standard library alone, with
          ``assign(visitor_id, features)`` for the cell and the arm, and ``probabilities``,
          ``arm_shares`` and ``draws``.

        Rules ask for features as the experiment has them, under the names of the data's
        columns. Only dates are not used as they are: ``signup.month`` is the month of the
        column ``signup``. Every form lists the features it needs, and what they hold.

        Args:
            form: what to write.
            experiment: the experiment's name, e.g. ``exp.name``. It goes into the hash: without
                it, experiments with the same arms put the same visitors into the same arms.

        Raises:
            DesignError: if the form is none of the three, a cut of a rule is not finite, or a
                name holds what SQL cannot.
        """
        exported = Exported(experiment, self.round_index, self.arms, self.cells)
        match form:
            case "json":
                return as_json(exported, plan_to_dict(self))
            case "sql":
                return as_sql(exported)
            case "python":
                return as_python(exported)
        raise DesignError(f"A plan is exported as 'json', 'sql' or 'python'; not as {form!r}.")


def check_rules(cells: Sequence[Cell], schema: FeatureSchema) -> None:
    """Check the rules of cells; see `check_rule`.

    Raises:
        DesignError: naming the cell and the feature at fault.
    """
    for cell in cells:
        for rule in cell.policy.rules:
            check_rule(rule, schema, f"Cell '{cell.id}'")


def check_rule(rule: Rule, schema: FeatureSchema, owner: str) -> None:
    """Whether every clause is about a feature of the experiment, of the clause's kind.

    Args:
        rule: what is checked.
        schema: the experiment's features.
        owner: whose rule it is, as the subject of a sentence.

    Raises:
        DesignError: naming the owner and the feature at fault.
    """
    features = {feature.name: feature for feature in schema.features}
    for clause in rule.clauses:
        feature = features.get(clause.feature)
        if feature is None:
            raise DesignError(
                f"{owner} has a rule on '{clause.feature}', which is not a feature; "
                f"the features are {list(features)}."
            )
        numeric = feature.kind is FeatureKind.NUMERIC
        if isinstance(clause, Threshold):
            if not numeric:
                raise DesignError(
                    f"{owner} compares '{clause.feature}' with a number, but it is "
                    f"{feature.kind}. Use Levels('{clause.feature}', (...))."
                )
            continue
        if numeric:
            raise DesignError(
                f"{owner} asks for levels of '{clause.feature}', but it is numeric. "
                f"Use Threshold('{clause.feature}', '>', ...)."
            )
        if feature.kind is FeatureKind.BOOLEAN and not clause.about_flags:
            raise DesignError(
                f"{owner} asks for {list(clause.levels)} of '{clause.feature}', but "
                "it is boolean: its levels are 'True' and 'False'."
            )
        known = set(feature.levels)
        if known and clause.levels and not known & set(clause.levels):
            raise DesignError(
                f"{owner} asks for {list(clause.levels)} of '{clause.feature}', which nobody has "
                f"had so far; its levels are {list(feature.levels)}."
            )


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
