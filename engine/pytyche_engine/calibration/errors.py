"""What can be wrong with a sweep or an artifact."""

from pytyche_engine.contracts.errors import PytycheError, PytycheWarning


class CalibrationError(PytycheError):
    """A sweep cannot run, or an artifact is damaged, foreign or made for something else."""


class FailedFitsWarning(PytycheWarning):
    """Some fits of a sweep or rehearsal failed; the others are used."""


class CalibrationMismatchWarning(PytycheWarning):
    """An artifact was made for something a little different."""
