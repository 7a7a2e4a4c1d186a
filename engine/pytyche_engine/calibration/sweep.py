"""Scenario coverage: simulate, fit, report, many times, and see if intervals are honest here."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from pytyche_engine.calibration.cluster import Tally, run_missing
from pytyche_engine.calibration.design import Scenario, SweepDesign, standard_scenarios
from pytyche_engine.calibration.parts import Key, kept_in
from pytyche_engine.calibration.reported import fit_one
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.given import count
from pytyche_engine.jobs import Control, Job


@dataclass(frozen=True, eq=False, repr=False)
class SweepResult:
    """What a sweep came to.

    Attributes:
        design: the deployment.
        scenarios: what may be true there.
        n_sims: simulations of each scenario.
        seed: of everything random.
        rows: one row a reported quantity, in the order of scenarios and simulations: scenario,
            sim, converged, conversion_rate, seconds, cpu_seconds, quantity, arm, group, truth,
            mean, sd, rank, n_draws, control, grid (see `reported`).
        failed: the error of every fit that failed, by scenario and simulation.
        n_before: fits that were there before it started.
        versions: of what made it.
    """

    design: SweepDesign
    scenarios: tuple[Scenario, ...]
    n_sims: int
    seed: int
    rows: pd.DataFrame
    failed: dict[Key, str]
    n_before: int
    versions: dict[str, str]

    @property
    def n_fits(self) -> int:
        """Fits that the rows come from."""
        return len(self.rows[["scenario", "sim"]].drop_duplicates())

    def __repr__(self) -> str:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return (
            f"SweepResult({self.n_fits} fits of {self.design.n_visitors:,} visitors, "
            f"{self.design.n_arms} arms, {len(self.scenarios)} scenarios{failed})"
        )


def sweep(
    design: SweepDesign,
    scenarios: Sequence[Scenario] | None = None,
    n_sims: int = 4,
    *,
    path: str | Path | None = None,
    seed: int = 0,
    cluster: Any = None,
    n_workers: int | None = None,
) -> SweepResult:
    """Count how often a round's intervals hold the truth, over many simulated first rounds.

    Every scenario is simulated `n_sims` times, fitted and analysed as a round is.

    Args:
        design: the deployment.
        scenarios: what may be true there; by default `standard_scenarios`.
        n_sims: simulations of each.
        path: a folder that keeps every finished fit, so that a sweep that ended early goes on
            where it was; more scenarios and simulations can be added later. None keeps nothing.
        seed: the same seed gives the same result, on whatever workers of the same kind.
        cluster: None starts a worker process for each core of this machine; an address or a
            ``distributed.Client`` uses another cluster. Worker processes are started anew, so a
            script has to call this under ``if __name__ == "__main__":``.
        n_workers: workers of a local cluster.

    Raises:
        CalibrationError: if Dask is missing, the folder holds another sweep, or no fit succeeded.
        DesignError: if there is nothing to simulate, or `n_sims` is no whole number.
        FitCancelled: on an interrupt; finished fits stay in the folder.
    """
    return start_sweep(
        design, scenarios, n_sims, path=path, seed=seed, cluster=cluster, n_workers=n_workers
    ).result()


def start_sweep(
    design: SweepDesign,
    scenarios: Sequence[Scenario] | None = None,
    n_sims: int = 4,
    *,
    path: str | Path | None = None,
    seed: int = 0,
    cluster: Any = None,
    n_workers: int | None = None,
) -> Job[SweepResult]:
    """`sweep` in the background: a job that can be watched, paused and cancelled."""
    chosen = standard_scenarios(design) if scenarios is None else tuple(scenarios)
    if not chosen:
        raise DesignError("A sweep needs at least one scenario.")
    n_sims = count("'n_sims'", n_sims, 1)
    if len({s.key for s in chosen}) < len(chosen):
        raise DesignError("A scenario is named twice; use n_sims to simulate it more often.")

    versions = {name: version(name) for name in ("pytyche-lab", "bartz", "jax")}
    # Scenario after scenario within a simulation: what is there is spread over all of them.
    calls = {(s.key, sim): (design, s, sim, seed) for sim in range(n_sims) for s in chosen}

    def work(control: Control) -> SweepResult:
        with kept_in(path) as folder:
            folder.open({"design": design.to_dict(), "seed": seed, "versions": versions})
            before = folder.done(calls)
            tally = Tally(control, len(calls), design.n_visitors, design.n_arms, done=len(before))
            run_missing(folder, fit_one, calls, tally, cluster=cluster, n_workers=n_workers)
            rows = folder.read(folder.done(calls))
        tally.settle("fits")
        return SweepResult(
            design=design,
            scenarios=chosen,
            n_sims=n_sims,
            seed=seed,
            rows=rows,
            failed=tally.failed,
            n_before=len(before),
            versions=versions,
        )

    return Job(work, "sweep").start()
