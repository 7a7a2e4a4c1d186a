"""How long a fit runs, how that is told, and the one warning that it will take long."""

import re
import threading
import time
import warnings
from dataclasses import replace
from importlib import import_module

import jax
import numpy as np
import pytest
from trials import trial

from pytyche_engine.bcf import Settings, fit, monitor
from pytyche_engine.bcf.progress import ProgressReporter
from pytyche_engine.contracts.convergence import Sampling
from pytyche_engine.contracts.errors import PytycheWarning, SlowFitWarning
from pytyche_engine.jobs import Control

# All fits here share one compiled shape.
QUICK = Settings(
    num_trees_mu=10, num_trees_tau=5, num_warm_up=100, min_draws=100, max_draws=2000, thin=2
)
SHORT = replace(QUICK, num_warm_up=60, min_draws=20, max_draws=20)
fit_module = import_module("pytyche_engine.bcf.fit")


@pytest.fixture(scope="module")
def observations():
    return trial()


def test_the_same_seed_ends_after_the_same_iterations_however_slow_the_machine(
    observations, monkeypatch
):
    monkeypatch.setattr(monitor, "ESS_TO_STOP", 300)  # somewhere on the way
    one = fit(observations, settings=QUICK, seed=3)
    real, turns = monitor.Monitor.lifts, iter(range(10_000))

    def slow(self, *args):
        if next(turns) % 7 == 0:
            time.sleep(0.02)
        return real(self, *args)

    monkeypatch.setattr(monitor.Monitor, "lifts", slow)
    again = fit(observations, settings=QUICK, seed=3)
    assert one.sampling == again.sampling
    assert one.sampling.stopped == "converged"
    assert 100 + 2 * 100 < one.sampling.iterations < 100 + 2 * 2000
    np.testing.assert_array_equal(one.draws.mu_leaf, again.draws.mu_leaf)
    np.testing.assert_array_equal(one.draws.chain, again.draws.chain)


def test_every_look_is_at_all_draws_so_far(observations, monkeypatch):
    looks = []

    def third_time(chains):
        looks.append(chains.shape[:2])
        return len(looks) == 3

    monkeypatch.setattr(fit_module, "passed", third_time)
    posterior = fit(observations, settings=QUICK, seed=1)
    assert looks == [(2, 100), (2, 150), (2, 200)]
    assert posterior.sampling == Sampling("cold", 100, 100 + 2 * 200, 2, "converged")


@pytest.mark.parametrize(("warm_up", "draws"), [(0, 25), (7, 20), (25, 21)])
def test_odd_numbers_are_rounded_up_and_never_down(warm_up, draws, observations):
    settings = replace(SHORT, num_warm_up=warm_up, min_draws=draws, max_draws=draws)
    posterior = fit(observations, settings=settings, seed=1)
    assert warm_up <= posterior.sampling.warm_up < warm_up + 20
    assert draws <= len(posterior.draws) / 2 < draws + 10
    assert posterior.sampling.iterations == posterior.sampling.warm_up + len(posterior.draws)


def test_progress_ends_at_the_iterations_also_where_numbers_are_odd(observations):
    events = []
    settings = replace(SHORT, num_warm_up=25, min_draws=21, max_draws=21)
    posterior = fit(observations, settings=settings, seed=1, control=Control(events.append))
    last = events[-1]
    assert last.iteration == last.total_iterations == posterior.sampling.iterations


@pytest.mark.parametrize(
    ("sampling", "line"),
    [
        (
            Sampling("cold", 400, 1000, 2, "converged"),
            "sampler: 2 chain(s), cold start, 400 warm-up + 600 iterations (R-hat and ESS passed)",
        ),
        (
            Sampling("warm", 150, 1950, 4, "maximum"),
            "sampler: 4 chain(s), warm start, 150 warm-up + 1800 iterations "
            "(the most allowed; R-hat or ESS did not pass)",
        ),
    ],
)
def test_one_line_says_how_it_ended(sampling, line):
    assert sampling.line == line


# Figures that are not there


def test_fewer_than_8_draws_tell_nothing(monkeypatch):
    monkeypatch.setattr(monitor, "ESS_TO_STOP", 0)
    monkeypatch.setattr(monitor, "R_HAT_LIMIT", np.inf)
    lifts = np.random.default_rng(0).normal(size=(2, 8, 3, 2))
    assert monitor.passed(lifts)
    assert not monitor.passed(lifts[:, :7])


def test_numbers_that_are_not_finite_do_not_pass():
    lifts = np.random.default_rng(0).normal(size=(2, 400, 3, 2))
    assert monitor.passed(lifts)
    lifts[0, 5, 0, 0] = np.nan
    assert not monitor.passed(lifts)


# The warning


@pytest.fixture
def unsaid(monkeypatch):
    """As if nothing had been said in this process yet."""
    monkeypatch.setattr(fit_module, "_slow_not_said", threading.Lock())


def slow_warnings(observations):
    """What two fits say of their slowness."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for seed in range(2):
            fit(observations, settings=SHORT, seed=seed)
    return [w for w in caught if issubclass(w.category, SlowFitWarning)]


@pytest.mark.usefixtures("unsaid")
def test_a_slow_fit_on_a_cpu_is_warned_of_once_a_process(observations, monkeypatch):
    monkeypatch.setattr(fit_module, "SLOW_SECONDS", 0)
    (warning,) = slow_warnings(observations)
    text = str(warning.message)
    assert re.match(r"This fit will take about \d+ minutes on this CPU", text)
    assert 'pip install "pytyche-lab[gpu]"' in text
    assert "It goes on" in text
    assert issubclass(SlowFitWarning, PytycheWarning)
    assert warning.filename == __file__  # the code that asked for the fit


@pytest.mark.usefixtures("unsaid")
def test_a_fast_fit_is_not_warned_of(observations):
    assert slow_warnings(observations) == []


@pytest.mark.usefixtures("unsaid")
def test_a_slow_fit_on_a_gpu_is_not_warned_of(observations, monkeypatch):
    monkeypatch.setattr(fit_module, "SLOW_SECONDS", 0)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert slow_warnings(observations) == []


def test_the_pace_leaves_compilation_out(observations, monkeypatch):
    reporter, now = ProgressReporter(Control(), observations, QUICK), [0.0]
    monkeypatch.setattr(reporter, "_now", lambda: now[0])
    monkeypatch.setattr(reporter, "_started", 0.0)
    reporter.plan(100, 900)

    def both_chains_advance(seconds):
        now[0] += seconds
        reporter.advance(0, 10)
        reporter.advance(1, 10)

    assert reporter.predicted_seconds() is None
    both_chains_advance(60)  # compiling for a minute
    reporter.start_pace()
    assert reporter.predicted_seconds() is None
    both_chains_advance(1)
    # 20 iterations a second of both chains, 2000 in all, of which 40 are done.
    assert reporter.predicted_seconds() == pytest.approx(61 + 1960 / 20)
