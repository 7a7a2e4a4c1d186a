"""Extreme but legal data go through a real fit: finite, and labelled where not to be trusted.

``PYTYCHE_EXTREME=2000`` is how many visitors each has (32, which compile with the other tests').
"""

import os
import warnings
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from experiment_cases import SETTINGS, quietly

from pytyche_engine.contracts import ClaimLevel, DataError, Decision
from pytyche_engine.contracts.errors import FitError, UncalibratedWarning, UnconvergedWarning
from pytyche_engine.experiment import sequential_experiment

N = int(os.environ.get("PYTYCHE_EXTREME", "32"))
ARMS = ("control", "a", "b")


TWELVE = ("control", *(f"t{i}" for i in range(1, 12)))


def visitors(rate, sigma=0.5, arms=ARMS, order=50.0, n=N):
    """Nothing in them has an effect."""
    rng = np.random.default_rng(4)
    bought = rng.random(n) < rate
    spent = order * np.exp(sigma * rng.standard_normal(n))
    return pd.DataFrame(
        {
            "visitor_id": np.arange(n),
            "arm": np.array(arms)[np.arange(n) % len(arms)],
            "revenue": np.where(bought, spent, 0.0),
            "x": rng.normal(size=n),
            "kind": rng.choice(["new", "old"], n),
        }
    )


def one_converter():
    frame = visitors(0.0)
    frame.loc[7, "revenue"] = 20.0
    return frame


def one_arm_without():
    frame = visitors(0.3)
    return frame.assign(revenue=frame["revenue"].where(frame["arm"] != "b", 0.0))


def wide():
    frame = visitors(0.3)
    bought = frame["revenue"] > 0
    return frame.assign(revenue=np.where(bought, np.geomspace(1e-3, 1e9, N), 0.0))


def collinear():
    frame = visitors(0.3)
    return frame.assign(x2=frame["x"] * 3, x3=-frame["x"], same=1.0, kind2=frame["kind"])


CASES = {
    "a conversion of .0005": lambda: visitors(0.0005).assign(
        revenue=lambda f: f["revenue"].where(f.index != 9, 50.0)
    ),
    "orders that spread by sigma 2.5": lambda: visitors(0.3, sigma=2.5),
    "twelve arms": lambda: visitors(0.3, arms=TWELVE),
    "one converter": one_converter,
    "an arm without converters": one_arm_without,
    "everybody converts": lambda: visitors(1.0),
    "features that repeat each other": collinear,
    "orders worth nearly nothing": lambda: visitors(0.3, order=1e-12),
    "orders worth a fortune": lambda: visitors(0.3, order=1e12),
}


@pytest.mark.parametrize("case", CASES)
def test_extreme_data_give_finite_draws_and_say_what_they_are_worth(case):
    frame = CASES[case]()
    arms = tuple(dict.fromkeys(frame["arm"]))
    exp = sequential_experiment(
        schedule=[N], treatments=arms, settings=SETTINGS, min_segment_share=0.2,
        max_segment_depth=1, min_control_weight=0.05,
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        done = exp.observe(frame)
    for f in fields(done.posterior.draws):
        draws = getattr(done.posterior.draws, f.name)
        assert np.isfinite(draws).all(), f.name
    everyone = np.ones((N, 1), dtype=bool)
    effects = done.posterior.group_draws(done.observations.features, everyone, ("everyone",))
    assert np.isfinite(effects.rpv).all()
    # Thirty draws of two short chains are no posterior to trust, and nothing hides that.
    kinds = {w.category for w in said}
    assert UncalibratedWarning in kinds
    assert UnconvergedWarning in kinds or done.posterior.sampling.stopped == "converged"
    assert "uncalibrated" in repr(done.analysis).lower() + repr(done).lower()
    assert done.next_recommendation.n_visitors is None


def test_everything_extreme_at_once_and_no_effect_anywhere_ships_nothing():
    """Twelve arms share about twelve converters, whose orders spread by sigma 2.5."""
    frame = visitors(0.0005, sigma=2.5, arms=TWELVE, n=24_000)
    exp = sequential_experiment(schedule=[len(frame)], treatments=TWELVE, settings=SETTINGS)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        done = exp.observe(frame)
    for f in fields(done.posterior.draws):
        assert np.isfinite(getattr(done.posterior.draws, f.name)).all(), f.name
    kinds = {w.category for w in said}
    assert UnconvergedWarning in kinds or done.posterior.sampling.stopped == "converged"
    assert any("rests on the other arms and the prior" in n for n in done.observations.notices)
    assert done.health.lamps["converters"] == "warn"
    assert done.analysis.recommendation.decision is not Decision.SHIP
    assert all(s.claim_level is ClaimLevel.EXPLORATORY for s in done.analysis.segments)


def test_amounts_from_a_thousandth_to_a_billion_are_refused_in_words():
    # A log-normal of that spread has a mean of which the data have seen nothing.
    exp = sequential_experiment(schedule=[N], treatments=ARMS, settings=SETTINGS)
    with pytest.raises(FitError, match="one unit in all rows"):
        quietly(exp.observe, wide())
    assert exp.current_round_idx == 0


@pytest.mark.parametrize("case", ["one converter", "an arm without converters"])
def test_what_rests_on_hardly_anybody_is_said(case):
    from pytyche_engine.contracts import ColumnMapping
    from pytyche_engine.contracts.door import read_round

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seen = read_round(CASES[case](), columns=ColumnMapping(), arms=ARMS)
    assert any("rests on the other arms and the prior" in notice for notice in seen.notices)


def test_money_that_no_currency_has_is_refused():
    frame = visitors(0.3, order=1e14, sigma=2.5)
    frame.loc[frame["revenue"].idxmax(), "revenue"] = 2e15
    exp = sequential_experiment(schedule=[N], treatments=ARMS, settings=SETTINGS)
    with pytest.raises(DataError, match=r"infinite or beyond 1e\+15"):
        exp.observe(frame)
    assert exp.current_round_idx == 0
