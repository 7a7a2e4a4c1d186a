"""Whole experiments, real and simulated: ``python benchmarks/bench_trials.py [part ...]``.

Parts: karlan, aa, tutorial. Without a name all run, in this order. ``--minutes M`` does a piece of
the part: every experiment is a row of ``benchmarks/results/runs/trials-PART.jsonl``, and a run that
was ended goes on where it was. Another state of the code needs another ``--tag``. ``--record``
appends the figures of complete parts to ``benchmarks/results/decisions.json``.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from bench_main_job import ARMS
from figures import RESULTS, Figure, record
from jaxtyping import Float
from real_trials import HILLSTROM_ARMS, KARLAN_ARMS, read_hillstrom, read_karlan
from resumable import Row, run_missing
from scipy.stats import norm

import pytyche_lab as pt
from pytyche_engine.contracts.decisions import Segment
from pytyche_engine.contracts.observations import concat
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.truth import concat_truth
from pytyche_engine.experiment.narration import credible_segments
from pytyche_engine.experiment.round import Round
from pytyche_engine.segments import doubly_robust_scores
from pytyche_engine.sources import SimulatedSource

# --- Karlan and List's trial, as it was ---------------------------------------------------

KARLAN_SEEDS = 3
RED, BLUE = "red states", "blue states"
KARLAN_RULES = {RED: "red0 > 0.5", BLUE: "red0 <= 0.5"}
PUBLISHED_GIFTS = (0.813, 0.937, 1.026, 0.933)
"""Dollars a letter by arm, of the table in the project's notes."""


def karlan_case(seed: int) -> Row:
    """Two rounds of half of the letters each, in the trial's own shares of arms."""
    frame = read_karlan()
    frame = frame.iloc[np.random.default_rng(seed).permutation(len(frame))].reset_index(drop=True)
    # A third control, two ninths for each match.
    cells = [
        pt.Cell("control", pt.BaselinePolicy(), 1 / 9),
        pt.Cell("explore", pt.UniformPolicy(KARLAN_ARMS), 8 / 9),
    ]
    half = len(frame) // 2
    experiment = pt.sequential_experiment(
        schedule=[half, len(frame) - half],
        treatments=list(KARLAN_ARMS),
        cells=cells,
        columns={"visitor": None, "arm": "arm", "revenue": "revenue", "cell": None},
        progress=False,
        seed=seed,
    )
    experiment.observe(frame.iloc[:half])
    for name, rule in KARLAN_RULES.items():
        experiment.segments.register(rule, name)
    experiment.accept(cells)
    done = experiment.observe(frame.iloc[half:])
    seen = concat([r.observations for r in experiment.history])
    groups = {RED: frame["red0"] == 1, BLUE: frame["red0"] == 0}
    shown = done.analysis.draws
    names = {s.name: i for i, s in enumerate(done.analysis.all_segments)}
    membership = np.column_stack(list(groups.values())).astype(float)
    draws = done.posterior.group_draws(
        seen.features, membership, tuple(groups), propensity=seen.propensity
    )
    effects = done.posterior.predict(seen.features, propensity=seen.propensity)
    scores = doubly_robust_scores(seen, effects).scores
    # As the paper does: any match against none.
    alone, reported = (d.lift[:, :, 1:].astype(float).mean(axis=2) for d in (draws, shown))
    gain = scores[:, 1:].mean(axis=1) - scores[:, 0]
    row: Row = {
        "arm_means": [float(frame.loc[frame["arm"] == a, "revenue"].mean()) for a in KARLAN_ARMS],
        "candidates": [repr(c) for c in experiment.graduation_candidates()],
        "converged": [r.analysis.converged for r in experiment.history],
        "rules": [str(s.rule) for s in done.analysis.segments],
        "recommended": [s.recommended_arm for s in done.analysis.segments],
        "seconds": [r.fit_seconds for r in experiment.history],
    }
    for g, (name, members) in enumerate(groups.items()):
        raw = frame[members].groupby(frame["arm"] != KARLAN_ARMS[0])["revenue"].agg(["mean", "sem"])
        aipw, aipw_se = gain[members].mean(), gain[members].std() / np.sqrt(members.sum())
        row[name] = {
            "aipw_probability": float(norm.cdf(aipw / aipw_se)),
            "aipw_lift": [float(aipw), float(aipw_se)],
            **_positive("", reported[:, names[name]]),
            **_positive("posterior_", alone[:, g]),
            "by_arm": (shown.lift[:, names[name], 1:] > 0).mean(axis=0).tolist(),
            "raw": raw["mean"].tolist(),
            "raw_lift": [float(np.diff(raw["mean"])[0]), float(np.hypot(*raw["sem"]))],
        }
    return row


def _positive(prefix: str, lift: Float[np.ndarray, " draws"]) -> Row:
    return {
        f"{prefix}probability": float((lift > 0).mean()),
        f"{prefix}lift": [float(lift.mean()), float(lift.std())],
    }


def karlan_figures(rows: Sequence[Row]) -> list[Figure]:
    """What the trial's published analysis found, here from two rounds."""
    what = (
        f"Karlan-List, gifts, two rounds of half of the letters, {len(rows)} orders of the letters:"
    )
    figures = [
        Figure(
            "karlan-means",
            "Karlan-List, gifts: dollars a letter by arm are the table's",
            bool(np.allclose(rows[0]["arm_means"], PUBLISHED_GIFTS, atol=6e-4)),
            True,
            "true",
        ),
        Figure(
            "karlan-graduates",
            f"{what} graduation candidates",
            float(sum(len(row["candidates"]) for row in rows)),
            0,
            "lower",
        ),
    ]
    for suffix, key, words in (
        ("", "probability", "as reported of a segment registered after the first round"),
        ("-posterior", "posterior_probability", "posterior alone"),
        ("-aipw", "aipw_probability", "AIPW with the model as nuisance"),
    ):
        red, blue = ([row[name][key] for row in rows] for name in (RED, BLUE))
        figures += [
            Figure(
                f"karlan-red{suffix}",
                f"{what} least P(lift of a match > 0) in red states, {words}",
                min(red),
                None if suffix else 0.95,
                "higher",
            ),
            Figure(
                f"karlan-blue{suffix}",
                f"{what} largest P(lift of a match > 0) in blue states, {words}",
                max(blue),
                None if suffix else 0.95,
                "lower",
            ),
        ]
    return figures


# --- A/A ----------------------------------------------------------------------------------

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


# --- the tutorial -------------------------------------------------------------------------

N_TUTORIALS = 20
"""The first ten alone say little: their thirty rounds share ten cases of luck."""
TUTORIAL_SIZES = (2_000, 4_000, 8_000)


def tutorial_source(seed: int) -> SimulatedSource:
    """The visitors of the seeds' tutorial, whose effects are small."""
    return pt.simulated_experiment_generator(
        template="clustered_realistic",
        metric="revenue_per_visitor",
        effect_scale=0.1,
        K=len(ARMS),
        seed=seed,
        treatment_names=ARMS,
    )


def tutorial_case(seed: int) -> Row:
    """Every segment of every round of the seeds' tutorial, beside what was planted."""
    source = tutorial_source(seed)
    experiment = pt.sequential_experiment(
        generator=source,
        schedule=list(TUTORIAL_SIZES),
        treatments=ARMS,
        seed=seed,
        progress=False,
    )
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
    source = tutorial_source(seed)
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
    what = f"tutorial, {sizes}, effect_scale 0.1, K = 3, {len(rows)} seeds:"
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


# --- running ------------------------------------------------------------------------------

CASES: Mapping[str, Mapping[str, Callable[[], Row]]] = {
    "karlan": {f"order {i}": partial(karlan_case, i) for i in range(KARLAN_SEEDS)},
    "aa": {
        f"{trial} {i}": partial(aa_case, trial, i)
        for i in range(N_PERMUTATIONS)
        for trial in AA_TRIALS
    },
    "tutorial": {f"seed {i}": partial(tutorial_case, i) for i in range(N_TUTORIALS)},
}
FIGURES = {"karlan": karlan_figures, "aa": aa_figures, "tutorial": tutorial_figures}


def rows_of(part: str, tag: str) -> Path:
    """Where the rows of a part are."""
    return RESULTS / "runs" / f"trials-{part}{'-' + tag if tag else ''}.jsonl"


def main() -> None:
    """Parse the command line, run what is missing, print, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help="karlan, aa, tutorial")
    parser.add_argument("--minutes", type=float, default=9.0, help="for each part")
    parser.add_argument("--tag", default="", help="which state of the code")
    parser.add_argument("--record", action="store_true", help="append figures of complete parts")
    given = parser.parse_args()
    for part in given.parts or CASES:
        print(f"== {part}", flush=True)
        rows = run_missing(CASES[part], rows_of(part, given.tag), given.minutes)
        if not rows:
            continue
        figures = FIGURES[part](rows)
        for figure in figures:
            print(f"{figure.id}: {figure.value:.3g}{'' if figure.holds else '  SHORT'}")
        if given.record and len(rows) == len(CASES[part]):
            record("decisions", figures)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
