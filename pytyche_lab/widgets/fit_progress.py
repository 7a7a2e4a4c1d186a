"""Live progress of a fit: stage, bar, time left, interim lifts; Pause, Stop and keep, Cancel."""

import html
import math
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import traitlets as t

from pytyche_engine.contracts import PytycheError
from pytyche_engine.contracts.convergence import R_HAT_LIMIT
from pytyche_engine.jobs import ROUND_STAGES, FitEvent, InterimLift, Job, JobState, Stage
from pytyche_lab.job_convergence import is_unconverged
from pytyche_lab.widgets.lab_widget import LabWidget
from pytyche_lab.widgets.schema.fit_progress import (
    FitSetup,
    LiftView,
    Progress,
    StageStatus,
    StageView,
)
from pytyche_lab.widgets.schema.shared import ArmRef
from pytyche_lab.widgets.values import finite

PERIOD_SECONDS = 0.1
"""Snapshots are sent at most this often; faster ones would be dropped on the way."""

BEAT_SECONDS = 1.0
"""A snapshot is sent at least this often, so that the browser knows that the kernel lives."""


class FitProgress(LabWidget, bundle="fit_progress"):
    """Shows a job while it runs and passes on Pause, Resume, Stop and keep, and Cancel.

    A publisher thread looks at the job ten times a second and sends the newest snapshot, so
    neither the worker nor the cell that waits for it ever waits for the browser. The last
    snapshot, with the final state, is always sent.

    Args:
        job: the job to show; it may be running already.
        title: what is being done, e.g. ``"Fitting round 2"``.
        arms: arm names, control first; they set the arms' colours.
        currency: symbol printed with money.
        r_hat_limit: what R-hat has to stay below.
        untouched: what stays as it was if the fit does not end well.
    """

    setup = t.Dict().tag(sync=True)
    progress = t.Dict().tag(sync=True)
    traces = t.Bytes().tag(sync=True)

    def __init__(
        self,
        job: Job[Any],
        *,
        title: str = "Fitting",
        arms: Sequence[str] = (),
        currency: str = "$",
        r_hat_limit: float = R_HAT_LIMIT,
        untouched: str = "The experiment is as it was.",
    ) -> None:
        self._job = job
        self._arms = tuple(arms)
        self._closed = threading.Event()
        setup: FitSetup = {
            "title": title,
            "currency": currency,
            "r_hat_limit": r_hat_limit,
            "untouched": untouched,
        }
        super().__init__(setup=setup, progress=progress_view(job, 0, 0.0, self._arms))
        self._publisher = threading.Thread(
            target=self._publish_until_the_end, name=f"pytyche-show-{job.name}", daemon=True
        )
        self._publisher.start()

    def close(self) -> None:
        """Stop showing the job. The job itself goes on."""
        self._closed.set()
        super().close()

    def summary(self) -> str:
        """One line that is the same in every run."""
        return str(self.setup["title"])

    def summary_html(self) -> str:
        """What a reader without a kernel sees."""
        return f"<p>{html.escape(self.summary())}: shown live in JupyterLab.</p>"

    def asked(self, content: dict[str, Any]) -> None:
        """Pass on a button."""
        match content.get("kind"):
            case "cancel":
                self._job.cancel()
            case "pause":
                self._job.pause()
            case "resume":
                self._job.resume()
            case "stop":
                self._job.stop()
            case kind:
                raise ValueError(f"FitProgress knows cancel, pause, resume, stop; not {kind!r}.")

    def _publish_until_the_end(self) -> None:
        sent: tuple[FitEvent | None, JobState] | None = None
        sent_at = looked_at = time.monotonic()
        beat, ran = 0, 0.0
        while not self._closed.is_set():
            # Asked first: whatever is read after the end is final.
            ended = self._job.done()
            now = time.monotonic()
            seen = (self._job.latest, self._job.state)
            if sent is None or seen[0] is not sent[0]:
                ran = 0.0
            elif seen[1] is JobState.RUNNING:
                ran += now - looked_at
            looked_at = now
            changed = sent is None or seen[0] is not sent[0] or seen[1] is not sent[1]
            if ended or changed or now - sent_at >= BEAT_SECONDS:
                beat += 1
                with self.publish():
                    self.set_trait("traces", trace_bytes(seen[0]))
                    self.set_trait("progress", progress_view(self._job, beat, ran, self._arms))
                sent, sent_at = seen, now
            if ended:
                return
            self._closed.wait(PERIOD_SECONDS)


def progress_view(job: Job[Any], beat: int, ran: float, arms: tuple[str, ...]) -> Progress:
    """A job as plain JSON values.

    Args:
        job: the job.
        beat: the number of this snapshot.
        ran: seconds that the job has been running since its newest event.
        arms: arm names, control first; empty when not known.
    """
    state, event = job.state, job.latest or FitEvent(Stage.READ)
    left = event.eta_seconds
    return {
        "beat": beat,
        "state": state.value,
        "stage": event.stage.value,
        "stages": _stages(event, ran, finished=state is JobState.DONE),
        "iteration": event.iteration,
        "total_iterations": event.total_iterations,
        "warm_up_iterations": event.warm_up_iterations,
        "elapsed_seconds": event.elapsed_seconds + ran,
        "eta_seconds": None if left is None or not math.isfinite(left) else max(0.0, left - ran),
        "n_visitors": event.n_visitors,
        "n_arms": event.n_arms,
        "n_chains": event.n_chains,
        "lifts": [
            _lift(lift, i, arms)
            for i, lift in enumerate(event.interim)
            if all(map(math.isfinite, (lift.mean, lift.low, lift.high)))
        ],
        "trace_lengths": [len(trace) for trace in event.chain_traces],
        "message": _message(job.error),
        "unconverged": is_unconverged(job),
        "stopping": job.stopping,
        "memory_bytes": _memory_bytes(),
        "memory_total": _memory_total(),
    }


def trace_bytes(event: FitEvent | None) -> bytes:
    """The chains' traces as little-endian float32, chain after chain."""
    if event is None or not event.chain_traces:
        return b""
    return np.concatenate([np.asarray(c, dtype="<f4") for c in event.chain_traces]).tobytes()


def _memory_bytes() -> int | None:
    """What this process holds in memory; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _memory_total() -> int | None:
    """The machine's memory; None where the system does not say."""
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _stages(event: FitEvent, ran: float, *, finished: bool) -> list[StageView]:
    order: list[Stage] = [Stage.FITS] if event.stage is Stage.FITS else list(ROUND_STAGES)
    current = order.index(event.stage)
    views: list[StageView] = []
    for i, stage in enumerate(order):
        status: StageStatus = (
            "done" if i < current or finished else "current" if i == current else "todo"
        )
        seconds = event.stage_seconds.get(stage.value)
        if i == current:
            seconds = (seconds or 0.0) + ran
        views.append({"name": stage.value, "status": status, "seconds": seconds})
    return views


def _lift(lift: InterimLift, position: int, arms: tuple[str, ...]) -> LiftView:
    slot = arms.index(lift.treatment) if lift.treatment in arms else position + 1
    arm: ArmRef = {"name": lift.treatment, "slot": slot}
    return {
        "arm": arm,
        "lift": {"mean": lift.mean, "low": lift.low, "high": lift.high},
        "r_hat": finite(lift.r_hat),
        "ess": finite(lift.ess),
    }


def _message(error: BaseException | None) -> str:
    if error is None:
        return ""
    # An error that was raised on purpose explains itself; another one is named.
    return str(error) if isinstance(error, PytycheError) else f"{type(error).__name__}: {error}"
