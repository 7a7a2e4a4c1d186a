"""Which calibration artifact a round uses."""

from collections.abc import Sequence

from pytyche_engine.calibration import CalibrationArtifact, choose, scope_of
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.recalibration import Recalibration
from pytyche_engine.store.spec import ExperimentSpec


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
