"""What a round concludes: comparisons, segments, a recommendation, candidates."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from jaxtyping import Int

from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.money import amount, probability_is, signed
from pytyche_engine.contracts.rules import Rule
from pytyche_engine.contracts.thresholds import DecisionThresholds


class Decision(StrEnum):
    """What to do with an arm."""

    SHIP = "SHIP"
    CONTINUE = "CONTINUE"
    STOP = "STOP"


@dataclass(frozen=True)
class Comparison:
    """One treatment against control, over everyone seen so far.

    Attributes:
        treatment, control: arm names.
        lift: RPV of the treatment less control's, money per visitor.
        relative_lift: the same as a share of control's RPV (0.05 is 5 %).
        conversion_part, severity_part: what conversion and severity add to the lift;
            their means add up to the lift's mean.
        conversion_lift: difference in conversion probability.
        probability_positive: P(lift > 0).
        observed_lift: difference of raw means, no model.
        aipw_lift: AIPW estimate with recorded probabilities, and its standard error.
        claim_level: what supports the estimate.
        expected_loss: mean of the regret against the best arm if everyone got this treatment,
            money per visitor; None where it was not worked out.
    """

    treatment: str
    control: str
    lift: Estimate
    relative_lift: Estimate
    conversion_part: Estimate
    severity_part: Estimate
    conversion_lift: Estimate
    probability_positive: float
    observed_lift: float
    aipw_lift: float
    aipw_se: float
    claim_level: ClaimLevel
    expected_loss: float | None = None


@dataclass(frozen=True)
class Segment:
    """A leaf of the policy tree, or everyone.

    Attributes:
        id: short name that the segment keeps over rounds, e.g. ``"S1"``; ``"S0"`` is everyone.
        rule: who belongs.
        population_share: share of all visitors so far.
        n_visitors: visitors so far.
        n_converted: of them, how many spent anything.
        recommended_arm: the arm that the policy tree gives this segment.
        gates: per treatment, the segment's mean lift over control, money per visitor.
        arm_best_probabilities: per arm, P(its RPV is the highest in the segment).
        stability_score: share of refits (rows and scores redrawn) that find it again.
        claims: per treatment, what supports its GATE.
        claim_reason: why the claim on `gate_arm` is what it is, one or two sentences.
        probability_positive: per treatment, P(its GATE > 0).
        converged: whether the fit that its figures come from converged.
        found_in: index of the round that chose its present rule.
        first_seen: index of the round in which a segment of this id was first found.
        held_out: per treatment, AIPW estimate of the lift over control on visitors who did not
            choose the segment, money per visitor. Treatments with too few converters among
            them are left out.
        held_out_rows: how many visitors those are.
        name: what the operator calls it; empty without a name.
    """

    id: str
    rule: Rule
    population_share: float
    n_visitors: int
    n_converted: int
    recommended_arm: str
    gates: Mapping[str, Estimate]
    arm_best_probabilities: Mapping[str, float]
    stability_score: float
    claims: Mapping[str, ClaimLevel]
    claim_reason: str = ""
    probability_positive: Mapping[str, float] = field(default_factory=dict)
    converged: bool = True
    found_in: int = 0
    first_seen: int = 0
    held_out: Mapping[str, Estimate] = field(default_factory=dict)
    held_out_rows: int = 0
    name: str = ""

    @property
    def label(self) -> str:
        """What it is called: its name and id, its id alone, or everyone."""
        if self.name:
            return f"{self.name} ({self.id})"
        return self.id if self.rule.clauses else str(self.rule)

    @property
    def title(self) -> str:
        """What it is called, and who belongs."""
        return f"{self.label}: {self.rule}" if self.label != str(self.rule) else self.label

    @property
    def leader(self) -> str:
        """The arm most probably best here."""
        return max(self.arm_best_probabilities, key=lambda a: self.arm_best_probabilities[a])

    @property
    def gate_arm(self) -> str:
        """The treatment that `gate_estimate` is about.

        The leader, or the strongest challenger where control leads.
        """
        challengers = {a: self.arm_best_probabilities[a] for a in self.gates}
        return (
            self.leader
            if self.leader in challengers
            else max(challengers, key=lambda a: challengers[a])
        )

    @property
    def claim_level(self) -> ClaimLevel:
        """What supports the GATE of `gate_arm`."""
        return self.claims[self.gate_arm]

    @property
    def gate_estimate(self) -> float:
        """Posterior mean of the segment's average effect of `gate_arm`."""
        return self.gates[self.gate_arm].mean

    @property
    def gate_ci(self) -> tuple[float, float]:
        """The 80 % interval of `gate_estimate`."""
        gate = self.gates[self.gate_arm]
        return gate.low, gate.high

    @property
    def is_effective(self) -> bool:
        """Whether `gate_arm` differs from control: P(GATE > 0) outside 0.05 to 0.95."""
        return not 0.05 <= self.probability_positive.get(self.gate_arm, 0.5) <= 0.95


@dataclass(frozen=True, eq=False)
class SegmentSearch:
    """The policy tree of a round and what it is worth.

    Attributes:
        segments: its leaves, largest share first; one segment for everyone when
            personalising does not pay.
        membership: (n,) index into `segments` of every visitor so far; -1 for one who fits
            none, with a level that was not there when the rules were found.
        best_arm: the best single arm for everyone.
        value_of_targeting: gain in RPV of the segments' arms over the best single arm:
            cross-fitted for a new tree, on later rounds for one that was kept; exactly zero for
            one segment.
        value_claim: what supports it. The visitors of a new tree's cross-fitted value also
            decided that it pays.
        targeting_pays: whether Optimized routes by segment.
        draws: posterior draws of the segments' means, in their order.
        reason: why these segments and not others, one sentence.
    """

    segments: tuple[Segment, ...]
    membership: Int[np.ndarray, " n"]
    best_arm: str
    value_of_targeting: Estimate
    value_claim: ClaimLevel
    targeting_pays: bool
    draws: GroupDraws
    reason: str = ""


@dataclass(frozen=True)
class Recommendation:
    """What to do with a treatment in a group of visitors.

    Attributes:
        treatment: the treatment it is about.
        decision: SHIP, CONTINUE or STOP.
        lift: its lift over control, money per visitor.
        probability_positive, probability_better, probability_harmful: P(lift > 0),
            P(lift > practical effect), P(lift < -practical effect).
        probability_best: P(it has the highest RPV of all arms).
        expected_loss_if_shipped: mean of the regret against the best arm, money per visitor.
        expected_loss_if_kept: the same for staying with control.
        expected_value_of_one_more_round: expected cut in regret per visitor from one more
            round of the schedule's next size (0 when there is none).
        thresholds: what was required.
        reason: one sentence, and what would change it.
    """

    treatment: str
    decision: Decision
    lift: Estimate
    probability_positive: float
    probability_better: float
    probability_harmful: float
    probability_best: float
    expected_loss_if_shipped: float
    expected_loss_if_kept: float
    expected_value_of_one_more_round: float
    thresholds: DecisionThresholds
    reason: str


@dataclass(frozen=True)
class CellObservation:
    """How one cell of a round did. Each of its figures is named for what it is.

    A small round can leave a cell without visitors; its figures are then nan or None.

    Attributes:
        id: the cell's name.
        n_visitors: visitors of this round in the cell.
        observed_rpv: raw mean revenue of those visitors; nan without visitors.
        observed_lift: `observed_rpv` less the control cell's; None for the control cell and
            where either cell has no visitors.
        model_rpv: posterior RPV of serving the cell's policy to its visitors; None without
            visitors.
        model_lift: posterior RPV less that of control for everyone in the same cell;
            None for the control cell and without visitors.
        policy: the policy in words.
        cell_recorded: False where cells were not recorded for every visitor. Those count in
            each cell with its probability given their arm, and `n_visitors` is expected.
    """

    id: str
    n_visitors: int
    observed_rpv: float
    observed_lift: float | None
    model_rpv: Estimate | None
    model_lift: Estimate | None
    policy: str
    cell_recorded: bool = True


@dataclass(frozen=True)
class SustainedRound:
    """One round in which a pair's evidence passed.

    Attributes:
        round_index: the round, from 0.
        recommendation: what all data up to that round say.
        own_lift: AIPW lift of the treatment among that round's own visitors of the segment;
            None where too few of them spent anything.
    """

    round_index: int
    recommendation: Recommendation
    own_lift: Estimate | None

    def line(self) -> str:
        """The round's evidence in one line."""
        own = self.own_lift
        words = (
            "too few orders of its own to say"
            if own is None
            else f"{own.text()} on its own visitors"
        )
        lift = signed(self.recommendation.lift.mean)
        return f"round {self.round_index + 1}: lift {lift} on all data, {words}"


@dataclass(frozen=True, repr=False)
class GraduationCandidate:
    """A (treatment, segment) pair whose evidence held over consecutive rounds.

    Nothing ships by itself: promoting it is the operator's decision. The claim level of its
    segment comes with it.

    Attributes:
        treatment: the arm to ship.
        segment: to whom, as the latest round found it.
        rounds: the consecutive rounds that passed, the latest last.
    """

    treatment: str
    segment: Segment
    rounds: tuple[SustainedRound, ...]

    @property
    def sustained_rounds(self) -> int:
        """How many consecutive rounds passed, the latest included."""
        return len(self.rounds)

    @property
    def latest_recommendation(self) -> Recommendation:
        """The latest round's evidence on this pair."""
        return self.rounds[-1].recommendation

    @property
    def rule(self) -> Rule:
        """Who it is for."""
        return self.segment.rule

    @property
    def claim_level(self) -> ClaimLevel:
        """What supports the treatment's estimate there."""
        return self.segment.claims[self.treatment]

    def _lines(self) -> tuple[str, ...]:
        latest = self.latest_recommendation
        return (
            f"GraduationCandidate — '{self.treatment}' @ {self.rule}, "
            f"sustained {self.sustained_rounds} round(s)",
            f"expected loss if shipped: {amount(latest.expected_loss_if_shipped)}/visitor "
            f"P(lift > 0) {probability_is(latest.probability_positive)}",
            f"value of one more round: {amount(latest.expected_value_of_one_more_round)}/visitor",
            *(r.line() for r in self.rounds),
            f"claim level: {self.claim_level.label}"
            f"{'' if self.segment.converged else ', unconverged'}",
        )

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        return "".join(f"<p>{html.escape(line)}</p>" for line in self._lines())
