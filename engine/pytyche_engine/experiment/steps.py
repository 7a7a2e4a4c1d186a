"""The plans that a draft has been: what undo goes back to, and redo forward."""

from dataclasses import dataclass

from pytyche_engine.contracts.plans import Plan

MOST_UNDO = 200
"""Edits that can be taken back."""


@dataclass(frozen=True)
class _Step:
    """A plan, and the gesture that made it: one gesture is one step, however many values it has."""

    plan: Plan
    gesture: str


class Steps:
    """Plans in the order in which they were made, and the one that holds."""

    def __init__(self, plan: Plan) -> None:
        self._steps = [_Step(plan, "")]
        self._position = 0

    @property
    def plan(self) -> Plan:
        """The plan that holds."""
        return self._steps[self._position].plan

    @property
    def can_undo(self) -> bool:
        """Whether there is a plan before it."""
        return self._position > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is one after it."""
        return self._position < len(self._steps) - 1

    def add(self, plan: Plan, gesture: str = "") -> None:
        """Go on to another plan; those that were taken back are forgotten.

        Args:
            plan: the plan.
            gesture: plans in a row with the same gesture are one step, the last of them.
        """
        keep = self._steps[: self._position + 1]
        if gesture and gesture == keep[-1].gesture:
            keep.pop()
        self._steps = [*keep, _Step(plan, gesture)][-(MOST_UNDO + 1) :]
        self._position = len(self._steps) - 1

    def move(self, by: int) -> bool:
        """Go so many steps back (negative) or forward; False if there are not so many."""
        there = 0 <= self._position + by < len(self._steps)
        if there:
            self._position += by
        return there
