"""Fits on several devices, against the same fits on one.

JAX counts its devices when it starts, so everything on several devices happens in a process of
its own: this file, run as a script, which prints what it saw.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from trials import trial

from pytyche_engine.bcf import Posterior, Settings, chain, fit
from pytyche_engine.bcf.chain import run_chunk
from pytyche_engine.bcf.devices import place
from pytyche_engine.bcf.diagnostics import by_chain, ess
from pytyche_engine.bcf.draws import _forest_values
from pytyche_engine.bcf.encoding import learn_encoding
from pytyche_engine.bcf.start import Encoded, cold_start, init_state
from pytyche_engine.bcf.state import HurdleState, LatentScale
from pytyche_engine.contracts.errors import FitError

VISITORS = 600  # alone, the shape of the other tests of fits
SETTINGS = Settings(
    num_trees_mu=10, num_trees_tau=5, num_warm_up=100, min_draws=400, max_draws=400, thin=2
)
SEED = 1


def _lifts(posterior: Posterior) -> np.ndarray:
    return posterior.effects(trial(n=VISITORS).features).lift[:, 0, 1:]  # of the treatments


@pytest.fixture(scope="module")
def alone() -> Posterior:
    return fit(trial(n=VISITORS), settings=SETTINGS, seed=SEED)


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    script = subprocess.run(  # this very file
        [sys.executable, __file__],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert script.returncode == 0, script.stderr[-3000:]
    return json.loads(script.stdout.splitlines()[-1])


def test_visitors_spread_over_two_devices_give_the_same_posterior(seen, alone):
    one, two = _lifts(alone), np.array(seen["spread"]["lifts"])
    assert seen["spread"]["devices"] == [[0, 1]]
    for k in range(one.shape[1]):
        sizes = ess(by_chain(one[:, k], alone.draws.chain)), ess(two[None, :, k])
        error = np.hypot(one[:, k].std() / sizes[0] ** 0.5, two[:, k].std() / sizes[1] ** 0.5)
        assert abs(one[:, k].mean() - two[:, k].mean()) < 4 * error
        assert two[:, k].std() == pytest.approx(one[:, k].std(), rel=0.35)


def test_chains_on_devices_of_their_own_draw_what_they_draw_on_one(seen, alone):
    assert seen["dealt"]["devices"] == [[0], [1]]
    np.testing.assert_array_equal(seen["dealt"]["arm_effect"], alone.draws.arm_effect)
    np.testing.assert_array_equal(seen["dealt"]["sigma2"], alone.draws.sigma2)


def test_residuals_on_two_devices_are_what_trees_and_scalars_leave(seen):
    residuals = seen["residuals"]
    assert residuals["devices"] == 2
    assert max(residuals["off"]) < 2e-4
    assert residuals["padding"] == 0
    assert residuals["wrong_side"] == 0
    assert residuals["wrong_counts"] == 0


def test_chains_take_turns_with_groups_of_devices(seen):
    assert seen["groups"] == [[0, 1], [2, 3], [0, 1]]
    assert seen["odd_groups"] == [[0, 1, 2], [0, 1, 2]]


def test_more_devices_than_there_are_is_an_error(seen):
    assert seen["error"] == "num_data_devices=5, but JAX sees 4 device(s); use 1 to 4."
    with pytest.raises(FitError, match="num_data_devices=0"):
        place(0, 0)


def _script() -> dict[str, Any]:
    """Everything that needs four devices."""
    observations = trial(n=VISITORS)
    used: set[tuple[int, ...]] = set()

    def watched(*args: Any) -> Any:
        state, trace = run_chunk(*args)
        used.add(_numbers(state.X.sharding.device_set))
        return state, trace

    chain.run_chunk = watched

    def on_devices(num_data_devices: int, settings: Settings) -> tuple[Posterior, list[Any]]:
        used.clear()
        posterior = fit(
            observations, settings=settings, seed=SEED, num_data_devices=num_data_devices
        )
        return posterior, sorted(used)

    spread, spread_devices = on_devices(2, replace(SETTINGS, num_chains=1))
    dealt, dealt_devices = on_devices(1, SETTINGS)
    with pytest.raises(FitError) as error:
        fit(observations, settings=SETTINGS, num_data_devices=5)
    return {
        "spread": {"lifts": _lifts(spread).tolist(), "devices": spread_devices},
        "dealt": {
            "arm_effect": dealt.draws.arm_effect.tolist(),
            "sigma2": dealt.draws.sigma2.tolist(),
            "devices": dealt_devices,
        },
        "residuals": _check_residuals(_advanced()),
        "groups": [_numbers(place(c, 2).devices.flat) for c in range(3)],
        "odd_groups": [_numbers(place(c, 3).devices.flat) for c in range(2)],
        "error": str(error.value),
    }


def _numbers(devices: Any) -> tuple[int, ...]:
    return tuple(sorted(device.id for device in devices))


def _advanced() -> HurdleState:
    """A state on two devices after some sweeps, of the shapes that the fit compiled."""
    observations = trial(n=VISITORS)
    encoding = learn_encoding(observations.features, observations.schema, SETTINGS.num_cuts)
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
    rng = np.random.default_rng(SEED)
    start = cold_start(data, SETTINGS, rng)
    state, key = init_state(data, start, SETTINGS, rng, place(0, 2)), jax.random.key(SEED)
    for _ in range(15):
        state, _ = run_chunk(key, state, 10, SETTINGS.thin)
    return state


def _check_residuals(state: HurdleState) -> dict[str, Any]:
    """How far caches are from what the state's trees and scalars say, device by device."""
    devices = state.config.mesh.size
    state = jax.device_get(state)
    arm, valid = np.asarray(state.arm), np.asarray(state.valid) > 0
    rows, K = np.arange(len(arm)), state.layout.n_arms
    X = jax.numpy.asarray(state.X)
    mu = _forest_values(X, state.mu.var_tree, state.mu.split_tree, state.mu.leaf_tree)[0]
    tau = _forest_values(
        X, state.tau.var_tree, state.tau.split_tree, state.tau.leaf_tree, groups=K
    )[arm, :, rows].T
    fitted = (
        state.intercept[:, None]
        + state.arm_effect[:, arm]
        + state.mu.multiplier[:, arm] * mu
        + state.tau.multiplier[:, arm] * tau
    )
    by_device = rows.reshape(devices, -1)
    severity = by_device[:, : state.layout.n_severity_rows].ravel()
    forest = state.mu.multiplier[:, arm] * mu + state.tau.multiplier[:, arm] * tau
    cached = [
        state.mu.multiplier[c, arm[own]] * state.mu.fit[c]
        + state.tau.multiplier[c, arm[own]] * state.tau.fit[c]
        for c, own in enumerate((rows, severity))
    ]
    off = [
        (state.z - fitted[0] - state.resid[0])[valid],
        (cached[0] - forest[0])[valid],
        (cached[1] - forest[1][severity])[valid[severity]],
    ]
    # A tree's leaf counts, over all devices, are those of the visitors there are.
    leaf = np.asarray(state.mu.split_tree)
    inner = np.pad(leaf > 0, ((0, 0), (0, leaf.shape[1])))
    node = np.arange(inner.shape[1])
    is_leaf = ~inner & np.where(node > 1, inner[:, node // 2], node == 1)
    total = (np.asarray(state.mu.counts) * is_leaf).sum(axis=-1)  # (channels, arms, trees)
    expected = np.asarray(state.arm_rows)[:, :, None]
    latent = state.offset + state.z
    return {
        "devices": devices,
        "off": [float(np.abs(x).max()) for x in off],
        "padding": int(
            np.count_nonzero(state.resid[0][~valid])
            + np.count_nonzero(state.resid[1][~valid[severity]])
        ),
        "wrong_side": int(((latent > 0) != state.converted)[valid].sum()),
        "wrong_counts": int((total != expected).sum()),
    }


if __name__ == "__main__":
    print(json.dumps(_script()))
