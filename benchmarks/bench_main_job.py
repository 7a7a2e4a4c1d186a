"""The main job, measured: ``python benchmarks/bench_main_job.py [part ...]``.

Parts: timing, tutorial, small-effects, hillstrom, exactness, control, inputs. Without a name all
run, in this order. Each takes minutes; ``small-effects`` keeps what it has done in
``benchmarks/results/runs/small-effects.json`` and goes on from there.
"""

import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from figures import RESULTS, Figure, measure
from processes import last_line, nothing_compiled
from real_trials import HILLSTROM_ARMS, read_hillstrom
from tutorial import tutorial_experiment

import pytyche_lab as pt

ROOT = Path(__file__).parents[1]


FIRST_ROUND = """
import time, warnings
start = time.monotonic()
warnings.simplefilter("ignore")
from tutorial import tutorial_experiment
exp = tutorial_experiment(0.1, 42, [2000, 4000, 8000])
next(exp)
print(time.monotonic() - start)
"""


def timing() -> list[Figure]:
    """A first round of 2,000 visitors in a new process, without and with compiled code."""
    with nothing_compiled() as environment:
        seconds = [float(last_line(FIRST_ROUND, environment=environment)) for _ in range(3)]
    what = "first round of 2,000 visitors in a new process, import to conclusions"
    return [
        Figure("first-round-cold", f"{what}, nothing compiled", seconds[0], 30, "lower", "s"),
        Figure("first-round-warm", f"{what}, compiled before", min(seconds[1:]), 10, "lower", "s"),
    ]


def tutorial() -> list[Figure]:
    """The tutorial with strong effects: what each round's policy is worth."""
    over_uniform, over_best = [], []
    for seed in (42, 1, 2):
        for done in tutorial_experiment(0.5, seed, [2000, 4000, 8000]):
            truth = done.truth_comparison
            over_uniform.append(truth.rpv_policy - truth.rpv_uniform)
            print(seed, done.truth_line(), flush=True)
        # Rounded: the same arm for everyone differs by the order of summation.
        over_best.append(round(truth.rpv_policy - truth.rpv_best_arm, 9))
    sizes = "2,000 / 4,000 / 8,000, effect_scale 0.5, seeds 42, 1, 2"
    return [
        Figure(
            "policy-over-uniform",
            f"least gain of a round's policy over uniform, {sizes}",
            min(over_uniform),
            0,
            "higher",
            "$/visitor",
        ),
        Figure(
            "policy-over-best-arm",
            f"least gain of the third round's policy over the best single arm, {sizes}",
            min(over_best),
            0,
            "higher",
            "$/visitor",
        ),
    ]


def small_effects(seeds: int = 10) -> list[Figure]:
    """CATE RMSE with small effects, against the peer and against constant predictors."""
    kept = RESULTS / "runs" / "small-effects.json"
    runs = json.loads(kept.read_text()) if kept.exists() else {}
    for seed in range(seeds):
        if str(seed) in runs:
            continue
        rounds = []
        for done in tutorial_experiment(0.1, seed, [2000, 4000, 8000]):
            truth = done.truth_comparison
            rounds.append([truth.cate_rmse, truth.cate_rmse_no_effect, truth.cate_rmse_constant])
        runs[str(seed)] = rounds
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(runs))
        print(seed, np.round(rounds, 3).tolist(), flush=True)
    mean = np.mean([runs[str(seed)] for seed in range(seeds)], axis=0)
    figures = []
    for i, bar in enumerate((1.3, 0.85, 0.7)):
        sizes = f"2,000 / 4,000 / 8,000, effect_scale 0.1, {seeds} seeds"
        what = f"CATE RMSE after round {i + 1} of {sizes}"
        figures += [
            Figure(f"cate-rmse-round-{i + 1}", what, float(mean[i, 0]), bar, "lower", "$"),
            Figure(
                f"cate-rmse-no-effect-{i + 1}",
                f"{what}, for predicting no effect",
                float(mean[i, 1]),
                None,
                "lower",
                "$",
            ),
            Figure(
                f"cate-rmse-constant-{i + 1}",
                f"{what}, for the true average effect given to all",
                float(mean[i, 2]),
                None,
                "lower",
                "$",
            ),
        ]
    return figures


def hillstrom() -> list[Figure]:
    """All 64,000 customers of the real trial, fitted at once."""
    arms = HILLSTROM_ARMS
    frame = read_hillstrom()
    experiment = pt.sequential_experiment(
        schedule=[len(frame)],
        treatments=arms,
        cells=[
            pt.Cell("control", pt.BaselinePolicy(), 0.0),
            pt.Cell("explore", pt.UniformPolicy(arms), 1.0),
        ],
        min_control_weight=0.0,
        columns={"visitor": None, "cell": None},
        progress=False,
        seed=1,
    )
    done = experiment.observe(frame)
    print(done, done.analysis, sep="\n")
    observations, analysis = done.observations, done.analysis
    raw = [observations.revenue[observations.arm == k].mean() for k in range(3)]
    published = [0.65279, 1.42262, 1.07720]
    covered = [
        c.lift.low <= difference <= c.lift.high
        for c, difference in zip(
            analysis.comparisons, (raw[1] - raw[0], raw[2] - raw[0]), strict=True
        )
    ]
    severity_near_zero = all(
        c.severity_part.low <= 0 <= c.severity_part.high for c in analysis.comparisons
    )
    verdict = analysis.recommendation
    return [
        Figure(
            "hillstrom-means",
            "per-arm means of spend equal the published ones to five digits",
            bool(np.allclose(raw, published, atol=5e-6)),
            True,
            "true",
        ),
        Figure(
            "hillstrom-ate-covered",
            "80 % intervals of both lifts cover the differences in means (.770, .424)",
            all(covered),
            True,
            "true",
        ),
        Figure(
            "hillstrom-severity",
            "80 % intervals of both severity parts hold zero",
            severity_near_zero,
            True,
            "true",
        ),
        Figure(
            "hillstrom-verdict",
            f"the verdict is SHIP or CONTINUE of Mens ({verdict.decision} {verdict.treatment})",
            verdict.treatment == "Mens E-Mail" and verdict.decision in ("SHIP", "CONTINUE"),
            True,
            "true",
        ),
        Figure(
            "hillstrom-segments",
            "no split by segment is named for spend",
            len(analysis.segments) == 1,
            True,
            "true",
        ),
        Figure("hillstrom-converged", "the fit converged", analysis.converged, True, "true"),
        Figure("hillstrom-seconds", "data to conclusions", done.fit_seconds, None, "lower", "s"),
    ]


def exactness() -> list[Figure]:
    """Simulation-based calibration against the model's own prior."""
    from pytyche_engine.calibration import ecdf_band_level, prior_sbc_ranks
    from pytyche_engine.calibration.prior_sbc import QUANTITIES

    ranks = list(prior_sbc_ranks(400, seed=3))
    return [
        Figure(
            f"sbc-{q}",
            f"400 simulations: simultaneous p-value of uniform ranks of {q}",
            ecdf_band_level(np.array([r[q] for r in ranks]), 99),
            0.01,
            "higher",
        )
        for q in QUANTITIES
    ]


def control() -> list[Figure]:
    """How long Pause and Cancel take on a round of 50,000 visitors."""
    experiment = tutorial_experiment(0.1, 42, [50_000])
    job = experiment.start()
    while job.latest is None or job.latest.iteration < 50:
        time.sleep(0.05)
    job.pause()
    paused = time.monotonic()
    seen, since = job.latest.iteration, paused
    while time.monotonic() - since < 2:
        time.sleep(0.02)
        if job.latest.iteration != seen:
            seen, since = job.latest.iteration, time.monotonic()
    pause_seconds = since - paused
    job.resume()
    resumed = job.latest.iteration
    while job.latest.iteration == resumed:
        time.sleep(0.05)
    cancelled = time.monotonic()
    job.cancel()
    while not job.done():
        time.sleep(0.005)
    return [
        Figure(
            "pause", "last progress after Pause, 50,000 visitors", pause_seconds, 1, "lower", "s"
        ),
        Figure(
            "cancel",
            "Cancel to the job's end, 50,000 visitors",
            time.monotonic() - cancelled,
            1,
            "lower",
            "s",
        ),
        Figure(
            "cancel-keeps",
            "after Cancel the experiment is as it was",
            experiment.history == () and experiment.current_round_idx == 0,
            True,
            "true",
        ),
    ]


def inputs() -> list[Figure]:
    """The bad inputs of the peer's report, each with an error or a stated treatment."""
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "tests/engine/test_bad_inputs.py",
            "tests/engine/test_bad_designs.py",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    print(run.stdout.splitlines()[-1])
    return [
        Figure(
            "bad-inputs",
            "every bad input gives a clear error or a stated treatment within a second",
            run.returncode == 0,
            True,
            "true",
        )
    ]


PARTS = {
    "timing": timing,
    "tutorial": tutorial,
    "small-effects": small_effects,
    "hillstrom": hillstrom,
    "exactness": exactness,
    "control": control,
    "inputs": inputs,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    measure("main-job", PARTS)
