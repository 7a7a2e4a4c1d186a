"""Policy trees and what rounds recommend: ``python benchmarks/bench_policies.py [part ...]``.

Parts: xor, size, analysis, halves. Without a name all run, in this order. ``halves`` goes on where
it was (``--minutes`` for a piece): a half is a row of ``benchmarks/results/runs/halves.jsonl``.
``--record`` appends the figures to ``benchmarks/results/decisions.json``.
"""

import argparse
import json
import tempfile
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from figures import RESULTS, Figure, record, show
from policy_trials import XOR_ARMS, xor_and
from processes import last_line
from real_trials import HILLSTROM_ARMS, read_hillstrom
from resumable import Row, run_missing

import pytyche_lab as pt
from pytyche_engine.bcf import fit
from pytyche_engine.contracts.door import read_round
from pytyche_engine.contracts.effects import VisitorEffects
from pytyche_engine.contracts.observations import (
    ColumnMapping,
    FeatureSchema,
    Observations,
    Outcome,
)
from pytyche_engine.segments import discover_segments, doubly_robust_scores, fit_policy_tree

HALVES = RESULTS / "runs" / "halves.jsonl"
N_HALVES = 40
FIRST_HALVES = 10
"""The bar is about ten; all of them tell how much of that is luck."""
XOR_SETS = 20
XOR_FITS = 4

# --- an interaction that greedy trees cannot see ------------------------------------------


def xor() -> list[Figure]:
    """Value of trees on 50,000 fresh visitors, from three kinds of scores."""
    n, rows = 20_000, np.arange(20_000)
    fresh, _, truth = xor_and(50_000, np.random.default_rng(99))
    everyone = np.arange(len(truth))
    values: dict[str, list[float]] = {"depth 2": [], "depth 3": [], "AIPW": [], "round": []}
    for seed in range(XOR_SETS):
        rng = np.random.default_rng(seed)
        frame, schema, effect = xor_and(n, rng)
        scores = effect + rng.normal(0, 2, effect.shape)
        arm = rng.integers(3, size=n)
        seen = effect[rows, arm] + rng.normal(0, 2, n)
        means = [seen[arm == k].mean() for k in range(3)]
        aipw = np.tile(means, (n, 1))
        aipw[rows, arm] += 3 * (seen - aipw[rows, arm])
        for name, given, depth in (
            ("depth 2", scores, 2),
            ("depth 3", scores, 3),
            ("AIPW", aipw, 3),
        ):
            tree = fit_policy_tree(frame, schema, given, depth)
            values[name].append(float(truth[everyone, tree.arms(fresh, 0)].mean()))
        if seed < XOR_FITS:
            chosen = _arms_after_a_fit(frame, schema, arm, 20 + seen, fresh, seed)
            values["round"].append(float(truth[everyone, chosen].mean()))
            print(seed, {name: x[-1] for name, x in values.items()}, flush=True)
    for name, x in values.items():
        print(f"{name}: {np.mean(x):.4f}, sd of a data set {np.std(x):.4f}", flush=True)
    what = (
        f"XOR and AND pattern, n = 20,000, p = 10, K = 3 (oracle {truth.max(axis=1).mean():.3f}, "
        "best single arm 0): value of"
    )
    unbiased = f"on unbiased scores with a standard deviation of 2, {XOR_SETS} data sets"
    mean = {name: float(np.mean(x)) for name, x in values.items()}
    return [
        Figure(
            "tree-xor-and-value", f"{what} a tree of depth 3 {unbiased}", mean["depth 3"], 0.17,
            "higher",
        ),
        Figure(
            "tree-xor-and-depth-2", f"{what} a tree of depth 2 {unbiased}", mean["depth 2"], None,
            "higher",
        ),
        Figure(
            "tree-xor-and-aipw",
            f"{what} a tree of depth 3 on AIPW scores of outcomes with that noise (two and a half "
            f"times as noisy), without a model, {XOR_SETS} data sets",
            mean["AIPW"],
            None,
            "higher",
        ),
        Figure(
            "tree-xor-and-round",
            f"{what} what discover_segments recommends after a fit to such outcomes, "
            f"{XOR_FITS} data sets",
            mean["round"],
            0.17,
            "higher",
        ),
    ]  # fmt: skip


def _arms_after_a_fit(
    frame: pd.DataFrame,
    schema: FeatureSchema,
    arm: np.ndarray,
    revenue: np.ndarray,
    fresh: pd.DataFrame,
    seed: int,
) -> np.ndarray:
    """Arms that `discover_segments` gives to fresh visitors."""
    n = len(frame)
    seen = Observations(
        arms=XOR_ARMS,
        visitor_id=np.arange(n).astype(str),
        arm=arm,
        revenue=revenue,
        features=frame,
        schema=schema,
        outcome=Outcome.CONTINUOUS,
        propensity=np.full((n, 3), 1 / 3),
        propensity_recorded=True,
        round_index=np.zeros(n, dtype=int),
        cell=np.full(n, -1),
        cells=(),
    )
    posterior = fit(seen, seed=seed)
    effects = posterior.predict(frame, propensity=seen.propensity)
    search = discover_segments(
        seen,
        effects,
        partial(posterior.group_draws, frame, propensity=seen.propensity),
        seed=seed,
        n_refits=1,
    )
    return _arms_of(search.segments, fresh, XOR_ARMS, search.best_arm)


def _arms_of(segments, features: pd.DataFrame, arms: tuple[str, ...], otherwise: str) -> np.ndarray:
    """(n,) code of the arm that segments recommend to each visitor."""
    given = np.full(len(features), arms.index(otherwise))
    for segment in segments:
        given[segment.rule.matches(features)] = arms.index(segment.recommended_arm)
    return given


# --- size ---------------------------------------------------------------------------------

SEARCH = """
import json, time
from bench_policies import memory_above
from policy_trials import of_size
from pytyche_engine.segments import fit_policy_tree
frame, schema, scores = of_size(350_000)
above = memory_above()
start = time.perf_counter()
tree = fit_policy_tree(frame, schema, scores, 3)
print(json.dumps({"seconds": time.perf_counter() - start, "GiB": above(),
                  "leaves": [str(leaf.rule) for leaf in tree.leaves]}))
"""


def memory_above():
    """A function that tells the peak of resident memory since now above now's, GiB. Linux only."""

    def mebibytes(name: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(x for x in lines if x.startswith(name)).split()[1]) / 2**10

    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    now = mebibytes("VmRSS:")
    return lambda: (mebibytes("VmHWM:") - now) / 2**10


def size() -> list[Figure]:
    """One search of depth 3 at n = 350,000."""
    result = json.loads(last_line(SEARCH))
    what = "fit_policy_tree, depth 3, n = 350,000, p = 20 (8 categorical), K = 4"
    return [
        Figure("tree-seconds-350k", what, result["seconds"], 30, "lower", "s"),
        Figure("tree-memory-350k", f"{what}: extra memory", result["GiB"], 1, "lower", "GiB"),
    ]


FIT = """
import sys, warnings
warnings.simplefilter("ignore")
import pytyche_lab as pt
from pytyche_engine.bcf import Settings
exp = pt.sequential_experiment(
    generator=pt.simulated_experiment_generator(effect_scale=0.5, K=4, seed=1, n_nuisance=15),
    schedule=[350_000], treatments=["control", "treatment_1", "treatment_2", "treatment_3"],
    settings=Settings(num_warm_up=30, min_draws=450, max_draws=450, thin=1),
    seed=1, progress=False, path=sys.argv[1],
)
next(exp)
"""
CONCLUDE = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import pytyche_lab as pt
from bench_policies import memory_above
from pytyche_engine.experiment import fit_round

conclude_round, result = fit_round.conclude_round, {}

def measured(*arguments, **named):
    above, start, cpu = memory_above(), time.perf_counter(), time.process_time()
    done = conclude_round(*arguments, **named)
    result.update(
        seconds=time.perf_counter() - start, cpu=time.process_time() - cpu, GiB=above()
    )
    return done

fit_round.conclude_round = measured
exp = pt.open_experiment(sys.argv[1])
print(exp.latest.analysis, file=sys.stderr)
print(json.dumps({**result, "features": len(exp.latest.observations.schema.features)}))
"""


def analysis() -> list[Figure]:
    """All conclusions of a round of 350,000 visitors, in a process that did not fit it."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "experiment")
        last_line(FIT, path)
        result = json.loads(last_line(CONCLUDE, path))
    what = (
        "all conclusions of a round after its fit, n = 350,000, p = 20, K = 4, 900 draws "
        "(the most that a fit keeps), compilation included"
    )
    assert result["features"] == 20
    return [
        Figure("analysis-seconds-350k", what, result["seconds"], 60, "lower", "s"),
        Figure(
            "analysis-cpu-350k",
            f"{what}: processor time of all threads",
            result["cpu"],
            None,
            "lower",
            "s",
        ),
        Figure(
            "analysis-memory-350k",
            f"{what}: peak memory beyond the posterior and the data",
            result["GiB"],
            2,
            "lower",
            "GiB",
        ),
    ]


# --- a policy on visitors that did not make it --------------------------------------------


def learn_and_value(frame: pd.DataFrame, seed: int) -> Row:
    """A round on a random half of the trial; its policy's AIPW value on the other half."""
    first = np.random.default_rng([seed, 7]).random(len(frame)) < 0.5
    columns = ColumnMapping(visitor=None, cell=None)
    explore = pt.Cell("explore", pt.UniformPolicy(HILLSTROM_ARMS), 1.0)
    control = pt.Cell("control", pt.BaselinePolicy(), 0.0)
    experiment = pt.sequential_experiment(
        schedule=[int(first.sum())],
        treatments=list(HILLSTROM_ARMS),
        cells=[control, explore],
        min_control_weight=0.0,
        columns=columns,
        progress=False,
        seed=seed,
    )
    done = experiment.observe(frame[first].reset_index(drop=True))
    # What it saw tells the model's part of the scores, their correction comes from the others.
    other = read_round(
        frame[~first].reset_index(drop=True),
        columns=columns,
        arms=HILLSTROM_ARMS,
        schema=done.observations.schema,
        plan=done.plan,
    )
    effects: VisitorEffects = done.posterior.predict(other.features, propensity=other.propensity)
    scores = doubly_robust_scores(other, effects).scores
    search = done.analysis.search
    given = _arms_of(search.segments, other.features, HILLSTROM_ARMS, search.best_arm)
    rows = np.arange(len(other))
    difference = scores[rows, given] - scores[:, HILLSTROM_ARMS.index("Mens E-Mail")]
    return {
        "difference": float(difference.mean()),
        "se": float(difference.std() / np.sqrt(len(difference))),
        "rules": [str(s.rule) for s in search.segments],
        "arms": [s.recommended_arm for s in search.segments],
        "best_arm": search.best_arm,
        "converged": done.analysis.converged,
        "fit_seconds": done.fit_seconds,
    }


def halves(minutes: float) -> list[Figure]:
    """What Hillstrom's trial teaches about half of its customers, on the other half."""
    frame = read_hillstrom()
    cases = {f"half {seed}": partial(learn_and_value, frame, seed) for seed in range(N_HALVES)}
    rows = run_missing(cases, HALVES, minutes)
    for row in rows:
        print(
            row["key"], f"{row['difference']:+.3f} (se {row['se']:.3f})", row["rules"], row["arms"]
        )
    if len(rows) < N_HALVES:
        return []
    return [
        *_halves_figures("hillstrom-halves", rows[:FIRST_HALVES]),
        *_halves_figures("hillstrom-halves-all", rows),
    ]


def _halves_figures(name: str, rows: Sequence[Row]) -> list[Figure]:
    what = (
        f"Hillstrom spend, {len(rows)} random halves, policy of a round on one half, AIPW value on "
        "the other"
    )
    lost = -float(np.mean([row["difference"] for row in rows]))
    split = float(np.mean([len(row["rules"]) > 1 for row in rows]))
    return [
        Figure(name, f"{what}: less than Mens to all, on average", lost, 0.04, "lower", "$"),
        Figure(f"{name}-segments", f"{what}: halves with more than one segment", split, None,
               "lower"),
    ]  # fmt: skip


def main() -> None:
    """Parse the command line, measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help="xor, size, analysis, halves")
    parser.add_argument("--minutes", type=float, default=60.0, help="for halves")
    parser.add_argument("--record", action="store_true", help="append the figures")
    given = parser.parse_args()
    parts = {
        "xor": xor,
        "size": size,
        "analysis": analysis,
        "halves": partial(halves, given.minutes),
    }
    for name in given.parts or parts:
        print(f"== {name}", flush=True)
        figures = parts[name]()
        show(figures)
        if given.record:
            record("decisions", figures)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
