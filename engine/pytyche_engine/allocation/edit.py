"""Edits of a plan by hand: one cell changes, and the others make room by one stated rule.

What a cell gains comes out of Optimized first, then out of hypothesis cells in proportion to
their weights, and last out of what Control and Explore hold above their floors. What a cell
gives up goes to Optimized; what Optimized gives up goes to the hypothesis cells in proportion to
their weights, or to Explore where there are none. Weights always add up to 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytyche_engine.contracts.cells import Cell, CellRole
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.given import is_number
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.policies import WEIGHT_TOLERANCE, MixPolicy, TreePolicy
from pytyche_engine.contracts.rules import Rule

RULE = "Changes come out of Optimized first"
"""The rule in the fewest words."""

NEW_CELL_WEIGHT = 0.05
"""Weight that a new cell asks for; it gets what is left if that is less."""

_WHY: Mapping[CellRole, str] = {
    "control": "The floor keeps the baseline measured.",
    "explore": "The floor keeps every arm measured in every segment.",
}


@dataclass(frozen=True)
class Floors:
    """The least weights of Control and Explore; other cells have none."""

    control: float = 0.0
    explore: float = 0.0

    def of(self, cell: Cell) -> float:
        """The least weight of a cell."""
        match cell.role:
            case "control":
                return self.control
            case "explore":
                return self.explore
            case _:
                return 0.0


def find_cell(plan: Plan, name: str) -> Cell:
    """The plan's cell of this name.

    Raises:
        DesignError: if there is none.
    """
    for cell in plan.cells:
        if isinstance(name, str) and cell.id == name:
            return cell
    raise DesignError(
        f"The plan has no cell '{name}'; its cells are {[cell.id for cell in plan.cells]}."
    )


def weight_range(plan: Plan, name: str, floors: Floors) -> tuple[float, float]:
    """The least and the largest weight that a cell can have, the others making room."""
    cell = find_cell(plan, name)
    others = [c for c in plan.cells if c is not cell]
    spare = sum(max(0.0, c.weight - floors.of(c)) for c in others)
    low = floors.of(cell) if others else cell.weight
    return min(low, cell.weight), min(1.0, cell.weight + spare)


def with_weight(plan: Plan, name: str, weight: float, floors: Floors) -> Plan:
    """The plan with another weight for a cell; the others make room by the stated rule.

    Raises:
        DesignError: if there is no such cell, or the weight lies under its floor or above what
            the others can give.
    """
    cell = find_cell(plan, name)
    if not is_number(weight):
        raise DesignError(f"The weight of a cell is a share such as 0.05; {weight!r} is not.")
    low, high = weight_range(plan, name, floors)
    held = f"{_percent(weight)} was not applied; the plan still holds {_percent(cell.weight)}."
    label = name.capitalize() if cell.role != "hypothesis" else name
    if weight < low - WEIGHT_TOLERANCE:
        if low == 0:
            raise DesignError(f"The weight of {label} cannot be below 0%. {held}")
        raise DesignError(
            f"{label} has a floor of {_percent(low)}. {held} {_WHY.get(cell.role, '')}".rstrip()
        )
    if weight > high + WEIGHT_TOLERANCE:
        raise DesignError(
            f"{label} can have at most {_percent(high)}. {held} "
            "The rest is what the other cells must keep."
        )
    weight = min(max(weight, low), high)
    weights = {c.id: c.weight for c in plan.cells}
    weights[name] = weight
    left = weight - cell.weight
    if left > 0:
        for giving in _givers(plan, cell):
            room = {c.id: max(0.0, c.weight - floors.of(c)) for c in giving}
            taken = min(left, sum(room.values()))
            for c in giving if taken > 0 else ():
                weights[c.id] -= taken * room[c.id] / sum(room.values())
            left -= taken
    elif left < 0:
        receivers = _receivers(plan, cell)
        total = sum(c.weight for c in receivers)
        for c in receivers:
            weights[c.id] -= left * (c.weight / total if total > 0 else 1 / len(receivers))
    return replace(plan, cells=tuple(_weighted(plan.cells, weights, name)))


def _givers(plan: Plan, cell: Cell) -> Iterator[list[Cell]]:
    """Who makes room for a cell, in turn."""
    for roles in (("optimized",), ("hypothesis",), ("control", "explore")):
        yield [c for c in plan.cells if c.role in roles and c is not cell]


def _receivers(plan: Plan, cell: Cell) -> list[Cell]:
    """Who gets what a cell gives up."""
    for role in ("optimized", "hypothesis", "explore", "control"):
        if found := [c for c in plan.cells if c.role == role and c is not cell]:
            return found
    return []


def _weighted(cells: Sequence[Cell], weights: Mapping[str, float], edited: str) -> Iterator[Cell]:
    """The cells with these weights; the largest of the others takes what rounding left."""
    rounded = {name: max(0.0, round(weight, 9)) for name, weight in weights.items()}
    absorbs = max((n for n in rounded if n != edited), key=lambda n: rounded[n], default=edited)
    rounded[absorbs] = max(0.0, round(rounded[absorbs] + 1 - sum(rounded.values()), 9))
    for cell in cells:
        changed = rounded[cell.id]
        yield cell if changed == cell.weight else replace(cell, weight=changed)


def with_new_cell(plan: Plan, cell: Cell, floors: Floors) -> Plan:
    """The plan with one cell more, which gets its weight by the stated rule.

    It stands before Optimized, so that with `Plan.export` no visitor of another cell changes
    cells when Optimized gives the weight.

    Raises:
        DesignError: if the plan has a cell of that name, or the others cannot give that much.
    """
    cells = list(plan.cells)
    at = next((i for i, c in enumerate(cells) if c.role == "optimized"), len(cells))
    cells.insert(at, replace(cell, weight=0.0))
    return with_weight(replace(plan, cells=tuple(cells)), cell.id, cell.weight, floors)


def duplicated(plan: Plan, name: str, floors: Floors) -> tuple[Plan, str]:
    """The plan with a copy of a cell, and the copy's name.

    The copy is a hypothesis cell. Of Control and Explore it has the shares as a mix, which unlike
    theirs can be changed.
    """
    policy = find_cell(plan, name).policy
    if not isinstance(policy, TreePolicy | MixPolicy):
        (everyone,) = policy.routing(plan.arms)
        policy = MixPolicy(dict(everyone.shares))
    copy = Cell(
        free_name(plan, f"{name} copy"),
        policy,
        min(NEW_CELL_WEIGHT, spare_weight(plan, floors)),
    )
    return with_new_cell(plan, copy, floors), copy.id


def without_cell(plan: Plan, name: str, floors: Floors) -> Plan:
    """The plan without a hypothesis cell, whose weight the others get by the stated rule.

    Raises:
        DesignError: if there is no such cell, or it is Control, Explore or Optimized.
    """
    _check_own(find_cell(plan, name), "removed; give it less weight instead")
    emptied = with_weight(plan, name, 0.0, floors)
    return replace(emptied, cells=tuple(c for c in emptied.cells if c.id != name))


def renamed(plan: Plan, name: str, new_name: str) -> Plan:
    """The plan with another name for a hypothesis cell.

    Raises:
        DesignError: if there is no such cell, it is Control, Explore or Optimized, or the new
            name is empty or taken.
    """
    cell = find_cell(plan, name)
    _check_own(cell, "renamed: its part in the loop goes by its name")
    if not isinstance(new_name, str):
        raise DesignError(f"The name of a cell is text; {new_name!r} is not.")
    new_name = new_name.strip()
    if not new_name:
        raise DesignError(f"A cell needs a name. It is still called '{name}'.")
    changed = replace(cell, id=new_name)
    if changed.role != "hypothesis" or any(c.id == new_name for c in plan.cells if c is not cell):
        raise DesignError(
            f"'{new_name}' is the name of another cell. It is still called '{name}'; "
            "choose a name that is free."
        )
    return _exchanged(plan, cell, changed)


def with_rule(plan: Plan, name: str, rule: Rule) -> Plan:
    """The plan with another rule for a hypothesis cell that gives arms by a mix.

    A rule for everyone leaves nobody for the mix elsewhere, which then goes.

    Raises:
        DesignError: if there is no such cell, or it does not go by a rule of its own.
    """
    cell = find_cell(plan, name)
    policy = cell.policy
    if not isinstance(policy, MixPolicy):
        raise DesignError(f"Cell '{name}' has no rule of its own: {policy.describe()}.")
    elsewhere = policy.otherwise if rule.clauses else None
    changed = replace(cell, policy=replace(policy, rule=rule, otherwise=elsewhere))
    return _exchanged(plan, cell, changed)


def with_shares(
    plan: Plan, name: str, shares: Mapping[str, float], segment: str | None = None
) -> Plan:
    """The plan with other arm shares in a cell, or in one segment of a cell with a policy tree.

    Raises:
        DesignError: if there is no such cell or segment, or the shares do not make a mix.
    """
    cell = find_cell(plan, name)
    policy = cell.policy
    match policy:
        case TreePolicy() if segment is not None:
            changed = replace(cell, policy=policy.with_shares(segment, shares))
        case MixPolicy() if segment is None:
            changed = replace(cell, policy=replace(policy, shares=dict(shares)))
        case _:
            where = "" if segment is None else f" for segment '{segment}'"
            raise DesignError(
                f"The arms of cell '{name}' cannot be set{where}: {policy.describe()}."
            )
    return _exchanged(plan, cell, changed)


def with_share(shares: Mapping[str, float], arm: str, share: float) -> dict[str, float]:
    """A mix with another share for one arm; the others keep their proportions.

    Where the others had nothing, the first of them (control, if it is one) gets the rest.

    Raises:
        DesignError: if the share is none.
    """
    if not is_number(share):
        raise DesignError(f"The share of an arm is a number such as 0.5; {share!r} is not.")
    if not 0 <= share <= 1:
        raise DesignError(
            f"The share of an arm lies between 0% and 100%. {_percent(share)} was not applied; "
            f"{arm} still has {_percent(shares.get(arm, 0.0))}."
        )
    others = {name: value for name, value in shares.items() if name != arm}
    total = sum(others.values())
    if total <= 0:
        others = {name: float(i == 0) for i, name in enumerate(others)}
        total = 1.0
    rest = {name: (1 - share) * value / total for name, value in others.items()}
    return {name: round(share if name == arm else rest[name], 9) for name in shares}


def free_name(plan: Plan, stem: str) -> str:
    """The stem, with a number behind it if the plan has a cell of that name."""
    taken = {cell.id for cell in plan.cells}
    names = (stem if i == 1 else f"{stem} {i}" for i in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def spare_weight(plan: Plan, floors: Floors) -> float:
    """What a new cell could get at the most."""
    return sum(max(0.0, c.weight - floors.of(c)) for c in plan.cells)


def changes(plan: Plan, recommended: Plan) -> str:
    """How a plan differs from the recommended one, in a line: what came, went and moved."""
    then = {c.id: c for c in recommended.cells}
    now = {c.id: c for c in plan.cells}
    parts = []
    for count, word in (
        (sum(name not in then for name in now), "added"),
        (sum(name not in now for name in then), "removed"),
        (sum(now[n].policy != then[n].policy for n in now.keys() & then.keys()), "with other arms"),
    ):
        if count:
            parts.append(f"{count} cell{'s' if count > 1 else ''} {word}")
    moved = {
        c.id: 100 * (c.weight - then[c.id].weight)
        for c in plan.cells
        if c.id in then and abs(c.weight - then[c.id].weight) > WEIGHT_TOLERANCE
    }
    for name, points in sorted(moved.items(), key=lambda item: -round(abs(item[1]), 6)):
        size = f"{abs(points):.1f}".removesuffix(".0")
        unit = "point" if size == "1" else "points"
        parts.append(f"{name.capitalize()} {size} {unit} {'higher' if points > 0 else 'lower'}")
    return ", ".join(parts) or "As recommended"


def _exchanged(plan: Plan, old: Cell, new: Cell) -> Plan:
    return replace(plan, cells=tuple(new if c is old else c for c in plan.cells))


def _check_own(cell: Cell, what: str) -> None:
    if cell.role != "hypothesis":
        raise DesignError(f"{cell.id.capitalize()} cannot be {what}.")


def _percent(share: float) -> str:
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + "%"
