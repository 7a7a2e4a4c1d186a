"""The segments of an experiment, as an operator names, registers and follows them."""

import math
from collections.abc import Callable, Iterator

from pytyche_engine.contracts.actions import (
    Action,
    NameSegment,
    RegisterSegment,
    RetireSegment,
    registered_segments,
    segment_names,
)
from pytyche_engine.contracts.decisions import Segment
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.money import probability_of, signed
from pytyche_engine.contracts.rules import Rule
from pytyche_engine.contracts.tables import Table
from pytyche_engine.experiment.state import State

LONGEST_NAME = 60
"""Characters of a name, so that tables stay tables."""


class SegmentBook:
    """The latest round's segments, discovered and registered. Get it as ``exp.segments``.

    A discovered segment belongs to the policy tree, and comes and goes with it. A registered
    one is a rule that is followed from its registration on, so that every later round confirms
    it, or does not, on visitors who did not choose it.
    """

    def __init__(self, state: Callable[[], State], act: Callable[[Action], None]) -> None:
        self._state = state
        self._act = act

    def __iter__(self) -> Iterator[Segment]:
        latest = self._state().latest
        return iter(() if latest is None else latest.analysis.all_segments)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __getitem__(self, segment: str) -> Segment:
        """A segment of the latest round by its id or its name."""
        found = [s for s in self if segment in (s.id, s.name)]
        if not found:
            raise DesignError(
                f"There is no segment '{segment}' in the latest round; there are "
                f"{[s.label for s in self] or 'none yet'}."
            )
        return found[0]

    def rename(self, segment: str, name: str) -> None:
        """Call a segment something people understand; an empty name takes that back.

        The name goes with the segment's id over rounds, and into all tables.

        Raises:
            DesignError: if there is no such segment, or the name is taken or too long.
        """
        mine = self[segment]
        self._act(NameSegment(self._finished, mine.id, self._free_name(name, mine.id)))

    def register(self, segment: str | Rule, name: str) -> str:
        """Follow a segment's present rule, or a rule of one's own, from the next round on.

        Args:
            segment: id or name of a segment of the latest round, or a rule.
            name: what to call it.

        Returns:
            The id that it is followed under.

        Raises:
            DesignError: if there is no such segment, the rule is followed already, or the name
                is empty, taken or too long.
        """
        state = self._state()
        rule = segment if isinstance(segment, Rule) else self[segment].rule
        for action in registered_segments(state.actions, self._finished):
            if action.rule == rule:
                raise DesignError(f"The rule '{rule}' is followed already, as {action.segment}.")
        if not rule.clauses:
            raise DesignError("Everyone is followed anyway: register a rule with a condition.")
        if state.schema is not None:
            unknown = {c.feature for c in rule.clauses} - {f.name for f in state.schema.features}
            if unknown:
                raise DesignError(
                    f"The rule '{rule}' asks for {sorted(unknown)}; the features are "
                    f"{[f.name for f in state.schema.features]}."
                )
        if not name.strip():
            raise DesignError("A registered segment needs a name.")
        count = sum(isinstance(a, RegisterSegment) for a in state.actions)
        action = RegisterSegment(
            self._finished, f"R{count + 1}", self._free_name(name, f"R{count + 1}"), rule
        )
        self._act(action)
        return action.segment

    def retire(self, segment: str) -> None:
        """Stop following a registered segment.

        Raises:
            DesignError: if no registered segment has this id or name.
        """
        state = self._state()
        names = segment_names(state.actions)
        followed = [a.segment for a in registered_segments(state.actions, self._finished)]
        found = [i for i in followed if segment in (i, names.get(i))]
        if not found:
            raise DesignError(
                f"'{segment}' is not a registered segment; they are "
                f"{[f'{i} {names.get(i, str())}'.strip() for i in followed] or 'none'}. Discovered "
                "segments leave with the policy tree that found them."
            )
        self._act(RetireSegment(self._finished, found[0]))

    def history(self, segment: str) -> Table:
        """A segment's figures in every round that it was there, by its id or name."""
        state = self._state()
        rows = []
        for done in state.rounds:
            for s in done.analysis.all_segments:
                if segment not in (s.id, s.name):
                    continue
                gate = s.gates[s.gate_arm]
                rows.append(
                    (
                        str(done.round_idx + 1),
                        str(s.rule),
                        f"{s.population_share:.0%}",
                        f"{s.gate_arm} {signed(gate.mean)} "
                        f"[{signed(gate.low)}, {signed(gate.high)}]",
                        f"{s.leader} {probability_of('P', s.arm_best_probabilities[s.leader])}",
                        "—" if math.isnan(s.stability_score) else f"{s.stability_score:.2f}",
                        s.claim_level.label,
                    )
                )
        if not rows:
            raise DesignError(f"No round had a segment '{segment}'.")
        return Table(
            ("round", "rule", "share", "GATE (80% CI)", "leader", "stability", "claim"), rows
        )

    def table(self) -> Table:
        """The latest round's segments."""
        rows = [
            (s.id, s.name or "—", str(s.rule), f"{s.population_share:.0%}", s.claim_level.label)
            for s in self
        ]
        return Table(("id", "name", "rule", "share", "claim"), rows)

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    @property
    def _finished(self) -> int:
        return len(self._state().rounds)

    def _free_name(self, name: str, segment: str) -> str:
        text = name.strip()
        if len(text) > LONGEST_NAME:
            raise DesignError(f"The name has {len(text)} characters; use up to {LONGEST_NAME}.")
        names = segment_names(self._state().actions)
        others = {other for i, other in names.items() if i != segment}
        ids = {s.id for s in self} - {segment}
        if text and (text in others or text in ids):
            raise DesignError(f"Another segment is called '{text}' already.")
        return text
