"""The sampler against closed forms, its own prior and its own symmetries."""

from dataclasses import replace
from importlib import import_module

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from trials import trial

from pytyche_engine.bcf import Settings, fit
from pytyche_engine.bcf.chain import run_chunk
from pytyche_engine.bcf.draws import _forest_values, draws_of_trace
from pytyche_engine.bcf.encoding import learn_encoding
from pytyche_engine.bcf.start import Encoded, cold_start, init_state
from pytyche_engine.bcf.state import MOST_TIMES, LatentScale
from pytyche_engine.calibration import ecdf_band_level, prior_sbc_ranks
from pytyche_engine.calibration.prior_sbc import QUANTITIES, SMALL_SETTINGS
from pytyche_engine.contracts.errors import DataError, FitCancelled
from pytyche_engine.contracts.observations import Outcome
from pytyche_engine.jobs import Control

QUICK = Settings(
    num_trees_mu=10, num_trees_tau=5, num_warm_up=100, min_draws=200, max_draws=200, thin=2
)


@pytest.fixture(scope="module")
def hurdle():
    observations = trial()
    return observations, fit(observations, settings=QUICK, seed=1)


def test_ranks_of_prior_draws_are_uniform_in_their_posteriors():
    # Few and thinned, so that a wrong conditional shows and a lucky seed does not matter:
    # benchmarks/bench_main_job.py runs the same with more simulations.
    settings = replace(SMALL_SETTINGS, thin=8)
    ranks = list(prior_sbc_ranks(48, seed=11, settings=settings))
    levels = {q: ecdf_band_level(np.array([r[q] for r in ranks]), 99) for q in QUANTITIES}
    assert min(levels.values()) > 0.002, levels


def test_binary_rates_without_features_match_the_closed_form():
    observations = trial(n=3000, n_arms=2, n_features=0, outcome=Outcome.BINARY)
    posterior = fit(observations, settings=QUICK, seed=2)
    draws = posterior.effects(observations.features)
    for k in range(2):
        own = observations.revenue[observations.arm == k]
        assert draws.conversion[:, 0, k].mean() == pytest.approx(own.mean(), abs=0.006)
        expected_sd = np.sqrt(own.mean() * (1 - own.mean()) / len(own))
        assert draws.conversion[:, 0, k].std() == pytest.approx(expected_sd, rel=0.25)
    assert np.array_equal(draws.rpv, draws.conversion)


def test_continuous_means_without_features_match_the_closed_form():
    observations = trial(n=1500, n_features=0, outcome=Outcome.CONTINUOUS)
    posterior = fit(observations, settings=QUICK, seed=3)
    draws = posterior.effects(observations.features)
    logs = np.log(observations.revenue)
    for k in range(3):
        own = logs[observations.arm == k]
        # E[y] of a log-normal, with the error variance pooled over arms as in the model.
        pooled = np.mean([logs[observations.arm == j].var() for j in range(3)])
        assert draws.rpv[:, 0, k].mean() == pytest.approx(np.exp(own.mean() + pooled / 2), rel=0.02)
        sd = draws.rpv[:, 0, k].std() / draws.rpv[:, 0, k].mean()
        assert sd == pytest.approx(np.sqrt(pooled / len(own)), rel=0.3)


def test_cents_and_dollars_give_the_same_relative_answer(hurdle):
    observations, posterior = hurdle
    cents = replace(observations, revenue=observations.revenue * 100)
    in_dollars = posterior.effects(observations.features)
    in_cents = fit(cents, settings=QUICK, seed=1).effects(cents.features)
    np.testing.assert_allclose(in_cents.rpv.mean(0), 100 * in_dollars.rpv.mean(0), rtol=1e-3)
    np.testing.assert_allclose(in_cents.lift.std(0), 100 * in_dollars.lift.std(0), rtol=2e-3)


def test_names_of_treatments_do_not_matter(hurdle):
    observations, posterior = hurdle
    swapped = replace(observations, arm=np.array([0, 2, 1])[observations.arm])
    one = posterior.effects(observations.features)
    other = fit(swapped, settings=QUICK, seed=5).effects(observations.features)
    for k, j in ((1, 2), (2, 1)):
        # Chains differ, so means agree within Monte Carlo error of an ESS above 100.
        error = one.lift[:, 0, k].std() / 10
        assert abs(one.lift[:, 0, k].mean() - other.lift[:, 0, j].mean()) < 4 * error
        assert one.lift[:, 0, k].std() == pytest.approx(other.lift[:, 0, j].std(), rel=0.25)


def _chain(observations, settings=QUICK, seed=0):
    encoding = learn_encoding(observations.features, observations.schema, settings.num_cuts)
    data = Encoded(
        X=encoding.encode(observations.features),
        max_split=encoding.max_split,
        mu_only=np.zeros(len(encoding.columns), dtype=bool),
        arm=observations.arm,
        revenue=observations.revenue,
        n_arms=observations.n_arms,
        outcome=observations.outcome,
        scale=LatentScale.of(observations.revenue),
    ).padded()
    rng = np.random.default_rng(seed)
    return jax.random.key(seed), init_state(data, cold_start(data, settings, rng), settings, rng)


def test_cutting_a_run_into_chunks_changes_no_draw():
    # Ten draws in every call, as fits have them: how many is part of what is compiled.
    key, state = _chain(trial())
    _, whole = run_chunk(key, state, 10, 4)
    key, state = _chain(trial())
    state, _ = run_chunk(key, state, 10, 2)
    _, second = run_chunk(key, state, 10, 2)
    # Iterations 24, 28, ..., 40 of either.
    whole, second = draws_of_trace(whole, 0), draws_of_trace(second, 0)
    np.testing.assert_array_equal(whole.arm_effect[5:], second.arm_effect[1::2])
    np.testing.assert_array_equal(whole.mu_leaf[5:], second.mu_leaf[1::2])


def test_residuals_are_what_trees_and_scalars_leave():
    key, state = _chain(trial())
    state, _ = run_chunk(key, state, 10, 30)
    arm = np.asarray(state.arm)
    rows = np.arange(len(arm))
    mu = _forest_values(state.X, state.mu.var_tree, state.mu.split_tree, state.mu.leaf_tree)[0]
    tau = _forest_values(
        state.X, state.tau.var_tree, state.tau.split_tree, state.tau.leaf_tree, groups=3
    )[arm, :, rows].T
    fitted = (
        state.intercept[:, None]
        + state.arm_effect[:, arm]
        + state.mu.multiplier[:, arm] * mu
        + state.tau.multiplier[:, arm] * tau
    )
    valid = np.asarray(state.valid) > 0
    # The latent outcome of a visitor is on the side of zero that was seen.
    latent = np.asarray(state.offset + state.z)
    assert ((latent > 0) == np.asarray(state.converted))[valid].all()
    np.testing.assert_allclose(
        np.asarray(state.z - fitted[0])[valid], np.asarray(state.resid[0])[valid], atol=2e-4
    )
    assert not np.asarray(state.resid[0])[~valid].any()
    assert not np.asarray(state.resid[1])[~valid[: len(state.resid[1])]].any()


def test_parts_of_the_lift_add_up_in_every_draw(hurdle):
    observations, posterior = hurdle
    draws = posterior.effects(observations.features)
    np.testing.assert_allclose(
        draws.conversion_part + draws.severity_part, draws.lift, atol=1e-5, rtol=1e-5
    )


def test_group_means_are_means_of_single_visitors(hurdle):
    observations, posterior = hurdle
    half = (observations.features["z0"] > 0).to_numpy()
    membership = np.column_stack([np.ones(len(half)), half])
    groups = posterior.group_draws(observations.features, membership, ("all", "half"))
    thin = replace(posterior, draws=posterior.draws.take(np.arange(100)))
    single = thin.predict(observations.features)
    some = thin.group_draws(observations.features, membership, ("all", "half"))
    np.testing.assert_allclose(some.rpv.mean(0)[0], single.rpv.mean(0), rtol=1e-5)
    np.testing.assert_allclose(some.rpv.mean(0)[1], single.rpv[half].mean(0), rtol=1e-5)
    assert groups.size.tolist() == [600, half.sum()]
    with pytest.raises(DataError, match="nobody"):
        posterior.group_draws(observations.features, np.zeros((600, 1)), ("nobody",))


def test_a_large_question_is_answered_from_a_sample_within_its_error(hurdle, monkeypatch):
    observations, posterior = hurdle
    whole = posterior.effects(observations.features).rpv.mean(0)
    monkeypatch.setattr("pytyche_engine.bcf.posterior.MOST_ROWS_PER_GROUP_QUESTION", 500)
    sampled = posterior.effects(observations.features).rpv.mean(0)
    np.testing.assert_allclose(sampled, whole, rtol=0.03)


def test_it_predicts_visitors_that_it_never_saw(hurdle):
    _, posterior = hurdle
    unseen = pd.DataFrame({"z0": [0.1, np.nan, 99.0], "z1": [0.0, 0, 0], "z2": [1.0, 2, 3]})
    effects = posterior.predict(unseen)
    assert effects.rpv.shape == (3, 3)
    assert np.isfinite(effects.cate_sd).all()
    np.testing.assert_allclose(effects.cate, effects.rpv[:, 1:] - effects.rpv[:, :1])
    with pytest.raises(DataError, match="z2"):
        posterior.predict(unseen[["z0", "z1"]])


def test_the_same_seed_gives_the_same_draws(hurdle):
    observations, posterior = hurdle
    again = fit(observations, settings=QUICK, seed=1)
    np.testing.assert_array_equal(posterior.draws.arm_effect, again.draws.arm_effect)
    other = fit(observations, settings=QUICK, seed=9)
    assert not np.array_equal(posterior.draws.arm_effect, other.draws.arm_effect)


@pytest.mark.parametrize("n_arms", [2, 5])
def test_any_number_of_arms(n_arms):
    observations = trial(n=500, n_arms=n_arms)
    draws = fit(observations, settings=QUICK, seed=1).effects(observations.features)
    raw = [observations.revenue[observations.arm == k].mean() for k in range(n_arms)]
    spread = draws.rpv[:, 0].std(0)
    assert (np.abs(draws.rpv[:, 0].mean(0) - raw) < 3.5 * spread).all()


def test_orders_of_one_price_and_an_arm_without_orders_are_survived():
    observations = trial(rates=(0.35, 0.35, 0.0))  # compiled with the hurdle's shape
    flat = replace(observations, revenue=np.where(observations.revenue > 0, 10.0, 0.0))
    draws = fit(flat, settings=QUICK, seed=1).effects(flat.features)
    assert np.isfinite(draws.rpv).all()
    assert draws.rpv[:, 0, 2].mean() < draws.rpv[:, 0, 0].mean()


def test_an_arm_without_orders_is_given_no_astronomic_mean():
    # Without a bound this posterior has a draw of 6e10 dollars a visitor.
    observations = trial(rates=(0.05, 0.05, 0.0))
    draws = fit(observations, settings=QUICK, seed=1).effects(observations.features)
    empty = draws.rpv[..., 2]
    assert empty.max() <= MOST_TIMES * observations.revenue.max()
    assert empty.mean() < draws.rpv[..., 0].mean()


def test_constant_effects_collapse_and_a_split_effect_is_found():
    n = 4000
    base = trial(n=n, rates=(0.2, 0.3, 0.2), seed=3)
    settings = replace(QUICK, num_trees_mu=30, num_trees_tau=15, num_warm_up=200)
    flat = fit(base, settings=settings, seed=1).predict(base.features)
    rng = np.random.default_rng(8)
    half = base.features["z0"].to_numpy() > 0
    p = np.where((base.arm == 1) & half, 0.5, 0.2)
    amount = np.exp(np.log(50) + 0.5 * rng.normal(size=n))
    split = replace(base, revenue=np.where(rng.random(n) < p, amount, 0.0))
    found = fit(split, settings=settings, seed=1).predict(split.features)
    truth = np.where(half, 0.3, 0.0) * 50 * np.exp(0.125)
    assert flat.cate[:, 0].std() < 0.25 * truth.std()
    assert np.corrcoef(found.cate[:, 0], truth)[0, 1] > 0.9
    assert found.cate[:, 0].std() > 0.6 * truth.std()


def test_cancel_stops_a_fit_between_chunks():
    control = Control(lambda event: control.cancel() if event.iteration else None)
    with pytest.raises(FitCancelled):
        fit(trial(), settings=replace(QUICK, min_draws=100_000, max_draws=100_000), control=control)


def test_progress_tells_stages_lifts_and_an_end():
    events = []
    observations = trial()
    posterior = fit(observations, settings=QUICK, seed=1, control=Control(events.append))
    last = events[-1]
    assert [e.stage for e in events] == sorted(
        (e.stage for e in events), key=["read", "compile", "warm up", "sample"].index
    )
    assert last.iteration == last.total_iterations == 500
    draws = posterior.effects(observations.features)
    for lift, k in zip(last.interim, (1, 2), strict=True):
        # Interim lifts are over 256 of the 600 visitors.
        assert lift.mean == pytest.approx(draws.lift[:, 0, k].mean(), abs=0.6)
        assert lift.low <= lift.mean <= lift.high
        assert lift.r_hat < 1.2


def test_latent_scale_is_that_of_the_data():
    revenue = trial(n=5000).revenue
    scale = LatentScale.of(revenue)
    assert norm.cdf(scale.offset) == pytest.approx((revenue > 0).mean(), abs=1e-3)
    assert scale.centre == pytest.approx(np.log(50), abs=0.05)
    assert scale.scale == pytest.approx(0.5, abs=0.03)
    assert np.isfinite(LatentScale.of(np.array([5.0, 0.0])).scale)


def test_an_error_in_one_chain_ends_the_others_and_is_raised(monkeypatch):
    module = import_module("pytyche_engine.bcf.chain")

    real, calls = module.run_chunk, []

    def failing(key, state, saved, skip):
        calls.append(key)
        if len(calls) == 3:
            raise RuntimeError("out of memory")
        return real(key, state, saved, skip)

    monkeypatch.setattr(module, "run_chunk", failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        fit(trial(), settings=replace(QUICK, min_draws=100_000, max_draws=100_000), seed=1)
    assert len(calls) < 20
