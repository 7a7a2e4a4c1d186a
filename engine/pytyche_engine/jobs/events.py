"""What a running fit tells the world."""

from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    """Where work stands. Order is the order of a round's work; `FITS` is not part of a round."""

    READ = "read"
    COMPILE = "compile"
    WARM_UP = "warm up"
    SAMPLE = "sample"
    SEGMENTS = "segments"
    PLAN = "plan"
    FITS = "fits"
    """Many independent fits, of a sweep or a rehearsal: iterations are fits."""


ROUND_STAGES = tuple(stage for stage in Stage if stage is not Stage.FITS)
"""What a round goes through."""


class JobState(StrEnum):
    """What a job is doing."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True)
class InterimLift:
    """A treatment's lift over control as it stands, from the draws so far.

    Attributes:
        treatment: arm name.
        mean, low, high: posterior mean and 80 % interval, money per visitor.
        r_hat: split R-hat of the lift over the chains' draws so far; nan before there are enough.
        ess: effective sample size of the lift; nan before there are enough.
    """

    treatment: str
    mean: float
    low: float
    high: float
    r_hat: float
    ess: float


@dataclass(frozen=True)
class FitEvent:
    """A snapshot of a round's work; the newest one replaces all before it.

    Attributes:
        stage: what is being done.
        iteration: sampler iterations done, per chain, warm-up included; fits done in `FITS`.
        total_iterations: iterations planned, per chain.
        warm_up_iterations: of them, how many are warm-up.
        elapsed_seconds: since the job started, pauses excluded.
        eta_seconds: seconds left, or None while that is not known (compiling).
        stage_seconds: seconds spent in each stage so far.
        n_visitors, n_arms, n_chains: the size of the problem.
        interim: per treatment, the lift so far; empty before the first kept draws.
        chain_traces: per chain, the lift of the first treatment draw by draw (thinned to
            at most 200 points).
    """

    stage: Stage
    iteration: int = 0
    total_iterations: int = 0
    warm_up_iterations: int = 0
    elapsed_seconds: float = 0.0
    eta_seconds: float | None = None
    stage_seconds: dict[str, float] = field(default_factory=dict)
    n_visitors: int = 0
    n_arms: int = 0
    n_chains: int = 0
    interim: tuple[InterimLift, ...] = ()
    chain_traces: tuple[tuple[float, ...], ...] = ()
