"""One finished round: everything that was served, seen, concluded and proposed."""

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytyche_engine.contracts.decisions import CellObservation
from pytyche_engine.contracts.dropped import DroppedArm, RevivedArm
from pytyche_engine.contracts.money import amount, probability_of
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.round_health import RoundHealth
from pytyche_engine.contracts.scores import DoublyRobustScores
from pytyche_engine.contracts.tables import Table
from pytyche_engine.contracts.truth import TruthComparison
from pytyche_engine.experiment.analysis import RoundAnalysis

if TYPE_CHECKING:
    from pytyche_engine.bcf.posterior import Posterior


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
                    "—" if rpv is None else rpv.text(amount),
                    "—" if lift is None else lift.text(),
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
