"""Covariate balance against direct formulas, simulated policies and planted leaks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pytyche_engine.contracts import (
    DesignError,
    Feature,
    FeatureKind,
    FeatureSchema,
    Observations,
    Outcome,
)
from pytyche_engine.decisions.balance import FAR, covariate_balance

ARMS = ("control", "a", "b")
SCHEMA = FeatureSchema(
    (
        *(Feature(f"z{j}", FeatureKind.NUMERIC, f"z{j}") for j in range(4)),
        Feature("spent", FeatureKind.NUMERIC, "spent"),
        Feature("device", FeatureKind.CATEGORICAL, "device", ("desktop", "mobile", "tablet")),
        Feature("member", FeatureKind.BOOLEAN, "member"),
    )
)


def visitors(n: int, rng: np.random.Generator) -> pd.DataFrame:
    numbers = {f"z{j}": rng.normal(size=n) for j in range(4)}
    numbers["z1"][rng.random(n) < 0.1] = np.nan
    device = pd.Categorical.from_codes(
        np.minimum(rng.geometric(0.6, n) - 1, 2), ["desktop", "mobile", "tablet"]
    )
    member = pd.array(rng.random(n) < 0.3, dtype="boolean")
    return pd.DataFrame(
        {**numbers, "spent": rng.lognormal(2, 1.5, n), "device": device, "member": member}
    )


def adaptive(features: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """(n, 3) probabilities that follow features, as low as 2 %."""
    up = (features["z0"] > 0).to_numpy() & (features["device"] == "desktop").to_numpy()
    shares = np.array([[0.05, 0.93, 0.02], [0.1, 0.2, 0.7]])
    return shares[np.where(rng.random() < 0.5, up, ~up).astype(int)]


def seen(features: pd.DataFrame, p: np.ndarray, arm: np.ndarray) -> Observations:
    n = len(arm)
    return Observations(
        arms=ARMS,
        visitor_id=np.arange(n),
        arm=arm,
        revenue=np.zeros(n),
        features=features,
        schema=SCHEMA,
        outcome=Outcome.HURDLE,
        propensity=p,
        propensity_recorded=True,
        round_index=np.zeros(n, dtype=np.int64),
        cell=np.full(n, -1),
        cells=(),
    )


def assign(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(len(p))[:, None] > p.cumsum(axis=1)).sum(axis=1)


def policy_trial(n: int, seed: int) -> Observations:
    rng = np.random.default_rng(seed)
    features = visitors(n, rng)
    p = adaptive(features, rng)
    return seen(features, p, assign(p, rng))


def test_differences_are_those_of_overlap_weighted_means():
    observed = policy_trial(3_000, 1)
    rows = {(r.feature, r.arm): r for r in covariate_balance(observed).rows}
    e, z = observed.propensity[:, 1], observed.arm == 1
    for name, x, there in (
        ("z2", observed.features["z2"].to_numpy(), np.ones(3_000, bool)),
        ("z1", observed.features["z1"].fillna(0).to_numpy(), ~observed.features["z1"].isna()),
        ("z1 missing", observed.features["z1"].isna().to_numpy(float), np.ones(3_000, bool)),
        ("device = mobile", (observed.features["device"] == "mobile").to_numpy(float), None),
        ("member = True", observed.features["member"].to_numpy(float), None),
    ):
        w = np.where(z, 1 - e, e) * (1.0 if there is None else np.asarray(there))
        overlap = e * (1 - e) * (w > 0)
        centre = np.average(x, weights=overlap)
        sd = np.sqrt(np.average((x - centre) ** 2, weights=overlap))
        # The difference of weighted sums, from weights that are the arm's and the others'.
        raw = (w * x)[z].sum() - (w * x)[~z].sum() - centre * (w[z].sum() - w[~z].sum())
        assert rows[name, "a"].smd == pytest.approx(raw / overlap.sum() / sd, rel=1e-9, abs=1e-12)


def test_p_values_bound_binomial_tails_where_normal_ones_would_not():
    # 200 of 20,000 visitors are members; arm b gets 3 % of everyone, and 20 of them.
    n, members, got, e = 20_000, 200, 20, 0.03
    p = np.tile([0.5, 0.5 - e, e], (n, 1))
    arm = np.where(np.arange(n) % 2, 1, 0)
    arm[:got] = 2
    arm[members : members + int(e * (n - members))] = 2
    features = pd.DataFrame({"member": pd.array(np.arange(n) < members, dtype="boolean")})
    observed = replace(seen(features, p, arm), schema=FeatureSchema(SCHEMA.features[-1:]))
    check = covariate_balance(observed)
    assert len(check.rows) == 3  # one level and three arms
    row = next(r for r in check.rows if r.arm == "b")
    exact = 2 * stats.binom.sf(got - 1, members, e)
    assert exact < row.p_value / 3 < 50 * exact
    z = (got - members * e) / np.sqrt(members * e * (1 - e))
    assert 2 * stats.norm.sf(z) < exact / 100


def test_a_policy_that_follows_features_raises_no_alarm():
    joint = [covariate_balance(policy_trial(400, 100 + s)).p_value for s in range(300)]
    # Of 300 sets, 5 % would be 15: the bound is on the safe side of its level.
    assert np.mean(np.array(joint) <= 0.05) <= 0.05
    # Raw means would alarm in every one.
    observed = policy_trial(400, 100)
    z0 = observed.features["z0"]
    assert stats.ttest_ind(z0[observed.arm == 1], z0[observed.arm != 1]).pvalue < 1e-6


@pytest.mark.parametrize(
    ("lost", "feature"),
    [
        (lambda x: x["device"] == "mobile", "device = mobile"),
        (lambda x: x["z1"].isna(), "z1 missing"),
        (lambda x: x["z3"] > 1, "z3"),
        (lambda x: x["spent"] > 40, "spent"),
    ],
)
def test_visitors_lost_from_one_arm_by_a_feature_are_found(lost, feature):
    observed = policy_trial(50_000, 7)
    rng = np.random.default_rng(8)
    gone = lost(observed.features).to_numpy(bool) & (observed.arm == 1) & (rng.random(50_000) < 0.4)
    check = covariate_balance(observed.take(~gone))
    assert check.alarms
    assert check.rows[0].feature == feature
    worst = next(r for r in check.alarms if r.arm == "a")
    assert worst.smd < 0
    assert not covariate_balance(observed).alarms
    assert "alarm" in check.table().text().splitlines()[2]


def test_visitors_lost_at_random_are_not_an_imbalance():
    observed = policy_trial(20_000, 9)
    rng = np.random.default_rng(10)
    gone = (observed.arm == 1) & (rng.random(20_000) < 0.2)
    assert not covariate_balance(observed.take(~gone)).alarms


def test_single_extreme_visitors_and_rare_levels_do_not_decide():
    observed = policy_trial(2_000, 11)
    features = observed.features.copy()
    features.loc[int(np.flatnonzero(observed.arm == 2)[0]), "z2"] = 1e9
    row = next(
        r
        for r in covariate_balance(replace(observed, features=features)).rows
        if (r.feature, r.arm) == ("z2", "b")
    )
    # One visitor at FAR standard deviations, all others at the mean.
    assert row.p_value == 1.0
    assert abs(row.smd) <= FAR
    three = features.assign(device=features["device"].cat.add_categories("new"))
    three.loc[np.flatnonzero(observed.arm == 2)[:3], "device"] = "new"
    names = {r.feature for r in covariate_balance(replace(observed, features=three)).rows}
    assert "device = new" not in names


def test_constant_and_empty_features_and_arms_that_nobody_could_get_are_left_out():
    observed = policy_trial(500, 12)
    features = observed.features.assign(z2=3.0, z3=np.nan)
    p = np.tile([0.4, 0.6, 0.0], (500, 1))
    arm = assign(p, np.random.default_rng(13))
    check = covariate_balance(replace(observed, features=features, propensity=p, arm=arm))
    assert {r.arm for r in check.rows} == {"control", "a"}
    assert not {"z2", "z3", "z3 missing"} & {r.feature for r in check.rows}
    nobody = covariate_balance(replace(observed, schema=FeatureSchema(())))
    assert nobody.rows == ()
    assert nobody.p_value is None
    with pytest.raises(DesignError, match="at least one visitor"):
        covariate_balance(observed.take(np.zeros(500, dtype=bool)))
