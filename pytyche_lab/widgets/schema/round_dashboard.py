"""What a finished round shows."""

from typing import Literal, TypedDict

from pytyche_lab.widgets.schema.shared import ArmRef, Interval, LampStatus, Verdict

OptionKind = Literal["ship", "keep"]


class LampView(TypedDict):
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
    """The verdict on an arm in a segment.

    `segment` is its id, `called` what it is called where it has no name; sums are None without a
    horizon.
    """

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
    health: list[LampView]
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

    `names` are those of segments that have one, by id: a new name need not send the round again.
    `classic` is None until the browser has asked for it, after its first paint.
    """

    round: RoundView
    names: dict[str, str]
    history: list[HistoryView]
    classic: ClassicView | None
    selected_segment: str | None
