"""What the policy tree and its segments show."""

from typing import TypedDict

from pytyche_lab.widgets.schema.shared import ArmRef, Interval


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
    """Synced traits of `SegmentTree`. The browser writes `selected_segment`.

    `names` are those of segments that have one, by id.
    """

    tree: TreeView | None
    names: dict[str, str]
    detail: SegmentDetailView | None
    selected_segment: str | None
