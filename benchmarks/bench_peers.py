"""Our sampler beside its peers: ``python benchmarks/bench_peers.py [part ...]``.

Parts: stochtree, pytyche; without a name both run. Each peer lives in its own environment under
``.venv/peers/`` (made on the first run). Runs are interleaved, ours and the peer's in turn, each in
a process of its own on the same data. Every run is kept in
``benchmarks/results/runs/peers-<part>.json``; the figures join those of the sampler. On two cores
``stochtree`` takes about 15 minutes and ``pytyche`` 10, nearly all of them the peers' own.

``--small`` tries the whole path at a tenth of the size and records nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from figures import RESULTS, Figure, record, show
from peers.environments import interpreter
from peers.task import FitSize, Trial

from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.policies import UniformPolicy
from pytyche_engine.sources import simulated_experiment_generator

PEERS = Path(__file__).parent / "peers"
ARMS = ("control", "treatment")
TRIALS = ((0.5, 1), (0.1, 1))
"""Effect scale and seed of every trial against stochtree."""
LONGEST_SECONDS = 3_600

Run = dict[str, Any]


def make_trial(visitors: int, effect_scale: float, seed: int) -> Trial:
    """A two-arm trial of the template ``clustered_realistic``, assigned evenly."""
    source = simulated_experiment_generator(
        template="clustered_realistic",
        effect_scale=effect_scale,
        K=len(ARMS),
        seed=seed,
        treatment_names=ARMS,
    )
    everyone = Cell("explore", UniformPolicy(ARMS), 1.0)
    frame, truth = source(0, Plan(0, ARMS, (everyone,), visitors))
    left_out = {"visitor_id", "arm", "revenue", "cell"}
    features = [c for c in frame if c not in left_out and not c.startswith("propensity_")]
    return Trial(
        X=pd.get_dummies(frame[features]).to_numpy(float),
        arm=(frame["arm"] == ARMS[1]).to_numpy(np.int64),
        revenue=frame["revenue"].to_numpy(float),
        cate=truth.cate[:, 0],
    )


def run(python: Path | str, script: str, *arguments: object, cache: Path | None = None) -> Run:
    """Run a script of `peers` and return what its last line says.

    Args:
        python: the interpreter.
        script: its name, without ``.py``.
        arguments: for its command line.
        cache: folder of compiled code; None leaves the peer to its own habits.

    Raises:
        RuntimeError: with the end of its error output, if it failed.
        subprocess.TimeoutExpired: if it took longer than LONGEST_SECONDS.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    if cache is not None:
        environment["XDG_CACHE_HOME"] = str(cache)
    command = [str(python), str(PEERS / f"{script}.py"), *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS
    )
    if done.returncode:
        raise RuntimeError(f"{script} failed:\n{done.stderr[-3000:]}")
    result = json.loads(done.stdout.splitlines()[-1])
    shown = {k: round(v, 3) if isinstance(v, float) else v for k, v in result.items()}
    print(script, *arguments[1:], json.dumps(shown), flush=True)
    return result


def keep(name: str, runs: Sequence[Run]) -> None:
    """Write the single runs beside the figures that were made of them."""
    path = RESULTS / "runs" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(runs, indent=1) + "\n")


def stochtree(small: bool) -> tuple[list[Figure], list[Run]]:
    """The hurdle on K = 2 against two stochtree BCFs, one chain each, same trees and iterations.

    The first trial is timed: by us, from an empty cache of compiled code, then by stochtree, then
    by us again. The other trials are for accuracy alone: some of them compile for a shape of
    their own. stochtree at its own defaults fits the first trial as well.
    """
    size = FitSize(warm_up=40, draws=30, thin=2) if small else FitSize()
    visitors, python = 5_000 if small else 50_000, interpreter("stochtree")
    ours: list[Run] = []
    theirs: list[Run] = []
    with tempfile.TemporaryDirectory() as folder:
        cache, data = Path(folder) / "cache", Path(folder) / "trial.npz"

        def us() -> None:
            ours.append(run(sys.executable, "run_ours", data, *size.as_options(), cache=cache))

        for trial in TRIALS:
            make_trial(visitors, *trial).save(data)
            if trial == TRIALS[0]:
                us()
            theirs.append(run(python, "run_stochtree", data, *size.as_options()))
            us()
            if trial == TRIALS[0]:
                defaults = run(python, "run_stochtree", data, "--own-defaults")
    figures = stochtree_speed(ours[0], ours[1], theirs[0])
    figures += stochtree_accuracy(ours[1:], theirs, defaults)
    return figures, [*ours, *theirs, defaults]


def setting_of(one: Run) -> str:
    """The size of a fit, in words."""
    size = FitSize(**one["size"])
    return (
        f"n = {one['visitors']:,}, K = 2, one chain, {size.iterations:,} iterations, "
        f"{size.trees_mu} + {size.trees_tau} trees"
    )


def stochtree_speed(cold: Run, warm: Run, theirs: Run) -> list[Figure]:
    """Time and memory on one trial; ``cold`` compiled what ``warm`` then found."""
    setting = setting_of(cold)
    compiled = "compiled by an earlier process"
    wall, cpu = theirs["fit_seconds"], theirs["fit_cpu_seconds"]
    return [
        Figure(
            "stochtree-time-ratio",
            f"whole fit, wall, times faster than stochtree's two ({wall:.0f} s), {compiled}, "
            f"{setting}",
            wall / warm["fit_seconds"],
            3,
            "higher",
            "x",
        ),
        Figure(
            "stochtree-cpu-ratio",
            f"whole fit, CPU seconds of stochtree's two ({cpu:.0f} s on its one thread) over "
            f"ours on all threads, {compiled}, {setting}",
            cpu / warm["fit_cpu_seconds"],
            3,
            "higher",
            "x",
        ),
        Figure(
            "stochtree-time-ratio-cold",
            f"whole fit, wall, times faster than stochtree's two ({wall:.0f} s), nothing "
            f"compiled before, {setting}",
            wall / cold["fit_seconds"],
            3,
            "higher",
            "x",
        ),
        Figure(
            "stochtree-memory-ratio",
            f"peak memory by the end of the fit over stochtree's, {compiled}, {setting}",
            warm["fit_peak_mib"] / theirs["fit_peak_mib"],
            None,
            "lower",
            "x",
        ),
    ]


def stochtree_accuracy(ours: Sequence[Run], theirs: Sequence[Run], defaults: Run) -> list[Figure]:
    """Errors and coverage; ``ours`` and ``theirs`` are of TRIALS in turn, defaults of the first."""
    setting = setting_of(ours[0])
    figures = []
    for whose, owner, runs in (("ours", "our", ours), ("theirs", "stochtree's", theirs)):
        intervals = f"in {owner} 90 % interval, {len(runs)} trials, {setting}"
        figures += [
            Figure(
                f"stochtree-ate-covered-{whose}",
                f"share of trials whose true ATE is {intervals}",
                float(np.mean([one["ate_covered"] for one in runs])),
                None,
                "higher",
            ),
            Figure(
                f"stochtree-segments-covered-{whose}",
                f"share of 8 fixed segments a trial whose true mean effect is {intervals}",
                float(np.mean([one["segments_covered"] for one in runs])),
                None,
                "higher",
            ),
        ]
    for (effect_scale, _), mine, other in zip(TRIALS, ours, theirs, strict=True):
        figures.append(
            Figure(
                f"stochtree-cate-rmse-ratio-{effect_scale}",
                f"CATE RMSE over stochtree's, effect_scale {effect_scale} (the true ATE given to "
                f"all: {mine['cate_rmse_constant']:.3g} $), {setting}",
                mine["cate_rmse"] / other["cate_rmse"],
                1,
                "lower",
                "x",
            )
        )
    figures.append(
        Figure(
            f"stochtree-defaults-cate-rmse-ratio-{TRIALS[0][0]}",
            f"CATE RMSE over that of stochtree at its own defaults with grow-from-root "
            f"({defaults['fit_seconds']:.0f} s), effect_scale {TRIALS[0][0]}, {setting}",
            ours[0]["cate_rmse"] / defaults["cate_rmse"],
            None,
            "lower",
            "x",
        )
    )
    return figures


def pytyche(small: bool) -> tuple[list[Figure], list[Run]]:
    """The first round of the tutorial against pytyche, as each ships.

    Ours keeps compiled code between processes, pytyche does not: our first process starts from
    an empty cache, our second finds it filled.
    """
    visitors = 500 if small else 2_000
    python = interpreter("pytyche")
    with tempfile.TemporaryDirectory() as folder:

        def us() -> Run:
            return run(sys.executable, "run_ours_first_round", visitors, cache=Path(folder))

        cold, theirs, warm = us(), run(python, "run_pytyche", visitors), us()
    return pytyche_figures(cold, warm, theirs), [cold, theirs, warm]


def pytyche_figures(cold: Run, warm: Run, theirs: Run) -> list[Figure]:
    """Figures of a first round; ``cold`` compiled what ``warm`` then found."""

    def whole(one: Run, clock: str = "seconds") -> float:
        return one[f"import_{clock}"] + one[f"round_{clock}"]

    peer, peer_cpu = whole(theirs), whole(theirs, "cpu_seconds")
    what = f"first round of {warm['visitors']:,} visitors in a new process, import to conclusions"
    times = f"{what}, times faster than pytyche ({peer:.0f} s)"
    return [
        Figure(
            "pytyche-first-round-ratio",
            f"{times}, compiled by an earlier process",
            peer / whole(warm),
            25,
            "higher",
            "x",
        ),
        Figure(
            "pytyche-first-round-ratio-cold",
            f"{times}, nothing compiled before",
            peer / whole(cold),
            25,
            "higher",
            "x",
        ),
        Figure(
            "pytyche-first-round-cpu-ratio",
            f"{what}, CPU seconds of pytyche ({peer_cpu:.0f} s) over ours, "
            "compiled by an earlier process",
            peer_cpu / whole(warm, "cpu_seconds"),
            None,
            "higher",
            "x",
        ),
        Figure(
            "pytyche-first-round-memory-ratio",
            f"our peak memory over pytyche's, {what}",
            max(cold["peak_mib"], warm["peak_mib"]) / theirs["peak_mib"],
            None,
            "lower",
            "x",
        ),
    ]


PARTS: dict[str, Callable[[bool], tuple[list[Figure], list[Run]]]] = {
    "stochtree": stochtree,
    "pytyche": pytyche,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; none means all")
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"unknown parts {sorted(unknown)}; known are {list(PARTS)}")
    for name in given.parts or PARTS:
        print(f"== {name}", flush=True)
        figures, runs = PARTS[name](given.small)
        show(figures)
        if not given.small:
            keep(f"peers-{name}", runs)
            record("sampler", figures)


if __name__ == "__main__":
    main()
