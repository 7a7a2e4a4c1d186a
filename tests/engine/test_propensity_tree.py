"""Assignment probabilities expected of visitors who come without them."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from trials import trial

from pytyche_engine.bcf import Posterior, Settings, fit
from pytyche_engine.bcf.encoding import learn_encoding
from pytyche_engine.bcf.propensities import (
    MOST_LEAVES,
    PropensityTree,
    is_propensity,
    learn_propensities,
)
from pytyche_engine.contracts.errors import StoreError
from pytyche_engine.contracts.observations import Feature, FeatureKind, FeatureSchema, Outcome

SHARES = np.array([[0.10, 0.82, 0.08], [0.02, 0.58, 0.40], [0.06, 0.60, 0.34]])
SCHEMA = FeatureSchema(
    tuple(
        Feature(name, kind, name)
        for name, kind in (
            ("depth", FeatureKind.NUMERIC),
            ("country", FeatureKind.CATEGORICAL),
            ("noise", FeatureKind.NUMERIC),
        )
    )
)


def visitors(n, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "depth": rng.integers(0, 12, n).astype(float),
            "country": pd.Categorical(rng.choice(list("abcdefgh"), n)),
            "noise": rng.normal(size=n),
        }
    )


def assigned(x):
    """A policy by two features: deep ones, and of the others those of three countries."""
    near = x["country"].isin(["b", "c", "f"])
    return SHARES[np.select([x["depth"] >= 7, near], [0, 1], 2)]


def learnt(x, propensity):
    """How to tell probabilities, learnt from these visitors."""
    encoding = learn_encoding(x, SCHEMA, num_cuts=100)
    tree = learn_propensities(encoding.encode(x), propensity)
    return tree, lambda other: tree.predict(encoding.encode(other))


@pytest.mark.parametrize("n", [500, 60_000])
def test_a_policy_by_two_features_is_recovered_exactly(n):
    x, new = visitors(n, 0), visitors(2_000, 1)
    _, tell = learnt(x, assigned(x))
    np.testing.assert_array_equal(tell(new), assigned(new))


def test_equal_probabilities_are_one_leaf():
    shares = (0.7, 0.1, 0.2)
    tree, tell = learnt(visitors(3_000, 0), np.tile(shares, (3_000, 1)))
    assert tree == PropensityTree((), (shares,))
    np.testing.assert_array_equal(tell(visitors(10, 1)), [shares] * 10)


def test_what_features_do_not_explain_is_left_at_its_mean():
    x = visitors(2_000, 0)
    rng = np.random.default_rng(2)
    own = rng.dirichlet([3, 3, 3], size=2_000)
    tree, _ = learnt(x, own)
    np.testing.assert_allclose(tree.leaves, own.mean(axis=0)[None])
    # Two rounds: everyone alike in one, by policy in the other.
    policy = assigned(x)
    first = rng.random(2_000) < 0.4
    tree, tell = learnt(x, np.where(first[:, None], 1 / 3, policy))
    assert len(tree.leaves) < MOST_LEAVES / 2
    expected = 0.4 / 3 + 0.6 * policy
    error = ((tell(x) - expected) ** 2).mean()
    assert error < 0.03 * expected.var(axis=0).mean()


def test_few_visitors_and_no_feature_are_no_obstacle():
    few, many = visitors(30, 0), visitors(300, 0)
    for x, X in ((few, learn_encoding(few, SCHEMA, 100).encode(few)), (many, np.zeros((0, 300)))):
        tree = learn_propensities(X.astype(np.uint8), assigned(x))
        np.testing.assert_allclose(tree.leaves, [assigned(x).mean(axis=0)])


# In a fit

SETTINGS = Settings(
    num_trees_mu=20,
    num_trees_tau=5,
    num_warm_up=200,
    min_draws=150,
    max_draws=150,
    thin=2,
    max_depth=4,
)
EFFECT = 1.3


def routed(seed, n=800):
    """Big spenders, known by two features, are served treatment "a" more often."""
    made = trial(n=n, n_arms=2, n_features=3, outcome=Outcome.CONTINUOUS, seed=seed)
    big = ((made.features["z0"] > 0) & (made.features["z1"] > -0.3)).to_numpy()
    likely = np.where(big, 0.8, 0.2)
    rng = np.random.default_rng([seed, 1])  # not the features' own
    arm = (rng.random(n) < likely).astype(int)
    base = np.where(big, 120.0, 40.0)
    noise = np.exp(0.4 * rng.normal(size=n) - 0.08)
    revenue = base * noise * np.where(arm == 1, EFFECT, 1.0)
    propensity = np.column_stack([1 - likely, likely])
    return replace(made, arm=arm, revenue=revenue, propensity=propensity), base, big


@pytest.fixture(scope="module")
def posterior():
    return fit(routed(0)[0], settings=SETTINGS, seed=1)


def test_new_visitors_are_predicted_as_well_without_them_as_with_them(posterior):
    new, base, big = routed(1)
    mean = np.tile(routed(0)[0].propensity.mean(axis=0), (len(new), 1))
    truth = base[:, None] * [1.0, EFFECT]
    groups = np.column_stack([big, ~big, np.ones(len(new))]).astype(float)
    error, lifts = {}, {}
    for name, given in (("own", new.propensity), ("none", None), ("mean", mean)):
        found = posterior.predict(new.features, propensity=given).rpv
        error[name] = np.sqrt((np.log(found / truth) ** 2).mean())
        draws = posterior.group_draws(
            new.features, groups, ("big", "small", "all"), propensity=given
        )
        lifts[name] = draws.lift[:, :, 1].mean(axis=0)
    # Not the same: a policy's threshold is inside of a bin, whose visitors get its mean.
    assert error["none"] < 2 * error["own"]
    assert error["none"] < 0.3 * error["mean"]
    # At the mean, much of what big spenders' lift is made of is lost.
    assert lifts["mean"][0] < 0.6 * (base[big] * (EFFECT - 1)).mean()
    assert lifts["mean"][2] < 0.8 * (base * (EFFECT - 1)).mean()
    np.testing.assert_allclose(lifts["none"], lifts["own"], rtol=0.05)


def test_a_saved_posterior_remembers_them(posterior, tmp_path):
    x = routed(1)[0].features
    assert len(posterior.propensity_tree.leaves) > 1
    posterior.save(tmp_path)
    again = Posterior.load(tmp_path)
    assert again.propensity_tree == posterior.propensity_tree
    np.testing.assert_array_equal(again.predict(x).rpv, posterior.predict(x).rpv)


def test_a_posterior_of_an_older_version_is_refused(posterior, tmp_path):
    posterior.save(tmp_path)
    file = tmp_path / "posterior.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 2}))
    with pytest.raises(StoreError, match="has schema 2; this version reads 3"):
        Posterior.load(tmp_path)


def test_columns_that_a_later_round_added_count_too(posterior):
    made = routed(2)[0]
    known = made.features["z2"] < 1
    propensity = np.where(known.to_numpy()[:, None], [0.3, 0.7], [0.6, 0.4])
    features = made.features.assign(z2=made.features["z2"].where(known))
    short = replace(SETTINGS, num_warm_up_warm=2, min_draws=2, max_draws=2)
    later = fit(
        replace(made, features=features, propensity=propensity),
        settings=short,
        seed=1,
        previous=posterior,
    )
    columns = later.encoding.columns
    assert (columns[-1].feature, columns[-1].test) == ("z2", "missing")
    assert is_propensity(columns[-2].feature)  # before what is new
    np.testing.assert_array_equal(
        later.predict(features).rpv, later.predict(features, propensity=propensity).rpv
    )
    assert len(later.propensity_tree.leaves) == 2
