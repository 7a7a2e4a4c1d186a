"""Which arms the evidence proposes to drop from Optimized, and which to revive.

Dropping takes more than reviving: an arm must be improbable everywhere in two consecutive rounds
to go, and probable somewhere in one to come back. The limits lie apart (hysteresis), so that
an arm near one of them does not come and go.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pytyche_engine.allocation.next_plan import FEWEST_ARMS
from pytyche_engine.contracts.dropped import DroppedArm, RevivedArm
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.money import money

IMPROBABLE = 0.01
"""An arm is improbable in a round if P(best) is below this in every group."""

PROBABLE = 0.05
"""A dropped arm is probable again if P(best) is above this in some group."""

SUSTAINED = 2
"""Consecutive rounds, the latest among them, in which an arm must be improbable."""


@dataclass(frozen=True)
class ArmEvidence:
    """What the data up to a round say about the arms.

    Attributes:
        round_index: the round, from 0.
        everyone: per arm, P(its RPV is the highest) over everyone.
        segments: the same for each of the round's segments, by name.
        expected_loss: per arm, the mean of the regret against the best arm if everyone got it,
            money per visitor; arms may be missing. It is told with the reason.
    """

    round_index: int
    everyone: Mapping[str, float]
    segments: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    expected_loss: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group, best in self._groups():
            if missing := set(self.everyone) - set(best):
                raise DesignError(
                    f"Round {self.round_index + 1} has no P(best) of {sorted(missing)} {group}."
                )
            for arm, p in best.items():
                if not 0 <= p <= 1:  # so that nan fails too
                    raise DesignError(f"P(best) of arm '{arm}' {group} is {p}; use 0 to 1.")

    def highest(self, arm: str) -> tuple[float, str]:
        """The arm's highest P(best) over all groups, and in words where it has it.

        Raises:
            DesignError: if the round says nothing about the arm.
        """
        if arm not in self.everyone:
            raise DesignError(
                f"Round {self.round_index + 1} says nothing about arm '{arm}'; its arms are "
                f"{list(self.everyone)}."
            )
        return max(
            ((best[arm], group) for group, best in self._groups()), key=lambda found: found[0]
        )

    def _groups(self) -> Iterator[tuple[str, Mapping[str, float]]]:
        yield "over everyone", self.everyone
        for name, best in self.segments.items():
            yield f"in segment '{name}'", best


def arms_to_drop(
    history: Sequence[ArmEvidence],
    arms: Sequence[str],
    *,
    dropped: Sequence[DroppedArm] = (),
    revived: Sequence[RevivedArm] = (),
    currency: str = "$",
) -> tuple[DroppedArm, ...]:
    """The arms that the evidence proposes to drop from the next round on.

    An arm is proposed if P(best) was below `IMPROBABLE` over everyone and in every segment in
    the latest `SUSTAINED` rounds, which must follow each other. Control is never proposed, and
    at least two arms remain: the treatments that were most probably the best, and of equals
    those that lose less.

    Args:
        history: what each round said, oldest first.
        arms: arm names, control first.
        dropped: arms that are dropped already.
        revived: arms that were revived; rounds before that do not count against them.
        currency: symbol for money in the reason.

    Returns:
        The arms to drop in addition, the least probable first.
    """
    recent = history[-SUSTAINED:]
    if len(recent) < SUSTAINED or any(
        later.round_index - earlier.round_index != 1 for earlier, later in pairwise(recent)
    ):
        return ()
    latest = recent[-1]
    gone = {d.arm for d in dropped}
    counted_from = {r.arm: r.since_round for r in sorted(revived, key=lambda r: r.since_round)}
    improbable = [
        arm
        for arm in arms[1:]
        if arm not in gone
        and recent[0].round_index >= counted_from.get(arm, 0)
        and all(seen.highest(arm)[0] < IMPROBABLE for seen in recent)
    ]
    improbable.sort(
        key=lambda arm: (latest.highest(arm)[0], -latest.expected_loss.get(arm, math.inf))
    )
    room = max(0, len(arms) - len(gone) - FEWEST_ARMS)
    return tuple(
        DroppedArm(arm, latest.round_index + 1, _why_dropped(arm, recent, currency), "evidence")
        for arm in improbable[:room]
    )


def arms_to_revive(
    history: Sequence[ArmEvidence], dropped: Sequence[DroppedArm]
) -> tuple[RevivedArm, ...]:
    """The dropped arms that the evidence proposes to serve again from the next round on.

    An arm is proposed if the latest round came after it was dropped and P(best) rose above
    `PROBABLE` in it, over everyone or in some segment. What the operator dropped, only the
    operator revives.

    Args:
        history: what each round said, oldest first.
        dropped: the arms that are dropped.
    """
    if not history:
        return ()
    latest = history[-1]
    revived = []
    for d in dropped:
        p, where = latest.highest(d.arm)
        if d.by == "evidence" and latest.round_index >= d.since_round and p > PROBABLE:
            reason = (
                f"P(best) rose to {p:.3g} {where} in round {latest.round_index + 1}, "
                f"above {PROBABLE:g}"
            )
            revived.append(RevivedArm(d.arm, latest.round_index + 1, reason, "evidence"))
    return tuple(revived)


def _why_dropped(arm: str, recent: Sequence[ArmEvidence], currency: str) -> str:
    latest = recent[-1]
    where = "over everyone" + (" and in every segment" if len(latest.segments) > 1 else "")
    rounds = " and ".join(str(seen.round_index + 1) for seen in recent)
    loss = latest.expected_loss.get(arm)
    cost = "" if loss is None else f"; its expected loss is {money(loss, currency)} per visitor"
    return f"P(best) was below {IMPROBABLE:g} {where} in rounds {rounds}{cost}"
