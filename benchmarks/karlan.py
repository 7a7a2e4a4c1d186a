"""Karlan and List's trial as it was, as an experiment of two rounds."""

from collections.abc import Sequence

import numpy as np
from figures import Figure
from jaxtyping import Float
from real_trials import KARLAN_ARMS, read_karlan
from resumable import Row
from scipy.stats import norm

import pytyche_lab as pt
from pytyche_engine.contracts.observations import concat
from pytyche_engine.segments import doubly_robust_scores

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
