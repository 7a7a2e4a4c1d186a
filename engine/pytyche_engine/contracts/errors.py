"""Exceptions and warnings of the engine: what is wrong, where, and what to do."""

from collections.abc import Sequence


class PytycheError(Exception):
    """Base of every error that this project raises on purpose."""


class DataError(PytycheError, ValueError):
    """A round's data cannot be used. Nothing of it was kept.

    Attributes:
        column: the offending column, or None when the whole frame is at fault.
        rows: labels of the first offending rows (at most five).
        mend: what the user can do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        column: str | None = None,
        rows: Sequence[object] = (),
        mend: str = "",
    ) -> None:
        self.problem = problem
        self.column = column
        self.rows = tuple(rows)[:5]
        self.mend = mend
        where = f" First rows: {', '.join(map(str, self.rows))}." if self.rows else ""
        super().__init__(f"{problem}.{where}" + (f" {mend}" if mend else ""))


class DesignError(PytycheError, ValueError):
    """An experiment, schedule, cell, plan or setting contradicts itself."""


class PhaseOrderError(PytycheError, RuntimeError):
    """A step of a classical experiment was asked for out of order. Nothing was done."""


class FitError(PytycheError, RuntimeError):
    """The sampler could not produce a posterior. The experiment is unchanged."""


class FitCancelled(PytycheError):  # noqa: N818 - an answer to a request, not a fault
    """A fit was cancelled on request. The experiment is unchanged."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback: an answer needs none."""
        return [f"{type(self).__name__}: {self}"]


class FitLeft(FitCancelled):
    """A fit was left because its process ends. What it had is kept where it was checkpointed."""


class TruthError(PytycheError):
    """Ground truth was asked for where there is none, or offered where it must not go."""


class ClaimError(PytycheError):
    """A conclusion was asked for that the evidence's claim level does not allow."""


class StoreError(PytycheError):
    """A saved experiment, posterior or plan is damaged, foreign or of another version."""


class UnknownExperimentError(PytycheError, LookupError):
    """There is no such experiment in the registry, or not in this project."""


class WrongStateError(PytycheError):
    """What was asked for cannot be done any more, or not yet. Nothing was changed."""


class PytycheWarning(UserWarning):
    """Base of every warning of this project."""


class UncalibratedWarning(PytycheWarning):
    """Posterior intervals are used without a calibration artifact."""


class DataNotice(PytycheWarning):
    """The data were accepted, with a stated treatment of something unusual."""


class UnconvergedWarning(PytycheWarning):
    """A fit ended before its reported quantities converged."""


class SlowFitWarning(PytycheWarning):
    """A fit on a CPU is predicted to take long. It goes on all the same."""
