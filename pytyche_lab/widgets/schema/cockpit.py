"""What the cockpit shows around the other widgets."""

from typing import Literal, TypedDict

from pytyche_lab.widgets.schema.shared import ArmRef, Interval, Verdict

Tab = Literal["round", "plan", "segments", "calibration", "history"]


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
