"""One piece of work in a worker thread, with events, pause and cancel."""

import concurrent.futures.thread  # noqa: F401 - registers its own exit first; see `_stop_all`
import threading
import time
import weakref
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar, cast

from pytyche_engine.contracts.errors import FitCancelled
from pytyche_engine.jobs.control import CANCELLED, Control
from pytyche_engine.jobs.events import FitEvent, JobState

T = TypeVar("T")

CANCEL_SECONDS = 0.8
"""A cancelled job ends within this, even if its thread cannot be interrupted (compiling)."""

EXIT_SECONDS = 2.0
"""How long the interpreter's exit waits for threads to halt."""

_POLL_SECONDS = 0.1
_live: "weakref.WeakSet[Job[Any]]" = weakref.WeakSet()


class Job(Generic[T]):
    """Runs ``work(control)`` in a thread and keeps its newest event.

    Listeners are called from the worker thread with each event and must return fast.
    A listener that raises does not stop the work: it is not called again, and its error is
    kept in `listener_errors`.
    """

    def __init__(self, work: Callable[[Control], T], name: str = "fit") -> None:
        self.name = name
        self.control = Control(self._publish)
        self.listener_errors: list[Exception] = []
        self._work = work
        self._listeners: list[Callable[[FitEvent], None]] = []
        # Held while events are handed on, so that nobody sees an older one after a newer one.
        self._lock = threading.RLock()
        self._latest: FitEvent | None = None
        self._result: T | None = None
        self._error: BaseException | None = None
        self._ending = threading.Lock()
        self._finished = threading.Event()
        # Daemon, so that a kernel can exit; stopped and joined at exit, because a daemon
        # thread that is inside XLA at interpreter exit aborts the process.
        self._thread = threading.Thread(target=self._run, name=f"pytyche-{name}", daemon=True)

    def start(self) -> "Job[T]":
        """Begin. Returns the job itself."""
        _live.add(self)
        self._thread.start()
        return self

    def subscribe(self, listener: Callable[[FitEvent], None]) -> None:
        """Call ``listener`` with every event from now on, and with the newest one at once."""
        with self._lock:
            if self._latest is not None:
                listener(self._latest)
            self._listeners.append(listener)

    @property
    def latest(self) -> FitEvent | None:
        """The newest event."""
        return self._latest

    @property
    def state(self) -> JobState:
        """What the job is doing."""
        if not self._finished.is_set():
            return self.control.state
        if self._error is None:
            return JobState.DONE
        return JobState.CANCELLED if isinstance(self._error, FitCancelled) else JobState.FAILED

    @property
    def error(self) -> BaseException | None:
        """Why it ended, if it did not end well."""
        return self._error

    def pause(self) -> None:
        """Wait between two pieces of work, within a second on rounds of ordinary size."""
        self.control.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        self.control.resume()

    def stop(self) -> None:
        """End sampling as soon as there are draws enough to say anything, and keep them.

        The rest of the work goes on. If the chains do not agree yet, what it returns is
        labelled unconverged wherever a number of it appears.
        """
        self.control.stop()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop and keep what it has."""
        return self.control.stopping

    def cancel(self) -> None:
        """Stop; nothing of the work is kept.

        The thread stops at the end of its present piece of work. Where that takes longer than
        `CANCEL_SECONDS` (a compilation cannot be interrupted) the job ends without it, and
        whatever the thread still does is thrown away. Work that is done but for being handed
        over stays done.
        """
        if self.control.cancel() and not self.done():
            timer = threading.Timer(CANCEL_SECONDS, self._end, (None, FitCancelled(CANCELLED)))
            timer.daemon = True
            timer.start()

    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._finished.is_set()

    def result(self) -> T:
        """Wait for the end and return what the work returned.

        An interrupt (Ctrl-C, Kernel > Interrupt) cancels the job.

        Raises:
            FitCancelled: if it was cancelled.
            Exception: whatever the work raised.
        """
        try:
            # A plain wait() would not let KeyboardInterrupt through on every platform.
            while not self._finished.wait(_POLL_SECONDS):
                pass
        except KeyboardInterrupt:
            self.cancel()
            self._finished.wait()
            raise
        if self._error is not None:
            raise self._error
        return cast("T", self._result)

    def __await__(self) -> Generator[Any, None, T]:
        import asyncio

        async def wait() -> T:
            while not self._finished.is_set():
                await asyncio.sleep(_POLL_SECONDS)
            return self.result()

        return wait().__await__()

    def _publish(self, event: FitEvent) -> None:
        with self._lock:
            if self.done():  # from a thread that was left behind
                return
            self._latest = event
            for listener in tuple(self._listeners):
                try:
                    listener(event)
                except Exception as error:  # noqa: BLE001 - a broken view must not end a fit
                    self.listener_errors.append(error)
                    self._listeners.remove(listener)

    def _run(self) -> None:
        try:
            self._end(self._work(self.control), None)
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._end(None, error)

    def _end(self, result: T | None, error: BaseException | None) -> None:
        """Settle how it ended; only the first call counts."""
        with self._ending:
            if not self.done():
                self._result, self._error = result, error
                self._finished.set()


def _stop_all() -> None:
    """Cancel whatever runs, before the interpreter waits for the threads of executors.

    A plain atexit handler comes too late: a fit runs its chains in an executor, whose threads
    are joined before such handlers are called, so that exit would wait for the whole fit.
    """
    deadline = time.monotonic() + EXIT_SECONDS
    jobs = [job for job in _live if job._thread.is_alive()]
    for job in jobs:
        job.control.leave()
    for job in jobs:
        job._thread.join(max(0.0, deadline - time.monotonic()))


# Called last registered first, hence before the one of concurrent.futures, imported above.
threading._register_atexit(_stop_all)  # type: ignore[attr-defined]  # private, not in typeshed
