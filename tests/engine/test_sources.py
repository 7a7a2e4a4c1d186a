import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from door_cases import ARMS, good_round, plan
from scipy import stats

from pytyche_engine.contracts import (
    BaselinePolicy,
    Cell,
    DataError,
    DesignError,
    Levels,
    Outcome,
    Plan,
    Route,
    Rule,
    Threshold,
    TreePolicy,
    UniformPolicy,
)
from pytyche_engine.contracts.door import read_round
from pytyche_engine.sources import Source, replay, simulated_experiment_generator
from pytyche_engine.sources.templates import TEMPLATES

HILLSTROM = Path(__file__).parents[2].parent / "shared/data/hillstrom/hillstrom.csv.gz"


def uniform_plan(arms: tuple[str, ...], n: int, round_index: int = 0) -> Plan:
    return Plan(round_index, arms, (Cell("explore", UniformPolicy(arms), 1.0),), n)


def simulated_arms(K: int) -> tuple[str, ...]:
    return ("control", *(f"treatment_{t}" for t in range(1, K)))


# --- simulated ---


@pytest.mark.parametrize(
    ("effect_scale", "arm_rpv", "oracle"),
    [(0.1, (2.500, 2.808, 2.324), 2.858), (0.5, (2.50, 5.05, 1.84), 5.35)],
)
def test_clustered_realistic_has_the_published_truth(
    effect_scale: float, arm_rpv: tuple[float, ...], oracle: float
) -> None:
    """Against figures of an independent 300,000-visitor draw of the same population."""
    n = 100_000
    source = simulated_experiment_generator(effect_scale=effect_scale, seed=1)
    _, truth = source(0, uniform_plan(source.arms, n))
    # Both draws have a Monte Carlo error: sd / sqrt(n), here and there; and rounding.
    tolerance = 4 * truth.rpv.std(axis=0) * np.sqrt(1 / n + 1 / 300_000) + 0.0051
    assert (np.abs(truth.rpv.mean(axis=0) - arm_rpv) < tolerance).all()
    best = truth.rpv.max(axis=1)
    assert abs(best.mean() - oracle) < 4 * best.std() * np.sqrt(1 / n + 1 / 300_000) + 0.0051
    if effect_scale == 0.1:
        assert abs(truth.rpv.mean() - 2.544) < 0.01
        shares = np.bincount(truth.rpv.argmax(axis=1), minlength=3) / n
        np.testing.assert_allclose(shares, [0.065, 0.797, 0.138], atol=0.006)
        np.testing.assert_allclose(truth.cate.mean(axis=0), [0.308, -0.176], atol=0.008)
        np.testing.assert_allclose(truth.cate.std(axis=0), [0.41, 0.22], atol=0.01)


def test_features_follow_the_clusters() -> None:
    source = simulated_experiment_generator(seed=3)
    frame, _ = source(0, uniform_plan(source.arms, 50_000))
    # Mixture means: .3*2.5 + .25*1 + .25*.5 - .2*1.5, and so on (4 standard errors allowed).
    assert abs(frame["session_recency"].mean() - 0.825) < 0.035
    assert abs(frame["browse_depth"].mean() - 3.425) < 0.04
    assert abs(frame["is_returning"].mean() - 0.3875) < 0.009
    assert abs((frame["device_type"] == "desktop").mean() - 0.42) < 0.009
    assert abs((frame["channel"] == "direct").mean() - 0.09) < 0.006
    assert [c for c in frame.columns if c.startswith("z")] == ["z0", "z1", "z2", "z3", "z4"]


@pytest.mark.parametrize("template", sorted(TEMPLATES))
@pytest.mark.parametrize("K", [2, 3, 5])
def test_every_template_passes_the_door_for_any_number_of_arms(template: str, K: int) -> None:
    source = simulated_experiment_generator(template=template, K=K, effect_scale=0.3, seed=K)
    served = uniform_plan(source.arms, 2_000)
    frame, truth = source(0, served)
    seen = read_round(frame, columns=source.columns, arms=source.arms, plan=served)
    assert seen.notices == ()
    assert seen.arms == simulated_arms(K)
    assert truth.rpv.shape == (2_000, K)
    assert (truth.severity > 0).all()
    assert ((truth.conversion > 0) & (truth.conversion < 1)).all()
    np.testing.assert_allclose(truth.rpv[:, 0], 2.5)
    assert np.abs(truth.cate).max() > 0.1


def test_templates_have_the_effects_of_their_formulas() -> None:
    def at(template: str, **settings: object) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        source = simulated_experiment_generator(
            template=template, K=2, effect_scale=0.2, seed=5, **settings
        )  # type: ignore[arg-type]
        frame, truth = source(0, uniform_plan(source.arms, 400))
        odds = truth.conversion / (1 - truth.conversion)
        return frame, np.log(odds[:, 1] / odds[:, 0]), truth.severity[:, 1] - 50

    x, shift, added = at("constant")
    np.testing.assert_allclose(shift, 0.2)
    np.testing.assert_allclose(added, 0.2 * 5)
    x, shift, added = at("reversal")
    np.testing.assert_allclose(shift, 0.2 * (x["session_recency"] - 2))
    np.testing.assert_allclose(added, 0.2 * 5 * (x["session_recency"] - 2))
    x, shift, added = at("monotone_gradient")
    np.testing.assert_allclose(shift, 0.2 * 2 * (x["session_recency"] - 2))
    np.testing.assert_allclose(added, 0.2 * 5 * (x["session_recency"] - 2))
    x, shift, _ = at("interaction_only", channel_mode="conversion_only")
    np.testing.assert_allclose(shift, 0.2 * (x["session_recency"] - 2) * (x["browse_depth"] - 3))
    x, _, added = at("constant", channel_mode="opposing")
    np.testing.assert_allclose(added, -0.2 * 5)
    x, shift, added = at("nonlinear", channel_mode="conversion_only")
    r = x["session_recency"] - 2
    np.testing.assert_allclose(shift, 0.2 * (0.5 * r**2 + 0.5 * r * (x["browse_depth"] - 3)))
    np.testing.assert_allclose(added, 0.0)
    x, shift, added = at("sparse_benefit", channel_mode="severity_only")
    np.testing.assert_allclose(shift, 0.0, atol=1e-12)
    np.testing.assert_array_equal(added > 0, x["session_recency"] > 3.5546500840842)


def test_prognosis_moves_control_too_and_leaves_null_effects_null() -> None:
    for template in ("constant", "clustered_complex"):
        source = simulated_experiment_generator(
            template=template, K=3, effect_scale=0.0, prognostic=True
        )
        _, truth = source(0, uniform_plan(source.arms, 2_000))
        assert truth.conversion[:, 0].std() > 0.01
        np.testing.assert_allclose(truth.cate, 0.0, atol=1e-12)


def test_effects_can_be_planted_on_a_real_frame() -> None:
    rng = np.random.default_rng(0)
    real = pd.DataFrame(
        {"age": rng.integers(18, 80, 300), "plan": rng.choice(["a", "b"], 300)}
    ).assign(spend=rng.lognormal(3, 1, 300))
    source = simulated_experiment_generator(
        template="monotone_gradient", K=2, effect_scale=0.2, features=real
    )
    frame, truth = source(0, uniform_plan(source.arms, 3_000))
    assert {"age", "plan", "spend"} <= set(frame.columns)
    assert "session_recency" not in frame
    assert set(frame["spend"]) <= set(real["spend"])
    assert np.corrcoef(frame["age"], truth.cate[:, 0])[0, 1] > 0.8
    for bad, words in (
        ({"template": "clustered"}, "features of its own"),
        ({"features": real[["plan", "age"]]}, "two numeric columns"),
    ):
        with pytest.raises(DesignError, match=words):
            simulated_experiment_generator(
                **{"template": "reversal", "features": real, **bad}  # type: ignore[arg-type]
            )


def test_sparse_benefit_helps_fifteen_per_cent() -> None:
    source = simulated_experiment_generator(template="sparse_benefit", K=2, effect_scale=0.5)
    _, truth = source(0, uniform_plan(source.arms, 20_000))
    helped = truth.conversion[:, 1] > 0.05
    assert abs(helped.mean() - 0.15) < 0.011
    np.testing.assert_allclose(truth.conversion[helped, 1], 0.25)


def test_outcomes_follow_the_planted_truth() -> None:
    source = simulated_experiment_generator(effect_scale=0.5, seed=11, severity_sigma=0.3)
    frame, truth = source(0, uniform_plan(source.arms, 60_000))
    arm = pd.Categorical(frame["arm"], categories=source.arms).codes.astype(int)
    rows = np.arange(len(frame))
    expected = truth.rpv[rows, arm]
    for k in range(3):
        gap = (frame["revenue"] - expected)[arm == k]
        assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(len(gap))
    bought = frame["revenue"] > 0
    noise = np.log(frame["revenue"][bought]) - np.log(truth.severity[rows, arm][bought])
    assert abs(noise.std() - 0.3) < 0.015
    assert abs(noise.mean() + 0.045) < 0.02


def test_conversion_rate_gives_zeros_and_ones() -> None:
    source = simulated_experiment_generator(metric="conversion_rate", seed=2)
    served = uniform_plan(source.arms, 1_000)
    frame, truth = source(0, served)
    assert set(frame["revenue"]) == {0.0, 1.0}
    np.testing.assert_array_equal(truth.rpv, truth.conversion)
    seen = read_round(frame, columns=source.columns, arms=source.arms, metric="conversion_rate")
    assert seen.outcome is Outcome.BINARY


def test_rounds_depend_on_seed_and_index_only() -> None:
    source: Source = simulated_experiment_generator(seed=4)
    other = simulated_experiment_generator(seed=4)
    plans = [uniform_plan(other.arms, 300, r) for r in range(2)]
    first, second = source(0, plans[0])[0], source(1, plans[1])[0]
    pd.testing.assert_frame_equal(other(1, plans[1])[0], second)
    pd.testing.assert_frame_equal(other(0, plans[0])[0], first)
    assert not set(first["visitor_id"]) & set(second["visitor_id"])
    assert not np.allclose(first["z0"], second["z0"])
    assert not np.allclose(
        simulated_experiment_generator(seed=5)(0, plans[0])[0]["z0"], first["z0"]
    )


def test_arms_are_assigned_and_recorded_by_the_plan() -> None:
    source = simulated_experiment_generator(seed=6, treatment_names=["c", "x", "y"])
    left = Rule((Threshold("browse_depth", "<=", 3.0),))
    right = Rule((Threshold("browse_depth", ">", 3.0),))
    tree = TreePolicy(
        (Route("S1", left, {"x": 0.9, "y": 0.1}), Route("S2", right, {"y": 1.0})), {"c": 1.0}
    )
    cells = (Cell("control", BaselinePolicy(), 0.25), Cell("optimized", tree, 0.75))
    frame, _ = source(0, Plan(0, source.arms, cells, 8_000))
    low = frame["browse_depth"] <= 3
    recorded = frame[["propensity_c", "propensity_x", "propensity_y"]]
    np.testing.assert_allclose(recorded[low], [[0.25, 0.675, 0.075]] * low.sum())
    np.testing.assert_allclose(recorded[~low], [[0.25, 0, 0.75]] * (~low).sum())
    assert (frame["arm"][frame["cell"] == "control"] == "c").all()
    counts = [(low & (frame["arm"] == a)).sum() for a in source.arms]
    assert stats.chisquare(counts, low.sum() * np.array([0.25, 0.675, 0.075])).pvalue > 1e-4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"template": "clustered_real"}, "Did you mean 'clustered_realistic'"),
        ({"metric": "profit"}, "Known metrics"),
        ({"K": 1}, "at least one treatment"),
        ({"K": 3, "treatment_names": ["control", "a"]}, "K is 3 but there are 2 names"),
        ({"treatment_names": "control"}, "list of names"),
        ({"channel_mode": "orthogonal"}, "Unknown channel mode"),
        ({"baseline_rate": 0}, "share between 0 and 1"),
        ({"severity_sigma": -1}, "severity sigma from 0"),
        ({"effect_scale": float("nan")}, "effect_scale is nan; use a finite"),
        ({"seed": -1}, "seed is -1; use a whole number from 0"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], message: str) -> None:
    with pytest.raises(DesignError, match=message):
        simulated_experiment_generator(**settings)  # type: ignore[arg-type]


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(TypeError, match="n_clusters"):
        simulated_experiment_generator(n_clusters=3)  # type: ignore[call-arg]


def test_plans_that_cannot_be_served() -> None:
    source = simulated_experiment_generator()
    with pytest.raises(DesignError, match="this source has"):
        source(0, plan())
    with pytest.raises(DesignError, match="schedule may be exhausted"):
        source(0, replace(uniform_plan(source.arms, 1), n_visitors=None))


# --- replay ---


def logged(n: int, shares: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)) -> pd.DataFrame:
    """A trial with independent arms; revenue names the visitor, so that rows can be traced."""
    rng = np.random.default_rng(9)
    return pd.DataFrame(
        {
            "arm": np.array(ARMS)[rng.choice(3, n, p=shares)],
            "revenue": np.where(np.arange(n) % 4 == 0, np.arange(n) / 7 + 1, 0.0),
            "group": np.array(["new", "old"])[rng.integers(0, 2, n)],
            "visit": 1,
        }
    )


def by_group(n: int) -> Plan:
    routes = (
        Route("S1", Rule((Levels("group", ("new",)),)), {"a": 0.8, "b": 0.2}),
        Route("S2", Rule((Levels("group", ("old",)),)), {"control": 0.3, "b": 0.7}),
    )
    cells = (
        Cell("control", BaselinePolicy(), 0.2),
        Cell("optimized", TreePolicy(routes, {"control": 1.0}), 0.8),
    )
    return Plan(0, ARMS, cells, n)


@pytest.mark.parametrize("shares", [(1 / 3, 1 / 3, 1 / 3), (0.5, 0.3, 0.2)])
def test_replayed_arms_have_the_plans_probabilities(shares: tuple[float, ...]) -> None:
    """Also where the trial's own were unequal: there, thinning corrects for them."""
    log = logged(60_000, shares)
    source = replay(
        log, arm="arm", revenue="revenue", logged_propensity=dict(zip(ARMS, shares, strict=True))
    )
    frame = source(0, by_group(60_000))
    # P(kept) = min(q) for everyone: 4 standard deviations allowed.
    kept, q = len(frame) / len(log), min(shares)
    assert abs(kept - q) < 4 * np.sqrt(q * (1 - q) / len(log))
    for group, expected in (("new", [0.2, 0.64, 0.16]), ("old", [0.44, 0, 0.56])):
        rows = frame[frame["group"] == group]
        counts = np.array([(rows["arm"] == a).sum() for a in ARMS])
        possible = np.array(expected) > 0
        assert counts[~possible].sum() == 0
        test = stats.chisquare(counts[possible], len(rows) * np.array(expected)[possible])
        assert test.pvalue > 1e-4
        recorded = rows[["propensity_control", "propensity_a", "propensity_b"]]
        np.testing.assert_allclose(recorded, [expected] * len(rows))
    # Who is observed does not depend on x.
    assert abs((frame["group"] == "new").mean() - (log["group"] == "new").mean()) < 0.016


def test_without_thinning_unequal_trials_would_be_wrong() -> None:
    """The correction matters: believing equal probabilities gives other arm shares."""
    log = logged(60_000, (0.5, 0.3, 0.2))
    equal = dict.fromkeys(ARMS, 1 / 3)
    source = replay(log, arm="arm", revenue="revenue", logged_propensity=equal)
    rows = source(0, by_group(60_000)).query("group == 'new'")
    counts = [(rows["arm"] == a).sum() for a in ARMS]
    assert stats.chisquare(counts, len(rows) * np.array([0.2, 0.64, 0.16])).pvalue < 1e-12


def test_logged_probabilities_default_to_the_shares() -> None:
    log = logged(3_000, (0.5, 0.3, 0.2))
    source = replay(log, arm="arm", revenue="revenue")
    shares = [(log["arm"] == a).mean() for a in ARMS]
    np.testing.assert_allclose(source.logged_propensity, shares)
    np.testing.assert_allclose(source.keep, min(shares) / np.array(shares))


def test_no_visitor_comes_twice_and_rows_are_the_logs() -> None:
    log = logged(6_000)
    before = log.copy(deep=True)
    source = replay(log, arm="arm", revenue="revenue", ignore=("visit",), seed=2)
    assert source.remaining() == len(source) == 6_000
    rounds = [source(r, replace(plan(500), round_index=r)) for r in range(3)]
    assert [len(r) for r in rounds] == [500, 500, 500]
    seen = pd.concat(rounds)
    assert seen["visitor_id"].is_unique
    assert "visit" not in seen
    position = seen["visitor_id"].str.removeprefix("row").astype(int).to_numpy()
    np.testing.assert_array_equal(seen["revenue"], log["revenue"].to_numpy()[position])
    np.testing.assert_array_equal(seen["arm"], log["arm"].to_numpy()[position])
    assert 0 < source.remaining() < 6_000 - 3 * 500
    pd.testing.assert_frame_equal(log, before)


def test_replay_is_the_same_again_also_in_another_process() -> None:
    log = logged(6_000)

    def fresh(seed: int = 2):
        return replay(log, arm="arm", revenue="revenue", seed=seed)

    source = fresh()
    first, second = source(0, plan(500)), source(1, plan(500))
    pd.testing.assert_frame_equal(source(1, plan(500)), second)  # a retry of the round
    left = source.remaining()
    pd.testing.assert_frame_equal(source(0, plan(500)), first)
    pd.testing.assert_frame_equal(source(1, plan(500)), second)
    later = fresh()
    later.continue_after(set(first["visitor_id"]))
    pd.testing.assert_frame_equal(later(1, plan(500)), second)
    assert later.remaining() == left
    assert set(fresh(3)(0, plan(500))["visitor_id"]) != set(first["visitor_id"])


def test_the_log_runs_out() -> None:
    source = replay(logged(900), arm="arm", revenue="revenue")
    assert 250 < len(source(0, plan(5_000))) < 350
    assert source.remaining() == 0
    with pytest.raises(DataError, match="used up: all 900"):
        source(1, plan(100))


def test_a_replayed_round_passes_the_door() -> None:
    log = good_round(3_000).drop(columns=["cell", *(f"propensity_{a}" for a in ARMS)])
    source = replay(log, arm="arm", revenue="revenue", visitor="visitor_id")
    served = plan(400)
    frame = source(0, served)
    seen = read_round(frame, columns=source.columns, arms=source.arms, plan=served)
    assert seen.notices == ()
    assert seen.propensity_recorded
    assert seen.schema.names == ("age", "channel", "is_returning")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"arm": "group"}, DesignError, "Name the control arm"),
        ({"arm": "Arm"}, DataError, "Did you mean 'arm'"),
        ({"revenue": "spend"}, DataError, "'spend'"),
        ({"visitor": "group"}, DataError, "repeat a visitor id"),
        ({"control": "Control"}, DesignError, "Did you mean 'control'"),
        ({"arms": ["a", "control", "b"], "control": "control"}, DesignError, "control first"),
        ({"arms": ["control", "a"]}, DataError, r"'b' \(\d+ rows\)"),
        ({"arms": ["control", "a", "b", "c"]}, DataError, r"No visitor has the arm\(s\) \['c'\]"),
        ({"ignore": ("visits",)}, DataError, "Did you mean 'visit'"),
        ({"logged_propensity": {"control": 1.0}}, DesignError, "the arms are"),
        (
            {"logged_propensity": {"control": 0.5, "a": 0.5, "b": 0.5}},
            DesignError,
            "add up to 1",
        ),
        (
            {"logged_propensity": {"control": 0.5, "a": 0.5, "b": "half"}},
            DesignError,
            "The logged probability of 'b' is 'half'",
        ),
    ],
)
def test_logs_that_cannot_be_replayed(
    settings: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        replay(logged(300), **{"arm": "arm", "revenue": "revenue", **settings})  # type: ignore[arg-type]


def test_a_log_with_the_columns_that_replay_writes() -> None:
    with pytest.raises(DataError, match=r"the log has \['cell'\] already"):
        replay(logged(300).assign(cell="x"), arm="arm", revenue="revenue")
    with pytest.raises(DataError, match="must be a pandas DataFrame; got list"):
        replay([1, 2], arm="arm", revenue="revenue")  # type: ignore[arg-type]


@pytest.mark.skipif(not HILLSTROM.exists(), reason="the Hillstrom data are not beside the checkout")
def test_hillstrom_replayed_under_a_uniform_plan() -> None:
    with gzip.open(HILLSTROM) as file:
        log = pd.read_csv(file)
    source = replay(
        log,
        arm="segment",
        revenue="spend",
        control="No E-Mail",
        ignore=("visit", "conversion"),
        logged_propensity={"No E-Mail": 1 / 3, "Mens E-Mail": 1 / 3, "Womens E-Mail": 1 / 3},
    )
    served = uniform_plan(source.arms, 64_000)
    frame = source(0, served)
    assert abs(len(frame) - 64_000 / 3) < 4 * np.sqrt(64_000 * 2 / 9)
    for arm, group in frame.groupby("segment"):
        everyone = log["spend"][log["segment"] == arm]
        assert abs(group["spend"].mean() - everyone.mean()) < 4 * everyone.std() / np.sqrt(
            len(group)
        )
