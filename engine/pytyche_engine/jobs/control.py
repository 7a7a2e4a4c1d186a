"""Pause, resume, stop and cancel, shared by the thread that works and those that watch."""

import threading
import time
from collections.abc import Callable

from pytyche_engine.contracts.errors import FitCancelled, FitLeft
from pytyche_engine.jobs.events import FitEvent, JobState

CANCELLED = "The fit was cancelled. The experiment is as it was."
LEFT = "This process is ending. An experiment with a folder goes on with exp.resume()."


class Control:
    """The switch of one job. Every method may be called from any thread.

    The worker calls `halt_if_asked` between chunks of work: it blocks while paused and
    raises `FitCancelled` once cancelled. Right before it makes its result visible to others
    it calls `seal`, so that a job is either cancelled or done, never both.
    """

    def __init__(self, on_event: Callable[[FitEvent], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._stopping = threading.Event()
        self._running = threading.Event()
        self._running.set()
        self._sealed = False
        self._leaving = False
        self._paused_since: float | None = None
        self._paused_before = 0.0
        self._on_event = on_event

    def cancel(self) -> bool:
        """Ask the worker to stop; also ends a pause.

        Returns:
            Whether it will: False if the work is sealed already.
        """
        with self._lock:
            if not self._sealed:
                self._cancelled.set()
        self._running.set()
        return self._cancelled.is_set()

    def leave(self) -> None:
        """Ask the worker to stop because its process ends, which is no wish to give up."""
        self._leaving = True
        self.cancel()

    def stop(self) -> None:
        """Ask the worker to make do with what it has; also ends a pause."""
        self._stopping.set()
        self.resume()

    @property
    def stopping(self) -> bool:
        """Whether the worker was asked to make do with what it has."""
        return self._stopping.is_set()

    def pause(self) -> None:
        """Ask the worker to wait before its next chunk of work."""
        with self._lock:
            self._running.clear()
            if self._paused_since is None:
                self._paused_since = time.monotonic()

    def resume(self) -> None:
        """Let a paused worker go on."""
        with self._lock:
            self._paused_before = self._paused()
            self._paused_since = None
            self._running.set()

    @property
    def paused_seconds(self) -> float:
        """How long the job has been paused, all pauses together."""
        with self._lock:
            return self._paused()

    def _paused(self) -> float:
        now = 0.0 if self._paused_since is None else time.monotonic() - self._paused_since
        return self._paused_before + now

    @property
    def state(self) -> JobState:
        """What the worker has been asked to do."""
        if self._cancelled.is_set():
            return JobState.CANCELLING
        return JobState.RUNNING if self._running.is_set() else JobState.PAUSED

    def halt_if_asked(self) -> None:
        """Wait while paused; go on at once if nobody asked for anything.

        Raises:
            FitCancelled: if the job was cancelled; `FitLeft` if its process ends.
        """
        # A cancelled worker stops even if somebody pauses it afterwards.
        if not self._cancelled.is_set():
            self._running.wait()
        self._raise_if_cancelled()

    def seal(self) -> None:
        """From here on it is too late to cancel.

        Raises:
            FitCancelled: if the job was cancelled; `FitLeft` if its process ends.
        """
        with self._lock:
            self._raise_if_cancelled()
            self._sealed = True

    def _raise_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise FitLeft(LEFT) if self._leaving else FitCancelled(CANCELLED)

    def emit(self, event: FitEvent) -> None:
        """Hand a snapshot to whoever watches."""
        if self._on_event is not None:
            self._on_event(event)
