"""Recorded assignment probabilities: what mu sees, and tau does not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from trials import trial

from pytyche_engine.bcf import Settings, fit
from pytyche_engine.bcf.propensities import (
    is_propensity,
    schema_with_propensities,
    with_propensities,
)
from pytyche_engine.contracts.observations import Outcome

# All fits here share one compiled shape.
SETTINGS = Settings(
    num_trees_mu=20,
    num_trees_tau=5,
    num_warm_up=200,
    min_draws=150,
    max_draws=150,
    thin=2,
    max_depth=4,
)
EFFECT = 1.1


def observational(seed=0, n=800):
    """Big spenders are served treatment "a" more often, and no feature says who they are."""
    rng = np.random.default_rng([seed, 1])  # not the features' own
    driver = rng.normal(size=n)
    likely = np.clip(1 / (1 + np.exp(-1.5 * driver)), 0.05, 0.95)
    arm = (rng.random(n) < likely).astype(int)
    base = 50 * np.exp(0.5 * driver)
    noise = np.exp(0.2 * rng.normal(size=n) - 0.02)
    revenue = base * noise * np.where(arm == 1, EFFECT, 1.0)
    made = replace(
        trial(n=n, n_arms=2, n_features=1, outcome=Outcome.CONTINUOUS, seed=seed),
        arm=arm,
        revenue=revenue,
        propensity=np.column_stack([1 - likely, likely]),
    )
    return made, float((base * (EFFECT - 1)).mean())


@pytest.fixture(scope="module")
def confounded():
    return observational()


@pytest.fixture(scope="module")
def recorded(confounded):
    return fit(confounded[0], settings=SETTINGS, seed=1)


@pytest.fixture(scope="module")
def unrecorded(confounded):
    return fit(replace(confounded[0], propensity_recorded=False), settings=SETTINGS, seed=1)


def test_recorded_propensities_take_the_confounding_out(confounded, recorded, unrecorded):
    observations, truth = confounded
    raw = (
        observations.revenue[observations.arm == 1].mean()
        - observations.revenue[observations.arm == 0].mean()
    )
    own = observations.propensity
    lift = recorded.effects(observations.features, propensity=own).lift[:, 0, 1]
    naive = unrecorded.effects(observations.features).lift[:, 0, 1]
    assert abs(raw - truth) > 5 * truth  # the raw difference is badly biased
    assert abs(naive.mean() - truth) > 0.7 * abs(raw - truth)  # and nothing else says so
    assert abs(lift.mean() - truth) < 0.15 * abs(naive.mean() - truth)
    assert abs(lift.mean() - truth) < 3 * lift.std()


def test_only_mu_splits_on_a_propensity(recorded):
    columns = [is_propensity(c.feature) for c in recorded.encoding.columns]
    assert columns == [False, True]

    def used(forest):
        var, split = (getattr(recorded.draws, f"{forest}_{x}") for x in ("var", "split"))
        return set(np.unique(var[split > 0]).tolist())

    assert used("mu") == {0, 1}
    assert used("tau") == {0}


def test_unrecorded_ones_are_not_looked_at(confounded, unrecorded):
    observations = confounded[0]
    shares = np.full((len(observations), 2), 0.5)
    other = replace(observations, propensity=shares, propensity_recorded=False)
    assert unrecorded.propensity_tree is None
    np.testing.assert_array_equal(
        fit(other, settings=SETTINGS, seed=1).draws.mu_leaf, unrecorded.draws.mu_leaf
    )


def test_constant_ones_add_no_column(confounded, unrecorded):
    observations = confounded[0]
    constant = replace(observations, propensity=np.full((len(observations), 2), 0.5))
    posterior = fit(constant, settings=SETTINGS, seed=1)
    assert posterior.encoding == unrecorded.encoding
    assert posterior.propensity_tree is None
    np.testing.assert_array_equal(posterior.draws.mu_leaf, unrecorded.draws.mu_leaf)


def test_where_features_say_nothing_of_them_their_mean_stands_in(confounded, recorded):
    observations = confounded[0]
    some, own = observations.features.iloc[:50], observations.propensity[:50]
    typical = np.tile(observations.propensity.mean(axis=0), (50, 1))
    without = recorded.predict(some)
    np.testing.assert_array_equal(without.rpv, recorded.predict(some, propensity=typical).rpv)
    with_own = recorded.predict(some, propensity=own)
    # The own ones say who spends much.
    revenue = np.log(observations.revenue[:50])
    assert np.corrcoef(np.log(with_own.rpv[:, 0]), revenue)[0, 1] > 0.7
    assert without.rpv[:, 0].std() < 0.3 * with_own.rpv[:, 0].std()
    # The same holds for the draws of groups.
    half = np.arange(50)[:, None] < 25
    groups = [
        recorded.group_draws(some, half, ("first",), propensity=p).rpv for p in (None, typical, own)
    ]
    np.testing.assert_array_equal(groups[0], groups[1])
    assert not np.allclose(groups[0], groups[2], rtol=0.01)
    everyone = [recorded.effects(some, propensity=p).rpv for p in (None, typical, own)]
    np.testing.assert_array_equal(everyone[0], everyone[1])
    assert not np.allclose(everyone[0], everyone[2], rtol=0.001)


def test_a_fit_that_knew_none_predicts_the_same_whatever_is_given(confounded, unrecorded):
    observations = confounded[0]
    np.testing.assert_array_equal(
        unrecorded.predict(observations.features).rpv,
        unrecorded.predict(observations.features, propensity=observations.propensity).rpv,
    )


def test_a_round_without_them_after_one_with_them_can_be_asked(confounded, recorded):
    both = replace(confounded[0], propensity_recorded=False)
    posterior = fit(both, settings=SETTINGS, seed=2, previous=recorded)
    assert np.isfinite(posterior.predict(both.features).rpv).all()


def test_columns_are_the_treatments_probabilities():
    made = trial(n=4)
    likely = np.array([[0.5, 0.3, 0.2]] * 2 + [[0.1, 0.2, 0.7]] * 2)
    frame = with_propensities(made.features, made.arms, likely)
    added = [c for c in frame if is_propensity(c)]
    np.testing.assert_array_equal(frame[added].to_numpy(), likely[:, 1:])
    assert list(frame) == list(schema_with_propensities(made.schema, made.arms).names)
    pd.testing.assert_frame_equal(frame[list(made.features)], made.features)
    assert not any(map(is_propensity, made.features))
