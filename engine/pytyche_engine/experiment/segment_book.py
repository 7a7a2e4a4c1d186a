"""The segments of an experiment, as an operator names, registers and follows them."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
from pytyche_engine.contracts.money import probability_of
from pytyche_engine.contracts.plans import check_rule
from pytyche_engine.contracts.rules import Rule
from pytyche_engine.contracts.tables import Table
from pytyche_engine.experiment.state import State

LONGEST_NAME = 60
"""Characters of a name, so that tables stay tables."""


@dataclass(frozen=True)
class Followed:
    """A registered rule.

    Attributes:
        id: the id that it is followed under, e.g. ``"R1"``.
        name: what the operator calls it.
        rule: who belongs.
    """

    id: str
    name: str
    rule: Rule


class SegmentBook:
    """The latest round's segments, discovered and registered. Get it as ``exp.segments``.

    A discovered segment belongs to the policy tree, and comes and goes with it. A registered
    one is a rule that is followed from its registration on, so that every later round confirms
    it, or does not, on visitors who did not choose it.
    """

    def __init__(
        self, state: Callable[[], State], act: Callable[[Callable[[State], Action]], None]
    ) -> None:
        self._state = state
        self._act = act

    def __iter__(self) -> Iterator[Segment]:
        return iter(_present(self._state()))

    def __len__(self) -> int:
        return len(_present(self._state()))

    def __contains__(self, segment: object) -> bool:
        return any(segment in (s.id, s.name, s.label) for s in self)

    def __getitem__(self, segment: str) -> Segment:
        """A segment of the latest round by its id or its name; ``"everyone"`` is one."""
        return _find(self._state(), segment)

    def rename(self, segment: str, name: str) -> None:
        """Call a segment something people understand; an empty name takes that back.

        The name goes with the segment's id over rounds, and into all tables.

        Raises:
            DesignError: if there is no such segment, or the name is taken or does not do.
        """

        def decide(state: State) -> Action:
            mine = _find(state, segment).id
            if mine.startswith("R") and not str(name).strip():
                raise DesignError("A registered segment needs a name.")
            return NameSegment(len(state.rounds), mine, _free_name(state, name, mine))

        self._act(decide)

    def register(self, segment: str | Rule, name: str) -> str:
        """Follow a segment's present rule, or a rule of one's own, from the next round on.

        Args:
            segment: id or name of a segment of the latest round, or a rule, also as text.
            name: what to call it.

        Returns:
            The id that it is followed under.

        Raises:
            DesignError: if the rule cannot be read or followed, it is followed already, no round
                is finished, or the name is empty, taken or does not do.
        """
        made: list[str] = []

        def decide(state: State) -> Action:
            rule = _rule(state, segment)
            if state.schema is None:
                raise DesignError("Features are not known before the first round is finished.")
            if not rule.clauses:
                raise DesignError("Everyone is followed anyway: register a rule with a condition.")
            check_rule(rule, state.schema, "The segment")
            for other in _followed(state):
                if other.rule == rule:
                    raise DesignError(f"The rule '{rule}' is followed already, as {other.segment}.")
            if not str(name).strip():
                raise DesignError("A registered segment needs a name.")
            count = sum(isinstance(a, RegisterSegment) for a in state.actions)
            made.append(f"R{count + 1}")
            called = _free_name(state, name, made[0])
            return RegisterSegment(len(state.rounds), made[0], called, rule)

        self._act(decide)
        return made[0]

    def retire(self, segment: str) -> None:
        """Stop following a registered segment.

        Raises:
            DesignError: if no registered segment has this id or name.
        """

        def decide(state: State) -> Action:
            names = segment_names(state.actions)
            followed = {f.segment: names.get(f.segment, "") for f in _followed(state)}
            found = [i for i, called in followed.items() if segment in (i, called)]
            if not found:
                there = [f"{i} {called}".strip() for i, called in followed.items()]
                raise DesignError(
                    f"'{segment}' is not a registered segment; they are {there or 'none'}. "
                    "Discovered segments leave with the policy tree that found them."
                )
            return RetireSegment(len(state.rounds), found[0])

        self._act(decide)

    def history(self, segment: str) -> Table:
        """A segment's figures in every round that it was there, by its id or name."""
        rows = []
        for done in self._state().rounds:
            for s in done.analysis.all_segments:
                if segment not in (s.id, s.name, s.label):
                    continue
                rows.append(
                    (
                        str(done.round_idx + 1),
                        str(s.rule),
                        f"{s.population_share:.0%}",
                        f"{s.gate_arm} {s.gates[s.gate_arm].text()}",
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

    @property
    def followed(self) -> tuple[Followed, ...]:
        """The rules that are registered, in that order."""
        state = self._state()
        names = segment_names(state.actions)
        return tuple(
            Followed(f.segment, names.get(f.segment, ""), f.rule) for f in _followed(state)
        )

    def table(self) -> Table:
        """The latest round's segments, and those that are followed from the next one on."""
        state = self._state()
        present = _present(state)
        rows = [
            (s.id, s.name or "—", str(s.rule), f"{s.population_share:.0%}", s.claim_level.label)
            for s in present
        ]
        rows += [
            (f.id, f.name or "—", str(f.rule), "—", "from the next round on")
            for f in self.followed
            if f.id not in {s.id for s in present}
        ]
        return Table(("id", "name", "rule", "share", "claim"), rows)

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


def _present(state: State) -> tuple[Segment, ...]:
    return () if state.latest is None else state.latest.analysis.all_segments


def _followed(state: State) -> tuple[RegisterSegment, ...]:
    return registered_segments(state.actions, len(state.rounds))


def _find(state: State, segment: str) -> Segment:
    for s in _present(state):
        if segment in (s.id, s.name, s.label):
            return s
    there = [s.label for s in _present(state)]
    raise DesignError(
        f"There is no segment '{segment}' in the latest round; there are {there or 'none yet'}."
    )


def _rule(state: State, segment: str | Rule) -> Rule:
    """The rule of a segment, or a rule of its own, also as text."""
    if isinstance(segment, Rule):
        return segment
    for s in _present(state):
        if segment in (s.id, s.name, s.label):
            return s.rule
    return Rule.parse(segment)


def _free_name(state: State, name: str, segment: str) -> str:
    if not isinstance(name, str):
        raise DesignError(f"A segment's name is text, not {type(name).__name__}.")
    text = name.strip()
    if len(text) > LONGEST_NAME:
        raise DesignError(f"The name has {len(text)} characters; use up to {LONGEST_NAME}.")
    if not text.isprintable():
        raise DesignError("The name holds characters that cannot be printed; use one line of text.")
    if re.fullmatch(r"[SR]\d+|everyone", text, re.IGNORECASE):
        raise DesignError(f"'{text}' reads as a segment's id; use another name.")
    names = segment_names(state.actions)
    there = {s.id for s in _present(state)} | {f.segment for f in _followed(state)}
    if text and any(names.get(i) == text for i in there - {segment}):
        raise DesignError(f"Another segment is called '{text}' already.")
    return text
