"""Decisions on simulated experiments: ``python benchmarks/bench_decisions.py [part ...]``.

Parts: drift, adaptive. Without a name both run, in this order. One core is enough.
"""

import warnings
from dataclasses import replace

import numpy as np
from decision_trials import (
    ARM_RPV,
    ARMS,
    REVERSED,
    SEGMENTS,
    DriftTrial,
    adaptive_trial,
    posterior_of_means,
)
from figures import Figure, measure

from pytyche_engine.decisions.crosscheck import LEVEL, cross_check_arms
from pytyche_engine.decisions.drift import lift_drift
from pytyche_engine.segments import doubly_robust_scores


def alarmed(trial: DriftTrial, seed: int) -> list[set[str]]:
    """For each round, the segments with an alarm."""
    return [{a.segment for a in lift_drift(seen, SEGMENTS).alarms} for seen in trial.run(seed)]


def false_alarms(trial: DriftTrial, n_runs: int, first_seed: int) -> float:
    """Share of runs with an alarm in any round, segment and arm."""
    return float(np.mean([any(alarmed(trial, first_seed + i)) for i in range(n_runs)]))


def power(trial: DriftTrial, n_runs: int, first_seed: int) -> float:
    """Share of runs with an alarm on the reversed segment in the round it reversed or the next."""
    since = trial.reversed_from
    assert since is not None
    trial = replace(trial, explore=trial.explore[: since + 2])
    found = [
        any(REVERSED in names for names in alarmed(trial, first_seed + i)[since:])
        for i in range(n_runs)
    ]
    return float(np.mean(found))


def drift() -> list[Figure]:
    """How often a reversed effect is seen, and how often one that is not there."""
    reversal = DriftTrial(reversed_from=2)
    steady = DriftTrial()
    what = (
        "clustered_realistic, effect_scale 0.5, K = 3, 3 segments, 3,000 Explore and 3,000 "
        "Control visitors a round"
    )
    return [
        Figure(
            "drift-power",
            f"{what}: effects on one segment (37 %) reversed in round 3, runs with an alarm on "
            "it in round 3 or 4 (50 runs)",
            power(reversal, 50, 100),
            0.8,
            "higher",
        ),
        Figure(
            "drift-power-heavy-tails",
            f"{what}: the same with log orders of sd 1.2 (50 runs)",
            power(replace(reversal, sigma=1.2), 50, 200),
            0.8,
            "higher",
        ),
        Figure(
            "drift-power-2000",
            "the same with 2,000 Explore and 2,000 Control visitors a round (50 runs)",
            power(replace(reversal, explore=(2_000,) * 5), 50, 300),
            None,
            "higher",
        ),
        Figure(
            "drift-power-half-effect",
            f"{what}: the same at effect_scale 0.25 (50 runs)",
            power(replace(reversal, effect_scale=0.25), 50, 400),
            None,
            "higher",
        ),
        Figure(
            "drift-false-alarms",
            f"{what}: no drift, runs with any alarm in 5 rounds (300 runs)",
            false_alarms(steady, 300, 1_000),
            0.05,
            "lower",
        ),
        Figure(
            "drift-false-alarms-season",
            f"{what}: no effects, but conversion of all arms moves from 3 to 6 and 4 % and on, "
            "runs with any alarm in 5 rounds (300 runs)",
            false_alarms(replace(steady, rates=(0.03, 0.06, 0.04), effect_scale=0), 300, 2_000),
            0.05,
            "lower",
        ),
        Figure(
            "drift-false-alarms-few-orders",
            "no drift, one round of 20,000 Explore visitors and four of 2,000, 1.5 % converters, "
            "log orders of sd 1.2, runs with any alarm (200 runs)",
            false_alarms(
                replace(steady, explore=(20_000, *(2_000,) * 4), rates=(0.015,), sigma=1.2),
                200,
                3_000,
            ),
            0.05,
            "lower",
        ),
    ]


def adaptive() -> list[Figure]:
    """AIPW and raw means of arms after three rounds, two of them allocated by what was seen."""
    n_runs = 200
    covered, error, raw_error, flags = [], [], [], []
    for seed in range(500, 500 + n_runs):
        seen, model, _ = adaptive_trial(seed)
        scores = doubly_robust_scores(seen, model)
        right = cross_check_arms(seen, scores, posterior_of_means(seen, by_part=True))
        wrong = cross_check_arms(seen, scores, posterior_of_means(seen, by_part=False))
        covered.append(
            [c.aipw.low <= t <= c.aipw.high for c, t in zip(right, ARM_RPV, strict=True)]
        )
        error.append([c.aipw.mean for c in right] - ARM_RPV)
        raw_error.append([c.naive_mean for c in right] - ARM_RPV)
        flags.append([any(c.disagree for c in checks) for checks in (right, wrong)])
    by_arm = np.mean(covered, axis=0)
    coverage = float(by_arm.mean())
    bias, raw_bias = np.mean(error, axis=0), np.mean(raw_error, axis=0)
    in_errors = [np.abs(np.mean(e, axis=0)) / np.std(e, axis=0) for e in (error, raw_error)]
    z = [float(x.max() * np.sqrt(n_runs)) for x in in_errors]
    print(dict(zip(ARMS, np.round(by_arm, 3), strict=True)), ARM_RPV, bias, raw_bias, flush=True)
    what = "3 rounds of 6,000, rounds 2 and 3 allocated by Thompson shares per segment, 200 runs"
    interval = f"coverage of {LEVEL:.0%} AIPW intervals of arms' RPV"
    false_flags, found = np.mean(flags, axis=0)
    return [
        Figure("adaptive-aipw-coverage", f"{what}: {interval}", coverage, 0.86, "higher"),
        Figure(
            "adaptive-aipw-coverage-above",
            f"{what}: {interval}, not above",
            coverage,
            0.94,
            "lower",
        ),
        Figure(
            "adaptive-aipw-coverage-worst",
            f"{what}: {interval}, the arm furthest from {LEVEL:.0%}",
            float(by_arm[np.abs(by_arm - LEVEL).argmax()]),
            None,
            "higher",
        ),
        Figure(
            "adaptive-aipw-bias",
            f"{what}: largest bias of an arm's AIPW mean, in Monte Carlo standard errors",
            z[0],
            3,
            "lower",
        ),
        Figure(
            "adaptive-naive-bias",
            f"{what}: largest bias of an arm's raw mean, in Monte Carlo standard errors (that "
            "raw means are biased is to be seen)",
            z[1],
            3,
            "higher",
        ),
        Figure(
            "adaptive-naive-bias-money",
            f"{what}: largest bias of an arm's raw mean, as a share of its RPV",
            float((np.abs(raw_bias) / ARM_RPV).max()),
            None,
            "lower",
        ),
        Figure(
            "adaptive-false-flags",
            f"{what}: runs in which any arm is flagged though the model is right",
            float(false_flags),
            0.05,
            "lower",
        ),
        Figure(
            "adaptive-flags-raw-means",
            f"{what}: runs in which any arm is flagged where the model is the raw means",
            float(found),
            None,
            "higher",
        ),
    ]


PARTS = {"drift": drift, "adaptive": adaptive}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    measure("decisions", PARTS)
