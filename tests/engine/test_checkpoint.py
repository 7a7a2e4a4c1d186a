"""Fits that go on where their process was killed."""

import time
import warnings
from dataclasses import fields, replace
from importlib import import_module

import numpy as np
import pytest
from trials import trial

from pytyche_engine.bcf import Settings, fit
from pytyche_engine.bcf.checkpoint import Checkpoints, fingerprint
from pytyche_engine.bcf.draws import Draws
from pytyche_engine.contracts.errors import FitCancelled, PytycheWarning
from pytyche_engine.jobs import Control, Job, Stage

QUICK = Settings(
    num_trees_mu=10, num_trees_tau=5, num_warm_up=100, min_draws=50, max_draws=150, thin=2
)


class Killed(BaseException):
    """Stands for the end of the process: nothing may handle it."""


@pytest.fixture(scope="module")
def whole():
    return fit(trial(), settings=QUICK, seed=1)


@pytest.fixture
def chunks(monkeypatch):
    """Counts the chunks that chains run, and ends the fit at the number ``last``."""
    module = import_module("pytyche_engine.bcf.chain")
    real = module.run_chunk

    class Chunks:
        run, last = 0, None

    def counting(*args):
        Chunks.run += 1
        if Chunks.run == Chunks.last:
            raise Killed
        return real(*args)

    monkeypatch.setattr(module, "run_chunk", counting)
    return Chunks


def same_draws(one, other):
    return all(
        np.array_equal(getattr(one.draws, f.name), getattr(other.draws, f.name))
        for f in fields(Draws)
    )


def kill(chunks, last, checkpoints, **changes):
    chunks.run, chunks.last = 0, last
    given = {"settings": QUICK, "seed": 1, "checkpoints": checkpoints, **changes}
    with pytest.raises(Killed):
        fit(trial(), **given)
    begun = chunks.run
    chunks.run, chunks.last = 0, None
    return begun


@pytest.mark.parametrize("last", [1, 2, 7, 12, 19, 25])
def test_a_killed_fit_makes_the_draws_that_it_would_have_made(tmp_path, whole, chunks, last):
    fit(trial(), settings=QUICK, seed=1)
    needed = chunks.run
    begun = kill(chunks, last, Checkpoints(tmp_path, seconds=0))
    again = fit(trial(), settings=QUICK, seed=1, checkpoints=Checkpoints(tmp_path, seconds=0))
    assert same_draws(again, whole)
    assert again.sampling == whole.sampling
    # One chunk of either chain may have been under way; and until it hears of the end, which takes
    # a while on a busy machine, the other chain goes on.
    assert needed - begun <= chunks.run <= needed - last + 2


def test_a_fit_killed_again_and_again_still_ends_the_same(tmp_path, whole, chunks):
    for _ in range(4):
        kill(chunks, 5, Checkpoints(tmp_path, seconds=0))
    again = fit(trial(), settings=QUICK, seed=1, checkpoints=Checkpoints(tmp_path))
    assert same_draws(again, whole)


def test_a_long_fit_goes_on_past_its_fewest_draws(tmp_path, chunks, monkeypatch):
    monkeypatch.setattr("pytyche_engine.bcf.monitor.ESS_TO_STOP", 10**9)
    whole = fit(trial(), settings=QUICK, seed=1)
    kill(chunks, 28, Checkpoints(tmp_path, seconds=0))
    again = fit(trial(), settings=QUICK, seed=1, checkpoints=Checkpoints(tmp_path, seconds=0))
    assert same_draws(again, whole)
    assert again.sampling.stopped == "maximum"


def test_other_data_seeds_and_settings_start_anew(tmp_path, chunks):
    for name, data, settings, seed in (
        ("data", trial(seed=5), QUICK, 1),
        ("seed", trial(), QUICK, 2),
        ("settings", trial(), replace(QUICK, mu_scale=0.9), 1),
    ):
        folder = (
            tmp_path / name
        )  # its own: a fit killed before would go on, and may be near its end
        kill(chunks, 12, Checkpoints(folder, seconds=0))
        alone = fit(data, settings=settings, seed=seed)
        needed, chunks.run = chunks.run, 0
        beside = fit(data, settings=settings, seed=seed, checkpoints=Checkpoints(folder))
        assert chunks.run == needed
        assert same_draws(beside, alone)


def test_a_damaged_checkpoint_is_said_and_costs_time_only(tmp_path, whole, chunks):
    kill(chunks, 12, Checkpoints(tmp_path, seconds=0))
    file = tmp_path / "chain-0.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    (tmp_path / "chain-1.npz").write_bytes(b"not a checkpoint")
    with pytest.warns(PytycheWarning, match="starts again. Its draws will be the same"):
        again = fit(trial(), settings=QUICK, seed=1, checkpoints=Checkpoints(tmp_path))
    assert same_draws(again, whole)


def test_a_folder_that_cannot_be_written_does_not_end_the_fit(tmp_path, whole):
    taken = tmp_path / "file"
    taken.write_text("")
    with pytest.warns(PytycheWarning, match="progress cannot be kept") as said:
        done = fit(trial(), settings=QUICK, seed=1, checkpoints=Checkpoints(taken / "x", seconds=0))
    assert same_draws(done, whole)
    assert len(said) <= 2  # chains may find out at the same time


def test_nothing_is_written_before_it_is_time(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(trial(), settings=QUICK, seed=1, checkpoints=Checkpoints(tmp_path, seconds=3600))
    assert list(tmp_path.iterdir()) == []


def test_a_pause_keeps_the_chains_at_once(tmp_path):
    control = Control(lambda event: event.stage is Stage.SAMPLE and control.pause())

    def work(_):
        return fit(
            trial(),
            settings=QUICK,
            seed=1,
            control=control,
            checkpoints=Checkpoints(tmp_path, seconds=3600),
        )

    job = Job(work).start()
    while len(list(tmp_path.glob("chain-*.npz"))) < QUICK.num_chains:
        assert not job.done()
        time.sleep(0.01)
    control.cancel()
    with pytest.raises(FitCancelled):
        job.result()


def test_a_fingerprint_tells_arrays_of_other_shape_or_type_apart():
    a = np.arange(6)
    prints = {fingerprint(x) for x in (a, a.reshape(2, 3), a.astype(float), a + 1, "x")}
    assert len(prints) == 5
    assert fingerprint(a, 1) == fingerprint(a.copy(), 1)
