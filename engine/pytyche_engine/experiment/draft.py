"""The plan of the next round while an operator works on it."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pytyche_engine.allocation import (
    Floors,
    PlanPreview,
    SeenVisitors,
    edit,
    override,
    plan_code,
    preview,
)
from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.observations import FeatureSchema
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.policies import MixPolicy
from pytyche_engine.contracts.rules import Rule
from pytyche_engine.experiment.steps import Steps


@dataclass(frozen=True)
class Refused:
    """Something that was typed and not applied.

    Attributes:
        cell: the cell that it was meant for.
        text: what was typed.
        reason: why it was not applied, and what holds instead.
    """

    cell: str
    text: str
    reason: str


@dataclass(frozen=True)
class Accepted:
    """That a draft was accepted.

    Attributes:
        revision: which of the draft's revisions it was.
        at: when, in UTC.
    """

    revision: int
    at: datetime


class PlanDraft:
    """An editable plan for the next round. Get it as ``exp.draft``.

    Every edit keeps the plan whole: weights add up to 1 and floors hold; what would break them
    raises `DesignError` and changes nothing. Nothing is served until `accept`. It may be used from
    any thread.

    Attributes:
        recommended: the plan that it started from.
        floors: the least weights of Control and Explore.
        schema: the experiment's features; None before there are any.
    """

    def __init__(
        self,
        current: Plan,
        recommended: Plan,
        *,
        floors: Floors,
        schema: FeatureSchema | None,
        look: Callable[[], SeenVisitors | None],
        recommendation: Callable[[], Plan],
        accept: Callable[[Sequence[Cell]], Plan],
        keep: Callable[["PlanDraft"], None],
    ) -> None:
        self.recommended = recommended
        self.floors = floors
        self.schema = schema
        self._look = look
        self._recommendation = recommendation
        self._accept = accept
        self._keep = keep
        self._lock = threading.RLock()
        self._steps = Steps(current)
        self._revision = 1
        self._refused: dict[str, Refused] = {}
        self._accepted: Accepted | None = None
        self._seen: SeenVisitors | None = None
        self._looked = False
        self._watchers: list[Callable[[], None]] = []

    # What it is

    @property
    def plan(self) -> Plan:
        """The plan as it stands."""
        return self._steps.plan

    @property
    def revision(self) -> int:
        """Counts the plans that the draft has been, from 1."""
        return self._revision

    @property
    def accepted(self) -> Accepted | None:
        """That it was accepted as it stands; None while it is edited."""
        return self._accepted

    @property
    def is_current(self) -> bool:
        """Whether the experiment still recommends what the draft started from."""
        return self._recommendation() == self.recommended

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to take back, since it was last accepted."""
        return self._steps.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether an edit was taken back."""
        return self._steps.can_redo

    @property
    def refused(self) -> Mapping[str, Refused]:
        """What was typed into fields of an editor and not applied, by field."""
        return dict(self._refused)

    @property
    def seen(self) -> SeenVisitors | None:
        """Visitors like those expected; None before the first round. Made when first asked for."""
        with self._lock:
            if not self._looked:
                self._seen, self._looked = self._look(), True
            return self._seen

    def preview(self) -> PlanPreview:
        """What the plan is expected to do, cell by cell."""
        with self._lock:
            return preview(self.plan, self.recommended, self.seen)

    def changes(self) -> str:
        """How it differs from the recommendation, in a line."""
        return edit.changes(self.plan, self.recommended)

    def code(self, experiment: str = "exp") -> str:
        """The Python that accepts this plan.

        Args:
            experiment: the name of the experiment's variable.
        """
        return plan_code(self.plan, self.recommended, experiment=experiment)

    def weight_range(self, cell: str) -> tuple[float, float]:
        """The least and the largest weight that a cell can have, the others making room."""
        return edit.weight_range(self.plan, cell, self.floors)

    def __repr__(self) -> str:
        state = "accepted" if self._accepted else f"draft, revision {self._revision}"
        return f"{self.plan!r}\n{self.changes()} ({state})"

    # Edits

    def take_up(self, plan: Plan) -> None:
        """Go on with a plan that was edited before; it is checked like every edit.

        Raises:
            DesignError: if it is for another round or other arms, or breaks a floor.
        """
        here = self.recommended
        if (plan.round_index, plan.arms) != (here.round_index, here.arms):
            raise DesignError(
                f"It is for round {plan.round_index + 1} with the arms {list(plan.arms)}; next is "
                f"round {here.round_index + 1} with the arms {list(here.arms)}."
            )
        self._edit(lambda _: plan)

    def set_weight(self, cell: str, weight: float, *, gesture: str = "") -> None:
        """Give a cell another weight; the others make room (see `allocation.edit`).

        Args:
            cell: its name.
            weight: share of the round's visitors, in [0, 1].
            gesture: edits in a row with the same gesture are one step of `undo`.

        Raises:
            DesignError: if it breaks a floor, or the others cannot give that much.
        """
        self._edit(lambda plan: edit.with_weight(plan, cell, weight, self.floors), gesture)

    def add(self, cell: Cell) -> None:
        """Add a cell, e.g. from `hypothesis_cell`; its weight is taken from the others.

        Raises:
            DesignError: if its name is taken, it names an arm or feature that does not exist, or
                the others cannot give that much.
        """
        self._edit(lambda plan: edit.with_new_cell(plan, cell, self.floors))

    def add_hypothesis(self) -> str:
        """Add a cell for everyone with all arms evenly, to start from, and return its name."""
        arms = self.plan.arms
        spare = edit.spare_weight(self.plan, self.floors)
        cell = Cell(
            edit.free_name(self.plan, "Hypothesis"),
            MixPolicy(dict.fromkeys(arms, 1 / len(arms))),
            min(edit.NEW_CELL_WEIGHT, spare),
        )
        self.add(cell)
        return cell.id

    def duplicate(self, cell: str) -> str:
        """Add a copy of a cell as a hypothesis cell, and return its name."""
        made: list[str] = []

        def with_copy(plan: Plan) -> Plan:
            changed, name = edit.duplicated(plan, cell, self.floors)
            made.append(name)
            return changed

        self._edit(with_copy)
        return made[0]

    def remove(self, cell: str) -> None:
        """Remove a hypothesis cell; its weight goes to the others.

        Raises:
            DesignError: if it is Control, Explore or Optimized.
        """
        self._edit(lambda plan: edit.without_cell(plan, cell, self.floors))

    def rename(self, cell: str, name: str) -> None:
        """Give a hypothesis cell another name.

        Raises:
            DesignError: if it is Control, Explore or Optimized, or the name is empty or taken.
        """
        self._edit(lambda plan: edit.renamed(plan, cell, name))

    def set_rule(self, cell: str, rule: Rule | str) -> None:
        """Say whom a hypothesis cell's mix is for.

        Raises:
            DesignError: if the cell has no rule of its own, or the rule is about features that
                do not exist.
        """
        asked = rule if isinstance(rule, Rule) else Rule.parse(rule)
        self._edit(lambda plan: edit.with_rule(plan, cell, asked))

    def set_shares(
        self, cell: str, shares: Mapping[str, float], segment: str | None = None
    ) -> None:
        """Say how often a cell gives each arm; in one segment, for a cell with a policy tree.

        Raises:
            DesignError: if shares do not add up to 1, or an arm does not exist or is dropped.
        """
        self._edit(lambda plan: edit.with_shares(plan, cell, shares, segment))

    def set_share(self, cell: str, arm: str, share: float, segment: str | None = None) -> None:
        """Say how often a cell gives one arm; the others keep their proportions.

        Raises:
            DesignError: as for `set_shares`.
        """

        def changed(plan: Plan) -> Plan:
            shares = {a: self.shares(cell, segment).get(a, 0.0) for a in plan.arms}
            return edit.with_shares(plan, cell, edit.with_share(shares, arm, share), segment)

        self._edit(changed)

    def shares(self, cell: str, segment: str | None = None) -> Mapping[str, float]:
        """How often a cell gives each arm, to those its rule is for or in one segment."""
        routes = edit.find_cell(self.plan, cell).policy.routing(self.plan.arms)
        if segment is None:
            return routes[0].shares
        found = next((route.shares for route in routes if route.segment == segment), None)
        if found is None:
            raise DesignError(f"Cell '{cell}' has no segment '{segment}'.")
        return found

    def undo(self) -> None:
        """Take back the last edit, if there is one."""
        self._move(-1)

    def redo(self) -> None:
        """Make the edit again that was taken back last, if there is one."""
        self._move(+1)

    def reset(self) -> None:
        """Go back to the recommended plan. It is one step, and can be undone."""
        with self._changing():
            self._refused.clear()
            if self.plan != self.recommended:
                self._steps.add(self.recommended)
                self._changed()

    # Ending it

    def accept(self) -> Plan:
        """Serve this plan in the next round; the experiment checks it once more.

        Raises:
            DesignError: if something that was typed was refused and not mended, or the
                experiment does not take the plan.
        """
        with self._lock:
            if self._refused:
                cells = ", ".join(dict.fromkeys(r.cell for r in self._refused.values()))
                raise DesignError(
                    f"There is something to fix first: {cells}. "
                    + " ".join(r.reason for r in self._refused.values())
                )
            if not self.is_current:
                raise DesignError(
                    f"This draft is for round {self.plan.round_index + 1} as it was recommended "
                    "before. Take a new one: exp.draft."
                )
            chosen = self.plan.cells
        # Without the lock: whoever is told of it may have locks of their own.
        plan = self._accept(chosen)
        self.follow(plan)
        return plan

    def follow(self, plan: Plan) -> None:
        """Take in a plan that the experiment accepted, here or by `accept` of its own."""
        if self._accepted is not None and plan == self.plan:
            return
        with self._changing():
            if plan != self.plan:
                self._changed()
            self._steps = Steps(plan)
            self._refused.clear()
            self._accepted = Accepted(self._revision, datetime.now(UTC))

    def reopen(self) -> None:
        """Edit an accepted plan further. What was accepted is served until it is accepted anew."""
        with self._changing():
            self._accepted = None

    # For editors

    def refuse(self, field: str, refused: Refused) -> None:
        """Note what was typed into a field and not applied, so that every view shows it."""
        with self._changing():
            self._refused[field] = refused

    def dismiss(self, field: str) -> None:
        """Forget what was typed into a field: what holds is shown again."""
        if field in self._refused:
            with self._changing():
                self._refused.pop(field, None)

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call a function after every change, in the thread that made it; the return ends that."""
        self._watchers.append(changed)

        def end() -> None:
            if changed in self._watchers:
                self._watchers.remove(changed)

        return end

    # Inside

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Change something, then tell; never nested, so that nobody is told under the lock."""
        with self._lock:
            before = self.plan
            yield
            if self.plan != before or self._accepted is not None:
                self._keep(self)
        for changed in tuple(self._watchers):
            changed()

    def _edit(self, change: Callable[[Plan], Plan], gesture: str = "") -> None:
        with self._changing():
            changed = override(
                self.recommended,
                change(self.plan).cells,
                min_control_weight=self.floors.control,
                min_explore_weight=self.floors.explore,
                schema=self.schema,
            )
            if changed == self.plan:
                return
            self._steps.add(changed, gesture)
            self._changed()

    def _move(self, by: int) -> None:
        with self._changing():
            if self._steps.move(by):
                self._refused.clear()
                self._changed()

    def _changed(self) -> None:
        self._revision += 1
        self._accepted = None
        here = {cell.id for cell in self.plan.cells}
        self._refused = {f: r for f, r in self._refused.items() if r.cell in here}
