"""Fit the joint hurdle BCF: several chains in threads, in chunks that can report and stop."""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import fields
from functools import partial
from pathlib import Path

import jax
import numpy as np

from pytyche_engine.bcf.chain import Chain, Lifts, advance, iterations_of
from pytyche_engine.bcf.checkpoint import Checkpoints, fingerprint
from pytyche_engine.bcf.devices import place
from pytyche_engine.bcf.draws import Draws, concat_draws
from pytyche_engine.bcf.encoding import Encoding, extend_encoding, learn_encoding
from pytyche_engine.bcf.monitor import Monitor, passed
from pytyche_engine.bcf.posterior import Posterior
from pytyche_engine.bcf.progress import ProgressReporter
from pytyche_engine.bcf.propensities import (
    is_propensity,
    learn_propensities,
    schema_with_propensities,
    with_propensities,
)
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.bcf.start import Encoded, cold_start, init_state, warm_start
from pytyche_engine.bcf.state import CHANNELS, LatentScale
from pytyche_engine.contracts.convergence import Sampling
from pytyche_engine.contracts.errors import FitError, SlowFitWarning
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.warn import warn
from pytyche_engine.jobs.control import Control
from pytyche_engine.jobs.events import JobState, Stage

CHECK_DRAWS = 50
"""Draws of each chain between two looks at convergence."""

LEAST_DRAWS = 20
"""Draws of each chain before it can be asked to make do with them."""

SLOW_SECONDS = 300
"""A fit on a CPU that is predicted to take longer is worth a warning."""

# Taken for good by the first warning of the process.
_slow_not_said = threading.Lock()


def fit(
    observations: Observations,
    *,
    settings: Settings | None = None,
    seed: int = 0,
    previous: Posterior | None = None,
    num_data_devices: int = 1,
    control: Control | None = None,
    progress: ProgressReporter | None = None,
    checkpoints: Checkpoints | None = None,
) -> Posterior:
    """Fit all visitors of ``observations``.

    Args:
        observations: validated data, of one or more rounds.
        settings: sampler settings.
        seed: the same seed, data and machine give the same draws.
        previous: an earlier fit of the same experiment. Chains start from its forests if it
            has the same arms, outcome and tree sizes, else cold.
        num_data_devices: JAX devices that the visitors of a chain are spread over. Chains are
            dealt out to the groups of devices there are.
        control: obeys its pause and cancel between chunks.
        progress: where progress goes; by default events of `control`.
        checkpoints: where chains are kept, and go on from if the same fit was begun there.

    Sampling ends when R-hat and effective sample size of the lifts, of everyone and of halves
    of the visitors, have passed, between ``settings.min_draws`` and ``settings.max_draws``, or
    when the control asks to stop, from `LEAST_DRAWS` a chain on; the posterior's ``sampling``
    says which it was.

    Raises:
        FitCancelled: if the control was cancelled.
        FitError: if the sampler produced numbers that are not finite, or there are fewer
            devices than asked for.
    """
    settings = settings or Settings()
    control = control or Control()
    _use_compilation_cache()
    progress = progress or ProgressReporter(control, observations, settings)
    progress.stage(Stage.READ)
    if previous is not None and not previous.can_start(observations, settings):
        previous = None
    warm_up = settings.num_warm_up if previous is None else settings.num_warm_up_warm
    encoding = _learn_encoding(observations, settings, previous)
    data = _encode(observations, encoding)
    monitor = Monitor.of(data.X)
    channels = CHANNELS[data.outcome]

    halt = threading.Event()

    def begin(index: int) -> Chain:
        rng = np.random.default_rng([seed, index])
        first = (
            cold_start(data, settings, rng)
            if previous is None
            else warm_start(previous.draws, index, channels, previous.scale, data.scale)
        )
        state = init_state(data, first, settings, rng, place(index, num_data_devices))
        words = jax.device_put(rng.integers(2**32, size=2, dtype=np.uint32))
        return Chain(index, jax.random.wrap_key_data(words, impl="threefry2x32"), state)

    def watch(draws: Draws) -> Lifts:
        lifts = monitor.lifts(draws, data.scale, channels)
        progress.saw(int(draws.chain[0]), lifts[:, 0])
        return lifts

    def enough(kept: int) -> bool:
        return control.stopping and kept >= LEAST_DRAWS

    def halt_if_asked() -> None:
        control.halt_if_asked()
        if halt.is_set():
            raise FitError("Another chain of this fit failed.")

    def keep(chain: Chain) -> None:
        if checkpoints is not None:
            checkpoints.keep(chain, at_once=control.state is JobState.PAUSED)

    with ThreadPoolExecutor(min(settings.num_chains, os.cpu_count() or 1)) as pool:

        def stretch(chains: Sequence[Chain], iterations: int, draw: bool) -> list[Chain]:
            """Advance every chain; the first error halts the others and is raised."""
            futures = [
                pool.submit(
                    advance,
                    chain,
                    iterations,
                    settings.thin,
                    watch=watch if draw else None,
                    halt_if_asked=halt_if_asked,
                    keep=keep,
                    report=progress.advance,
                    enough=enough,
                )
                for chain in chains
            ]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                if error := future.exception():
                    halt.set()
                    raise error
            return [future.result() for future in futures]

        progress.plan(warm_up, settings.min_draws * settings.thin)  # but for whole chunks
        progress.stage(Stage.COMPILE)
        chains = list(pool.map(begin, range(settings.num_chains)))
        planned = partial(iterations_of, chains[0].state.layout.n_rows, settings.thin)
        warm_up = planned(-(-warm_up // settings.thin))
        progress.plan(warm_up, planned(settings.min_draws))
        if checkpoints is not None:
            what = _fingerprint(data, observations, settings, seed, previous, num_data_devices)
            chains = checkpoints.begin(what, chains)
            for chain in chains:
                for lifts in chain.lifts:
                    progress.saw(chain.index, lifts[:, 0])
                progress.advance(chain.index, chain.iterations)
        done, chunk = min(chain.iterations for chain in chains), planned(1)
        if done < warm_up:
            chains = stretch(chains, done + chunk, draw=False)  # which compiles
            progress.start_pace()
        if done + chunk < warm_up:
            chains = stretch(chains, done + 2 * chunk, draw=False)
            _warn_if_slow(progress.predicted_seconds())
        chains = stretch(chains, warm_up, draw=False)
        end = warm_up + planned(settings.min_draws)
        while True:
            progress.plan(warm_up, end - warm_up)
            chains = stretch(chains, end, draw=True)
            n_draws = min((end - warm_up) // settings.thin, *map(_n_kept, chains))
            converged = _passed(chains, n_draws)
            if converged or n_draws >= settings.max_draws or enough(n_draws):
                break
            end += planned(min(CHECK_DRAWS, settings.max_draws - n_draws))
    # Chains that were stopped on the way may be apart.
    first = np.arange(n_draws)
    draws = concat_draws([concat_draws(list(chain.kept)).take(first) for chain in chains])
    if not all(np.isfinite(v).all() for v in (draws.arm_effect, draws.mu_leaf, draws.sigma2)):
        raise FitError(
            "The sampler left the range of finite numbers. The experiment is unchanged. "
            "Check the revenue column for extreme values, or fit with another seed."
        )
    return Posterior(
        arms=observations.arms,
        outcome=observations.outcome,
        encoding=encoding,
        scale=data.scale,
        draws=draws,
        settings=settings,
        seed=seed,
        n_visitors=len(observations),
        propensity_tree=learn_propensities(data.X[~data.mu_only], observations.propensity)
        if data.mu_only.any()
        else None,
        sampling=Sampling(
            start="cold" if previous is None else "warm",
            warm_up=warm_up,
            iterations=min(chain.iterations for chain in chains),
            chains=len(chains),
            stopped="converged"
            if converged
            else "operator"
            if control.stopping and n_draws < settings.max_draws
            else "maximum",
        ),
    )


def _warn_if_slow(seconds: float | None) -> None:
    """Say once a process that a fit on a CPU will take long, and what can be done."""
    if seconds is None or seconds <= SLOW_SECONDS or jax.default_backend() != "cpu":
        return
    if _slow_not_said.acquire(blocking=False):
        warn(
            f"This fit will take about {seconds / 60:.0f} minutes on this CPU, longer if it is "
            'slow to converge. It goes on. A GPU is faster (pip install "pytyche-lab[gpu]"), '
            "and so is a fit of fewer visitors or with fewer draws in its settings.",
            SlowFitWarning,
        )


def _passed(chains: Sequence[Chain], n_draws: int) -> bool:
    """Whether the first draws pass: a chain that was kept later has more."""
    return passed(np.stack([np.concatenate(chain.lifts)[:n_draws] for chain in chains]))


def _n_kept(chain: Chain) -> int:
    return sum(map(len, chain.kept))


def _fingerprint(
    data: Encoded,
    observations: Observations,
    settings: Settings,
    seed: int,
    previous: Posterior | None,
    num_data_devices: int,
) -> str:
    """Of everything that the draws follow from."""
    start = (
        ()
        if previous is None
        else (previous.scale, *(getattr(previous.draws, f.name) for f in fields(Draws)))
    )
    columns = (data.X, data.max_split, data.mu_only, data.arm, data.revenue)
    return fingerprint(
        *columns, observations.outcome, data.n_arms, settings, seed, num_data_devices, *start
    )


def _learn_encoding(
    observations: Observations, settings: Settings, previous: Posterior | None
) -> Encoding:
    """The encoding, an earlier fit's with what is new."""
    features, schema = observations.features, observations.schema
    if observations.propensity_recorded:
        features = with_propensities(features, observations.arms, observations.propensity)
        schema = schema_with_propensities(schema, observations.arms)
    if previous is None:
        return learn_encoding(features, schema, settings.num_cuts)
    # An earlier fit's columns stay, also those of propensities where this round recorded none.
    return extend_encoding(previous.encoding, features, schema, settings.num_cuts)


def _encode(observations: Observations, encoding: Encoding) -> Encoded:
    frame = with_propensities(observations.features, observations.arms, observations.propensity)
    return Encoded(
        X=encoding.encode(frame),
        max_split=encoding.max_split,
        mu_only=np.array([is_propensity(c.feature) for c in encoding.columns], dtype=bool),
        arm=observations.arm,
        revenue=observations.revenue,
        n_arms=observations.n_arms,
        outcome=observations.outcome,
        scale=LatentScale.of(observations.revenue),
    ).padded()


def _use_compilation_cache() -> None:
    """Keep compiled code between processes, unless the user configured JAX's cache."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(Path(home) / "pytyche-lab" / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
