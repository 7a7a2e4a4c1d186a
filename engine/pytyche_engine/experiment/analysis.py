"""What a round concludes, as numbers, tables and sentences."""

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from pytyche_engine.contracts.convergence import Convergence
from pytyche_engine.contracts.decisions import Comparison, Recommendation, Segment, SegmentSearch
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.money import (
    amount,
    cash,
    percent,
    probability,
    probability_of,
    signed,
)
from pytyche_engine.contracts.recalibration import Recalibration
from pytyche_engine.contracts.tables import Table
from pytyche_engine.contracts.verdicts import Verdict

UNCONVERGED = "unconverged: the chains do not agree yet, so these numbers may change"
"""What stands over every table of a fit that has not converged."""


@dataclass(frozen=True, eq=False, repr=False)
class RoundAnalysis:
    """What a round concludes, over all data so far.

    Attributes:
        comparisons: each treatment against control.
        everyone: all visitors as one segment.
        search: the segments and what targeting them is worth.
        registered: segments that the operator registered, in that order.
        draws: draws of the means of all these segments, in the order of `all_segments`.
        best_arm_rpv: RPV if everyone got the best single arm.
        recommendation: what to do with the most promising treatment.
        verdicts: one for each treatment, for everyone, where targeting pays in each segment,
            and in each registered one.
        currency: symbol printed with money.
        recalibration: what was done to the draws; None leaves them as the model has them.
        converged: whether the sampler's reported quantities met their limits.
        convergence: R-hat and effective sample size of each treatment's lift.
    """

    comparisons: tuple[Comparison, ...]
    everyone: Segment
    search: SegmentSearch
    registered: tuple[Segment, ...]
    draws: GroupDraws
    best_arm_rpv: Estimate
    recommendation: Recommendation
    verdicts: tuple[Verdict, ...]
    currency: str
    recalibration: Recalibration | None
    converged: bool
    convergence: Convergence

    @property
    def is_calibrated(self) -> bool:
        """Whether draws, and so all intervals and probabilities, were recalibrated."""
        return self.recalibration is not None

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The discovered segments, largest first."""
        return self.search.segments

    @property
    def all_segments(self) -> tuple[Segment, ...]:
        """Everyone, the discovered segments where targeting pays, and the registered ones."""
        discovered = self.search.segments if self.search.targeting_pays else ()
        return (self.everyone, *discovered, *self.registered)

    def named(self, names: Mapping[str, str]) -> "RoundAnalysis":
        """The same with segments called by these names, which are by id."""

        def called(segment: Segment) -> Segment:
            name = names.get(segment.id, "")
            return segment if segment.name == name else replace(segment, name=name)

        # Hundreds in each of many rounds, and one of them has another name: no call for the others.
        verdicts = tuple(
            v
            if v.segment.name == names.get(v.segment.id, "")
            else replace(v, segment=called(v.segment))
            for v in self.verdicts
        )
        return replace(
            self,
            everyone=called(self.everyone),
            search=replace(self.search, segments=tuple(map(called, self.search.segments))),
            registered=tuple(map(called, self.registered)),
            verdicts=verdicts,
        )

    @property
    def label(self) -> str:
        """What every table of this analysis has to say about its intervals."""
        words = ["calibrated" if self.is_calibrated else "uncalibrated"]
        if not self.converged:
            words.append("unconverged")
        return ", ".join(words)

    @property
    def caption(self) -> str:
        """What stands over every table of this analysis: nothing if the fit converged."""
        return "" if self.converged else UNCONVERGED

    def comparison_table(self) -> Table:
        """Lift of each treatment in money and per cent, and how it comes about."""
        rows = [
            (
                f"{c.treatment} vs {c.control}",
                c.lift.text(),
                c.relative_lift.text(percent),
                probability(c.probability_positive),
                f"{signed(c.conversion_part.mean)} + {signed(c.severity_part.mean)}",
                signed(c.observed_lift),
                f"{signed(c.aipw_lift)} (se {amount(c.aipw_se)})",
                c.claim_level.label,
            )
            for c in self.comparisons
        ]
        return Table(
            (
                "comparison",
                "lift (80% CI)",
                "relative lift (80% CI)",
                "P(lift > 0)",
                "conversion + severity",
                "observed lift",
                "AIPW lift",
                "claim",
            ),
            rows,
            self.caption,
        )

    def segment_table(self) -> Table:
        """Each segment with the lift of its leading treatment."""
        rows = [
            (
                s.title,
                f"{s.population_share:.0%}",
                f"{s.gate_arm} {s.gates[s.gate_arm].text()}",
                "—" if s.gate_arm not in s.held_out else s.held_out[s.gate_arm].text(),
                "—" if math.isnan(s.stability_score) else f"{s.stability_score:.2f}",
                f"{s.leader} {probability_of('P', s.arm_best_probabilities[s.leader])}",
                s.claim_level.label + ("" if s.converged else ", unconverged"),
            )
            for s in (*self.search.segments, *self.registered)
        ]
        return Table(
            (
                "segment",
                "share",
                "GATE (80% CI)",
                "held-out GATE (80% CI)",
                "stability",
                "leader",
                "claim",
            ),
            rows,
            self.caption,
        )

    def recommendation_line(self) -> str:
        """The verdict in one line."""
        r = self.recommendation
        claim = self.everyone.claims[r.treatment].label
        return f"recommendation: {r.decision} — {r.treatment} ({self.label}, {claim})"

    def targeting_line(self) -> str:
        """What routing by segment is worth against the best single arm."""
        value = self.search.value_of_targeting
        doubt = "" if self.converged else " (unconverged)"
        rpv = self.best_arm_rpv.text(amount)
        single = f"best single arm: {self.search.best_arm}, RPV {rpv}"
        if not self.search.targeting_pays:
            return f"{single}; no split by segment pays{doubt}"
        return (
            f"{single}; routing by segment is worth {value.text()} per visitor more "
            f"({self.search.value_claim.label}){doubt}"
        )

    def verdict_table(self) -> Table:
        """One verdict for each treatment, for everyone and in each segment."""
        sum_of_money = partial(cash, currency="")
        rows = [
            (
                v.segment.title,
                v.arm,
                str(v.recommendation.decision),
                v.worth.per_visitor.text(),
                *(
                    "—" if e is None else e.text(sum_of_money)
                    for e in (v.worth.per_round, v.worth.per_year)
                ),
                v.claim_level.label,
            )
            for v in self.verdicts
        ]
        return Table(
            (
                "segment",
                "arm",
                "verdict",
                "lift per visitor (80% CI)",
                "in the next round",
                "in a year",
                "claim",
            ),
            rows,
            self.caption,
        )

    def sentences(self) -> tuple[str, ...]:
        """Why these segments, what each claim rests on, and every verdict with its reason."""
        return (
            *((self.search.reason,) if self.search.reason else ()),
            *(
                f"{s.label}, {s.gate_arm}: {s.claims[s.gate_arm].label}. {s.claim_reason}".rstrip()
                for s in self.all_segments
            ),
            *(v.sentence(self.currency) for v in self.verdicts),
        )

    def __repr__(self) -> str:
        return "\n\n".join(
            [
                self.comparison_table().text(),
                self.segment_table().text(),
                f"{self.targeting_line()}\n{self.recommendation_line()}\n"
                f"{self.recommendation.reason}",
                self.verdict_table().text(),
                "\n".join(self.sentences()),
            ]
        )

    def _repr_html_(self) -> str:
        lines = (
            self.targeting_line(),
            self.recommendation_line(),
            self.recommendation.reason,
        )
        return (
            self.comparison_table().html()
            + self.segment_table().html()
            + "".join(f"<p>{html.escape(line)}</p>" for line in lines)
            + self.verdict_table().html()
            + "<ul>"
            + "".join(f"<li>{html.escape(line)}</li>" for line in self.sentences())
            + "</ul>"
        )
