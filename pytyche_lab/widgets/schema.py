"""What crosses between Python and the browser, and the same as TypeScript.

These types are the one source. ``python -m pytyche_lab.widgets.schema`` prints
``js/src/shared/schema.ts``, and a test fails when the file there is another one.
Numbers are finite: what is not known is None, never NaN, which is no JSON.
"""

import sys
from types import NoneType, UnionType
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

from pytyche_lab.server.shapes import (
    AnalysisView,
    ErrorView,
    ExperimentDetail,
    ExperimentKind,
    ExperimentStatus,
    MetricName,
    PageView,
    WeightHistoryView,
)

State = Literal["running", "paused", "cancelling", "cancelled", "failed", "done"]
StageName = Literal["read", "compile", "warm up", "sample", "segments", "plan"]
StageStatus = Literal["done", "current", "todo"]
LampStatus = Literal["ok", "warn", "bad", "none"]
OptionKind = Literal["ship", "keep"]
Verdict = Literal["SHIP", "CONTINUE", "STOP"]


class Interval(TypedDict):
    """A mean and its interval."""

    mean: float
    low: float
    high: float


class ArmRef(TypedDict):
    """An arm and its place among the arms (0 is control), which sets colour and shape."""

    name: str
    slot: int


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


class FitProgressTraits(TypedDict):
    """Synced traits of `FitProgress`. `traces` holds float32, chain after chain."""

    setup: FitSetup
    progress: Progress
    traces: bytes


class Lamp(TypedDict):
    """A health check, its status and its reading."""

    name: str
    status: LampStatus
    reading: str


class DecisionView(TypedDict):
    """The verdict, and what it risks, in money per visitor."""

    verdict: Verdict
    arm: ArmRef
    lift: Interval
    p_positive: float
    p_best: float
    loss_if_shipped: float
    loss_if_kept: float
    value_of_round: float
    reason: str


class RoutingView(TypedDict):
    """What routing by segment adds to the best single arm."""

    best_arm: ArmRef
    n_segments: int
    value: Interval
    pays: bool


class OptionView(TypedDict):
    """One arm for everyone. `loss` is None where it was not worked out."""

    kind: OptionKind
    arm: ArmRef
    recommended: bool
    best: bool
    lift: Interval | None
    p_positive: float | None
    loss: float | None


class CellView(TypedDict):
    """A cell of the scoreboard. `arm` is set where the cell serves one arm only.

    Where cells were not recorded, `n_visitors` is what the probabilities make expected.
    """

    id: str
    arm: ArmRef | None
    policy: str
    n_visitors: int
    recorded: bool
    share: float
    observed_rpv: float | None
    observed_lift: float | None
    model_rpv: Interval | None
    model_lift: Interval | None


class ComparisonView(TypedDict):
    """A treatment against control, over everyone."""

    arm: ArmRef
    control: str
    lift: Interval
    relative_lift: Interval | None
    conversion_part: Interval
    severity_part: Interval
    p_positive: float
    observed_lift: float | None
    aipw_lift: float | None
    aipw_se: float | None
    claim: str


class SegmentView(TypedDict):
    """A segment, and the lift in it of its strongest treatment."""

    id: str
    name: str
    rule: str
    share: float
    n_visitors: int
    n_converted: int
    arm: ArmRef
    gate: Interval
    leader: ArmRef
    p_best: float
    recommended: ArmRef
    claim: str
    stability: float | None


class TruthView(TypedDict):
    """Estimates against what a simulation planted."""

    cate_rmse: float
    cate_rmse_no_effect: float
    cate_rmse_constant: float
    policy_accuracy: float
    oracle_gap: float
    best_arm_gap: float


class RoundView(TypedDict):
    """A finished round. `next_visitors` is None when the schedule is exhausted."""

    title: str
    metric: str
    currency: str
    number: int
    n_rounds: int | None
    n_visitors: int
    n_cumulative: int
    level: float
    fit_seconds: float
    is_calibrated: bool
    converged: bool
    arms: list[ArmRef]
    health: list[Lamp]
    notices: list[str]
    decision: DecisionView
    routing: RoutingView
    options: list[OptionView]
    cells: list[CellView]
    comparisons: list[ComparisonView]
    segments: list[SegmentView]
    truth: TruthView | None
    next_cells: int
    next_visitors: int | None


class HistoryView(TypedDict):
    """An earlier round in one line: the lift of the arm that is recommended now."""

    number: int
    n_visitors: int
    arm: ArmRef
    lift: Interval | None
    n_segments: int
    verdict: Verdict
    verdict_arm: str
    p_positive: float
    is_calibrated: bool
    converged: bool


class RoundDashboardTraits(TypedDict):
    """Synced traits of `RoundDashboard`. The browser writes `selected_segment`."""

    round: RoundView
    history: list[HistoryView]
    selected_segment: str


class ConsoleTraits(TypedDict):
    """Synced traits of `Console`: the first page. Everything else is asked for."""

    page: PageView
    project_id: str | None


ALIASES: dict[str, Any] = {
    "State": State,
    "StageName": StageName,
    "StageStatus": StageStatus,
    "LampStatus": LampStatus,
    "OptionKind": OptionKind,
    "Verdict": Verdict,
    "ExperimentStatus": ExperimentStatus,
    "ExperimentKind": ExperimentKind,
    "MetricName": MetricName,
}
ROOTS = (
    FitProgressTraits,
    RoundDashboardTraits,
    ConsoleTraits,
    ExperimentDetail,
    AnalysisView,
    WeightHistoryView,
    ErrorView,
)

_PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", NoneType: "null"}


def typescript() -> str:
    """The types above as TypeScript, dependencies first."""
    lines = ["// Generated by `python -m pytyche_lab.widgets.schema`. Do not edit.", ""]
    for name, alias in ALIASES.items():
        values = " | ".join(f'"{value}"' for value in get_args(alias))
        lines.append(f"export type {name} = {values};")
    for kind in _in_order(ROOTS):
        lines += ["", f"export interface {kind.__name__} {{"]
        lines += [f"  {key}: {_typescript(value)};" for key, value in get_type_hints(kind).items()]
        lines.append("}")
    return "\n".join(lines) + "\n"


def _in_order(roots: tuple[Any, ...]) -> list[Any]:
    found: list[Any] = []

    def visit(kind: Any) -> None:
        if is_typeddict(kind):
            for value in get_type_hints(kind).values():
                visit(value)
            if kind not in found:
                found.append(kind)
        for argument in get_args(kind):
            visit(argument)

    for root in roots:
        visit(root)
    return found


def _typescript(kind: Any) -> str:
    for name, alias in ALIASES.items():
        if kind == alias:
            return name
    if is_typeddict(kind):
        return str(kind.__name__)
    if get_origin(kind) is list:
        return f"{_typescript(get_args(kind)[0])}[]"
    if get_origin(kind) is dict:
        return f"Record<string, {_typescript(get_args(kind)[1])}>"
    if isinstance(kind, UnionType):
        return " | ".join(_typescript(part) for part in get_args(kind))
    return "DataView" if kind is bytes else _PLAIN[kind]


if __name__ == "__main__":
    sys.stdout.write(typescript())
