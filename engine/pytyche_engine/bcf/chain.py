"""One chain: advanced in stretches, each cut into chunks that can report, stop and be kept."""

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

import jax
import numpy as np
from jax import Array
from jaxtyping import Float, Key

from pytyche_engine.bcf.bartz_adapter import run_mcmc
from pytyche_engine.bcf.devices import claim
from pytyche_engine.bcf.draws import Draws, HurdleTrace, draws_of_trace
from pytyche_engine.bcf.state import HurdleState
from pytyche_engine.bcf.step import hurdle_step

_CHUNK_SECONDS = 0.3
_MOST_SAVED = (10, 5, 2)

# Tracing is serialised: bartz counts how often its loop is traced in a module global.
_tracing = threading.Lock()

Lifts = Float[np.ndarray, "draws groups treatments"]


@dataclass(frozen=True, eq=False)
class Chain:
    """A chain between two stretches.

    Attributes:
        index: its number.
        key: the random key of all its iterations.
        state: where it is; consumed by `advance`.
        iterations: done so far.
        kept: draws kept so far, in parts.
        lifts: what the monitor saw in them, in the same parts.
    """

    index: int
    key: Key[Array, ""]
    state: HurdleState
    iterations: int = 0
    kept: tuple[Draws, ...] = ()
    lifts: tuple[Lifts, ...] = ()


def advance(
    chain: Chain,
    iterations: int,
    thin: int,
    *,
    watch: Callable[[Draws], Lifts] | None,
    halt_if_asked: Callable[[], None],
    keep: Callable[[Chain], None],
    report: Callable[[int, int], None],
    enough: Callable[[int], bool] = lambda _: False,
) -> Chain:
    """Go on until the chain has done ``iterations`` in all, ``thin`` of them a draw.

    Args:
        chain: where to start; one that is further already stays as it is.
        iterations: rounded up to whole chunks.
        thin: iterations a draw.
        watch: sees each chunk's draws, which are then kept; None drops them.
        halt_if_asked: called before each call; may block or raise.
        keep: called with the chain between chunks.
        report: called after each call with the chain's index and the iterations done.
        enough: asked before each chunk, with the draws kept so far, whether to end here.
    """
    saved, skips = _cut(chain.state.layout.n_rows, thin)
    while chain.iterations < iterations:
        if enough(sum(map(len, chain.kept))):
            break
        keep(chain)
        state, kept, seen = chain.state, chain.kept, chain.lifts
        for call, skip in enumerate(skips, start=1):
            halt_if_asked()
            state, trace = run_chunk(chain.key, state, saved, skip)
            if watch is not None and call == len(skips):
                draws = draws_of_trace(trace, chain.index)
                kept, seen = (*kept, draws), (*seen, watch(draws))
            report(chain.index, saved * skip)
        chain = replace(
            chain,
            state=state,
            iterations=chain.iterations + saved * thin,
            kept=kept,
            lifts=seen,
        )
    keep(chain)
    return chain


def run_chunk(
    key: Key[Array, ""], state: HurdleState, saved: int, skip: int
) -> tuple[HurdleState, HurdleTrace]:
    """Advance a chain by ``saved * skip`` iterations, keeping every ``skip``-th.

    Continuing with the same key is exact: cutting a run into chunks changes no draw. The
    given state is consumed.
    """
    may_trace = int(state.config.steps_done) == 0
    with claim(state.config.mesh):
        # Only until the sweeps are under way: other chains' need not wait for them.
        with _tracing if may_trace else nullcontext():
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


def iterations_of(n_rows: int, thin: int, n_draws: int) -> int:
    """Iterations that `advance` takes for that many draws: whole chunks."""
    saved, _ = _cut(n_rows, thin)
    return -(-n_draws // saved) * saved * thin


def _cut(n_rows: int, thin: int) -> tuple[int, tuple[int, ...]]:
    """Chunks of about a third of a second, so that pause and cancel answer within one.

    Returns:
        Draws of a chunk; and how many iterations each call takes: where one draw takes longer
        than a chunk may, several calls make it. A bucket of rows has one answer, since the
        number of draws is part of the compiled shape.
    """
    seconds = thin * (0.001 + 1e-6 * n_rows)
    for saved in _MOST_SAVED:
        if saved * seconds <= _CHUNK_SECONDS:
            return saved, (thin,)
    calls = min(thin, max(1, round(seconds / _CHUNK_SECONDS)))
    return 1, tuple(len(part) for part in np.array_split(np.arange(thin), calls))
