"""The seeds' tutorial: every segment of every round beside what was planted."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from figures import Figure
from resumable import Row
from tutorial import ARMS, tutorial_experiment, tutorial_source

import pytyche_lab as pt
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.truth import concat_truth
from pytyche_engine.experiment.round import Round

N_TUTORIALS = 20
"""The first ten alone say little: their thirty rounds share ten cases of luck."""
TUTORIAL_SIZES = (2_000, 4_000, 8_000)
EFFECT_SCALE = 0.1


def tutorial_case(seed: int) -> Row:
    """Every segment of every round of the seeds' tutorial, beside what was planted."""
    source = tutorial_source(EFFECT_SCALE, seed)
    experiment = tutorial_experiment(EFFECT_SCALE, seed, TUTORIAL_SIZES)
    truths, rounds = [], []
    for done in experiment:
        # Asked again for the same plan, a simulated source gives the same visitors.
        frame, truth = source(done.round_idx, done.plan)
        assert list(frame["visitor_id"]) == list(done.observations.visitor_id)
        truths.append(truth)
        rounds.append(_segments_beside(done, concat_truth(truths).rpv))
    return {
        "rounds": rounds,
        "decisions": [str(r.analysis.recommendation.decision) for r in experiment.history],
        "candidates": [repr(c) for c in experiment.graduation_candidates()],
        "converged": [r.analysis.converged for r in experiment.history],
        "seconds": [r.fit_seconds for r in experiment.history],
    }


def _segments_beside(done: Round, rpv: np.ndarray) -> list[Row]:
    search = done.analysis.search
    found = []
    for s, segment in enumerate(search.segments):
        planted = rpv[search.membership == s].mean(axis=0)
        lift = dict(zip(ARMS[1:], (planted[1:] - planted[0]).tolist(), strict=True))
        found.append(
            {
                "rule": str(segment.rule),
                "noise": any(c.feature.startswith("z") for c in segment.rule.clauses),
                "arm": segment.recommended_arm,
                "best": ARMS[int(planted.argmax())],
                "lost": float(planted.max() - planted[ARMS.index(segment.recommended_arm)]),
                "gate_arm": segment.gate_arm,
                "gates": {a: [g.low, g.mean, g.high] for a, g in segment.gates.items()},
                "truth": lift,
                "claim": str(segment.claim_level),
                "stability": segment.stability_score,
            }
        )
    return found


def highest_means_are_best(seed: int) -> list[bool]:
    """Whether the arm with the highest mean so far is the best one, by round.

    Of visitors who get each arm with like probability: no rule that only reads their means knows
    better, and an adaptive plan gives control and weak arms fewer visitors than that.
    """
    source = tutorial_source(EFFECT_SCALE, seed)
    cells = (pt.Cell("explore", pt.UniformPolicy(ARMS), 1.0),)
    frames, truths, right = [], [], []
    for index, n in enumerate(TUTORIAL_SIZES):
        frame, truth = source(index, Plan(index, tuple(ARMS), cells, n))
        frames.append(frame)
        truths.append(truth)
        means = pd.concat(frames).groupby("arm")["revenue"].mean()[ARMS]
        right.append(bool(means.argmax() == concat_truth(truths).rpv.mean(axis=0).argmax()))
    return right


def tutorial_figures(rows: Sequence[Row]) -> list[Figure]:
    """Counted as the peer's were: every leaf of every round is a segment."""
    rounds = [r for row in rows for r in row["rounds"]]
    every = [s for r in rounds for s in r]
    several = [s for r in rounds for s in r if len(r) > 1]
    sizes = " / ".join(f"{n:,}" for n in TUTORIAL_SIZES)
    what = f"tutorial, {sizes}, effect_scale {EFFECT_SCALE}, K = 3, {len(rows)} seeds:"
    all_of_them = f"{what} of {len(every)} segments in {len(rounds)} rounds, share"
    split = f"{what} of the {len(several)} segments in rounds that split, share"

    def share(segments: Sequence[Row], holds: Callable[[Row], bool]) -> float:
        return float(np.mean([holds(s) for s in segments])) if segments else float("nan")

    coverage = share(every, partial(_covered, "gate_arm"))
    figures = [
        Figure(
            "tutorial-best-arm",
            f"{all_of_them} whose recommended arm is truly best (the peer: .42)",
            share(every, _is_best),
            0.75,
            "higher",
        ),
        Figure(
            "tutorial-best-arm-highest-mean",
            f"{what} share of rounds in which the arm with the highest mean is truly best, "
            "visitors allocated evenly",
            float(np.mean([highest_means_are_best(seed) for seed in range(len(rows))])),
            None,
            "higher",
        ),
        Figure(
            "tutorial-noise",
            f"{all_of_them} that split on a pure-noise feature (the peer: .62)",
            share(every, lambda s: s["noise"]),
            0.15,
            "lower",
        ),
        Figure(
            "tutorial-gate-coverage",
            f"{all_of_them} whose 80 % interval of the GATE shown covers it (the peer: .70)",
            coverage,
            0.76,
            "higher",
        ),
        Figure(
            "tutorial-gate-coverage-above",
            f"{all_of_them} whose 80 % interval of the GATE shown covers it, not above",
            coverage,
            0.84,
            "lower",
        ),
        Figure(
            "tutorial-gate-coverage-all-arms",
            f"{what} coverage of the 80 % GATE intervals of both treatments",
            share([s | {"a": a} for s in every for a in s["gates"]], partial(_covered, "a")),
            None,
            "higher",
        ),
        Figure(
            "tutorial-one-segment",
            f"{what} share of {len(rounds)} rounds with one segment for everyone",
            float(np.mean([len(r) == 1 for r in rounds])),
            None,
            "higher",
        ),
    ]
    if several:
        figures += [
            Figure(
                "tutorial-best-arm-split",
                f"{split} whose recommended arm is truly best",
                share(several, _is_best),
                None,
                "higher",
            ),
            Figure(
                "tutorial-gate-coverage-split",
                f"{split} whose 80 % interval of the GATE shown covers it",
                share(several, partial(_covered, "gate_arm")),
                None,
                "higher",
            ),
        ]
    return figures


def _is_best(segment: Row) -> bool:
    return bool(segment["lost"] <= 1e-9)


def _covered(arm_key: str, segment: Row) -> bool:
    low, _, high = segment["gates"][segment[arm_key]]
    return bool(low <= segment["truth"][segment[arm_key]] <= high)
