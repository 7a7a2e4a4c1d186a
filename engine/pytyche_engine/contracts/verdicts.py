"""What to do with an arm in a segment, why, and what it is worth."""

from dataclasses import dataclass

from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.decisions import Recommendation
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.money import cash
from pytyche_engine.contracts.rules import Rule


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
            f"{cash(e.mean, currency)} [{cash(e.low, currency)}, {cash(e.high, currency)}] {of}"
            for e, of in ((self.per_round, "in the next round"), (self.per_year, "a year"))
            if e is not None
        ]
        return f"Serving it to all of them is worth {', '.join(parts)}." if parts else ""


@dataclass(frozen=True)
class Verdict:
    """The one verdict on an arm in a segment.

    Attributes:
        segment: the segment's id, or ``"everyone"``.
        rule: who belongs.
        recommendation: the verdict itself, on the arm `recommendation.treatment`.
        claim_level: what supports the segment's estimates.
        worth: what the lift adds up to.
        changed: what changed since the round before, in one sentence.
    """

    segment: str
    rule: Rule
    recommendation: Recommendation
    claim_level: ClaimLevel
    worth: Worth
    changed: str

    @property
    def arm(self) -> str:
        """The treatment that it is about."""
        return self.recommendation.treatment

    def sentence(self, currency: str = "$") -> str:
        """Verdict, reason, worth and change as one paragraph."""
        r = self.recommendation
        where = "everyone" if self.segment == "everyone" else f"{self.segment} ({self.rule})"
        words = (f"{r.decision} '{self.arm}' for {where}.", r.reason, self.worth.sentence(currency))
        return " ".join(part for part in (*words, self.changed) if part)
