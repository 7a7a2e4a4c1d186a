"""No room, no permission, a lock, no memory: an error in words, and the earlier state is there.

Disks that are full or read-only are real ones (a tmpfs of two megabytes) where this process may
mount; the same errors are raised in place of writes everywhere.
"""

import contextlib
import errno
import functools
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from calibration_cases import artifact
from experiment_cases import experiment, quietly, simulated

from pytyche_engine.calibration import CalibrationArtifact, CalibrationError
from pytyche_engine.contracts import writing
from pytyche_engine.contracts.errors import FitError, StoreError
from pytyche_engine.experiment import fit_round as fitting
from pytyche_engine.experiment import open_experiment
from pytyche_engine.store import database, folder
from pytyche_engine.store.records import ExperimentDraft
from pytyche_engine.store.registry import Registry

TROUBLES = {
    "disk full": OSError(errno.ENOSPC, "No space left on device"),
    "read-only": OSError(errno.EROFS, "Read-only file system"),
    "permission denied": PermissionError(errno.EACCES, "Permission denied"),
}


made_artifact = functools.cache(artifact)


def fails_with(trouble):
    def fail(*_args, **_kwargs):
        raise trouble

    return fail


@pytest.mark.parametrize("trouble", TROUBLES)
def test_an_experiment_that_cannot_be_written_says_so_and_stays(trouble, tmp_path, monkeypatch):
    exp = experiment(path=tmp_path / "promo")
    cells = exp.plan.cells
    exp.accept([replace(cells[0], weight=0.6), replace(cells[1], weight=0.4)])
    with monkeypatch.context() as broken:
        broken.setattr(writing.os, "replace", fails_with(TROUBLES[trouble]))
        with pytest.raises(StoreError, match="cannot be kept in"):
            exp.accept([replace(cells[0], weight=0.7), replace(cells[1], weight=0.3)])
    with monkeypatch.context() as broken:
        broken.setattr(folder, "write_served", fails_with(TROUBLES[trouble]))
        with pytest.raises(StoreError, match="The round was not begun"):
            quietly(next, exp)
    assert [c.weight for c in exp.plan.cells] == [0.6, 0.4]
    again = open_experiment(tmp_path / "promo", simulated())
    assert [c.weight for c in again.plan.cells] == [0.6, 0.4]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_an_artifact_that_cannot_be_written_leaves_the_earlier_one(trouble, tmp_path, monkeypatch):
    made = made_artifact()
    made.save(tmp_path)
    other = replace(made, name="other", results=made.results.iloc[:100])
    with monkeypatch.context() as broken:
        broken.setattr(writing.os, "replace", fails_with(TROUBLES[trouble]))
        with pytest.raises(CalibrationError, match="cannot be written"):
            other.save(tmp_path)
    assert CalibrationArtifact.load(tmp_path).name == made.name
    other.save(tmp_path)
    assert CalibrationArtifact.load(tmp_path).name == "other"
    assert len(list(tmp_path.glob("results*.parquet"))) == 1


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("this process may not mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(file):
    with file.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(4096)):
            pass


def create_many(registry):
    for _ in range(200):
        registry.create(ExperimentDraft("x" * 200, hypothesis="y" * 9_000), "me")


def test_a_disk_that_is_really_full_and_then_read_only(small_disk):
    exp = experiment(path=small_disk / "promo")
    registry = Registry(f"sqlite:///{small_disk}/registry.sqlite", small_disk)
    registry.create(ExperimentDraft("first"), "me")
    fill(small_disk / "filler")
    with pytest.raises(StoreError, match="No space left"):
        quietly(next, exp)
    with pytest.raises(StoreError, match="Make room on the disk"):
        create_many(registry)
    assert open_experiment(small_disk / "promo").current_round_idx == 0
    assert registry.named("first", None).status == "draft"
    (small_disk / "filler").unlink()
    registry.database.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match="Read-only file system"):
        quietly(next, exp)
    assert open_experiment(small_disk / "promo").current_round_idx == 0


def test_a_locked_database_is_waited_for_and_then_named(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.2)
    registry = Registry(f"sqlite:///{tmp_path}/registry.sqlite", tmp_path)
    registry.create(ExperimentDraft("first"), "me")
    holder = sqlite3.connect(tmp_path / "registry.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"locked.*Another process holds it"):
        registry.create(ExperimentDraft("second"), "me")
    assert registry.named("first", None).name == "first"  # readers need not wait
    holder.execute("ROLLBACK")
    assert registry.create(ExperimentDraft("second"), "me").name == "second"


def test_what_is_no_database_is_named(tmp_path):
    (tmp_path / "registry.sqlite").write_bytes(b"no database at all" * 500)
    with pytest.raises(StoreError, match="restore it from a copy"):
        Registry(f"sqlite:///{tmp_path}/registry.sqlite", tmp_path)


def test_writes_of_several_threads_are_all_there(tmp_path):
    registry = Registry(f"sqlite:///{tmp_path}/registry.sqlite", tmp_path)
    threads = [
        threading.Thread(
            target=lambda k=k: [
                registry.create(ExperimentDraft(f"{k}-{i}"), "me") for i in range(10)
            ]
        )
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert registry.page(None, limit=1, offset=0).n_found == 40


@pytest.mark.parametrize("error", [MemoryError(), "RESOURCE_EXHAUSTED"])
def test_a_fit_that_runs_out_of_memory_says_so_and_goes_on_later(error, tmp_path, monkeypatch):
    if isinstance(error, str):
        import jax

        error = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating")
    exp = experiment(path=tmp_path / "promo")
    monkeypatch.setattr(fitting, "fit", fails_with(error))
    with pytest.raises(FitError, match=r"Memory ran out in a fit of 32 visitors.*exp\.resume"):
        quietly(next, exp)
    again = quietly(open_experiment, tmp_path / "promo")
    assert "unfinished" in repr(again)


LIMITED = """
import resource, sys
sys.path[:0] = [{here!r}]
import numpy as np, pandas as pd
from pytyche_engine.contracts.errors import PytycheError
from pytyche_engine.contracts import reading
from pathlib import Path
used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 50 * 2**20,) * 2)
try:
    reading.read_arrays(Path({file!r}))
except (PytycheError, MemoryError) as error:
    print("refused", type(error).__name__)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_file_larger_than_memory_is_refused_in_words(tmp_path):
    file = tmp_path / "large.npz"
    np.savez(file, a=np.zeros(20_000_000))
    code = LIMITED.format(here=str(Path(__file__).parents[2] / "engine"), file=str(file))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "refused UnreadableError", done.stderr
