"""Corrections fitted on some scenarios and looked at on others."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from pytyche_engine.calibration.correction import FEWEST, LEVELS, ends, fit_correction
from pytyche_engine.calibration.errors import CalibrationError
from pytyche_engine.calibration.reported import QUANTITIES
from pytyche_engine.contracts.recalibration import Correction

N_FOLDS = 5
"""Parts that scenarios are divided into; each is held out once."""


def fit_corrections(rows: pd.DataFrame) -> dict[str, Correction]:
    """A correction for every quantity that was reported often enough.

    Where too few segments were found for one of their own, lifts in segments get the one
    learned on average and segments' lifts together.

    Args:
        rows: as in `SweepResult`.

    Raises:
        CalibrationError: if there are too few average lifts.
    """
    found = {q: fit_correction(*_standardised(rows[rows["quantity"] == q])) for q in QUANTITIES}
    if found["ate"] is None:
        raise CalibrationError(
            f"A calibration needs at least {FEWEST} average lifts; the sweep has "
            f"{(rows['quantity'] == 'ate').sum()}. Simulate more often (n_sims)."
        )
    if found["gate"] is None:
        found["gate"] = fit_correction(*_standardised(rows[rows["quantity"].isin(("ate", "gate"))]))
    return {q: c for q, c in found.items() if c is not None}


def held_out(rows: pd.DataFrame, scenarios: Sequence[str], n_folds: int = N_FOLDS) -> pd.DataFrame:
    """Every reported quantity before and after a correction that other scenarios taught.

    Scenarios are dealt out to the folds in turn, so that every fold has its part of every
    effect scale and template.

    Args:
        rows: as in `SweepResult`.
        scenarios: their keys, in order.
        n_folds: how many folds; at most one a scenario.

    Returns:
        The rows, without those of quantities that have no correction, and with
        ``pit_before`` and ``pit_after`` (the truth's place among the draws, 0 to 1) and
        ``grid_after`` beside ``grid``.

    Raises:
        CalibrationError: if there are fewer than two scenarios, or too few lifts in a fold's
            others.
    """
    n_folds = min(n_folds, len(scenarios))
    if n_folds < 2:
        raise CalibrationError("A calibration needs two scenarios or more, to hold some out.")
    fold = rows["scenario"].map({key: i % n_folds for i, key in enumerate(scenarios)})
    parts = []
    for f in range(n_folds):
        corrections = fit_corrections(rows[fold != f])
        mine = rows[(fold == f) & rows["quantity"].isin(corrections)]
        parts += [recalibrated(mine[mine["quantity"] == q], c) for q, c in corrections.items()]
    return pd.concat([p for p in parts if len(p)]).sort_index()


def recalibrated(rows: pd.DataFrame, correction: Correction) -> pd.DataFrame:
    """Rows of one quantity, before and after a correction."""
    if rows.empty:
        return rows
    truth, grid = _standardised(rows)
    after = correction(grid)
    mean, sd = rows["mean"].to_numpy()[:, None], rows["sd"].to_numpy()[:, None]
    return rows.assign(
        pit_before=_place(truth, grid),
        pit_after=_place(truth, after),
        grid_after=list(mean + sd * after),
    )


def coverage_table(
    rows: pd.DataFrame, by: Sequence[str] = (), levels: Sequence[float] = LEVELS
) -> pd.DataFrame:
    """How often intervals held the truth, and how wide they were, before and after.

    Args:
        rows: of `held_out`.
        by: columns to tell apart, beside the quantity.
        levels: nominal levels.

    Returns:
        A row a quantity and level: quantity, level, n_intervals, n_fits, before, after, error
        (of ``after``: Monte Carlo standard error, fits being independent), width_before and
        width_after (mean, money per visitor).
    """
    found = []
    for key, mine in rows.groupby(["quantity", *by], sort=False):
        names = dict(zip(("quantity", *by), key, strict=True))
        before, after = (np.stack(list(mine[c])) for c in ("grid", "grid_after"))
        truth = mine["truth"].to_numpy()
        fit_of = mine.groupby(["scenario", "sim"]).ngroup().to_numpy()
        for level in levels:
            cover = {}
            width = {}
            for name, grid in (("before", before), ("after", after)):
                low, high = ends(grid, level)
                cover[name] = (low <= truth) & (truth <= high)
                width[name] = float((high - low).mean())
            found.append(
                {
                    **names,
                    "level": level,
                    "n_intervals": len(mine),
                    "n_fits": len(np.unique(fit_of)),
                    "before": float(cover["before"].mean()),
                    "after": float(cover["after"].mean()),
                    "error": _clustered_error(cover["after"], fit_of),
                    "width_before": width["before"],
                    "width_after": width["after"],
                }
            )
    return pd.DataFrame(found)


def _clustered_error(covered: Float[np.ndarray, " m"], fit_of: np.ndarray) -> float:
    """Standard error of a mean over intervals of which those of one fit go together."""
    residual = np.bincount(fit_of, covered - covered.mean())
    count = len(residual)
    return float(np.sqrt((residual**2).sum() * count / max(count - 1, 1)) / len(covered))


def _standardised(
    rows: pd.DataFrame,
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, "m quantiles"]]:
    """Truths and grids as z; rows without any spread are left out by their sd of 0."""
    rows = rows[rows["sd"] > 0]
    if rows.empty:
        return np.zeros(0), np.zeros((0, 1))
    mean, sd = rows["mean"].to_numpy(), rows["sd"].to_numpy()
    grid = np.stack(list(rows["grid"]))
    return (rows["truth"].to_numpy() - mean) / sd, (grid - mean[:, None]) / sd[:, None]


def _place(
    truth: Float[np.ndarray, " m"], grid: Float[np.ndarray, "m quantiles"]
) -> Float[np.ndarray, " m"]:
    """The truth's place among draws that are described by a grid, 0 to 1."""
    levels = (np.arange(grid.shape[1]) + 0.5) / grid.shape[1]
    return np.array(
        [np.interp(t, g, levels, left=0.0, right=1.0) for t, g in zip(truth, grid, strict=True)]
    )
