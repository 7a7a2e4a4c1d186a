"""One finished round: everything that was served, seen, concluded and proposed."""

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytyche_engine.contracts.convergence import Convergence
from pytyche_engine.contracts.decisions import (
    CellObservation,
    Comparison,
    DoublyRobustScores,
    Recommendation,
    Segment,
    SegmentSearch,
)
from pytyche_engine.contracts.dropped import DroppedArm, RevivedArm
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
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.round_health import RoundHealth
from pytyche_engine.contracts.tables import Table
from pytyche_engine.contracts.truth import TruthComparison
from pytyche_engine.contracts.verdicts import Verdict

if TYPE_CHECKING:
    from pytyche_engine.bcf.posterior import Posterior


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
        is_calibrated: whether intervals were recalibrated.
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
    is_calibrated: bool
    converged: bool
    convergence: Convergence

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
            return replace(segment, name=names.get(segment.id, ""))

        return replace(
            self,
            everyone=called(self.everyone),
            search=replace(self.search, segments=tuple(map(called, self.search.segments))),
            registered=tuple(map(called, self.registered)),
            verdicts=tuple(replace(v, segment=called(v.segment)) for v in self.verdicts),
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
                f"{signed(c.lift.mean)} [{signed(c.lift.low)}, {signed(c.lift.high)}]",
                f"{percent(c.relative_lift.mean)} "
                f"[{percent(c.relative_lift.low)}, {percent(c.relative_lift.high)}]",
                probability(c.probability_positive),
                f"{signed(c.conversion_part.mean)} + {signed(c.severity_part.mean)}",
                f"{signed(c.observed_lift)}",
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
                f"{s.gate_arm} {_interval(s.gates[s.gate_arm])}",
                "—" if s.gate_arm not in s.held_out else _interval(s.held_out[s.gate_arm]),
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
        rpv = self.best_arm_rpv
        single = (
            f"best single arm: {self.search.best_arm}, RPV {amount(rpv.mean)} "
            f"[{amount(rpv.low)}, {amount(rpv.high)}]"
        )
        if not self.search.targeting_pays:
            return f"{single}; no split by segment pays{doubt}"
        return (
            f"{single}; routing by segment is worth {_interval(value)} per visitor more "
            f"({self.search.value_claim.label}){doubt}"
        )

    def verdict_table(self) -> Table:
        """One verdict for each treatment, for everyone and in each segment."""
        rows = [
            (
                v.segment.title,
                v.arm,
                str(v.recommendation.decision),
                _interval(v.worth.per_visitor),
                *("—" if e is None else _sum(e) for e in (v.worth.per_round, v.worth.per_year)),
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


def _interval(e: Estimate) -> str:
    return f"{signed(e.mean)} [{signed(e.low)}, {signed(e.high)}]"


def _sum(e: Estimate) -> str:
    return f"{cash(e.mean, '')} [{cash(e.low, '')}, {cash(e.high, '')}]"


@dataclass(frozen=True, eq=False, repr=False)
class Round:
    """A finished round.

    Attributes:
        round_idx: its index, from 0.
        n_rounds: rounds of the schedule, None when open-ended.
        metric: what is measured.
        currency: symbol printed with money.
        plan: what was served.
        observations: this round's visitors.
        n_cumulative: visitors of all rounds so far that are remembered.
        remembered_from: index of the first round that is.
        cell_observations: how each cell did.
        analysis: what all data so far say.
        next_recommendation: the plan proposed for the next round.
        dropped: arms that its Optimized cell leaves out.
        revived: arms that were dropped and came back, over all rounds.
        truth_comparison: estimates against planted truth, where there is any.
        own_scores: doubly robust scores of this round's visitors.
        health: whether the round was served, recorded and modelled as it should have been.
        posterior: the fitted model of all data so far.
        fit_seconds: wall time from data to conclusions.
    """

    round_idx: int
    n_rounds: int | None
    metric: str
    currency: str
    plan: Plan
    observations: Observations
    n_cumulative: int
    remembered_from: int
    cell_observations: tuple[CellObservation, ...]
    analysis: RoundAnalysis
    next_recommendation: Plan
    dropped: tuple[DroppedArm, ...]
    revived: tuple[RevivedArm, ...]
    truth_comparison: TruthComparison | None
    own_scores: DoublyRobustScores
    health: RoundHealth
    posterior: "Posterior"
    fit_seconds: float

    def cell_table(self) -> Table:
        """The cell scoreboard; observed and model figures are named apart."""
        rows = []
        for c in self.cell_observations:
            rpv, lift = c.model_rpv, c.model_lift
            rows.append(
                (
                    c.id,
                    f"{c.n_visitors:,}" if c.cell_recorded else f"about {c.n_visitors:,}",
                    "—" if rpv is None else amount(c.observed_rpv),
                    "—"
                    if rpv is None
                    else f"{amount(rpv.mean)} [{amount(rpv.low)}, {amount(rpv.high)}]",
                    "—"
                    if lift is None
                    else f"{signed(lift.mean)} [{signed(lift.low)}, {signed(lift.high)}]",
                    c.policy,
                )
            )
        return Table(
            (
                "cell",
                "n",
                "observed RPV",
                "RPV (model 80% CI)",
                "lift vs control (model 80% CI)",
                "policy",
            ),
            rows,
            self.analysis.caption,
        )

    def truth_line(self) -> str | None:
        """Truth figures in one line, or None on real data."""
        t = self.truth_comparison
        if t is None:
            return None
        return (
            f"truth: cate_rmse={t.cate_rmse:.4f} (no effect {t.cate_rmse_no_effect:.4f}, "
            f"constant effect {t.cate_rmse_constant:.4f}) "
            f"policy_accuracy={t.policy_accuracy:.1%} "
            f"oracle_gap={t.oracle_gap:.4f}/visitor "
            f"(best single arm {t.rpv_oracle - t.rpv_best_arm:.4f})"
            f"{'' if self.analysis.converged else ' (unconverged)'}"
        )

    def health_line(self) -> str:
        """The state of every check in one line."""
        lamps = {**self.health.lamps, "convergence": "ok" if self.analysis.converged else "alarm"}
        return "health: " + ", ".join(f"{name} {lamp}" for name, lamp in lamps.items())

    def next_line(self) -> str:
        """The next plan in one line."""
        plan = self.next_recommendation
        size = (
            "no next round (schedule exhausted)"
            if plan.n_visitors is None
            else f"{plan.n_visitors:,} visitors"
        )
        return f"next: {len(plan.cells)} cell(s), {size}"

    def summary_one_line(self) -> str:
        """The round in one line."""
        r = self.analysis.recommendation
        return (
            f"round {self.round_idx + 1}: {self.metric} | {len(self.analysis.segments)} segment(s)"
            f" | {r.decision} '{r.treatment}' "
            f"({probability_of('P(lift>0)', r.probability_positive)}, {self.analysis.label})"
        )

    def _lines(self) -> list[str]:
        lines = [f"intervals: {self.analysis.label}"]
        if (truth := self.truth_line()) is not None:
            lines.append(truth)
        return [*lines, self.health_line(), *self.health.alarms, self.next_line()]

    def __repr__(self) -> str:
        return "\n".join([self.cell_table().text(), *self._lines()])

    def _repr_html_(self) -> str:
        return self.cell_table().html() + "".join(
            f"<p>{html.escape(line)}</p>" for line in self._lines()
        )
