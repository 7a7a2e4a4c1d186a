"""Whether an arm's lift is still what it was in earlier rounds."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.money import money, signed

Channel = Literal["conversion", "revenue"]
"""What a change is seen in: the share of visitors who spend, or revenue per visitor."""


@dataclass(frozen=True)
class LiftChange:
    """One arm's lift over control in one segment: later rounds less earlier ones.

    Of all ways to split the rounds in two, the one where the lifts differ most clearly. The
    intervals hold for all segments, arms, splits, both channels and all rounds together, so
    that picking the largest change does not spoil them.

    Attributes:
        segment, arm: their names.
        round_index: the latest round, in which this was worked out, from 0.
        since: the first round of the later ones, from 0.
        before, after: lift in the earlier and the later rounds, money per visitor.
        size: `after` less `before`, money per visitor, and its interval.
        conversion: the same change of the lift in conversion probability; None where only
            amounts vary.
        channel: where the change is clearest.
        p_value: of no change at all, corrected for everything that was looked at.
        alarm: whether the change is beyond chance.
    """

    segment: str
    arm: str
    round_index: int
    since: int
    before: float
    after: float
    size: Estimate
    conversion: Estimate | None
    channel: Channel
    p_value: float
    alarm: bool

    @property
    def direction(self) -> Literal["up", "down"]:
        """Whether the lift rose or fell, in the channel where that is clearest."""
        seen = self.size
        if self.channel == "conversion" and self.conversion is not None:
            seen = self.conversion
        return "up" if seen.mean > 0 else "down"

    def sentence(self, currency: str = "$") -> str:
        """The change in one sentence."""
        words = (
            f"Round {self.round_index + 1}: the lift of '{self.arm}' in segment '{self.segment}' "
            f"went {self.direction}, from {money(self.before, currency)} per visitor before "
            f"round {self.since + 1} to {money(self.after, currency)} since, a change of "
            f"{self.size.text(partial(money, currency=currency))}"
        )
        if self.channel == "conversion" and self.conversion is not None:
            points = self.conversion.times(100).text(partial(signed, digits=1))
            words += f"; in conversion {points} points"
        return f"{words}."


@dataclass(frozen=True)
class DriftCheck:
    """The check of one round, over all segments and treatments.

    Attributes:
        round_index: the round it was made in, from 0.
        error: probability of any alarm, over all rounds, while nothing drifts.
        changes: one a watched pair of segment and arm, the clearest first.
        unwatched: pairs of (segment, arm) with too few converters to say anything.
    """

    round_index: int
    error: float
    changes: tuple[LiftChange, ...]
    unwatched: tuple[tuple[str, str], ...]

    @property
    def alarms(self) -> tuple[LiftChange, ...]:
        """Changes beyond chance, the clearest first."""
        return tuple(change for change in self.changes if change.alarm)
