"""Many running tests at once, from totals at their checkpoints."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pytyche_engine.classic.contrast import ArmEstimate, welch
from pytyche_engine.classic.relative import fieller_interval, relative_lift
from pytyche_engine.classic.run import check_alpha
from pytyche_engine.classic.sequential import (
    FEWEST_CONVERSIONS,
    FEWEST_VISITORS,
    MixtureTest,
    always_valid_p,
)
from pytyche_engine.classic.srm import sequential_srm
from pytyche_engine.contracts.columns import row_labels
from pytyche_engine.contracts.errors import DataError, DesignError
from pytyche_engine.contracts.health import TrafficSplit
from pytyche_engine.contracts.tables import Table

Verdict = Literal["not enough data", "SRM", "winner", "loser", "keep running"]
"""What a test at its latest checkpoint says.

``SRM``: visitors did not arrive as planned, so nothing else is to be trusted. ``winner`` and
``loser``: the difference was clear at some checkpoint, whichever way the latest one points less
clearly. ``keep running``: not clear yet."""


@dataclass(frozen=True)
class CheckpointColumns:
    """Which columns hold what. All counts and moments are totals up to the checkpoint.

    Attributes:
        experiment, variant, metric: what is compared; a row is one of them at one time.
        time: time since the start, in any unit.
        count_control, count_treatment: visitors.
        mean_control, mean_treatment: means.
        variance_control, variance_treatment: of one visitor.
    """

    experiment: str = "experiment_id"
    variant: str = "variant_id"
    metric: str = "metric_id"
    time: str = "time_since_start"
    count_control: str = "count_c"
    count_treatment: str = "count_t"
    mean_control: str = "mean_c"
    mean_treatment: str = "mean_t"
    variance_control: str = "variance_c"
    variance_treatment: str = "variance_t"

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that hold numbers."""
        return (
            self.time,
            self.count_control,
            self.count_treatment,
            self.mean_control,
            self.mean_treatment,
            self.variance_control,
            self.variance_treatment,
        )


@dataclass(frozen=True)
class CheckedTest:
    """One metric of one variant against control, over all its checkpoints.

    Attributes:
        experiment, variant, metric: what was compared, as text.
        checkpoints: how many.
        control_n, treatment_n: visitors at the last one.
        relative_lift, lift_low, lift_high: at the last one, by Fieller; None where there is none.
        p_fixed: Welch's p-value at the last one, valid only if that was the planned end.
        log_lr: the mSPRT's log likelihood ratio at the last one.
        p_always_valid: valid whatever the looks.
        decided_at: time of the checkpoint at which it was clear; None as long as it is not.
        srm: split of the variant's visitors over all checkpoints.
        verdict: what it says.
    """

    experiment: str
    variant: str
    metric: str
    checkpoints: int
    control_n: int
    treatment_n: int
    relative_lift: float | None
    lift_low: float | None
    lift_high: float | None
    p_fixed: float | None
    log_lr: float
    p_always_valid: float
    decided_at: float | None
    srm: TrafficSplit
    verdict: Verdict


@dataclass(frozen=True, eq=False, repr=False)
class CheckpointReport:
    """All tests with their verdicts.

    Attributes:
        alpha: error of a variant's sequential verdict, shared among the variants of an
            experiment (Bonferroni); metrics are each their own question.
        tests: the tests in order of the data.
        notices: what was done about unusual rows, a sentence each.
    """

    alpha: float
    tests: tuple[CheckedTest, ...]
    notices: tuple[str, ...] = ()

    @property
    def experiments(self) -> int:
        """How many experiments there are."""
        return len({test.experiment for test in self.tests})

    def frame(self) -> pd.DataFrame:
        """A row a test, to compute with."""
        return pd.DataFrame(
            [
                {
                    **{name: getattr(test, name) for name in _COLUMNS},
                    "srm_p": test.srm.p_value,
                    "srm_alarm": test.srm.alarm,
                    "verdict": test.verdict,
                }
                for test in self.tests
            ]
        )

    def verdicts(self) -> Mapping[str, int]:
        """How many tests say what."""
        found = pd.Series([test.verdict for test in self.tests], dtype=object).value_counts()
        return {str(verdict): int(n) for verdict, n in found.items()}

    def table(self) -> Table:
        """A row a test, to be read."""
        rows = [
            (
                t.experiment,
                t.variant,
                t.metric,
                f"{t.control_n + t.treatment_n:,}",
                "N/A" if t.relative_lift is None else f"{t.relative_lift:+.2%}",
                "N/A" if t.lift_low is None else f"[{t.lift_low:+.2%}, {t.lift_high:+.2%}]",
                "N/A" if t.p_fixed is None else f"{t.p_fixed:.4f}",
                f"{t.p_always_valid:.4f}",
                f"{t.srm.p_value:.4f}",
                t.verdict,
            )
            for t in self.tests
        ]
        return Table(
            (
                "experiment",
                "variant",
                "metric",
                "visitors",
                "relative lift",
                f"{100 * (1 - self.alpha):.10g}% CI (fixed end)",
                "p (fixed end)",
                "p (always valid)",
                "SRM p",
                "verdict",
            ),
            rows,
        )

    def __repr__(self) -> str:
        said = ", ".join(f"{n} {verdict}" for verdict, n in self.verdicts().items())
        return "\n".join(
            [f"{self.experiments} experiments, {len(self.tests)} tests: {said}", *self.notices]
        )

    def _repr_html_(self) -> str:
        notices = "".join(f"<p>{html.escape(notice)}</p>" for notice in self.notices)
        return self.table().html() + notices


_COLUMNS = tuple(
    name for name in CheckedTest.__dataclass_fields__ if name not in ("srm", "verdict")
)


def analyze_checkpoints(
    frame: pd.DataFrame,
    columns: CheckpointColumns | None = None,
    *,
    relative_mde: float = 0.05,
    alpha: float = 0.05,
    treatment_share: float = 0.5,
) -> CheckpointReport:
    """Analyse every test of a log of checkpoints: lift, fixed and always-valid p, SRM, verdict.

    The mixture of the sequential test is as wide as `relative_mde` of control's mean at the
    first checkpoint at which both arms have `FEWEST_VISITORS`; looks count from the next one
    on. For values of 0 and 1 both arms need `FEWEST_CONVERSIONS` too.

    Checkpoints without a variance cannot be used, and a test without any that can has not enough
    data. Where a total falls, as after a correction, the visitors that went are not taken back
    from the split. Both are said in the report.

    Args:
        frame: a row for each experiment, variant, metric and checkpoint.
        columns: which columns hold what; by default those of the ASOS data.
        relative_mde: the smallest relative effect that matters.
        alpha: error over all looks and the variants of an experiment.
        treatment_share: planned share of treatment among the two arms.

    Raises:
        DataError: if a column is missing, or holds other things than numbers.
        DesignError: if an argument is out of range.
    """
    check_alpha(alpha)
    if not relative_mde > 0 or not 0 < treatment_share < 1:
        raise DesignError(
            f"relative_mde is {relative_mde} and treatment_share {treatment_share}; the first has "
            "to be above 0, the second between 0 and 1."
        )
    columns = columns or CheckpointColumns()
    _check(frame, columns)
    if frame.empty:
        raise DataError("There are no checkpoints", mend="Pass a row for each of them.")
    variances = [columns.variance_control, columns.variance_treatment]
    unknown = frame[variances].isna().any(axis=1).to_numpy()
    fallen = 0
    keys = [columns.experiment, columns.variant, columns.metric]
    found = frame.groupby(columns.experiment)[columns.variant].nunique()
    variants = {str(name): int(n) for name, n in found.items()}
    shares = {"control": 1 - treatment_share, "treatment": treatment_share}
    splits: dict[tuple[str, str], TrafficSplit] = {}
    tests = []
    for key, looks in frame.groupby(keys, sort=False):
        experiment, variant, metric = map(str, key)
        looks = looks.sort_values(columns.time)
        if (experiment, variant) not in splits:
            splits[experiment, variant], fell = _split(looks, columns, shares)
            fallen += fell
        spent = alpha / variants[experiment]
        tests.append(
            _one(
                (experiment, variant, metric),
                looks,
                columns,
                splits[experiment, variant],
                relative_mde,
                spent,
            )
        )
    notices = []
    if unknown.any():
        notices.append(f"{unknown.sum():,} rows without a variance were left out.")
    if fallen:
        notices.append(f"Totals of visitors fell {fallen} time(s); none were taken back.")
    return CheckpointReport(alpha, tuple(tests), tuple(notices))


def _one(
    key: tuple[str, str, str],
    looks: pd.DataFrame,
    columns: CheckpointColumns,
    srm: TrafficSplit,
    relative_mde: float,
    alpha: float,
) -> CheckedTest:
    numbers = looks[list(columns.numbers)].to_numpy(dtype=float)
    last_c, last_t = (int(n) for n in numbers[-1, 1:3])
    usable = ~np.isnan(numbers).any(axis=1) & (numbers[:, 1:3] > 1).all(axis=1)
    time, n_c, n_t, m_c, m_t, v_c, v_t = numbers[usable].T
    enough = np.minimum(n_c, n_t) >= FEWEST_VISITORS
    # A variance of p (1 - p) gives 0 and 1 away.
    binary = np.allclose(v_c, m_c * (1 - m_c), rtol=0.01, atol=1e-12)
    if binary:
        enough &= np.minimum(n_c * m_c, n_t * m_t) >= FEWEST_CONVERSIONS
    difference, variance = m_t - m_c, v_c / n_c + v_t / n_t
    first = int(np.argmax(enough)) if enough.any() else len(time)
    valid = enough & (np.arange(len(time)) > first)
    log_lr, p_valid, decided = np.zeros(len(time)), np.ones(len(time)), None
    if valid.any() and m_c[first] != 0:
        test = MixtureTest.for_mde(m_c[first], relative_mde, alpha)
        log_lr = np.where(valid, test.log_lr(difference, variance), 0.0)
        p_valid = always_valid_p(log_lr)
        crossed = np.flatnonzero(p_valid <= alpha)
        decided = int(crossed[0]) if crossed.size else None
    lift = interval = p_fixed = None
    if len(time):
        arms = (
            ArmEstimate(int(n_c[-1]), float(m_c[-1]), float(v_c[-1])),
            ArmEstimate(int(n_t[-1]), float(m_t[-1]), float(v_t[-1])),
        )
        contrast = welch(*arms)
        lift, p_fixed = relative_lift(*arms), contrast.p_value()
        interval = fieller_interval(*arms, alpha, contrast.dof)
    verdict: Verdict
    if srm.alarm:
        verdict = "SRM"
    elif not valid.any():
        verdict = "not enough data"
    elif decided is None:
        verdict = "keep running"
    else:
        verdict = "winner" if difference[decided] > 0 else "loser"
    return CheckedTest(
        *key,
        checkpoints=len(time),
        control_n=last_c,
        treatment_n=last_t,
        relative_lift=lift,
        lift_low=None if interval is None else interval[0],
        lift_high=None if interval is None else interval[1],
        p_fixed=p_fixed,
        log_lr=float(log_lr[-1]) if len(time) else 0.0,
        p_always_valid=float(p_valid[-1]) if len(time) else 1.0,
        decided_at=None if decided is None else float(time[decided]),
        srm=srm,
        verdict=verdict,
    )


def _split(
    looks: pd.DataFrame, columns: CheckpointColumns, shares: Mapping[str, float]
) -> tuple[TrafficSplit, int]:
    """The split over all checkpoints, and how often a total fell."""
    counts = looks[[columns.count_control, columns.count_treatment]].to_numpy(dtype=np.int64)
    fell = int((np.diff(counts, axis=0) < 0).any(axis=1).sum())
    new = np.diff(np.maximum.accumulate(counts, axis=0), axis=0, prepend=0)
    seen = [dict(zip(shares, map(int, each), strict=True)) for each in new]
    return sequential_srm(seen, [shares] * len(seen))[-1], fell


def _check(frame: pd.DataFrame, columns: CheckpointColumns) -> None:
    needed = (columns.experiment, columns.variant, columns.metric, *columns.numbers)
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise DataError(
            f"The checkpoints have no column '{missing[0]}'",
            column=missing[0],
            mend=f"They have {', '.join(map(str, frame.columns))}; name yours with "
            "CheckpointColumns(...).",
        )
    for name in columns.numbers:
        if not pd.api.types.is_numeric_dtype(frame[name].dtype):
            raise DataError(f"Column '{name}' holds {frame[name].dtype}, not numbers", column=name)
        values = frame[name].to_numpy(dtype=float, na_value=np.nan)
        variance = name in (columns.variance_control, columns.variance_treatment)
        wrong = np.isinf(values) if variance else ~np.isfinite(values)
        if wrong.any():
            raise DataError(
                f"Column '{name}' has {wrong.sum():,} missing or infinite values",
                column=name,
                rows=row_labels(frame, wrong),
            )
