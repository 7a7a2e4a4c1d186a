"""Fit the joint hurdle BCF: several chains in threads, in chunks that can report and stop."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from jaxtyping import UInt8

from pytyche_engine.bcf.bartz_adapter import run_mcmc
from pytyche_engine.bcf.draws import (
    Draws,
    HurdleTrace,
    concat_draws,
    draws_of_trace,
    evaluate,
)
from pytyche_engine.bcf.encoding import learn_encoding
from pytyche_engine.bcf.posterior import Posterior
from pytyche_engine.bcf.progress import ProgressReporter
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.bcf.state import HurdleState, LatentScale, init_state
from pytyche_engine.bcf.step import hurdle_step
from pytyche_engine.contracts.errors import FitError
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.jobs.control import Control
from pytyche_engine.jobs.events import Stage

MONITOR_ROWS = 256
"""Visitors that interim lifts are averaged over."""

# Tracing is serialised: bartz counts how often its loop is traced in a module global.
_tracing = threading.Lock()


@dataclass(frozen=True)
class _Chunks:
    """How a chain is cut: every call to `run_mcmc` keeps ``saved`` draws."""

    saved: int
    warm_up_calls: int
    warm_up_skip: int
    draw_calls: int


def fit(
    observations: Observations,
    *,
    settings: Settings | None = None,
    seed: int = 0,
    control: Control | None = None,
    progress: ProgressReporter | None = None,
) -> Posterior:
    """Fit all visitors of ``observations``.

    Args:
        observations: validated data, of one or more rounds.
        settings: sampler settings.
        seed: the same seed, data and machine give the same draws.
        control: obeys its pause and cancel between chunks.
        progress: where progress goes; by default events of `control`.

    Raises:
        FitCancelled: if the control was cancelled.
        FitError: if the sampler produced numbers that are not finite.
    """
    settings = settings or Settings()
    control = control or Control()
    _use_compilation_cache()
    progress = progress or ProgressReporter(control, observations, settings)
    progress.stage(Stage.READ)
    encoding = learn_encoding(observations.features, observations.schema, settings.num_cuts)
    X, max_split = encoding.encode(observations.features), encoding.max_split
    if not len(max_split):
        # Without features the forests are constants: one column that cannot be split.
        X, max_split = np.zeros((1, len(observations)), np.uint8), np.zeros(1, np.uint8)
    scale = LatentScale.of(observations.revenue)
    monitor = X[:, _evenly(len(observations), MONITOR_ROWS)]
    chunks = _plan_chunks(settings, len(observations))

    def chain(index: int, halt: threading.Event) -> Draws:
        rng = np.random.default_rng([seed, index])
        state = init_state(
            X,
            max_split,
            observations.arm,
            observations.revenue,
            observations.n_arms,
            observations.outcome,
            scale,
            settings,
            rng,
        )
        key = jax.random.fold_in(jax.random.key(seed), index)
        return _run_chain(
            index, key, state, chunks, monitor, scale, settings, control, progress, halt
        )

    progress.stage(Stage.COMPILE)
    parts = _run_chains(chain, settings.num_chains)
    draws = concat_draws(parts)
    if not all(np.isfinite(v).all() for v in (draws.arm_effect, draws.mu_leaf, draws.sigma2)):
        raise FitError(
            "The sampler left the range of finite numbers. The experiment is unchanged. "
            "Check the revenue column for extreme values, or fit with another seed."
        )
    return Posterior(
        arms=observations.arms,
        outcome=observations.outcome,
        encoding=encoding,
        scale=scale,
        draws=draws,
        settings=settings,
        seed=seed,
        n_visitors=len(observations),
    )


def _run_chains(chain: Callable[[int, threading.Event], Draws], count: int) -> list[Draws]:
    """Run chains in threads; the first error halts the others and is raised."""
    halt = threading.Event()
    with ThreadPoolExecutor(max_workers=min(count, os.cpu_count() or 1)) as pool:
        futures = [pool.submit(chain, index, halt) for index in range(count)]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            if error := future.exception():
                halt.set()
                raise error
        return [future.result() for future in futures]


def _run_chain(
    index: int,
    key: jax.Array,
    state: HurdleState,
    chunks: _Chunks,
    monitor: UInt8[np.ndarray, "p rows"],
    scale: LatentScale,
    settings: Settings,
    control: Control,
    progress: ProgressReporter,
    halt: threading.Event,
) -> Draws:
    kept: list[Draws] = []
    for call in range(chunks.warm_up_calls + chunks.draw_calls):
        control.checkpoint()
        if halt.is_set():
            raise FitError("Another chain of this fit failed.")
        warm = call < chunks.warm_up_calls
        skip = chunks.warm_up_skip if warm else settings.thin
        if call == 0:
            with _tracing:
                state, trace = run_chunk(key, state, chunks.saved, skip)
        else:
            state, trace = run_chunk(key, state, chunks.saved, skip)
        lifts = np.zeros((0, len(state.arm_effect[0]) - 1))
        if not warm:
            draws = draws_of_trace(trace, index)
            kept.append(draws)
            surfaces = evaluate(draws, monitor, scale, state.channels)
            rpv = (surfaces.conversion * surfaces.severity).mean(axis=2)
            lifts = rpv[:, 1:] - rpv[:, :1]
        progress.advance(index, chunks.saved * skip, lifts)
    draws = concat_draws(kept)
    return draws.take(np.arange(settings.num_draws))


def run_chunk(
    key: jax.Array, state: HurdleState, saved: int, skip: int
) -> tuple[HurdleState, HurdleTrace]:
    """Advance a chain by ``saved * skip`` iterations, keeping every ``skip``-th.

    Continuing with the same key is exact: cutting a run into chunks changes no draw. The
    given state is consumed.
    """
    result = run_mcmc(
        key,
        state,  # our own type: run_mcmc reads and advances its config only
        saved,
        n_skip=skip,
        main_trace_type=HurdleTrace,
        burnin_trace_type=HurdleTrace,
        step=hurdle_step,
    )
    jax.block_until_ready(result.final_state.config.steps_done)
    return result.final_state, result.main_trace


def _plan_chunks(settings: Settings, n: int) -> _Chunks:
    """Chunks of about a third of a second, so that pause and cancel answer within one."""
    seconds_per_iteration = 0.002 + 1e-6 * n
    budget = max(1, round(0.3 / seconds_per_iteration))
    saved = int(np.clip(budget // settings.thin, 1, 10))
    skip = max(1, min(budget // saved, max(settings.num_warm_up // saved, 1)))
    return _Chunks(
        saved=saved,
        warm_up_calls=-(-settings.num_warm_up // (saved * skip)),
        warm_up_skip=skip,
        draw_calls=-(-settings.num_draws // saved),
    )


def _evenly(n: int, count: int) -> np.ndarray:
    return np.linspace(0, n - 1, min(n, count)).round().astype(int)


def _use_compilation_cache() -> None:
    """Keep compiled code between processes, unless the user configured JAX's cache."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(Path(home) / "pytyche-lab" / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
