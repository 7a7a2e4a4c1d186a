"""How good estimates and decisions are where the truth is known."""

import numpy as np
import pandas as pd
from jaxtyping import Float

from pytyche_engine.calibration.correction import ends
from pytyche_engine.contracts.decisions import Decision
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.thresholds import DecisionThresholds, in_money
from pytyche_engine.decisions import recommend

_LEVELS = (0.8, 0.9)


def scorecard(rows: pd.DataFrame, thresholds: DecisionThresholds | None = None) -> pd.DataFrame:
    """One row a quantity, before and after recalibration.

    Decisions are those of a treatment against control alone, for quantities that are lifts over
    control. A false ship is SHIP where the truth is no gain, as a share of all such truths; a
    missed win is STOP where the truth is a practical gain, as a share of those. Regret is what
    a wrong answer costs a visitor, over all decisions; CONTINUE costs nothing here.

    Args:
        rows: as `held_out` returns them.
        thresholds: of the decisions.

    Returns:
        quantity, calibrated, n, bias, rmse, coverage_80, coverage_90, width_80, width_90,
        false_ship_rate, missed_win_rate, regret; money per visitor.
    """
    thresholds = thresholds or DecisionThresholds()
    found = []
    for quantity, mine in rows.groupby("quantity", sort=False):
        error = (mine["mean"] - mine["truth"]).to_numpy()
        truth = mine["truth"].to_numpy()
        for calibrated, column in ((False, "grid"), (True, "grid_after")):
            grid = np.stack(list(mine[column]))
            row: dict[str, object] = {
                "quantity": quantity,
                "calibrated": calibrated,
                "n": len(mine),
                "bias": float(error.mean()),
                "rmse": float(np.sqrt((error**2).mean())),
            }
            for level in _LEVELS:
                low, high = ends(grid, level)
                row[f"coverage_{level * 100:.0f}"] = float(
                    ((low <= truth) & (truth <= high)).mean()
                )
                row[f"width_{level * 100:.0f}"] = float((high - low).mean())
            if quantity in ("ate", "gate"):
                row |= _decisions(truth, grid, mine["control"].to_numpy(), thresholds)
            found.append(row)
    return pd.DataFrame(found)


def _decisions(
    truth: Float[np.ndarray, " m"],
    grid: Float[np.ndarray, "m quantiles"],
    control: Float[np.ndarray, " m"],
    thresholds: DecisionThresholds,
) -> dict[str, float]:
    decided = [_decide(g, c, thresholds) for g, c in zip(grid, control, strict=True)]
    ship = np.array([d is Decision.SHIP for d in decided])
    stop = np.array([d is Decision.STOP for d in decided])
    practical = np.array([in_money(thresholds.practical_effect, c) for c in control])
    no_gain, gain = truth <= 0, truth > practical
    cost = np.where(ship, np.maximum(-truth, 0), 0) + np.where(stop, np.maximum(truth, 0), 0)
    return {
        "false_ship_rate": float(ship[no_gain].mean()) if no_gain.any() else float("nan"),
        "missed_win_rate": float(stop[gain].mean()) if gain.any() else float("nan"),
        "regret": float(cost.mean()),
    }


def _decide(
    lift: Float[np.ndarray, " quantiles"], control: float, thresholds: DecisionThresholds
) -> Decision:
    """The verdict of a round on one treatment, from quantiles of its lift."""
    rpv = control + np.column_stack([np.zeros_like(lift), lift])[:, None]
    nothing = np.zeros_like(rpv)
    draws = GroupDraws(
        arms=("control", "treatment"),
        groups=("everyone",),
        size=np.ones(1),
        chain=np.zeros(len(lift), dtype=int),
        conversion=nothing,
        rpv=rpv,
        conversion_part=nothing,
        severity_part=nothing,
    )
    return recommend(draws, 0, thresholds, n_so_far=1, next_size=None, converged=True).decision
