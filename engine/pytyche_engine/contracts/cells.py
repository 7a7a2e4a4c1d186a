"""Cells: named shares of a round's traffic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.given import is_number, shown
from pytyche_engine.contracts.policies import (
    WEIGHT_TOLERANCE,
    MixPolicy,
    Policy,
    UniformPolicy,
)
from pytyche_engine.contracts.rules import Rule

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
        refused = f"The weight of cell '{self.id}' is {shown(self.weight)}; use 0 to 1."
        if not is_number(self.weight):
            raise DesignError(refused)
        # "What the others leave", computed in floating point, may miss 0 or 1 by a rounding.
        if 0 < -self.weight <= WEIGHT_TOLERANCE or 0 < self.weight - 1 <= WEIGHT_TOLERANCE:
            object.__setattr__(self, "weight", float(round(self.weight)) + 0.0)
        if not 0 <= self.weight <= 1:
            raise DesignError(refused)

    @property
    def role(self) -> CellRole:
        """The cell's part in the loop, by its name."""
        return _ROLES.get(self.id, "hypothesis")


def hypothesis_cell(
    name: str,
    rule: Rule | str,
    arms: Mapping[str, float] | Sequence[str],
    weight: float,
    *,
    otherwise: Mapping[str, float] | Sequence[str] | None = None,
) -> Cell:
    """A cell of the operator's own: an arm mix for the visitors that a rule holds for.

    `Plan.with_cell` puts it into a plan.

    Args:
        name: of the cell; not ``"control"``, ``"explore"`` or ``"optimized"``.
        rule: who gets the mix, as a `Rule` or as text such as
            ``"browse_depth > 4 AND channel in {direct, email}"`` (see `Rule.parse`).
        arms: shares by arm that add up to 1, or one arm, or several that share evenly.
        weight: share of the round's visitors in the cell, whether the rule holds or not.
        otherwise: what the other visitors in the cell get, written as ``arms``; None for control.

    Raises:
        DesignError: if a part makes no sense; the message says what to write instead.

    Examples:
        >>> cell = hypothesis_cell("social", "channel == social", ["free_ship"], weight=0.1)
        >>> print(cell.policy.describe())
        free_ship 100% where channel == social; control elsewhere
    """
    if not isinstance(name, str) or not name.strip():
        raise DesignError(f"The name of a cell is text; {name!r} is not.")
    if name.strip() in _ROLES:
        raise DesignError(
            f"'{name}' is the name of a cell that every plan has; choose another one."
        )
    if not is_number(weight) or weight <= 0:
        raise DesignError(
            f"The weight of cell '{name}' is {shown(weight)}; use a share above 0, such as 0.1."
        )
    who = rule if isinstance(rule, Rule) else Rule.parse(rule)
    if otherwise is not None and not who.clauses:
        raise DesignError(
            f"The rule of cell '{name}' holds for everyone, so that nobody is left for "
            "'otherwise'. Give a rule, or leave 'otherwise' out."
        )
    others = None if otherwise is None else _mix(otherwise)
    return Cell(name, MixPolicy(_mix(arms), who, others), float(weight))


def _mix(arms: Mapping[str, float] | Sequence[str]) -> Mapping[str, float]:
    if isinstance(arms, Mapping):
        return dict(arms)
    if not isinstance(arms, Sequence):
        raise DesignError(
            f"An arm mix is shares by arm, an arm, or a list of arms; {arms!r} is none of these."
        )
    names = (arms,) if isinstance(arms, str) else UniformPolicy(tuple(arms)).over
    return dict.fromkeys(names, 1 / len(names))
