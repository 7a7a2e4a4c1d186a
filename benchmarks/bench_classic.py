"""The classical analysis: errors at any look, bandits that drift, real tests, speed and memory.

python benchmarks/bench_classic.py [errors|bandit|asos|speed ...]
"""

import gc
import time
import tracemalloc
from pathlib import Path

import classic_streams
import numpy as np
import pandas as pd
from figures import Figure, measure

from pytyche_engine import classic

ASOS = (
    Path(__file__).parents[2]
    / "shared"
    / "data"
    / "asos"
    / "asos_digital_experiments_dataset.parquet"
)
STREAMS = 10_000
ROWS, METRICS = 1_000_000, 10


def errors() -> list[Figure]:
    rates = classic_streams.rates(STREAMS, seed=1)
    amounts = classic_streams.amounts(STREAMS, seed=1)
    found = classic_streams.rates(STREAMS, seed=2, lift=0.01)
    what = f"{STREAMS:,} A/A streams looked at {classic_streams.LOOKS} times"
    rate = f"{what}, rates of 10 %, 20,000 visitors an arm"
    normal = f"{what}, normal values, 10,000 visitors an arm"
    return [
        Figure("msprt-rates", f"{rate}: mSPRT false positives", rates.msprt, 0.05, "lower"),
        Figure("naive-rates", f"{rate}: p < .05 at any look", rates.naive, None, "lower"),
        Figure("msprt-amounts", f"{normal}: mSPRT false positives", amounts.msprt, 0.05, "lower"),
        Figure("naive-amounts", f"{normal}: p < .05 at any look", amounts.naive, None, "lower"),
        Figure(
            "msprt-power",
            "10 % against 11 %, as many visitors and looks: mSPRT finds it",
            found.msprt,
            None,
            "higher",
        ),
    ]


def bandit() -> list[Figure]:
    worlds = {
        "drift-floor-1": ("baseline drifts .10 to .20, floor 1 %", {"floor": 0.01}),
        "drift-floor-10": ("baseline drifts .10 to .20, floor 10 %", {"floor": 0.10}),
        "still-floor-1": ("baseline stays .10, floor 1 %", {"floor": 0.01, "end": 0.10}),
    }
    figures = []
    for name, (what, world) in worlds.items():
        found = classic_streams.bandit(STREAMS, seed=1, **world)
        told = f"{STREAMS:,} A/A bandits of 100 periods of 200 visitors, {what}"
        aipw, pooled = f"{told}: AIPW false positives", f"{told}: pooled mSPRT (not used)"
        figures += [
            Figure(f"bandit-{name}", aipw, found.aipw, 0.05, "lower"),
            Figure(f"bandit-{name}-pooled", pooled, found.pooled, None, "lower"),
        ]
    found = classic_streams.bandit(STREAMS, seed=2, floor=0.10, lift=0.03)
    what = "baseline drifts .10 to .20, floor 10 %, treatment .03 better: AIPW finds it"
    return [*figures, Figure("bandit-power", what, found.aipw, None, "higher")]


def asos() -> list[Figure]:
    if not ASOS.exists():
        print(f"left out: {ASOS.name} is not there")
        return []
    log = pd.read_parquet(ASOS)
    classic.analyze_checkpoints(log.head(100))  # imports
    seconds, cpu = [], []
    for _ in range(3):
        start, busy = time.perf_counter(), time.process_time()
        report = classic.analyze_checkpoints(log)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - busy)
    print(repr(report))
    complete = report.experiments == 78 and all(t.srm.p_value is not None for t in report.tests)
    what = "ASOS: 78 experiments, 396 tests with 24,153 checkpoints in one call"
    return [
        Figure("asos-complete", f"{what}, each with SRM and a verdict", complete, True, "true"),
        Figure("asos-seconds", f"{what} (best of 3)", min(seconds), 10.0, "lower", "s"),
        Figure("asos-cpu-seconds", f"{what}, processor time", min(cpu), None, "lower", "s"),
        Figure(
            "asos-srm-alarms",
            "ASOS: share of tests with an SRM alarm against an even split, at every checkpoint",
            float(np.mean([t.srm.alarm for t in report.tests])),
            None,
            "lower",
        ),
    ]


def speed() -> list[Figure]:
    rng = np.random.default_rng(0)
    before = rng.normal(10, 3, (ROWS, METRICS))
    after = 0.7 * before + rng.normal(0, 2, (ROWS, METRICS))
    frame = pd.DataFrame(
        {f"y{j}": after[:, j] for j in range(METRICS)}
        | {f"x{j}": before[:, j] for j in range(METRICS)}
    )
    frame["arm"] = np.where(rng.random(ROWS) < 0.5, "control", "treatment")
    frame["id"] = np.arange(ROWS)
    del before, after
    metrics = [classic.MeanMetric(f"m{j}", f"y{j}", f"x{j}") for j in range(METRICS)]

    def ours() -> classic.AnalysisResult:
        return classic.run_analysis(classic.setup(frame, "arm", "id").add_metrics(metrics))

    mine, plain = [], []
    for _ in range(7):
        start = time.perf_counter()
        result = ours()
        mine.append(time.perf_counter() - start)
        start = time.perf_counter()
        expected = _numpy(frame)
        plain.append(time.perf_counter() - start)
    assert np.allclose([r["absolute_difference"] for r in result.raw_results], expected)
    gc.collect()
    tracemalloc.start()
    ours()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = int(frame.memory_usage(deep=True).sum())
    what = f"{ROWS:,} rows x {METRICS} CUPED metrics, setup to results"
    return [
        Figure("cuped-seconds", f"{what} (best of 7)", min(mine), 0.6, "lower", "s"),
        Figure(
            "cuped-ratio",
            f"{what}, as a multiple of plain numpy in the same run (best of 7 each)",
            min(mine) / min(plain),
            1.2,
            "lower",
        ),
        Figure(
            "cuped-memory", f"{what}: peak memory over the frame's", 1 + peak / size, 2.0, "lower"
        ),
    ]


def _numpy(frame: pd.DataFrame) -> list[float]:
    """The differences, with their standard errors, as one would write them down."""
    control = (frame["arm"] == "control").to_numpy()
    differences = []
    for j in range(METRICS):
        y, x = frame[f"y{j}"].to_numpy(), frame[f"x{j}"].to_numpy()
        spread = np.cov(y, x)
        adjusted = y - spread[0, 1] / spread[1, 1] * (x - x.mean())
        c, t = adjusted[control], adjusted[~control]
        np.sqrt(t.var(ddof=1) / t.size + c.var(ddof=1) / c.size)
        differences.append(float(t.mean() - c.mean()))
    return differences


PARTS = {"errors": errors, "bandit": bandit, "asos": asos, "speed": speed}

if __name__ == "__main__":
    measure("classic", PARTS)
