"""Make the artifacts of the package.

``python -m pytyche_engine.calibration.ship NAME [--folder F] [--sims N] [--workers W]`` sweeps
one of `SHIPPED` and writes the artifact into the package. Every finished fit is kept in the
folder, so the command can be ended at any time and goes on where it was; with ``--minutes`` it
ends by itself.
"""

import argparse
import threading
from pathlib import Path

from pytyche_engine.calibration.artifact import calibrate
from pytyche_engine.calibration.design import SweepDesign, standard_scenarios
from pytyche_engine.calibration.shipped import FOLDER
from pytyche_engine.calibration.sweep import start_sweep
from pytyche_engine.contracts.errors import FitCancelled
from pytyche_engine.jobs import FitEvent

SHIPPED = {
    f"k{k}-n{n // 1000}k": SweepDesign(n_visitors=n, n_arms=k)
    for k in (2, 3)
    for n in (2_000, 5_000, 20_000)
}
"""Deployments by the name of their artifact."""

SEED = 20_261_126


def main() -> None:
    """Parse the command line, sweep, write."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("name", choices=sorted(SHIPPED))
    parser.add_argument("--folder", type=Path, help="where fits are kept (sweeps/NAME)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the artifact goes")
    parser.add_argument("--sims", type=int, default=4, help="simulations of each scenario")
    parser.add_argument("--workers", type=int, help="worker processes (one a core)")
    parser.add_argument("--minutes", type=float, help="end after so long; run again to go on")
    given = parser.parse_args()
    design = SHIPPED[given.name]
    scenarios = standard_scenarios(design)
    print(f"{given.name}: {len(scenarios)} scenarios x {given.sims} simulations", flush=True)
    job = start_sweep(
        design,
        scenarios,
        given.sims,
        path=given.folder or Path("sweeps") / given.name,
        seed=SEED,
        n_workers=given.workers,
    )
    job.subscribe(_print_progress)
    if given.minutes is not None:
        timer = threading.Timer(60 * given.minutes, job.cancel)
        timer.daemon = True
        timer.start()
    try:
        result = job.result()
    except FitCancelled:
        print("Time is up; finished fits are kept. Run the same command to go on.", flush=True)
        return
    artifact = calibrate(result, given.name)
    print(f"{artifact!r}\n\n{artifact.scores.round(3).to_string(index=False)}")
    print(f"\nwritten to {artifact.save(given.out / given.name)}")


def _print_progress(event: FitEvent) -> None:
    left = event.eta_seconds
    eta = "" if left is None else f", about {left / 60:.0f} min left"
    print(f"{event.iteration} of {event.total_iterations} fits{eta}", flush=True)


if __name__ == "__main__":
    main()
