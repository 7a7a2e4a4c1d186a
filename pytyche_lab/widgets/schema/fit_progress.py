"""What a running fit shows."""

from typing import Literal, TypedDict

from pytyche_lab.widgets.schema.shared import ArmRef, Interval

State = Literal["running", "paused", "cancelling", "cancelled", "failed", "done"]
StageName = Literal["read", "compile", "warm up", "sample", "segments", "plan", "fits"]
StageStatus = Literal["done", "current", "todo"]


class StageView(TypedDict):
    """One stage of a round's work. `seconds` is None before it begins."""

    name: StageName
    status: StageStatus
    seconds: float | None


class LiftView(TypedDict):
    """A treatment's lift so far, and whether the chains agree on it."""

    arm: ArmRef
    lift: Interval
    r_hat: float | None
    ess: float | None


class FitSetup(TypedDict):
    """What does not change during a fit."""

    title: str
    currency: str
    r_hat_limit: float
    untouched: str


class Progress(TypedDict):
    """A snapshot of a fit. `beat` counts snapshots: when it stands still, the kernel is gone.

    `unconverged` is set at the end only.
    """

    beat: int
    state: State
    stage: StageName
    stages: list[StageView]
    iteration: int
    total_iterations: int
    warm_up_iterations: int
    elapsed_seconds: float
    eta_seconds: float | None
    n_visitors: int
    n_arms: int
    n_chains: int
    lifts: list[LiftView]
    trace_lengths: list[int]
    message: str
    unconverged: bool
    stopping: bool
    memory_bytes: int | None
    memory_total: int | None


class FitProgressTraits(TypedDict):
    """Synced traits of `FitProgress`. `traces` holds float32, chain after chain."""

    setup: FitSetup
    progress: Progress
    traces: bytes
