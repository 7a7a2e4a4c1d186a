"""Which calibration artifact a round uses."""

from collections.abc import Sequence

from pytyche_engine.calibration import (
    CalibrationArtifact,
    CalibrationMismatchWarning,
    choose,
    scope_of,
)
from pytyche_engine.contracts.errors import PytycheWarning, UncalibratedWarning
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.recalibration import Recalibration
from pytyche_engine.contracts.served import Served
from pytyche_engine.store.spec import ExperimentSpec

UNCALIBRATED = (
    "Running uncalibrated BCF posteriors (calibration=None); interval coverage may be "
    "miscalibrated at scale."
)

NONE_HOLDS = (
    "This round runs uncalibrated: no calibration artifact holds for it, so its interval "
    "coverage may be off."
)


def round_artifact(
    spec: ExperimentSpec, remembered: Sequence[Observations]
) -> tuple[CalibrationArtifact | None, tuple[str, ...]]:
    """The artifact for a fit of these rounds, and what to say of it.

    Returns:
        The nearest artifact that holds, with what is a little different, or None with why none
        does.
    """
    return choose(spec.calibration, scope_of(remembered, spec.labels.metric, spec.settings))


def round_recalibration(
    spec: ExperimentSpec, remembered: Sequence[Observations]
) -> Recalibration | None:
    """What is done to the draws of a fit of these rounds; None if no artifact holds."""
    artifact, _ = round_artifact(spec, remembered)
    return None if artifact is None else artifact.recalibration


def calibration_warnings(
    spec: ExperimentSpec, rounds: Sequence[Served]
) -> list[tuple[str, type[PytycheWarning]]]:
    """What the operator should know of the calibration of a fit of these rounds."""
    artifact, notes = round_artifact(spec, [s.observations for s in rounds])
    if artifact is not None:
        return [(f"Calibration artifact {n}.", CalibrationMismatchWarning) for n in notes]
    if spec.calibration:
        return [(f"{NONE_HOLDS} {'; '.join(notes)}.", UncalibratedWarning)]
    return [(UNCALIBRATED, UncalibratedWarning)]
