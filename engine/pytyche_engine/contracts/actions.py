"""What an operator decided about an experiment, beside its plans: an append-only record.

Every action says how many rounds were finished when it was made, and holds for the rounds after
them. Opening an experiment again replays the record, so that its rounds come out as they were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pytyche_engine.contracts.rules import Rule


@dataclass(frozen=True)
class ForgetBefore:
    """Visitors of earlier rounds are not used any more.

    Attributes:
        made_after: rounds that were finished.
        first_round: index of the first round that is still remembered.
    """

    made_after: int
    first_round: int


@dataclass(frozen=True)
class NameSegment:
    """A segment is called something people understand; an empty name takes that back."""

    made_after: int
    segment: str
    name: str


@dataclass(frozen=True)
class RegisterSegment:
    """A rule is followed from now on, whatever segments are discovered.

    Attributes:
        made_after: rounds that were finished.
        segment: the id it is followed under, ``"R1"`` and so on.
        name: what people call it.
        rule: who belongs.
    """

    made_after: int
    segment: str
    name: str
    rule: Rule


@dataclass(frozen=True)
class RetireSegment:
    """A registered segment is not followed any more."""

    made_after: int
    segment: str


@dataclass(frozen=True)
class DropArm:
    """An arm is not served in Optimized any more; Explore still serves it."""

    made_after: int
    arm: str
    reason: str


@dataclass(frozen=True)
class ReviveArm:
    """An arm that was dropped may be served in Optimized again."""

    made_after: int
    arm: str
    reason: str


Action = ForgetBefore | NameSegment | RegisterSegment | RetireSegment | DropArm | ReviveArm

_KINDS: dict[str, type[Any]] = {
    "forget_before": ForgetBefore,
    "name_segment": NameSegment,
    "register_segment": RegisterSegment,
    "retire_segment": RetireSegment,
    "drop_arm": DropArm,
    "revive_arm": ReviveArm,
}


def remembered_from(actions: Sequence[Action], finished: int) -> int:
    """Index of the first round that the next fit uses, once `finished` rounds are finished."""
    return max(
        (
            a.first_round
            for a in actions
            if isinstance(a, ForgetBefore) and a.made_after <= finished
        ),
        default=0,
    )


def segment_names(actions: Sequence[Action]) -> dict[str, str]:
    """What people call each segment, by its id."""
    names: dict[str, str] = {}
    for action in actions:
        if isinstance(action, NameSegment | RegisterSegment):
            names[action.segment] = action.name
    return {segment: name for segment, name in names.items() if name}


def registered_segments(actions: Sequence[Action], finished: int) -> tuple[RegisterSegment, ...]:
    """Segments that are followed once `finished` rounds are finished."""
    followed: dict[str, RegisterSegment] = {}
    for action in actions:
        if action.made_after > finished:
            continue
        if isinstance(action, RegisterSegment):
            followed[action.segment] = action
        elif isinstance(action, RetireSegment):
            followed.pop(action.segment, None)
    return tuple(followed.values())


def action_to_dict(action: Action) -> dict[str, Any]:
    """An action as plain JSON values."""
    kind = next(name for name, cls in _KINDS.items() if type(action) is cls)
    values = asdict(action)
    if isinstance(action, RegisterSegment):
        values["rule"] = action.rule.to_dict()
    return {"kind": kind, **values}


def action_from_dict(value: Mapping[str, Any]) -> Action:
    """The inverse of `action_to_dict`."""
    fields = {name: field for name, field in value.items() if name != "kind"}
    if "rule" in fields:
        fields["rule"] = Rule.from_dict(fields["rule"])
    action: Action = _KINDS[value["kind"]](**fields)
    return action
