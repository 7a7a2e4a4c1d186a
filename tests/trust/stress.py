"""Fits that are started, paused, resumed and cancelled at random, in one process."""

import gc
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from experiment_cases import SETTINGS, experiment, quietly

from pytyche_engine.contracts.errors import FitCancelled
from pytyche_engine.jobs import JobState

LONG = replace(SETTINGS, min_draws=300, max_draws=300)
PATIENCE = 120.0


@dataclass(frozen=True)
class Stress:
    """What became of many fits.

    Attributes:
        cancelled, finished: how they ended.
        stuck: fits that did not end in time.
        threads_left: threads that are there afterwards and were not before.
        before, after: resident bytes after one whole fit, and after all.
    """

    cancelled: int
    finished: int
    stuck: int
    threads_left: int
    before: int
    after: int


def resident() -> int:
    """Resident bytes of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    import resource

    return pages * resource.getpagesize()


def ours() -> set[str]:
    return {t.name for t in threading.enumerate() if t.name.startswith("pytyche-")}


def stress(n: int, seed: int = 5) -> Stress:
    """Start n fits; each is paused, resumed and cancelled at random moments."""
    luck = np.random.default_rng(seed)
    exp = experiment(settings=LONG)
    quietly(exp.start().result)  # compiled, and what one fit takes
    before, threads = resident(), threading.active_count()
    cancelled = finished = stuck = 0
    for _ in range(n):
        exp = experiment(settings=LONG)
        job = quietly(exp.start)
        for _ in range(int(luck.integers(0, 4))):
            time.sleep(float(luck.uniform(0, 0.3)))
            (job.pause, job.resume)[int(luck.integers(2))]()
        time.sleep(float(luck.uniform(0, 0.3)))
        if luck.random() < 0.8:
            job.cancel()
        else:
            job.resume()
        deadline = time.monotonic() + PATIENCE
        while not job.done() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not job.done():
            stuck += 1
        elif job.state is JobState.CANCELLED:
            cancelled += 1
            assert isinstance(job.error, FitCancelled)
            assert exp.current_round_idx == 0
        else:
            finished += 1
            assert job.error is None, job.error
            assert exp.current_round_idx == 1
    deadline = time.monotonic() + 20
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.05)
    left = max(0, threading.active_count() - threads)
    return Stress(cancelled, finished, stuck, left, before, resident())
