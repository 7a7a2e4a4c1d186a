"""When a fit ends, and what it says of that."""

from dataclasses import replace

import numpy as np
import pytest
from trials import trial

from pytyche_engine.bcf import Posterior, Settings, fit
from pytyche_engine.bcf.encoding import learn_encoding
from pytyche_engine.bcf.fit import LEAST_DRAWS
from pytyche_engine.bcf.layout import pad_columns
from pytyche_engine.bcf.monitor import ESS_TO_STOP, Monitor, passed
from pytyche_engine.bcf.state import CHANNELS
from pytyche_engine.contracts.observations import Outcome
from pytyche_engine.jobs import Control

QUICK = Settings(
    num_trees_mu=10, num_trees_tau=5, num_warm_up=100, min_draws=50, max_draws=150, thin=2
)
MONITOR = "pytyche_engine.bcf.monitor."


def draws_of_each_chain(posterior):
    return np.bincount(posterior.draws.chain).tolist()


def fitted_with_events(observations, settings):
    events = []
    return fit(observations, settings=settings, seed=1, control=Control(events.append)), events


@pytest.fixture
def always_passes(monkeypatch):
    monkeypatch.setattr(MONITOR + "ESS_TO_STOP", 0)
    monkeypatch.setattr(MONITOR + "R_HAT_LIMIT", np.inf)


@pytest.fixture
def never_passes(monkeypatch):
    monkeypatch.setattr(MONITOR + "ESS_TO_STOP", 10**9)


@pytest.mark.usefixtures("always_passes")
def test_it_ends_at_the_fewest_draws_once_converged():
    posterior, events = fitted_with_events(trial(), QUICK)
    assert posterior.sampling.stopped == "converged"
    assert draws_of_each_chain(posterior) == [50, 50]
    assert posterior.sampling.iterations == posterior.sampling.warm_up + 50 * QUICK.thin
    assert events[-1].iteration == events[-1].total_iterations == posterior.sampling.iterations


@pytest.mark.usefixtures("never_passes")
def test_it_goes_on_to_the_most_draws_if_it_cannot_pass():
    posterior, events = fitted_with_events(trial(), QUICK)
    assert posterior.sampling.stopped == "maximum"
    assert "did not pass" in posterior.sampling.line
    assert draws_of_each_chain(posterior) == [150, 150]
    assert posterior.sampling.warm_up == 100
    assert posterior.sampling.iterations == 100 + 150 * QUICK.thin
    # The plan grew with every stretch, and was never overrun.
    totals = [e.total_iterations for e in events]
    assert totals == sorted(totals)
    assert all(e.iteration <= e.total_iterations for e in events)
    assert events[-1].iteration == events[-1].total_iterations == posterior.sampling.iterations


@pytest.mark.usefixtures("never_passes")
def test_stopped_by_the_operator_it_keeps_what_every_chain_has():
    def stop(event):
        if event.interim:  # sampling is under way
            control.stop()

    control = Control(stop)
    posterior = fit(trial(), settings=replace(QUICK, max_draws=5000), seed=1, control=control)
    kept = draws_of_each_chain(posterior)
    assert kept[0] == kept[1]
    assert LEAST_DRAWS <= kept[0] < 5000
    assert posterior.sampling.stopped == "operator"
    assert "stopped by the operator" in posterior.sampling.line


@pytest.mark.usefixtures("never_passes")
def test_stopped_before_it_has_draws_it_waits_for_some():
    control = Control()
    control.stop()
    posterior = fit(trial(), settings=QUICK, seed=1, control=control)
    assert draws_of_each_chain(posterior) == [LEAST_DRAWS, LEAST_DRAWS]


@pytest.mark.usefixtures("never_passes")
def test_it_never_keeps_more_than_the_most_draws():
    posterior = fit(trial(), settings=replace(QUICK, max_draws=60), seed=1)
    assert draws_of_each_chain(posterior) == [60, 60]


def test_it_ends_between_the_two_as_soon_as_its_chains_agree():
    observations = trial()
    posterior = fit(observations, settings=replace(QUICK, max_draws=2000), seed=1)
    kept = draws_of_each_chain(posterior)
    assert posterior.sampling.stopped == "converged"
    assert 100 <= kept[0] < 2000  # of 50 draws from each of two chains no 200 are effective
    convergence = posterior.convergence(posterior.effects(observations.features))
    assert min(convergence.ess.values()) >= ESS_TO_STOP
    assert convergence.ok


@pytest.mark.usefixtures("always_passes")
def test_a_saved_posterior_remembers_its_sampling(tmp_path):
    observations = trial()
    posterior = fit(observations, settings=replace(QUICK, num_warm_up=20, min_draws=10), seed=1)
    posterior.save(tmp_path)
    again = Posterior.load(tmp_path)
    assert again.sampling == posterior.sampling
    assert again.settings == posterior.settings
    assert again.can_start(observations, posterior.settings)
    np.testing.assert_array_equal(
        again.predict(observations.features).rpv, posterior.predict(observations.features).rpv
    )


# What decides, on made-up chains of lifts


def chains(n_draws=200, groups=3):
    return np.random.default_rng(0).normal(size=(2, n_draws, groups, 2))


def test_independent_draws_of_one_distribution_pass():
    assert passed(chains())


def test_too_few_draws_do_not_pass():
    assert not passed(chains(n_draws=90))
    assert not passed(chains(n_draws=6))


@pytest.mark.parametrize("group", [0, 1, 2])
@pytest.mark.parametrize("treatment", [0, 1])
def test_one_chain_that_is_off_in_one_group_does_not_pass(group, treatment):
    lifts = chains()
    lifts[1, :, group, treatment] += 1
    assert not passed(lifts)


def test_a_chain_that_drifts_does_not_pass():
    lifts = chains()
    lifts[:, :, 1, 1] += np.linspace(-1, 1, 200)[None, :]  # both alike: halves of chains show it
    assert not passed(lifts)


def test_draws_that_cling_pass_in_halves_but_not_for_everyone():
    clinging = np.repeat(chains(n_draws=80), 6, axis=1)
    fresh = chains(n_draws=480)
    half = np.concatenate([fresh[:, :, :2], clinging[:, :, 2:]], axis=2)
    everyone = np.concatenate([clinging[:, :, :1], fresh[:, :, 1:]], axis=2)
    assert passed(half)
    assert not passed(everyone)


# What it watches


def bins(*columns):
    return np.array(columns, dtype=np.uint8)


def test_halves_are_of_the_columns_that_split_most_evenly():
    rng = np.random.default_rng(0)
    even, uneven, most_above = rng.integers(0, 9, 400), rng.random(400) < 0.1, rng.random(400) < 0.7
    X = bins(uneven, even, np.zeros(400), most_above, rng.random(400) < 0.3)
    monitor = Monitor.of(X)
    assert monitor.weights.shape == (400, 7)
    np.testing.assert_allclose(monitor.weights.sum(axis=0), 1)
    np.testing.assert_allclose(monitor.weights[:, 0], 1 / 400)
    member = monitor.weights > 0
    assert (member[:, 1:4] != member[:, 4:]).all()
    np.testing.assert_array_equal(member[:, 1], even > even.mean())
    # Most visitors are above: that is a half too.
    assert any((member[:, g] == most_above).all() for g in (2, 3))
    assert not any((member[:, g] == uneven).all() for g in (1, 2, 3))


def test_without_columns_only_everyone_is_watched():
    assert Monitor.of(pad_columns(np.zeros((0, 50), dtype=np.uint8))).weights.shape == (50, 1)


def test_of_many_visitors_a_sample_is_watched():
    X = bins(np.arange(5000) % 2, np.arange(5000) // 2500)
    monitor = Monitor.of(X)
    assert monitor.X.shape == (2, 1000)
    assert monitor.X[1].mean() == 0.5


@pytest.mark.usefixtures("always_passes")
def test_watched_lifts_are_those_of_the_posterior():
    observations = trial()
    posterior = fit(observations, settings=replace(QUICK, num_warm_up=20, min_draws=10), seed=1)
    encoding = learn_encoding(observations.features, observations.schema, QUICK.num_cuts)
    monitor = Monitor.of(pad_columns(encoding.encode(observations.features)))
    lifts = monitor.lifts(posterior.draws, posterior.scale, CHANNELS[Outcome.HURDLE])
    names = tuple(map(str, range(7)))
    asked = posterior.group_draws(observations.features, monitor.weights, names).lift
    np.testing.assert_allclose(lifts, asked[:, :, 1:], rtol=1e-3, atol=1e-3)
