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
    DetectableView,
    ErrorView,
    ExperimentDetail,
    ExperimentKind,
    ExperimentStatus,
    MetricName,
    PageView,
    WeightHistoryView,
)

State = Literal["running", "paused", "cancelling", "cancelled", "failed", "done"]
StageName = Literal["read", "compile", "warm up", "sample", "segments", "plan", "fits"]
StageStatus = Literal["done", "current", "todo"]
LampStatus = Literal["ok", "warn", "bad", "none"]
OptionKind = Literal["ship", "keep"]
Verdict = Literal["SHIP", "CONTINUE", "STOP"]
Tab = Literal["round", "plan", "segments", "calibration", "history"]
Role = Literal["control", "explore", "optimized", "hypothesis"]
FeatureKind = Literal["numeric", "categorical", "boolean"]
ClauseKind = Literal["threshold", "levels"]
Side = Literal["<=", ">"]


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
    stopping: bool
    memory_bytes: int | None
    memory_total: int | None


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
    registered: bool


class VerdictView(TypedDict):
    """The verdict on an arm in a segment. `segment` is its id; sums are None without a horizon."""

    segment: str
    called: str
    arm: ArmRef
    verdict: Verdict
    lift: Interval
    per_round: Interval | None
    per_year: Interval | None
    claim: str
    reason: str


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
    verdicts: list[VerdictView]
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


class ClassicLiftView(TypedDict):
    """A treatment against control by Welch's test, in this round's Control and Explore visitors.

    `p_adjusted` is Holm's, for all comparisons of the round.
    """

    arm: ArmRef
    lift: Interval
    p_value: float | None
    p_adjusted: float | None
    n_control: int
    n_treatment: int


class ClassicView(TypedDict):
    """The round by classical tests. `problem` is why there are none."""

    level: float
    lifts: list[ClassicLiftView]
    problem: str


class RoundDashboardTraits(TypedDict):
    """Synced traits of `RoundDashboard`. The browser writes `selected_segment`.

    `classic` is None until the browser has asked for it, after its first paint.
    """

    round: RoundView
    history: list[HistoryView]
    classic: ClassicView | None
    selected_segment: str | None


class TreeNodeView(TypedDict):
    """A question of the policy tree, or a leaf of it (`segment` is set).

    `answer` is the answer to the parent's question that leads here. `shares` are the arms'
    shares of the next round, in the arms' order.
    """

    id: str
    parent: str | None
    answer: str
    feature: str
    share: float
    n_visitors: int
    shares: list[float]
    segment: str | None


class TreeSegmentView(TypedDict):
    """A segment of a round: a leaf of the tree, or a registered rule."""

    id: str
    name: str
    rule: str
    share: float
    n_visitors: int
    arm: ArmRef
    gate: Interval
    leader: ArmRef
    p_best: float
    claim: str
    registered: bool


class FollowedView(TypedDict):
    """A rule that was registered after the round, and is followed from the next one on."""

    id: str
    name: str
    rule: str


class TreeView(TypedDict):
    """The segments of a finished round and the tree that routes by them."""

    title: str
    currency: str
    number: int
    next_number: int | None
    n_visitors: int
    level: float
    is_calibrated: bool
    converged: bool
    arms: list[ArmRef]
    nodes: list[TreeNodeView]
    segments: list[TreeSegmentView]
    followed: list[FollowedView]
    best_arm: ArmRef
    value: Interval
    pays: bool
    reason: str
    editable: bool


class SegmentRoundView(TypedDict):
    """A segment in one round: the lift of the arm that it had there."""

    number: int
    arm: ArmRef
    gate: Interval
    share: float
    claim: str
    same_rule: bool
    is_calibrated: bool
    converged: bool


class SegmentDetailView(TypedDict):
    """What there is to know of the selected segment. `best` is P(best) in the arms' order."""

    id: str
    clauses: list[str]
    sql: str
    claim_reason: str
    stability: float | None
    n_converted: int
    held_out: Interval | None
    held_out_rows: int
    best: list[float]
    rounds: list[SegmentRoundView]


class SegmentTreeTraits(TypedDict):
    """Synced traits of `SegmentTree`. The browser writes `selected_segment`."""

    tree: TreeView | None
    detail: SegmentDetailView | None
    selected_segment: str | None


class RoundRowView(TypedDict):
    """A finished round in one row. `cells` are names and weights in the plan's order.

    The last two are None where no truth is known.
    """

    number: int
    n_visitors: int
    n_cumulative: int
    cells: list[str]
    arm: ArmRef
    lift: Interval | None
    n_segments: int
    verdict: Verdict
    verdict_arm: str
    is_calibrated: bool
    converged: bool
    policy_accuracy: float | None
    oracle_gap: float | None


class CoverageView(TypedDict):
    """How often intervals held the truth in a sweep, before and after recalibration."""

    artifact: str
    quantity: str
    level: float
    n_intervals: int
    before: float
    after: float
    error: float


class CockpitView(TypedDict):
    """What the cockpit says itself; the tabs are widgets of their own.

    `shown` is the round of the first tab; None before the first. `frames` are names of data
    frames that a round can be observed from; None where the experiment has a source.
    `call` is the code that opens the cockpit again.
    """

    title: str
    currency: str
    level: float
    label: str
    is_calibrated: bool
    converged: bool
    finished: int
    shown: int | None
    n_rounds: int | None
    next_visitors: int | None
    own_plan: bool
    fitting: bool
    busy: str
    problem: str
    frames: list[str] | None
    n_segments: int
    rounds: list[RoundRowView]
    coverage: list[CoverageView]
    call: str


class CockpitTraits(TypedDict):
    """Synced traits of `Cockpit`. The browser writes `tab`.

    The others are references to widgets, or null.
    """

    state: CockpitView
    tab: Tab
    fit: str | None
    round: str | None
    plan: str | None
    segments: str | None


class FeatureView(TypedDict):
    """A feature that a rule can ask about.

    `counts` is the distribution of a numeric feature in equal bins over `low` to `high`.
    """

    name: str
    kind: FeatureKind
    levels: list[str]
    had_missing: bool
    low: float
    high: float
    middle: float
    counts: list[int]


class PlanSetup(TypedDict):
    """What does not change while a plan is edited.

    `based_on` is what the preview rests on, empty before the first round; `n_seen` is how
    many visitors rules are tried on.
    """

    title: str
    currency: str
    n_visitors: int | None
    control_floor: float
    explore_floor: float
    rule: str
    based_on: str
    level: float
    is_calibrated: bool
    converged: bool
    arms: list[ArmRef]
    features: list[FeatureView]
    n_seen: int


class ClauseView(TypedDict):
    """A condition of a rule: `side` and `cut` of a number, or `levels`."""

    feature: str
    kind: ClauseKind
    side: Side
    cut: float
    levels: list[str]
    includes_missing: bool


class OverlapView(TypedDict):
    """How much of a segment a rule covers."""

    segment: str
    name: str
    share: float


class HypothesisView(TypedDict):
    """Whom a hypothesis cell's mix is for. `shares` are in the order of the arms.

    `matching` is None before any visitors were seen. `otherwise` is what the others get, in words.
    """

    clauses: list[ClauseView]
    shares: list[float]
    matching: float | None
    n_matching: int | None
    otherwise: str
    overlaps: list[OverlapView]


class RouteView(TypedDict):
    """A segment of a cell with a policy tree, and its arm shares in the order of the arms."""

    segment: str
    name: str
    rule: str
    share: float | None
    shares: list[float]
    set_by: str


class PlanCellView(TypedDict):
    """A cell of the plan, and what is expected of it.

    `low` and `high` are the weights it can have, `floor` the least that it must; `recommended`
    is None for a cell of the operator's own. `arm` is set where the cell serves one arm only.
    """

    id: str
    role: Role
    policy: str
    arm: ArmRef | None
    weight: float
    floor: float
    low: float
    high: float
    recommended: float | None
    hypothesis: HypothesisView | None
    routes: list[RouteView]
    n_visitors: float | None
    rpv: Interval | None
    regret: Interval | None
    regret_in_all: float | None
    detectable: float | None
    detectable_between: str


class RefusedView(TypedDict):
    """What was typed into a field and not applied, and why."""

    field: str
    cell: str
    text: str
    strong: str
    rest: str


class PlanView(TypedDict):
    """A plan as it stands.

    `accepted_at` is set while it stands as it was accepted; `message` is why the experiment did
    not take it. `code` is the Python that accepts it.
    """

    revision: int
    current: bool
    accepted_at: str
    changes: str
    can_undo: bool
    can_redo: bool
    cells: list[PlanCellView]
    rpv: Interval | None
    regret: Interval | None
    regret_in_all: float | None
    refused: list[RefusedView]
    notices: list[str]
    message: str
    code: str


class CellPlanTraits(TypedDict):
    """Synced traits of `CellPlan`. The browser writes `selected_segment`."""

    setup: PlanSetup
    plan: PlanView
    selected_segment: str | None


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
    "Tab": Tab,
    "Role": Role,
    "FeatureKind": FeatureKind,
    "ClauseKind": ClauseKind,
    "Side": Side,
    "ExperimentStatus": ExperimentStatus,
    "ExperimentKind": ExperimentKind,
    "MetricName": MetricName,
}
ROOTS = (
    FitProgressTraits,
    RoundDashboardTraits,
    SegmentTreeTraits,
    CockpitTraits,
    CellPlanTraits,
    ConsoleTraits,
    ExperimentDetail,
    AnalysisView,
    WeightHistoryView,
    DetectableView,
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
