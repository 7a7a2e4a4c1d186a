"""Sweeps without any fit: posteriors that are wrong by a known factor."""

import numpy as np
import pandas as pd
from experiment_cases import SETTINGS
from scipy.special import ndtri

from pytyche_engine.calibration import Scenario, SweepDesign, calibrate
from pytyche_engine.calibration.reported import GRID
from pytyche_engine.calibration.sweep import SweepResult

SCENARIOS = tuple(
    Scenario(template, scale)
    for scale in (0.0, 0.5)
    for template in ("constant", "reversal", "nonlinear")
)
VERSIONS = {"pytyche-lab": "0.1.0"}


def made_up(too_narrow=2.0, n_sims=40, n_visitors=40, n_arms=3, seed=0, gates=True):
    """A sweep whose posteriors are normal, with sds that are too small by a factor."""
    rng = np.random.default_rng(seed)
    quantiles = ndtri((np.arange(GRID) + 0.5) / GRID)
    rows = []
    for scenario in SCENARIOS:
        for sim in range(n_sims):
            for quantity in ("ate", "gate", "rpv", "value")[: None if gates else 1]:
                sd = rng.uniform(0.2, 0.6)
                truth = 0.4 * scenario.effect_scale
                mean = truth + too_narrow * sd * rng.normal()
                rows.append(
                    {
                        "scenario": scenario.key,
                        "sim": sim,
                        "converged": True,
                        "conversion_rate": rng.uniform(0.3, 0.7),
                        "seconds": 1.0,
                        "cpu_seconds": 1.0,
                        "quantity": quantity,
                        "arm": "treatment_1",
                        "group": "everyone",
                        "truth": truth,
                        "mean": mean,
                        "sd": sd,
                        "rank": int((mean + sd * quantiles < truth).sum()),
                        "n_draws": GRID,
                        "control": 2.5,
                        "grid": (mean + sd * quantiles).tolist(),
                    }
                )
    return SweepResult(
        design=SweepDesign(n_visitors, n_arms, conversion_rate=0.5, settings=SETTINGS),
        scenarios=SCENARIOS,
        n_sims=n_sims,
        seed=seed,
        rows=pd.DataFrame(rows),
        failed={},
        n_before=0,
        versions=VERSIONS,
    )


def artifact(too_narrow=2.0, name="made-up", **changes):
    return calibrate(made_up(too_narrow, **changes), name)
