"""What a classical analysis found."""

import html
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from pytyche_engine.classic.balance import NO_COVARIATES, CovariateBalanceChecker
from pytyche_engine.classic.corrections import CORRECTIONS
from pytyche_engine.classic.forest import Forest, ForestRow, draw
from pytyche_engine.contracts.health import TrafficSplit
from pytyche_engine.contracts.tables import Table

STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))

REASONS = {
    "zero_baseline": "control's mean is 0, so there is no relative lift",
    "unbounded": "control's mean is not clearly different from 0, so the relative lift has no "
    "bounded interval",
    "zero_variance": "the values do not vary, so there is no test",
    "few_conversions": "fewer than five visitors with or without it in an arm: Fisher's exact "
    "test, Newcombe's interval",
}
"""Why a number is missing or another method was used, by code."""


@dataclass(frozen=True)
class MetricResult:
    """One metric in one treatment against control.

    Attributes:
        metric_name, metric_type: the metric.
        control_mean, treatment_mean: means, adjusted for covariates where there are any.
        control_var, treatment_var: variance of one visitor, after adjustment.
        control_n, treatment_n: visitors.
        absolute_difference: treatment less control.
        relative_lift: the difference over the size of control's mean; None where that is 0.
        cuped_applied: whether covariates were used.
        variance_reduction: share of the variance that they took away.
        p_value: two-sided, of this comparison alone.
        ci_lower, ci_upper: interval of the difference, at level ``1 - interval_alpha``.
        rel_ci_lower, rel_ci_upper: of the lift (Fieller); None where it is not bounded.
        power: of a two-sided test at ``interval_alpha``, were the true effect the one seen.
        control, treatment: labels of the arms.
        p_value_adjusted: for all comparisons of the result; the same without a correction.
        interval_alpha: the error that the intervals spend.
        std_error, dof: of the difference.
        method: of p-value and interval.
        correction: name of the correction, None without.
        cap: what values were capped at, None where they were not.
        reason: a code of `REASONS`, None where all is as usual.
    """

    metric_name: str
    metric_type: str
    control_mean: float
    treatment_mean: float
    control_var: float
    treatment_var: float
    control_n: int
    treatment_n: int
    absolute_difference: float
    relative_lift: float | None
    cuped_applied: bool
    variance_reduction: float
    p_value: float | None
    ci_lower: float | None
    ci_upper: float | None
    rel_ci_lower: float | None
    rel_ci_upper: float | None
    power: float | None
    control: str
    treatment: str
    p_value_adjusted: float | None
    interval_alpha: float
    std_error: float
    dof: float | None
    method: str
    correction: str | None
    cap: float | None
    reason: str | None

    def as_row(self) -> dict[str, Any]:
        """As a dictionary, in this order."""
        return asdict(self)


@dataclass(frozen=True, eq=False, repr=False)
class AnalysisResult:
    """Results of an analysis, as numbers, tables, text and plots.

    Attributes:
        raw_results: a dictionary a comparison, with the fields of `MetricResult`.
        alpha: significance level.
        balance_checker: balance in the covariates; None without covariates. With several
            treatments, that of the one least like control.
        correction: name of the correction for several comparisons, None without.
        traffic: the split against the planned shares; None where these are not known.
    """

    raw_results: list[dict[str, Any]]
    alpha: float = 0.05
    balance_checker: CovariateBalanceChecker | None = None
    correction: str | None = None
    traffic: TrafficSplit | None = None

    @cached_property
    def df_raw(self) -> pd.DataFrame:
        """The numbers as they are, a row a comparison."""
        columns = list(MetricResult.__dataclass_fields__)
        found = pd.DataFrame(self.raw_results)
        return found if len(found.columns) else pd.DataFrame(columns=columns)

    def love_plot(self) -> str:
        """Balance of the covariates as text, or that there are none."""
        return NO_COVARIATES if self.balance_checker is None else self.balance_checker.love_plot()

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain Python values that JSON can hold; what is not defined is None."""
        balance, split = self.balance_checker, self.traffic
        return {
            "alpha": float(self.alpha),
            "correction": self.correction,
            "interval_method": self._interval_words(),
            "metrics": [{k: _plain(v) for k, v in row.items()} for row in self.raw_results],
            "covariate_balance": None if balance is None else _plain(balance.to_dict()),
            "traffic": None
            if split is None
            else _plain({**asdict(split), "alarm": split.alarm, "sentence": split.sentence}),
        }

    def to_json(self, indent: int | None = None) -> str:
        """The same as JSON text."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)

    def summary(self, formatted: bool = True) -> pd.DataFrame:
        """A row a comparison, to be read (`formatted`) or to be computed with.

        Stars: ``***`` below 0.001, ``**`` below 0.01, ``*`` below 0.05, of the adjusted p-value
        where there is one.
        """
        if not formatted:
            return self.df_raw.copy()
        columns = self._columns()
        rows = [[cell for _, cell in self._cells(row)] for row in self.raw_results]
        return pd.DataFrame(rows, columns=columns)

    def plot(self, *, backend: str = "altair", title: str | None = None, **options: Any) -> Any:
        """The relative lifts and their intervals as a forest plot.

        Args:
            backend: ``"altair"`` for an Altair chart, ``"matplotlib"`` for Axes.
            title: instead of the usual one.
            options: for matplotlib ``ax`` or ``figsize``.

        Raises:
            DesignError: if there is no such backend, or it is not installed.
        """
        rows = []
        for row in sorted(self.raw_results, key=lambda row: str(row.get("metric_name", ""))):
            p = row.get("p_value_adjusted", row.get("p_value"))
            cells = dict(self._cells(row))
            several = f", {cells['Treatment']}" if self._several else ""
            rows.append(
                ForestRow(
                    f"{cells['Metric']}{several}",
                    row.get("relative_lift"),
                    row.get("rel_ci_lower"),
                    row.get("rel_ci_upper"),
                    p is not None and p < self.alpha,
                    f"{cells['Relative Lift']} {cells[self._interval_label]}".strip(),
                )
            )
        forest = Forest(title or "Relative lift", self._interval_words(), tuple(rows))
        return draw(forest, backend, **options)

    def notes(self) -> tuple[str, ...]:
        """What must be known to read the table, a sentence each."""
        found = [self._interval_words()]
        methods = dict.fromkeys(row["method"] for row in self.raw_results if row.get("method"))
        if methods:
            found.append(f"Tests: {'; '.join(methods)}.")
        for row in self.raw_results:
            if row.get("reason"):
                found.append(f"{row['metric_name']}: {REASONS[row['reason']]}.")
            if row.get("cap") is not None:
                found.append(
                    f"{row['metric_name']}: amounts above {row['cap']:,.6g} count as that."
                )
        if self.traffic is None:
            found.append("Split of traffic (SRM): not checked, the planned shares are not known.")
        else:
            state = "ALARM" if self.traffic.alarm else "as planned"
            found.append(f"Split of traffic (SRM): {state}. {self.traffic.sentence}")
        if self.balance_checker is not None and self.balance_checker.imbalanced:
            names = ", ".join(row.covariate for row in self.balance_checker.imbalanced)
            found.append(f"Unlike in covariates (|SMD| > 0.1): {names}.")
        return tuple(dict.fromkeys(found))

    def table(self) -> Table:
        """The summary as text."""
        rows = [tuple(cell for _, cell in self._cells(row)) for row in self.raw_results]
        return Table(tuple(self._columns()), rows)

    def __repr__(self) -> str:
        return "\n".join([self.table().text(), *self.notes()])

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes())
        return f"{self.table().html()}<ul>{notes}</ul>"

    @property
    def _several(self) -> bool:
        return len({row.get("treatment") for row in self.raw_results}) > 1

    @property
    def _interval_label(self) -> str:
        return f"{100 * (1 - self.alpha):.10g}% CI (Rel)"

    def _interval_words(self) -> str:
        level = f"{100 * (1 - self.alpha):.10g} %"
        words = f"Intervals of relative lifts by Fieller's method, level {level}"
        if self.correction is None:
            return f"{words}, not corrected for several comparisons."
        return (
            f"{words}, p-values and intervals corrected for {len(self.raw_results)} "
            f"comparison(s) ({CORRECTIONS[self.correction]})."
        )

    def _columns(self) -> list[str]:
        if self.raw_results:
            return [name for name, _ in self._cells(self.raw_results[0])]
        return [name for name, _ in self._cells({})]

    def _cells(self, row: dict[str, Any]) -> list[tuple[str, str]]:
        p, adjusted = row.get("p_value"), row.get("p_value_adjusted")
        corrected = self.correction is not None
        cells = [("Metric", str(row.get("metric_name", "")))]
        if self._several:
            cells.append(("Treatment", str(row.get("treatment", ""))))
        cells += [
            ("Type", str(row.get("metric_type", ""))),
            ("Control Mean", _number(row.get("control_mean"))),
            ("Treatment Mean", _number(row.get("treatment_mean"))),
            ("Relative Lift", _percent(row.get("relative_lift"))),
            (self._interval_label, _range(row.get("rel_ci_lower"), row.get("rel_ci_upper"))),
            ("p-value", _p(p) + ("" if corrected else _stars(p))),
        ]
        if self.correction is not None:
            head = f"p-value ({CORRECTIONS[self.correction]})"
            cells.append((head, _p(adjusted) + _stars(adjusted)))
        reduction = row.get("variance_reduction")
        cuped = bool(row.get("cuped_applied"))
        return [
            *cells,
            ("Post-hoc Power", "N/A" if _absent(row.get("power")) else f"{row['power']:.1%}"),
            ("CUPED", "Yes" if cuped else "No"),
            ("Var Reduction", "-" if not cuped or _absent(reduction) else f"{reduction:.1%}"),
        ]


def _absent(value: Any) -> bool:
    return value is None or bool(np.isnan(value))


def _number(value: Any) -> str:
    return "N/A" if _absent(value) else f"{value:.4f}"


def _percent(value: Any) -> str:
    return "N/A" if _absent(value) else f"{value:+.2%}"


def _range(low: Any, high: Any) -> str:
    return "N/A" if _absent(low) or _absent(high) else f"[{low:+.2%}, {high:+.2%}]"


def _p(value: Any) -> str:
    if _absent(value):
        return "N/A"
    return f"{value:.4f}" if value >= 0.0001 else "<0.0001"


def _stars(value: Any) -> str:
    if _absent(value):
        return ""
    return next((stars for limit, stars in STARS if value < limit), "")


def _plain(value: Any) -> Any:
    """Plain Python values; numbers that are none become None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
