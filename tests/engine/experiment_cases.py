"""Tiny experiments: up to 128 visitors have one compiled shape, so they compile once."""

import functools
import warnings

import numpy as np

from pytyche_engine.allocation import cold_start
from pytyche_engine.bcf import Settings
from pytyche_engine.contracts import PytycheWarning
from pytyche_engine.experiment import sequential_experiment
from pytyche_engine.sources import simulated_experiment_generator

ARMS = ("control", "low_promo", "free_ship")
SIZES = (32, 16, 16)
SETTINGS = Settings(
    num_trees_mu=10,
    num_trees_tau=5,
    num_chains=2,
    num_warm_up=40,
    num_warm_up_warm=20,
    min_draws=30,
    max_draws=30,
    thin=1,
)


def simulated(**changes):
    asked = {"seed": 3, "n_nuisance": 1, "effect_scale": 0.3, "baseline_rate": 0.5}
    return simulated_experiment_generator(
        **{**asked, "treatment_names": ARMS, "K": len(ARMS), **changes}
    )


class Counting:
    """A source that counts how often it was asked."""

    def __init__(self, source=None):
        self.source = source or simulated()
        self.columns = simulated().columns
        self.calls = 0

    def __call__(self, round_index, plan):
        self.calls += 1
        return self.source(round_index, plan)


def experiment(**changes):
    """The tutorial's experiment, small."""
    asked = {
        "schedule": SIZES,
        "treatments": ARMS,
        "generator": simulated(),
        "settings": SETTINGS,
        "seed": 1,
        "min_segment_share": 0.2,
        "max_segment_depth": 1,
        "name": "promo",
    }
    return sequential_experiment(**{**asked, **changes})


def quietly(run, *args, **kwargs):
    """Call something without our warnings, which have tests of their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PytycheWarning)
        return run(*args, **kwargs)


@functools.cache
def finished():
    """An experiment with all rounds done, to be read only."""
    exp = experiment()
    quietly(exp.run_to_completion)
    return exp


def visitors(round_idx):
    """Who comes to a round: ids and features, nothing assigned yet."""
    plan = cold_start(ARMS, SIZES[round_idx])
    frame, _ = simulated()(round_idx, plan)
    return frame.drop(columns=["arm", "cell", "revenue", *(f"propensity_{a}" for a in ARMS)])


def with_outcomes(assigned, round_idx):
    """What the visitors of an assigned frame spend."""
    rng = np.random.default_rng(round_idx)
    rate = assigned["arm"].map({"control": 0.4, "low_promo": 0.6, "free_ship": 0.5})
    spent = np.where(rng.random(len(assigned)) < rate, rng.lognormal(3, 0.5, len(assigned)), 0)
    return assigned.assign(revenue=spent)


def digest(done):
    """What must be the same when a round is repeated: tables, plan and draws."""
    draws = done.posterior.draws
    return {
        "text": "\n".join(map(str, (done, done.analysis, done.next_recommendation))),
        "arm_effect": np.asarray(draws.arm_effect).sum(dtype=float),
        "sigma2": np.asarray(draws.sigma2).ravel().tolist(),
        "leaves": float(np.abs(draws.mu_leaf).sum(dtype=float)),
    }
