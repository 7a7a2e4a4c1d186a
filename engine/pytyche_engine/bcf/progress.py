"""Turn what the chains do into events."""

import threading
import time

import numpy as np
from jaxtyping import Float

from pytyche_engine.bcf.diagnostics import ess, r_hat
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.jobs.control import Control
from pytyche_engine.jobs.events import FitEvent, InterimLift, Stage

TRACE_POINTS = 200
_REPORT_SECONDS = 0.1
_DIAGNOSE_SECONDS = 0.5


class ProgressReporter:
    """Collects the chains' advances under a lock; emits at most ten events a second, and stages."""

    def __init__(self, control: Control, observations: Observations, settings: Settings) -> None:
        self._control = control
        self._arms = observations.arms
        self._n = len(observations)
        self._warm_up, self._total = settings.num_warm_up, 0
        self._lock = threading.Lock()
        self._done = [0] * settings.num_chains
        self._lifts: list[list[Float[np.ndarray, "draws treatments"]]] = [
            [] for _ in range(settings.num_chains)
        ]
        self._started = self._stage_started = self._now()
        self._stage = Stage.READ
        self._stage_seconds: dict[str, float] = {}
        self._last_report = self._last_diagnosis = 0.0
        self._interim: tuple[InterimLift, ...] = ()
        self._clock: list[tuple[float, int]] = []

    def _now(self) -> float:
        """Seconds of work, which stand still while the job is paused."""
        return time.monotonic() - self._control.paused_seconds

    def stage(self, stage: Stage) -> None:
        """Enter a stage and say so."""
        with self._lock:
            self._enter(stage)
            self._emit()

    def plan(self, warm_up: int, drawing: int) -> None:
        """Set how many iterations each chain is to do: warm-up, and in all after it."""
        with self._lock:
            self._warm_up, self._total = warm_up, warm_up + drawing

    def start_pace(self) -> None:
        """Measure the pace from here on: what came before contains the compilation."""
        with self._lock:
            self._clock = [(self._now(), sum(self._done))]

    def predicted_seconds(self) -> float | None:
        """Of work in all, from the start to the planned end; None while no pace is known."""
        with self._lock:
            left = self._eta()
            return None if left is None else self._now() - self._started + left

    def saw(self, chain: int, lifts: Float[np.ndarray, "draws treatments"]) -> None:
        """Note the lifts of draws that a chain kept."""
        with self._lock:
            self._lifts[chain].append(lifts)

    def advance(self, chain: int, iterations: int) -> None:
        """Note that a chain did some iterations."""
        with self._lock:
            self._done[chain] += iterations
            slowest, stage = min(self._done), self._stage
            if self._stage is Stage.COMPILE and slowest > 0:
                self._enter(Stage.WARM_UP)
            if self._stage is Stage.WARM_UP and slowest >= self._warm_up:
                self._enter(Stage.SAMPLE)
            now = self._now()
            self._clock.append((now, sum(self._done)))
            finished = slowest >= self._total
            news = finished or self._stage is not stage  # which cannot wait
            if now - self._last_diagnosis >= _DIAGNOSE_SECONDS or finished:
                self._interim = self._diagnose()
                self._last_diagnosis = now
            if now - self._last_report >= _REPORT_SECONDS or news:
                self._last_report = now
                self._emit()

    def _enter(self, stage: Stage) -> None:
        now = self._now()
        self._stage_seconds[self._stage.value] = (
            self._stage_seconds.get(self._stage.value, 0.0) + now - self._stage_started
        )
        self._stage, self._stage_started = stage, now

    def _chains(self) -> list[Float[np.ndarray, "draws treatments"]]:
        return [np.concatenate(parts) for parts in self._lifts if parts]

    def _diagnose(self) -> tuple[InterimLift, ...]:
        chains = self._chains()
        if not chains or min(map(len, chains)) < 2:
            return ()
        length = min(map(len, chains))
        stacked = np.stack([c[:length] for c in chains])
        lifts = []
        for k, arm in enumerate(self._arms[1:]):
            one = stacked[:, :, k]
            estimate = Estimate.from_draws(one.ravel())
            lifts.append(
                InterimLift(arm, estimate.mean, estimate.low, estimate.high, r_hat(one), ess(one))
            )
        return tuple(lifts)

    def _eta(self) -> float | None:
        # The first reading contains the compilation, so the pace is taken after it.
        if len(self._clock) < 2:
            return None
        recent = self._clock[-60:]
        seconds, iterations = recent[-1][0] - recent[0][0], recent[-1][1] - recent[0][1]
        if seconds <= 0 or iterations <= 0:
            return None
        left = self._total * len(self._done) - sum(self._done)
        return max(left, 0) * seconds / iterations

    def _emit(self) -> None:
        now = self._now()
        seconds = dict(self._stage_seconds)
        seconds[self._stage.value] = seconds.get(self._stage.value, 0.0) + now - self._stage_started
        self._control.emit(
            FitEvent(
                stage=self._stage,
                iteration=min(min(self._done), self._total),
                total_iterations=self._total,
                warm_up_iterations=self._warm_up,
                elapsed_seconds=now - self._started,
                eta_seconds=self._eta(),
                stage_seconds=seconds,
                n_visitors=self._n,
                n_arms=len(self._arms),
                n_chains=len(self._done),
                interim=self._interim,
                chain_traces=tuple(
                    tuple(map(float, c[:: max(1, len(c) // TRACE_POINTS), 0]))
                    for c in self._chains()
                ),
            )
        )
