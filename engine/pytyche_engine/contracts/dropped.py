"""Arms that Optimized leaves out for a while, each with a stated reason."""

from dataclasses import dataclass
from typing import Literal, get_args

from pytyche_engine.contracts.errors import DesignError

By = Literal["evidence", "operator"]
"""Who dropped or revived an arm."""


@dataclass(frozen=True)
class DroppedArm:
    """An arm that Optimized does not serve. Explore still does, so that it can be revived.

    Attributes:
        arm: its name.
        since_round: index of the first round without it, from 0.
        reason: why, in words for people.
        by: whether the evidence or the operator dropped it.

    Raises:
        DesignError: without a reason, or if a field holds something else than it should.
    """

    arm: str
    since_round: int
    reason: str
    by: By

    def __post_init__(self) -> None:
        _check("Dropping", self.arm, self.since_round, self.reason, self.by)


@dataclass(frozen=True)
class RevivedArm:
    """A dropped arm that Optimized serves again.

    Attributes:
        arm: its name.
        since_round: index of the first round with it, from 0. What earlier rounds said about
            it does not count towards dropping it again.
        reason: why, in words for people.
        by: whether the evidence or the operator revived it.

    Raises:
        DesignError: without a reason, or if a field holds something else than it should.
    """

    arm: str
    since_round: int
    reason: str
    by: By

    def __post_init__(self) -> None:
        _check("Reviving", self.arm, self.since_round, self.reason, self.by)


def _check(what: str, arm: str, since_round: int, reason: str, by: str) -> None:
    if not isinstance(reason, str) or not reason.strip():
        raise DesignError(f"{what} arm '{arm}' needs a reason; say why in a few words.")
    if isinstance(since_round, bool) or not isinstance(since_round, int) or since_round < 0:
        raise DesignError(
            f"{what} arm '{arm}' needs the index of a round, 0 or more; it is {since_round!r}."
        )
    if by not in get_args(By):
        raise DesignError(f"Arms are dropped and revived by {get_args(By)}, not by {by!r}.")
