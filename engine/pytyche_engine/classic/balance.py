"""Whether two arms are alike in what was known before."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pytyche_engine.classic.moments import Column, Moments
from pytyche_engine.contracts.tables import Table

LARGE = 0.1
"""Standardised difference that is usually called an imbalance (Austin 2009)."""

NO_COVARIATES = "No covariates were given, so there is no balance to show."

_WIDTH = 41
_REACH = 0.5  # standard deviations from the middle of a love plot to its edge


@dataclass(frozen=True)
class CovariateBalance:
    """One covariate, level or missingness in two arms.

    Attributes:
        covariate: its name, ``name = level`` or ``name missing``.
        mean_control, mean_treatment: means, or shares of a level.
        variance_control, variance_treatment: variances.
        smd: difference of means in units of ``sqrt((v_c + v_t) / 2)``; None where neither varies.
        variance_ratio: treatment's variance over control's; None where control's is 0.
    """

    covariate: str
    mean_control: float
    mean_treatment: float
    variance_control: float
    variance_treatment: float
    smd: float | None
    variance_ratio: float | None

    @property
    def large(self) -> bool:
        """Whether the difference is large."""
        return self.smd is not None and abs(self.smd) > LARGE


@dataclass(frozen=True, repr=False)
class CovariateBalanceChecker:
    """Balance of all covariates between control and a treatment.

    Attributes:
        control, treatment: labels of the arms.
        rows: the covariates in order.
    """

    control: str
    treatment: str
    rows: tuple[CovariateBalance, ...]

    @property
    def imbalanced(self) -> tuple[CovariateBalance, ...]:
        """Covariates with a large difference, the largest first."""
        return tuple(sorted((r for r in self.rows if r.large), key=lambda r: -abs(r.smd or 0)))

    def love_plot(self) -> str:
        """Standardised differences on one scale, as ASCII text (names stay as they are)."""
        width = max(len(row.covariate) for row in self.rows)
        middle = _WIDTH // 2
        limit = round(LARGE / _REACH * middle)
        lines = [
            f"Standardised difference of means, '{self.treatment}' less '{self.control}'",
            f"{'':{width}}  {f'-{_REACH}':<{middle}}0{f'{_REACH}':>{middle}}",
        ]
        for row in self.rows:
            cells = ["."] * _WIDTH
            cells[middle - limit] = cells[middle + limit] = ":"
            cells[middle] = "|"
            if row.smd is not None:
                place = round(float(np.clip(row.smd / _REACH, -1, 1)) * middle)
                cells[middle + place] = "X" if row.large else "o"
            said = "does not vary" if row.smd is None else f"{row.smd:+.3f}"
            lines.append(f"{row.covariate:{width}}  {''.join(cells)}  {said}")
        lines.append(f"o within {LARGE:g} (:), X beyond; the edge is {_REACH:g} or more")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, dict[str, float | None]]:
        """For each covariate its figures."""
        return {
            row.covariate: {
                "mean_control": row.mean_control,
                "mean_treatment": row.mean_treatment,
                "variance_control": row.variance_control,
                "variance_treatment": row.variance_treatment,
                "smd": row.smd,
                "variance_ratio": row.variance_ratio,
            }
            for row in self.rows
        }

    def table(self) -> Table:
        """All covariates as text."""
        rows = [
            (
                row.covariate,
                f"{row.mean_control:.4f}",
                f"{row.mean_treatment:.4f}",
                "N/A" if row.smd is None else f"{row.smd:+.3f}",
                "N/A" if row.variance_ratio is None else f"{row.variance_ratio:.2f}",
                "large" if row.large else "",
            )
            for row in self.rows
        ]
        return Table(("covariate", self.control, self.treatment, "SMD", "variance ratio", ""), rows)

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html() + f"<pre>{html.escape(self.love_plot())}</pre>"


def check_balance(
    control: str,
    treatment: str,
    moments: Mapping[str, Moments],
    covariates: Mapping[str, Sequence[Column]],
    levels: Mapping[str, Sequence[str]],
) -> CovariateBalanceChecker | None:
    """Compare two arms in every covariate; None where there are none.

    Args:
        control: label of the arm to compare with.
        treatment: label of the arm to compare.
        moments: of each arm, with the covariates' columns.
        covariates: for each covariate its columns.
        levels: for each text covariate its levels.
    """
    rows = []
    for name, columns in covariates.items():
        for column in columns:
            title = {
                "value": name,
                "missing": f"{name} missing",
                "level": f"{name} = {levels[name][column.level]}" if name in levels else name,
            }[column.part]
            arms = [moments[arm].of([column]) for arm in (control, treatment)]
            if column.fill is not None:
                missing = Column(name, "missing")
                arms = [
                    _known(arm, column.fill, float(moments[label].of([missing]).mean[0]))
                    for arm, label in zip(arms, (control, treatment), strict=True)
                ]
            rows.append(_row(title, *arms))
    return CovariateBalanceChecker(control, treatment, tuple(rows)) if rows else None


def _known(filled: Moments, fill: float, share_missing: float) -> Moments:
    """Moments of those with a value, from those of all with the others filled in."""
    n = round(filled.n * (1 - share_missing))
    mean = fill + (filled.mean - fill) * (filled.n / max(n, 1))
    cross = filled.cross + filled.n * (filled.mean - fill) ** 2 - n * (mean - fill) ** 2
    return Moments(n, filled.columns, mean, cross)


def _row(title: str, control: Moments, treatment: Moments) -> CovariateBalance:
    v_c, v_t = float(control.covariance[0, 0]), float(treatment.covariance[0, 0])
    difference = float(treatment.mean[0] - control.mean[0])
    sd = float(np.sqrt((v_c + v_t) / 2))
    return CovariateBalance(
        title,
        float(control.mean[0]),
        float(treatment.mean[0]),
        v_c,
        v_t,
        difference / sd if sd > 0 else None,
        v_t / v_c if v_c > 0 else None,
    )
