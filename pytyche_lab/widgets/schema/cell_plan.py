"""What a plan shows while it is edited."""

from typing import Literal, TypedDict

from pytyche_lab.widgets.schema.shared import ArmRef, Interval

Role = Literal["control", "explore", "optimized", "hypothesis"]
FeatureKind = Literal["numeric", "categorical", "boolean"]
ClauseKind = Literal["threshold", "levels"]
Side = Literal["<=", ">"]


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
