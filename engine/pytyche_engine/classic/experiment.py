"""A classical experiment: its data, its metrics, and the phase that it is in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from pytyche_engine.classic.metrics import (
    METRIC_TYPES,
    Metric,
    ProportionMetric,
    RatioMetric,
    RevenueMetric,
    metrics_of,
)
from pytyche_engine.classic.moments import Column, Moments
from pytyche_engine.classic.rows import Rows
from pytyche_engine.classic.srm import check_srm
from pytyche_engine.contracts.columns import row_labels
from pytyche_engine.contracts.errors import DataError, DesignError, PhaseOrderError
from pytyche_engine.contracts.given import number
from pytyche_engine.contracts.health import TrafficSplit


class ExperimentState(Enum):
    """The phases of an experiment, in order."""

    CREATED = "created"  # named, nothing checked yet
    DESIGNED = "designed"  # data checked; metrics can be registered
    RUNNING = "running"  # metrics fixed
    ANALYZED = "analyzed"  # results were seen
    REPORTED = "reported"  # closed


_ORDER = list(ExperimentState)


@dataclass(frozen=True)
class Target:
    """A registered metric with the columns that it needs."""

    metric: Metric
    outcome: tuple[Column, ...]
    before: tuple[Column, ...]


@dataclass(frozen=True, eq=False)
class Totals:
    """Sufficient statistics of every arm, where rows were added up elsewhere."""

    by_arm: Mapping[str, Moments]

    @property
    def arms(self) -> tuple[str, ...]:
        """Labels in the order given."""
        return tuple(self.by_arm)


class Experiment:
    """Data of one experiment and what is measured in it. Make one with `setup`.

    Phases follow one another (`ExperimentState`); none is left out and none comes again.
    Metrics are registered while it is designed and are checked against the data then, so
    that nothing about them can fail, or be chosen, once results are seen.

    Attributes:
        treatment_col, id_col: columns of the data, None where totals were given.
        covariates: what arms are compared in and every metric is adjusted for.
        shares: planned shares of the arms; None where they are not known.
    """

    def __init__(
        self,
        data: Rows | Totals,
        treatment_col: str | None = None,
        id_col: str | None = None,
        covariates: Sequence[str] = (),
        shares: Mapping[str, float] | None = None,
    ) -> None:
        self.treatment_col = treatment_col
        self.id_col = id_col
        self.covariates = tuple(covariates)
        self.shares = (
            None
            if shares is None
            else {str(k): number(f"The planned share of '{k}'", v) for k, v in shares.items()}
        )
        self._data = data
        self._targets: dict[str, Target] = {}
        self._state = ExperimentState.CREATED

    @property
    def state(self) -> ExperimentState:
        """The phase it is in."""
        return self._state

    @property
    def arms(self) -> tuple[str, ...]:
        """Labels of the arms in the data."""
        return self._data.arms

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The registered metrics, in order."""
        return tuple(target.metric for target in self._targets.values())

    @property
    def targets(self) -> tuple[Target, ...]:
        """The registered metrics with their columns."""
        return tuple(self._targets.values())

    @property
    def rows(self) -> Rows:
        """The visitors.

        Raises:
            DesignError: if totals were given instead.
        """
        if not isinstance(self._data, Rows):
            raise DesignError("This needs the visitors themselves; totals by arm were given.")
        return self._data

    def transition_to(self, state: ExperimentState) -> None:
        """Go on to the next phase; the present one again is no step.

        Raises:
            PhaseOrderError: if it is not the next one.
        """
        here, there = _ORDER.index(self._state), _ORDER.index(state)
        if there == here:
            return
        if there != here + 1:
            what = "goes back" if there < here else "leaves out a phase"
            following = _ORDER[here + 1].name if here + 1 < len(_ORDER) else "none, it is closed"
            raise PhaseOrderError(
                f"From {self._state.name} to {state.name} {what}; the next phase is {following}."
            )
        self._state = state

    def require(self, states: Sequence[ExperimentState], what: str) -> None:
        """Refuse a step unless the experiment is in one of these phases.

        Raises:
            PhaseOrderError: which phase it is in, and which ones would do.
        """
        if self._state not in states:
            names = " or ".join(state.name for state in states)
            raise PhaseOrderError(f"{what} in {self._state.name}; it has to be {names}.")

    def add_metrics(self, metrics: Metric | Sequence[Metric]) -> "Experiment":
        """Register one metric or several; all of them or none.

        Returns:
            The experiment, to go on with.

        Raises:
            PhaseOrderError: if metrics are fixed already.
            DesignError: if a name is taken, or there is something else than metrics.
            DataError: if a column is not there or cannot be used.
        """
        self.require([ExperimentState.DESIGNED], "Metrics cannot be registered")
        found = dict(self._targets)
        for metric in metrics_of(metrics):
            if not isinstance(metric.name, str) or not metric.name:
                raise DesignError(f"A metric's name is {metric.name!r}; give it a text.")
            if metric.name in found:
                raise DesignError(f"There is a metric '{metric.name}' already; names are unique.")
            found[metric.name] = self._target(metric)
        _refuse_outcomes(self.covariates, found)
        self._targets = found
        return self

    def register_metric(self, name: str, metric_type: str = "mean", **columns: Any) -> "Experiment":
        """Register a metric by the word for its type.

        Args:
            name: what it is called in results.
            metric_type: ``"mean"``, ``"proportion"``, ``"ratio"`` or ``"revenue"``.
            columns: what the metric's class takes, e.g. ``value_col="revenue"``.

        Raises:
            DesignError: if there is no such type, or it takes other columns.
        """
        if metric_type not in METRIC_TYPES:
            raise DesignError(
                f"There is no metric type {metric_type!r}; use one of {', '.join(METRIC_TYPES)}."
            )
        try:
            metric = METRIC_TYPES[metric_type](name, **columns)
        except TypeError as error:
            takes = [f for f in METRIC_TYPES[metric_type].__dataclass_fields__ if f != "name"]
            raise DesignError(
                f"A {metric_type} metric takes {', '.join(takes)}: {error}."
            ) from error
        return self.add_metrics(metric)

    def covariate_columns(self, names: Sequence[str]) -> dict[str, tuple[Column, ...]]:
        """For each covariate the columns that stand for it.

        Raises:
            DesignError: if totals were given, or one is the outcome of a metric.
            DataError: if one is not in the data, or holds text and was not named to `setup`.
        """
        unknown = [name for name in names if name not in self.covariates]
        if unknown and not isinstance(self._data, Rows):
            raise DesignError("Covariates need the visitors themselves; totals by arm were given.")
        _refuse_outcomes(names, self._targets)
        return {name: self.rows.covariate(name) for name in names}

    def moments(self, covariates: Mapping[str, Sequence[Column]]) -> dict[str, Moments]:
        """Moments by arm of every metric's columns together with these covariates."""
        if isinstance(self._data, Totals):
            return dict(self._data.by_arm)
        return self._data.moments(column_groups(self.targets, covariates))

    def visitors(self) -> dict[str, int]:
        """How many visitors each arm has."""
        if isinstance(self._data, Rows):
            counts = np.bincount(self._data.arm, minlength=len(self.arms))
            return dict(zip(self.arms, map(int, counts), strict=True))
        return {arm: moments.n for arm, moments in self._data.by_arm.items()}

    def traffic(self) -> TrafficSplit | None:
        """Visitors against the planned shares; None where no shares were given."""
        return None if self.shares is None else check_srm(self.visitors(), self.shares)

    def __repr__(self) -> str:
        arms = ", ".join(f"{arm} {n:,}" for arm, n in self.visitors().items())
        names = ", ".join(self._targets) or "none"
        return f"Experiment({self._state.name}; visitors: {arms}; metrics: {names})"

    def _target(self, metric: Metric) -> Target:
        if isinstance(self._data, Totals):
            return self._target_of_totals(metric)
        rows = self._data
        values = [rows.outcome(name) for name in metric.outcome]
        if isinstance(metric, ProportionMetric):
            wrong = (values[0] != 0) & (values[0] != 1)
            if wrong.any():
                raise DataError(
                    f"Metric '{metric.name}' is a proportion, but column '{metric.value_col}' "
                    f"has {wrong.sum():,} values other than 0 and 1",
                    column=metric.value_col,
                    rows=row_labels(rows.frame, wrong),
                    mend="Use MeanMetric, or make it 0 and 1.",
                )
        if isinstance(metric, RatioMetric):
            wrong = values[1] < 0
            if wrong.any() or not values[1].any():
                raise DataError(
                    f"The denominator '{metric.denominator_col}' of '{metric.name}' is "
                    + ("negative somewhere" if wrong.any() else "0 for everyone"),
                    column=metric.denominator_col,
                    rows=row_labels(rows.frame, wrong),
                )
        before = tuple(c for name in metric.before for c in rows.covariate(name))
        if not isinstance(metric, RevenueMetric):
            return Target(metric, tuple(map(Column, metric.outcome)), before)
        # What was spent before has the same few large amounts.
        capped = tuple(
            _capped(c, rows.raw(c.source), metric) if c.part == "value" else c for c in before
        )
        return Target(metric, (_capped(Column(metric.value_col), values[0], metric),), capped)

    def _target_of_totals(self, metric: Metric) -> Target:
        columns = [Column(name) for name in (*metric.outcome, *metric.before)]
        if isinstance(metric, RevenueMetric) and (metric.lower, metric.upper) != (0, 1):
            raise DesignError(
                f"'{metric.name}' cannot be capped: totals by arm were given. Use upper=1, or "
                "pass the visitors themselves."
            )
        for arm, moments in self._data.by_arm.items():  # type: ignore[union-attr]  # totals, here
            missing = [c.source for c in columns if c not in moments.columns]
            if missing:
                raise DataError(
                    f"The totals of '{arm}' have no '{missing[0]}'",
                    column=missing[0],
                    mend=f"They have {', '.join(c.source for c in moments.columns)}.",
                )
            if np.isnan(moments.of(columns).cross).any():
                raise DataError(
                    f"The totals of '{arm}' lack products that '{metric.name}' needs",
                    column=columns[0].source,
                    mend="Give sums of products of all its columns.",
                )
        m = len(metric.outcome)
        return Target(metric, tuple(columns[:m]), tuple(columns[m:]))


def column_groups(
    targets: Sequence[Target], covariates: Mapping[str, Sequence[Column]]
) -> list[tuple[Column, ...]]:
    """The columns that each metric needs together, and each covariate by itself for balance."""
    shared = tuple(column for columns in covariates.values() for column in columns)
    return [
        *((*target.outcome, *target.before, *shared) for target in targets),
        *((column,) for column in shared),
    ]


def _refuse_outcomes(covariates: Sequence[str], targets: Mapping[str, Target]) -> None:
    """Refuse to adjust a metric for what treatment may have changed."""
    for name, target in targets.items():
        for column in target.metric.outcome:
            if column in covariates or column in target.metric.before:
                raise DesignError(
                    f"'{column}' is an outcome of metric '{name}' and a covariate; covariates "
                    "must be known before assignment, or they take the effect away."
                )


def _capped(column: Column, values: np.ndarray, metric: RevenueMetric) -> Column:
    """The column capped at the metric's quantiles of all visitors with a value."""
    known = values[~np.isnan(values)]
    low, high = -np.inf, np.inf
    if metric.upper < 1:
        high = float(np.quantile(known, metric.upper))
    if metric.lower > 0:
        low = float(np.quantile(known, metric.lower))
    return replace(column, low=low, high=high)
