"""Calibration: coverage before and after on held-out scenarios, and sweeps that are killed.

``python benchmarks/bench_calibration.py STEP... [--record]``

- ``coverage`` reads the artifacts of the package, which ``python -m
  pytyche_engine.calibration.ship NAME`` makes, and fits nothing.
- ``sweep`` times the sweep of ``k2-n2k``, 216 fits of 2,000 visitors.
- ``killed`` runs it again, ends it with SIGKILL half way, goes on, and compares the artifacts.
- ``cluster`` runs a part of it on a scheduler and two workers that are processes of their own.

Fits are kept under ``sweeps/``, so that a step that was ended goes on where it was; what is timed
is the sum over its runs.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from figures import Figure, record, show

from pytyche_engine.calibration import (
    CalibrationArtifact,
    calibrate,
    load_shipped,
    shipped_names,
    standard_scenarios,
    sweep,
)
from pytyche_engine.calibration.cluster import one_thread
from pytyche_engine.calibration.ship import SEED, SHIPPED

ROOT = Path(__file__).parents[1]
SWEEPS = ROOT / "sweeps"
NAME = "k2-n2k"
SIMS = 4
ON_CLUSTER = 20
"""Scenarios of the step ``cluster``, one simulation each."""

CLOSE = 0.03
"""How far recalibrated coverage may be from nominal."""

MINUTES = 20.0
"""For 200 fits at 2,000 visitors on two cores."""


def coverage() -> list[Figure]:
    """Coverage of the shipped artifacts, each from scenarios that were held out."""
    figures = []
    for name in shipped_names():
        artifact = load_shipped(name)
        print(f"\n{artifact!r}\n\n{artifact.scores.round(3).to_string(index=False)}")
        table = artifact.coverage_at(0.8, 0.9)
        for row in table[table["quantity"].isin(("ate", "gate"))].to_dict("records"):
            figures += _of_row(artifact, row)
    return figures


def _of_row(artifact: CalibrationArtifact, row: dict[str, float]) -> Iterator[Figure]:
    quantity, percent = str(row["quantity"]).upper(), f"{row['level']:.0%}"
    key = f"{artifact.name}-{row['quantity']}-{row['level']:.0%}"
    where = (
        f"{percent} intervals of {quantity} on held-out scenarios, {artifact.name}, "
        f"{row['n_intervals']} intervals of {row['n_fits']} fits"
    )
    yield Figure(f"{key}-vanilla", f"{where}: coverage of the vanilla posterior, mean width "
                 f"{row['width_before']:.3f}", row["before"], None, "higher")  # fmt: skip
    yield Figure(f"{key}-recalibrated", f"{where}: coverage recalibrated (Monte Carlo standard "
                 f"error {row['error']:.3f}), mean width {row['width_after']:.3f}",
                 row["after"], None, "higher")  # fmt: skip
    yield Figure(f"{key}-off", f"distance of recalibrated coverage from {percent}, {where}",
                 abs(row["after"] - row["level"]), CLOSE, "lower")  # fmt: skip


def timed() -> list[Figure]:
    """Seconds of a whole sweep with a worker on each core."""
    log = SWEEPS / "bench-whole.json"
    spent: list[float] = json.loads(log.read_text()) if log.exists() else []
    start = time.monotonic()
    try:
        artifact = _whole()
    finally:
        log.write_text(json.dumps([*spent, time.monotonic() - start]))
    seconds = sum(json.loads(log.read_text())) * 200 / artifact.n_fits
    design = SHIPPED[NAME]
    what = (
        f"200 fits at {design.n_visitors:,} visitors, K = {design.n_arms}, a worker process a core "
        f"(from {artifact.n_fits} fits)"
    )
    return [
        Figure("sweep-minutes", what, seconds / 60, MINUTES, "lower", "min"),
        Figure("sweep-failed", "failed fits of that sweep", artifact.n_failed, 0, "lower"),
    ]


def _whole() -> CalibrationArtifact:
    """The artifact of the uninterrupted sweep; only what is missing is fitted."""
    design = SHIPPED[NAME]
    folder = SWEEPS / "bench-whole"
    return calibrate(sweep(design, standard_scenarios(design), SIMS, path=folder, seed=SEED), NAME)


def killed() -> list[Figure]:
    """Whether a sweep that was killed half way comes to the same as one that was not."""
    folder, out = SWEEPS / "bench-killed", SWEEPS / "bench-killed-artifact"
    parts = folder / "parts"
    command = [sys.executable, "-m", "pytyche_engine.calibration.ship", NAME,
               "--folder", str(folder), "--out", str(out), "--sims", str(SIMS)]  # fmt: skip
    total = len(standard_scenarios(SHIPPED[NAME])) * SIMS
    mark = SWEEPS / "bench-killed-at"
    if not mark.exists():
        process = subprocess.Popen(command)
        while process.poll() is None and len(list(parts.glob("*.parquet"))) < total // 2:
            time.sleep(0.5)
        if process.poll() is not None:
            raise RuntimeError("The sweep ended before it could be killed.")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        mark.write_text(str(len(list(parts.glob("*.parquet")))))
    before = {p.name: p.stat().st_mtime_ns for p in parts.glob("*.parquet")}
    subprocess.run(command, check=True)
    untouched = all(
        (parts / name).stat().st_mtime_ns == modified for name, modified in before.items()
    )
    same = CalibrationArtifact.load(out / NAME).digest == _whole().digest
    at = mark.read_text()
    return [
        Figure("killed-same-artifact", f"a sweep of {total} fits, killed with SIGKILL at {at} and "
               "resumed, gives the artifact of one that was not", same, True, "true"),
        Figure("killed-nothing-repeated", "no fit was done again after that", untouched, True,
               "true"),
    ]  # fmt: skip


@contextmanager
def _two_workers() -> Iterator[str]:
    """The address of a scheduler with two workers, each a process of its own, on loopback."""
    port = 18786
    address = f"tcp://127.0.0.1:{port}"
    environment = os.environ | one_thread()
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    started = [
        subprocess.Popen([*dask, "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"])
    ]
    for _ in range(2):
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address]
        options = ["--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard"]
        started.append(subprocess.Popen([*worker, *options], env=environment))
    try:
        yield address
    finally:
        for process in started[::-1]:
            process.terminate()
        for process in started:
            process.wait()


def clustered() -> list[Figure]:
    """Whether a cluster of separate processes finds the same as the local one."""
    design = SHIPPED[NAME]
    scenarios = standard_scenarios(design)[:ON_CLUSTER]
    with _two_workers() as address:
        there = sweep(
            design, scenarios, 1, path=SWEEPS / "bench-cluster", seed=SEED, cluster=address
        )
    here = sweep(design, scenarios, 1, path=SWEEPS / "bench-whole", seed=SEED)
    measured = ["seconds", "cpu_seconds"]
    try:
        pd.testing.assert_frame_equal(
            there.rows.drop(columns=measured), here.rows.drop(columns=measured), check_exact=True
        )
        same = True
    except AssertionError as difference:
        print(difference)
        same = False
    return [
        Figure("cluster-identical", f"{len(scenarios)} fits on a scheduler and two workers, "
               "separate processes, are identical to those of the local cluster", same, True,
               "true"),
    ]  # fmt: skip


STEPS = {"coverage": coverage, "sweep": timed, "killed": killed, "cluster": clustered}


def main() -> None:
    """Parse the command line, do the steps, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="+", choices=list(STEPS))
    parser.add_argument("--record", action="store_true", help="append the figures")
    given = parser.parse_args()
    SWEEPS.mkdir(exist_ok=True)
    for step in given.steps:
        figures = STEPS[step]()
        show(figures)
        if given.record:
            record("calibration", figures)


if __name__ == "__main__":
    main()
