"""One round: fit what is remembered, and conclude."""

import time
from dataclasses import replace

import jax

from pytyche_engine.bcf.checkpoint import Checkpoints
from pytyche_engine.bcf.fit import fit
from pytyche_engine.bcf.progress import ProgressReporter
from pytyche_engine.contracts.errors import FitError
from pytyche_engine.contracts.observations import concat
from pytyche_engine.contracts.served import Served
from pytyche_engine.experiment.conclude import conclude_round
from pytyche_engine.experiment.round import Round
from pytyche_engine.experiment.state import State, remembered, round_seed
from pytyche_engine.jobs import Control
from pytyche_engine.store.folder import SavedRound
from pytyche_engine.store.spec import ExperimentSpec


def fit_round(
    latest: Served,
    state: State,
    spec: ExperimentSpec,
    control: Control,
    checkpoints: Checkpoints | None = None,
) -> Round:
    """Fit all remembered rounds and the latest one, and draw its conclusions.

    Chains start from the forests of the round before, unless rounds were forgotten since:
    what is forgotten should not decide where chains start.

    Args:
        latest: what the round served and what came of it.
        state: the rounds before it.
        spec: what is fixed for the experiment.
        control: can pause or cancel, and is told of progress.
        checkpoints: where the fit's chains are kept.

    Raises:
        FitError: if memory ran out.
    """
    started = time.monotonic()
    first = state.remembered_from
    served = (*remembered(state.served, first), latest)
    cumulative = concat([s.observations for s in served])
    progress = ProgressReporter(control, cumulative, spec.settings)
    before = state.latest
    warm = before is not None and before.remembered_from == first
    try:
        posterior = fit(
            cumulative,
            settings=spec.settings,
            seed=round_seed(spec.seed, latest.plan.round_index),
            previous=before.posterior if before is not None and warm else None,
            control=control,
            progress=progress,
            checkpoints=checkpoints,
        )
        return conclude_round(
            posterior,
            served,
            cumulative,
            state=state,
            spec=spec,
            control=control,
            progress=progress,
            started=started,
        )
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            raise FitError(
                f"Memory ran out in a fit of {len(cumulative):,} visitors. The experiment is "
                "unchanged, and its data are kept: free memory, or use fewer draws or trees in "
                "its settings, and call exp.resume()."
            ) from error
        raise


def conclude_again(saved: SavedRound, state: State, spec: ExperimentSpec) -> Round:
    """The round of a saved posterior, after the rounds in `state`."""
    control, started = Control(), time.monotonic()
    served = (*remembered(state.served, state.remembered_from), saved.served)
    cumulative = concat([s.observations for s in served])
    done = conclude_round(
        saved.posterior,
        served,
        cumulative,
        state=state,
        spec=spec,
        control=control,
        progress=ProgressReporter(control, cumulative, spec.settings),
        started=started,
    )
    return replace(done, fit_seconds=saved.fit_seconds)
