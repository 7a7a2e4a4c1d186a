"""What to do with an arm in a segment, why, and what it is worth."""

from dataclasses import dataclass
from functools import partial

from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.decisions import Recommendation, Segment
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.money import cash


@dataclass(frozen=True)
class Worth:
    """What a lift adds up to if the arm is served instead of control.

    Attributes:
        per_visitor: the lift of a visitor of the segment, money.
        per_round: of the segment's part of a round; None after the last round.
        per_year: of its part of the operator's year; None where no horizon was given.
    """

    per_visitor: Estimate
    per_round: Estimate | None
    per_year: Estimate | None

    def sentence(self, currency: str = "$") -> str:
        """The sums in words; empty where there is neither a round nor a year to sum over."""
        parts = [
            f"{e.text(partial(cash, currency=currency))} {of}"
            for e, of in ((self.per_round, "in the next round"), (self.per_year, "a year"))
            if e is not None
        ]
        return f"Serving it to all of them is worth {', '.join(parts)}." if parts else ""


@dataclass(frozen=True)
class Verdict:
    """The one verdict on an arm in a segment.

    Attributes:
        segment: the segment, or everyone.
        recommendation: the verdict itself, on the arm `recommendation.treatment`.
        worth: what the lift adds up to.
        changed: what changed since the round before, in one sentence; empty in the first.
    """

    segment: Segment
    recommendation: Recommendation
    worth: Worth
    changed: str

    @property
    def arm(self) -> str:
        """The treatment that it is about."""
        return self.recommendation.treatment

    @property
    def claim_level(self) -> ClaimLevel:
        """What supports the arm's estimate in the segment."""
        return self.segment.claims[self.arm]

    def sentence(self, currency: str = "$") -> str:
        """Verdict, reason, worth and change as one paragraph."""
        r = self.recommendation
        words = (
            f"{r.decision} '{self.arm}' for {self.segment.title}.",
            r.reason,
            self.worth.sentence(currency),
            self.changed,
        )
        return " ".join(part for part in words if part)
