"""Independent pieces of work on Dask: worker processes of this machine, or a real cluster."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pytyche_engine.calibration.errors import CalibrationError, FailedFitsWarning
from pytyche_engine.calibration.parts import Key, SweepFolder
from pytyche_engine.contracts.warn import warn
from pytyche_engine.jobs.control import Control
from pytyche_engine.jobs.events import FitEvent, Stage

if TYPE_CHECKING:
    from distributed import Client

K = TypeVar("K")

ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""Set in the workers of a local cluster: each has a core to itself."""

_POLL_SECONDS = 0.25

NO_WORKERS_SECONDS = 60.0
"""How long a cluster may be without any worker before it is given up."""


@dataclass
class Tally:
    """How far many fits have come, as events of a job.

    Attributes:
        control: where events go.
        total: fits in all, those that were there before included.
        n_visitors, n_arms: of one fit.
        done: fits that are finished.
        failed: the error of every fit that failed, by its key.
    """

    control: Control
    total: int
    n_visitors: int
    n_arms: int
    done: int = 0
    failed: dict[Any, str] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)
    _before: int | None = None

    def emit(self) -> None:
        """Say how far it has come."""
        if self._before is None:
            self._before = self.done
        ran = time.monotonic() - self._started - self.control.paused_seconds
        new = self.done - self._before + len(self.failed)
        left = self.total - self.done - len(self.failed)
        self.control.emit(
            FitEvent(
                stage=Stage.FITS,
                iteration=self.done + len(self.failed),
                total_iterations=self.total,
                elapsed_seconds=ran,
                eta_seconds=left * ran / new if new else None,
                n_visitors=self.n_visitors,
                n_arms=self.n_arms,
            )
        )

    def settle(self, what: str) -> None:
        """The end: from here on it is too late to cancel, and failures are told.

        Args:
            what: what the fits are called in messages.

        Raises:
            CalibrationError: if nothing succeeded.
            FitCancelled: if it was cancelled.
        """
        if not self.done:
            errors = "; ".join(sorted(set(self.failed.values())))
            raise CalibrationError(f"None of {self.total} {what} succeeded: {errors}.")
        self.control.seal()
        if self.failed:
            warn(
                f"{len(self.failed)} of {self.total} {what} failed; the others are used. The same "
                f"call tries them again. The first: {next(iter(self.failed.values()))}",
                FailedFitsWarning,
            )


@contextmanager
def connected(cluster: Any = None, n_workers: int | None = None) -> "Iterator[Client]":
    """A client of a cluster, and what was started for it ends with it.

    Args:
        cluster: None for worker processes on this machine's loopback interface, an address, or
            a client that stays open.
        n_workers: of a local cluster; None for one a core.

    Raises:
        CalibrationError: if Dask is not installed, or no cluster can be reached.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise CalibrationError(
            "Sweeps and rehearsals run on Dask, which is not installed. Install it with "
            'pip install "pytyche-lab[dask]".'
        ) from None
    if isinstance(cluster, Client):
        yield cluster
        return
    with ExitStack() as opened:
        try:
            place = cluster
            if cluster is None:
                place = LocalCluster(
                    n_workers=n_workers or _cores(),
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=None,
                    worker_dashboard_address=None,
                    silence_logs=logging.CRITICAL,  # failures are reported by the sweep
                    env=one_thread(),
                )
                opened.callback(place.close)
            client = Client(place)
            opened.callback(client.close)
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            raise CalibrationError(f"No Dask cluster at {cluster!r}: {error}.") from error
        yield client


def run_all(
    client: "Client",
    work: Callable[..., Any],
    calls: Mapping[K, tuple[Any, ...]],
    keep: Callable[[K, Any], None],
    tally: Tally,
) -> None:
    """Do independent calls, a few more at a time than there are workers.

    Results are kept as they come, in whatever order. A call that fails is noted in the tally,
    and the others go on. Pausing lets what runs finish and starts nothing more.

    Args:
        client: where.
        work: a module's function.
        calls: its arguments, by the call's key.
        keep: takes a key and its result; called here, one at a time.
        tally: is told how far it has come.

    Raises:
        FitCancelled: if the tally's control was cancelled; what is kept stays.
        CalibrationError: if the cluster lost all its workers; what is kept stays.
    """
    waiting = list(calls.items())[::-1]
    running: dict[Any, K] = {}
    seen_workers = time.monotonic()
    tally.emit()
    try:
        while waiting or running:
            tally.control.halt_if_asked()
            n_workers = len(client.nthreads())
            if n_workers:
                seen_workers = time.monotonic()
            elif time.monotonic() - seen_workers > NO_WORKERS_SECONDS:
                # A machine that slept, or memory that ran out: they would be waited for for ever.
                raise CalibrationError(
                    f"The cluster has had no workers for {NO_WORKERS_SECONDS:.0f} seconds. What is "
                    "finished is kept where there is a folder: run it again to go on."
                )
            room = 2 * max(1, n_workers) - len(running)
            for _ in range(min(room, len(waiting))):
                key, arguments = waiting.pop()
                running[client.submit(work, *arguments, pure=False)] = key
            finished = [f for f in running if f.done()]
            if not finished:
                time.sleep(_POLL_SECONDS)
                continue
            for future in finished:
                key = running.pop(future)
                if future.status == "finished":
                    keep(key, future.result())
                    tally.done += 1
                elif future.status == "error":
                    error = future.exception()
                    tally.failed[key] = f"{type(error).__name__}: {error}"
                else:  # the cluster gave it up
                    tally.failed[key] = future.status
                future.release()
                tally.emit()
    finally:
        client.cancel(list(running), force=True)


def run_missing(
    folder: SweepFolder,
    work: Callable[..., Any],
    calls: Mapping[Key, tuple[Any, ...]],
    tally: Tally,
    *,
    cluster: Any,
    n_workers: int | None,
) -> None:
    """Do the calls whose results a folder does not have yet; see `run_all` and `connected`."""
    there = set(folder.done(calls))
    missing = {key: call for key, call in calls.items() if key not in there}
    if missing:
        with connected(cluster, n_workers) as client:
            run_all(client, work, missing, folder.add, tally)


def one_thread() -> dict[str, str]:
    """`ONE_THREAD` beside the flags that are set already."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} {ONE_THREAD['XLA_FLAGS']}".strip()
    return {**ONE_THREAD, "XLA_FLAGS": flags}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
