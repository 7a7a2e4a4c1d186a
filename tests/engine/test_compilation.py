"""What a process compiles, once and for all its fits of a size."""

import jax
import pytest
from trials import trial

from pytyche_engine.bcf import Settings, fit
from pytyche_engine.bcf.checkpoint import Checkpoints
from pytyche_engine.contracts.errors import FitCancelled
from pytyche_engine.jobs import Control

# Sizes that no other test has: what is compiled here, no test before it compiled.
TINY = Settings(num_trees_mu=7, num_trees_tau=3, num_warm_up=20, min_draws=10, max_draws=10, thin=2)


@pytest.fixture
def compiled():
    """Names of what is compiled, or read from the cache of compiled code, while a test runs."""
    names = []

    def note(event, _seconds, **about):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(about["fun_name"])

    jax.monitoring.register_event_duration_secs_listener(note)
    yield names
    jax.monitoring.unregister_event_duration_listener(note)


def test_a_second_fit_of_like_size_compiles_nothing(compiled):
    fit(trial(n=600), settings=TINY, seed=1)
    assert any("run_mcmc" in name for name in compiled)
    compiled.clear()
    fit(trial(n=606, seed=5), settings=TINY, seed=2)
    assert compiled == []


def test_a_fit_that_goes_on_compiles_nothing(compiled, tmp_path):
    control = Control(lambda event: control.cancel() if event.iteration else None)
    kept = Checkpoints(tmp_path, seconds=0)
    with pytest.raises(FitCancelled):
        fit(trial(n=600), settings=TINY, seed=1, control=control, checkpoints=kept)
    assert list(tmp_path.glob("chain-*.npz"))
    compiled.clear()
    fit(trial(n=600), settings=TINY, seed=1, checkpoints=Checkpoints(tmp_path, seconds=0))
    assert not [name for name in compiled if "run_mcmc" in name]
