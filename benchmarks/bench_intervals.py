"""Coverage of the intervals that a round reports: average effects, and GATEs of segments found.

``python benchmarks/bench_intervals.py [--minutes M] [--record]`` fits what is missing of 252
simulated data sets (all templates, effect scales 0, .1 and .5), finds segments as a round does and
compares the reported intervals, at 80 and 90 %, with the planted truth. A data set is a row of
``benchmarks/results/runs/intervals.jsonl``; a run that was ended goes on where it was.
"""

import argparse
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from bench_coverage import CIRCUMSTANCES, EFFECT_SCALES
from figures import RESULTS, Figure, record, show
from jaxtyping import Float
from resumable import Row, run_missing
from simulated_trials import POPULATIONS, DataSet, generate

from pytyche_engine.bcf import Settings, fit
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.segments import discover_segments, doubly_robust_scores

ROWS = RESULTS / "runs" / "intervals.jsonl"
REPLICATIONS = {5_000: 10, 30_000: 4}
LEVELS = (0.8, 0.9)


def data_sets() -> list[DataSet]:
    """252 data sets of seeds that no setting was chosen on; a seed's scenarios come together."""
    found = []
    for seed in range(max(REPLICATIONS.values())):
        allocation, prognostic = CIRCUMSTANCES[seed % len(CIRCUMSTANCES)]
        for n, count in REPLICATIONS.items():
            for template in POPULATIONS if seed < count else ():
                for effect_scale in EFFECT_SCALES:
                    found.append(
                        DataSet(template, effect_scale, n, 3, allocation, prognostic, 100 + seed)
                    )
    return found


def reported(data: DataSet) -> Row:
    """Fit, find segments, and put every reported interval beside its truth."""
    trial = generate(data)
    seen = trial.observations
    start = time.perf_counter()
    posterior = fit(seen, settings=Settings(), seed=data.seed)
    fitted = time.perf_counter()

    def group_draws(
        membership: Float[np.ndarray, "n groups"], groups: tuple[str, ...]
    ) -> GroupDraws:
        return posterior.group_draws(seen.features, membership, groups, propensity=seen.propensity)

    effects = posterior.predict(seen.features, propensity=seen.propensity)
    search = discover_segments(seen, effects, group_draws, seed=data.seed)
    everyone = group_draws(np.ones((len(seen), 1)), ("everyone",))
    scores = doubly_robust_scores(seen, effects)
    members = search.membership[:, None] == np.arange(len(search.segments))
    arm = [seen.arms.index(s.recommended_arm) for s in search.segments]
    of_segment = [trial.truth.rpv[m].mean(axis=0) for m in members.T]
    return {
        "data": data.key,
        "n": data.n,
        "template": data.template,
        "effect_scale": data.effect_scale,
        "seconds": [fitted - start, time.perf_counter() - fitted],
        "rules": [str(s.rule) for s in search.segments],
        "claims": [str(s.claim_level) for s in search.segments],
        "best_arm": [bool(rpv.argmax() == a) for rpv, a in zip(of_segment, arm, strict=True)],
        "ate": _beside(everyone, 0, trial.truth.rpv.mean(axis=0), scores.scores),
        "gate": [
            _beside(search.draws, g, rpv, scores.scores[m])
            for g, (rpv, m) in enumerate(zip(of_segment, members.T, strict=True))
        ],
    }


def _beside(
    draws: GroupDraws,
    group: int,
    rpv: Float[np.ndarray, " arms"],
    scores: Float[np.ndarray, "m arms"],
) -> dict[str, Any]:
    """Lifts of a group: planted, reported, and the AIPW mean of its m visitors."""
    lift = draws.lift[:, group, 1:].astype(float)
    aipw = scores[:, 1:] - scores[:, :1]
    return {
        "truth": (rpv[1:] - rpv[0]).tolist(),
        "mean": lift.mean(axis=0).tolist(),
        "sd": lift.std(axis=0).tolist(),
        "ends": [
            np.quantile(lift, [(1 - level) / 2, (1 + level) / 2], axis=0).tolist()
            for level in LEVELS
        ],
        "aipw": aipw.mean(axis=0).tolist(),
        "aipw_se": (aipw.std(axis=0) / np.sqrt(len(aipw))).tolist(),
    }


def _covered(reports: Sequence[dict[str, Any]], level: int) -> Float[np.ndarray, " lifts"]:
    """Whether each lift lies in its interval."""
    inside = []
    for report in reports:
        low, high = report["ends"][level]
        inside += [a <= t <= b for a, t, b in zip(low, report["truth"], high, strict=True)]
    return np.array(inside, dtype=float)


def _reports(row: Row, quantity: str) -> list[dict[str, Any]]:
    found = row[quantity]
    return [found] if quantity == "ate" else list(found)


def coverage_figures(rows: Sequence[Row]) -> list[Figure]:
    """Distance of coverage from nominal, by quantity, size and level."""
    figures = []
    for quantity, words in (("ate", "ATE"), ("gate", "GATE of segments found")):
        for n in REPLICATIONS:
            mine = [r for r in rows if r["n"] == n]
            for i, level in enumerate(LEVELS):
                by_set = [_covered(_reports(r, quantity), i) for r in mine]
                coverage = float(np.concatenate(by_set).mean())
                error = float(np.std([x.mean() for x in by_set]) / np.sqrt(len(by_set)))
                figures.append(
                    Figure(
                        f"reported-{quantity}-{level:.0%}-{n}",
                        f"reported {level:.0%} intervals, {words}, n = {n:,}, {len(mine)} data "
                        f"sets over templates and effect scales: coverage (Monte Carlo standard "
                        f"error {error:.3f}), distance from nominal {abs(coverage - level):.3f}",
                        coverage,
                        None,
                        "higher",
                    )
                )
                figures.append(
                    Figure(
                        f"reported-{quantity}-{level:.0%}-{n}-off",
                        f"distance of that coverage from {level:.0%}",
                        abs(coverage - level),
                        0.04,
                        "lower",
                    )
                )
    return figures


def scenario_table(rows: Sequence[Row]) -> str:
    """Coverage of GATEs and ATEs by size and effect scale, as Markdown."""
    lines = ["| n | effect scale | sets | more than one segment | best arm right | ATE 80 / 90 % | "
             "GATE 80 / 90 % |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    for n in REPLICATIONS:
        for scale in EFFECT_SCALES:
            mine = [r for r in rows if r["n"] == n and r["effect_scale"] == scale]
            if not mine:
                continue
            cells = [
                " / ".join(
                    f"{np.concatenate([_covered(_reports(r, q), i) for r in mine]).mean():.2f}"
                    for i in range(len(LEVELS))
                )
                for q in ("ate", "gate")
            ]
            several = np.mean([len(r["rules"]) > 1 for r in mine])
            right = np.mean(np.concatenate([r["best_arm"] for r in mine]))
            lines.append(
                f"| {n:,} | {scale:g} | {len(mine)} | {several:.0%} | {right:.0%} | "
                f"{cells[0]} | {cells[1]} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, fit, print, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--record", action="store_true", help="append the figures")
    given = parser.parse_args()
    cases = {data.key: partial(reported, data) for data in data_sets()}
    rows = run_missing(cases, ROWS, given.minutes)
    if not rows:
        return
    print(scenario_table(rows))
    figures = coverage_figures(rows)
    show(figures)
    if given.record:
        record("decisions", figures)


if __name__ == "__main__":
    main()
