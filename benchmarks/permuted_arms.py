"""A/A trials: real ones whose arms were permuted, so that there is nothing to find."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from figures import Figure
from real_trials import HILLSTROM_ARMS, KARLAN_ARMS, read_hillstrom, read_karlan
from resumable import Row

import pytyche_lab as pt
from pytyche_engine.contracts.decisions import Segment
from pytyche_engine.experiment.narration import credible_segments

N_PERMUTATIONS = 40
AA_SIZES = (4_000, 4_000)
"""Visitors observed in each round. A replay draws about K times as many from the log."""

AA_TRIALS: Mapping[str, tuple[Callable[[], pd.DataFrame], tuple[str, ...]]] = {
    "hillstrom": (read_hillstrom, HILLSTROM_ARMS),
    "karlan": (read_karlan, KARLAN_ARMS),
}


def aa_case(trial: str, permutation: int) -> Row:
    """Two adaptive rounds of a replayed trial whose arms mean nothing any more."""
    read, arms = AA_TRIALS[trial]
    frame = read()
    frame["arm"] = np.random.default_rng([permutation, 11]).permutation(frame["arm"].to_numpy())
    experiment = pt.sequential_experiment(
        generator=pt.replay(frame, arm="arm", revenue="revenue", arms=arms, seed=permutation),
        schedule=list(AA_SIZES),
        treatments=list(arms),
        progress=False,
        seed=permutation,
    )
    start = time.monotonic()
    done = experiment.run_to_completion()
    return {
        "trial": trial,
        "candidates": [repr(c) for c in experiment.graduation_candidates()],
        "credible": [[repr_of(s) for s in credible_segments(r)] for r in done],
        "credible_now": experiment.has_credible_segments(),
        "segments": [len(r.analysis.segments) for r in done],
        "decisions": [str(r.analysis.recommendation.decision) for r in done],
        "converters": [int(r.observations.converted.sum()) for r in done],
        "converged": [r.analysis.converged for r in done],
        "seconds": time.monotonic() - start,
    }


def repr_of(segment: Segment) -> str:
    """A segment in a line."""
    low, high = segment.gate_ci
    return (
        f"{segment.rule}: {segment.gate_arm} {segment.gate_estimate:+.3f} [{low:+.3f}, {high:+.3f}]"
        f", stability {segment.stability_score:.2f}"
    )


def aa_figures(rows: Sequence[Row]) -> list[Figure]:
    """Shares of experiments with a finding where there is nothing to find."""
    figures = []
    for trial in AA_TRIALS:
        mine = [row for row in rows if row["trial"] == trial]
        if not mine:
            continue
        what = (
            f"{trial}, arms permuted, {len(mine)} permutations, 2 rounds of {AA_SIZES[0]:,}: "
            "share of experiments with"
        )
        found = {
            "graduates": ("a graduation candidate", [bool(r["candidates"]) for r in mine], 0.05),
            "credible": (
                "a segment called credible in either round",
                [any(r["credible"]) for r in mine],
                0.10,
            ),
            "several-segments": (
                "more than one segment after the second",
                [r["segments"][-1] > 1 for r in mine],
                None,
            ),
            "ships": ("SHIP after the second", [r["decisions"][-1] == "SHIP" for r in mine], None),
        }
        for name, (words, values, bar) in found.items():
            share = float(np.mean(values))
            figures.append(Figure(f"aa-{trial}-{name}", f"{what} {words}", share, bar, "lower"))
    return figures
