"""A round goes on where its process was killed, and a folder is whole after any kill.

``PYTYCHE_KILLS`` is how many kills there are in all (30): a third of them here, where a kill
costs a fit, the others in ``tests/trust/test_store_kills.py``.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from experiment_cases import digest, experiment, finished, quietly, simulated

from pytyche_engine.contracts.errors import DataNotice, DesignError, FitCancelled
from pytyche_engine.experiment import open_experiment
from pytyche_engine.jobs import Stage
from pytyche_engine.store.folder import ExperimentFolder

KILLS = int(os.environ.get("PYTYCHE_KILLS", "30")) // 3
WORKER = Path(__file__).with_name("kill_worker.py")


def when(stage, act):
    return lambda job: job.subscribe(lambda event: event.stage is stage and act(job))


def left_in(tmp_path, stage=Stage.SAMPLE):
    """A folder whose process ended while the second round was worked on."""
    path = tmp_path / "promo"
    exp = experiment(path=path)
    quietly(next, exp)
    exp.watch = when(stage, lambda job: job.control.leave())
    with pytest.raises(FitCancelled, match=r"exp\.resume"):
        quietly(next, exp)
    return path


@pytest.mark.parametrize("stage", [Stage.READ, Stage.SAMPLE, Stage.SEGMENTS, Stage.PLAN])
def test_a_round_left_at_any_stage_goes_on_and_ends_the_same(tmp_path, stage):
    path = left_in(tmp_path, stage)
    with pytest.warns(DataNotice, match=r"Round 2 of 'promo' .* exp\.resume\(\)"):
        exp = open_experiment(path)  # without its source: the data are there
    assert "round 2 unfinished: exp.resume()" in repr(exp)
    assert exp.current_round_idx == 1
    done = quietly(exp.resume)
    assert digest(done) == digest(finished().history[1])
    assert "unfinished" not in repr(exp)
    assert digest(quietly(open_experiment, path).latest) == digest(done)


def test_a_cancelled_round_is_forgotten_by_the_folder(tmp_path):
    path = tmp_path / "promo"
    exp = experiment(path=path)
    exp.watch = when(Stage.SAMPLE, lambda job: job.cancel())
    with pytest.raises(FitCancelled):
        quietly(next, exp)
    assert not (path / "unfinished").exists()
    again = open_experiment(path, simulated())
    with pytest.raises(DesignError, match="no unfinished round"):
        again.resume()
    # In this process the data are still there.
    exp.watch = None
    assert digest(quietly(exp.resume)) == digest(finished().history[0])


def test_a_failed_round_keeps_its_data(tmp_path, monkeypatch):
    path = tmp_path / "promo"
    exp = experiment(path=path)
    with monkeypatch.context() as broken:
        broken.setattr(import_module("pytyche_engine.bcf.fit"), "concat_draws", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            quietly(next, exp)
    assert digest(quietly(quietly(open_experiment, path).resume)) == digest(finished().history[0])


def test_a_round_that_was_added_before_the_kill_is_not_fitted_again(tmp_path):
    path = left_in(tmp_path)
    quietly(quietly(open_experiment, path).resume)
    # As if the process had ended between adding the round and forgetting that it was begun.
    folder = ExperimentFolder(path)
    folder.begin_round(folder.read().rounds[-1].served)
    exp = open_experiment(path)
    assert exp.current_round_idx == 2
    with pytest.raises(DesignError, match="no unfinished round"):
        exp.resume()


def test_the_same_data_again_find_their_chains(tmp_path):
    path = left_in(tmp_path)
    folder = ExperimentFolder(path)
    served = folder.read().unfinished
    kept = folder.begin_round(served)
    kept.folder.mkdir(exist_ok=True)
    (kept.folder / "chain-0.npz").write_bytes(b"")
    assert (folder.begin_round(served).folder / "chain-0.npz").exists()
    other = replace(served, observations=replace(served.observations, notices=("other",)))
    assert not folder.begin_round(other).folder.exists()


def begin(path, *, new=False):
    """A worker that has opened its experiment, and when that was."""
    command = [sys.executable, str(WORKER), str(path), *(["new"] if new else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "open\n", process.stderr.read()
    return process, time.monotonic()


def ended(process):
    out, err = process.communicate()
    assert process.returncode == 0, err
    return json.loads(out)


def test_nothing_is_lost_whenever_the_process_is_killed(tmp_path):
    finished()  # compiled here, so that the time of the next process is that of all after it
    process, opened = begin(tmp_path / "reference", new=True)
    expected = ended(process)
    seconds = time.monotonic() - opened
    luck = np.random.default_rng(8)
    kills = experiments = 0
    there: list[str] = []
    while kills < KILLS:
        path, finished_rounds = tmp_path / f"experiment-{experiments}", 0
        experiments += 1
        process, opened = begin(path, new=True)
        while kills < KILLS:
            until = opened + luck.uniform(0, seconds)
            while process.poll() is None and time.monotonic() < until:
                time.sleep(0.005)
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            saved = ExperimentFolder(path).read()  # whole, whatever happened
            assert len(saved.rounds) >= finished_rounds
            finished_rounds = len(saved.rounds)
            chains = list((path / "unfinished").glob("chains/*.npz"))
            there.append(f"{finished_rounds}{'+' if chains else ''}")
            process, opened = begin(path)
        assert ended(process) == expected
    print(f"{kills} kills in {experiments} experiments; rounds there (+ chains): {there}")
