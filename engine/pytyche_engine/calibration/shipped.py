"""The artifacts that come with the package, and how an operator names artifacts."""

from collections.abc import Sequence
from pathlib import Path

from pytyche_engine.calibration.artifact import CalibrationArtifact
from pytyche_engine.calibration.errors import CalibrationError
from pytyche_engine.contracts.columns import did_you_mean

FOLDER = Path(__file__).parent / "artifacts"

Calibration = CalibrationArtifact | str | Path | Sequence[CalibrationArtifact | str | Path] | None
"""What may be said of calibration: artifacts, names of shipped ones, folders, or ``"auto"``."""


def shipped_names() -> tuple[str, ...]:
    """Names of the artifacts in the package."""
    return tuple(sorted(place.parent.name for place in FOLDER.glob("*/artifact.json")))


def load_shipped(name: str) -> CalibrationArtifact:
    """An artifact of the package.

    Raises:
        CalibrationError: if there is none of this name.
    """
    names = shipped_names()
    if name not in names:
        raise CalibrationError(
            f"No artifact '{name}' comes with the package. {did_you_mean(name, list(names))}"
            f"There are: {', '.join(names) or '(none)'}."
        )
    return CalibrationArtifact.load(FOLDER / name)


def resolve(calibration: Calibration) -> tuple[CalibrationArtifact, ...]:
    """The artifacts that an operator means.

    Args:
        calibration: None for none, ``"auto"`` for all that come with the package, an artifact,
            the name of one in the package, a folder (a `Path`, or text with a separator), or
            several of these. Each round uses the one that was made nearest to it.

    Raises:
        CalibrationError: if one does not exist or cannot be read.
    """
    if calibration is None:
        return ()
    if isinstance(calibration, CalibrationArtifact):
        return (calibration,)
    if isinstance(calibration, Path):
        return (CalibrationArtifact.load(calibration),)
    if isinstance(calibration, str):
        if calibration == "auto":
            return tuple(map(load_shipped, shipped_names()))
        is_path = any(mark in calibration for mark in "/\\")
        return (CalibrationArtifact.load(calibration) if is_path else load_shipped(calibration),)
    if isinstance(calibration, Sequence):
        return tuple(a for one in calibration for a in resolve(one))
    raise CalibrationError(
        f"'calibration' is {type(calibration).__name__}; use an artifact, its name or folder, "
        '"auto", several of these, or None.'
    )
