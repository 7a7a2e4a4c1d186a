"""A round seen by classical tests, beside what the model says."""

import html
from dataclasses import dataclass

from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.health import TrafficSplit
from pytyche_engine.contracts.money import percent
from pytyche_engine.contracts.tables import Table


@dataclass(frozen=True)
class ClassicRow:
    """One treatment against control in one metric.

    Attributes:
        metric: ``"revenue per visitor"`` or ``"conversion"``.
        treatment: the arm.
        control_n, treatment_n: visitors of the round that were compared.
        lift: difference of means in the round.
        relative_lift: the same as a share of control's mean; None where that is 0.
        p_value: of this comparison alone, and valid because the round's size was planned.
        p_value_adjusted: for all comparisons of the round (Holm).
        over_rounds: difference within rounds, averaged over all remembered rounds; None where
            no round has two visitors of both arms.
        p_always_valid: of that difference, valid however many rounds are looked at.
        aipw: AIPW lift of all visitors of all cells from recorded probabilities; revenue only.
        model: the posterior's lift over the same rounds, with its own level.
    """

    metric: str
    treatment: str
    control_n: int
    treatment_n: int
    lift: Estimate
    relative_lift: float | None
    p_value: float | None
    p_value_adjusted: float | None
    over_rounds: Estimate | None
    p_always_valid: float | None
    aipw: Estimate | None
    model: Estimate

    @property
    def agrees(self) -> bool | None:
        """Whether the model's mean is in the interval over rounds; None where there is none."""
        if self.over_rounds is None:
            return None
        return self.over_rounds.low <= self.model.mean <= self.over_rounds.high


@dataclass(frozen=True, repr=False)
class ClassicCheck:
    """What classical tests say of a round's Control and Explore visitors.

    Their arms do not depend on who they are, so that plain comparisons are fair whatever the
    Optimized cell did.

    Attributes:
        round_index: the round, from 0.
        first_round: the first round that is remembered, from 0.
        control: name of the control arm.
        alpha: significance level.
        rows: metrics by treatments.
        traffic: the round's split against its plan.
        traffic_over_rounds: the splits of all rounds so far.
        model_label: what is to be known of the model's intervals, e.g. ``"uncalibrated"``.
        left_out: treatments with fewer than two visitors to compare.
    """

    round_index: int
    first_round: int
    control: str
    alpha: float
    rows: tuple[ClassicRow, ...]
    traffic: TrafficSplit
    traffic_over_rounds: TrafficSplit
    model_label: str
    left_out: tuple[str, ...] = ()

    def table(self) -> Table:
        """Classical estimates and the model's, side by side."""
        level = f"{100 * (1 - self.alpha):.10g}%"
        rows = [
            (
                row.metric,
                f"{row.treatment} vs {self.control}",
                f"{row.control_n:,} + {row.treatment_n:,}",
                _interval(row.lift),
                "N/A" if row.relative_lift is None else percent(row.relative_lift),
                "N/A" if row.p_value_adjusted is None else f"{row.p_value_adjusted:.4f}",
                _interval(row.over_rounds),
                "N/A" if row.p_always_valid is None else f"{row.p_always_valid:.4f}",
                _interval(row.aipw),
                _interval(row.model),
            )
            for row in self.rows
        ]
        return Table(
            (
                "metric",
                "comparison",
                "visitors",
                f"lift, this round ({level} CI)",
                "relative",
                "p (Holm)",
                f"lift, over rounds ({level} CI)",
                "p (always valid)",
                f"AIPW, all cells ({level} CI)",
                f"model ({self._model_level}, {self.model_label})",
            ),
            rows,
        )

    def notes(self) -> tuple[str, ...]:
        """How to read the table, a sentence each."""
        found = [
            f"Round {self.round_index + 1}, visitors of the Control and Explore cells; over "
            f"rounds ({self.first_round + 1} to {self.round_index + 1}) each is compared within "
            "itself.",
            f"Split of traffic (SRM), this round: {self.traffic.sentence}",
            f"Split of traffic (SRM), all rounds: {self.traffic_over_rounds.sentence}",
        ]
        apart = [row for row in self.rows if row.agrees is False]
        for row in apart:
            found.append(
                f"{row.metric}, '{row.treatment}': the model's mean lies outside the interval over "
                f"rounds, as one in {1 / self.alpha:.0f} does by chance. The model has seen all "
                "cells: compare it with AIPW, and look at the round's health."
            )
        if self.left_out:
            names = ", ".join(f"'{arm}'" for arm in self.left_out)
            found.append(f"Fewer than two visitors to compare: {names}.")
        return tuple(found)

    @property
    def _model_level(self) -> str:
        return f"{100 * self.rows[0].model.level:.10g}% CI" if self.rows else "CI"

    def __repr__(self) -> str:
        return "\n".join([self.table().text(), *self.notes()])

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes())
        return f"{self.table().html()}<ul>{notes}</ul>"


def _interval(estimate: Estimate | None) -> str:
    return "N/A" if estimate is None else estimate.text()
