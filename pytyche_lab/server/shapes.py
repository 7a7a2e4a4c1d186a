"""What the console's API takes and gives, and the same as JSON schemas.

The types here are the one source: of the OpenAPI document, of what a request is checked against,
and of the widget's TypeScript. Times are ISO 8601 with their zone; what is not known is None.
"""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

ROOT = "/v1/admin"
"""Where all routes are, below the server's base URL."""

PARQUET = "application/vnd.apache.parquet"
"""Content type of observations that are sent as a table."""

ExperimentStatus = Literal["draft", "running", "stopped"]
ExperimentKind = Literal["fixed", "bandit", "adaptive"]
MetricName = Literal["conversion", "revenue"]


class SplitView(TypedDict):
    """Whether visitors were split as planned."""

    p_value: float | None
    alarm: bool
    observed: list[float]
    expected: list[float]
    worst: str


class VariantFiguresView(TypedDict):
    """A variant by itself; `low` and `high` are its 80 % interval."""

    name: str
    exposures: int
    conversions: int
    mean: float | None
    low: float | None
    high: float | None


class ComparisonFiguresView(TypedDict):
    """A variant against control.

    `lift_low`, `lift_high`, `log_lr` and `p_always` are valid at any time; `p_classical` once, at
    a planned end, and None in bandit mode.
    """

    name: str
    enough: bool
    lift: float | None
    lift_low: float | None
    lift_high: float | None
    log_lr: float | None
    p_always: float
    p_always_holm: float
    p_classical: float | None
    p_classical_holm: float | None
    variance_reduction: float | None
    visitors_needed: int | None


class RunningVerdictView(TypedDict):
    """What to do, and why."""

    kind: str
    headline: str
    reason: str
    winner: str | None


class ResultView(TypedDict):
    """What an analysis found."""

    split: SplitView
    variants: list[VariantFiguresView]
    comparisons: list[ComparisonFiguresView]
    log_lr_limit: float
    tau: float | None
    cuped: str
    verdict: RunningVerdictView


class AnalysisView(TypedDict):
    """An analysis, when it was made and for whom."""

    id: int
    made_at: str
    made_by: str
    result: ResultView


class VariantView(TypedDict):
    """A variant with its Beta posterior: `alpha` is successes + 1, `beta` failures + 1."""

    id: str
    name: str
    note: str
    traffic_weight: float
    is_control: bool
    is_winner: bool
    exposures: int
    conversions: int
    alpha: int
    beta: int


class RoundRow(TypedDict):
    """A finished round of an adaptive experiment."""

    number: int
    n_visitors: int
    verdict: str
    treatment: str
    lift: float
    lift_low: float
    lift_high: float
    label: str
    finished_at: str


class ExperimentSummary(TypedDict):
    """An experiment in a list. `winner` is a variant's name."""

    id: str
    project_id: str
    name: str
    hypothesis: str
    status: ExperimentStatus
    type: ExperimentKind
    bandit_enabled: bool
    n_variants: int
    n_rounds: int
    split_alarm: bool
    winner: str | None
    created_at: str


class ExperimentDetail(TypedDict):
    """An experiment with everything that there is to show of it."""

    id: str
    project_id: str
    name: str
    hypothesis: str
    status: ExperimentStatus
    type: ExperimentKind
    bandit_enabled: bool
    metric: MetricName
    alpha: float
    expected_lift: float
    planned_visitors: int | None
    floor: float
    update_seconds: int
    split_alarm: bool
    winner: str | None
    created_at: str
    created_by: str
    launched_at: str | None
    stopped_at: str | None
    variants: list[VariantView]
    analysis: AnalysisView | None
    rounds: list[RoundRow]


class TotalsView(TypedDict):
    """How many experiments a project has, whatever was searched for."""

    total: int
    draft: int
    running: int
    stopped: int
    winners: int
    attention: int


class PageView(TypedDict):
    """Some of the experiments, newest first. `n_found` is how many match in all."""

    experiments: list[ExperimentSummary]
    n_found: int
    limit: int
    offset: int
    totals: TotalsView


class ResultsView(TypedDict):
    """Analyses, newest first."""

    results: list[AnalysisView]
    limit: int
    offset: int


class WeightsView(TypedDict):
    """A period of the weight history; P(best) where a bandit set the weights."""

    since: str
    weights: dict[str, float]
    best: dict[str, float] | None


class WeightHistoryView(TypedDict):
    """The weights since the launch, oldest first."""

    periods: list[WeightsView]


class AuditLine(TypedDict):
    """Who did what."""

    at: str
    who: str
    action: str
    detail: dict[str, Any]


class AuditView(TypedDict):
    """The audit log of an experiment, oldest first."""

    lines: list[AuditLine]


class PlanView(TypedDict):
    """What a platform serves. `plan` is that of an adaptive experiment, with cells and rules."""

    experiment_id: str
    name: str
    status: ExperimentStatus
    type: ExperimentKind
    weights: dict[str, float] | None
    since: str | None
    round: int | None
    revision: int | None
    plan: dict[str, Any] | None


class ReceiptView(TypedDict):
    """What a delivery became; nothing was added where `repeated` is true."""

    id: int
    repeated: bool
    exposures: int
    digest: str


class DetectableView(TypedDict):
    """The smallest rise of control's rate that a test finds with this probability.

    It is the difference in rates, and the same as a share of control's; null where no rise
    would be found.
    """

    rise: float | None
    relative: float | None
    power: float


class ErrorView(TypedDict):
    """What is wrong, and its kind."""

    message: str
    reason: str | None


def json_schema(kind: Any) -> dict[str, Any]:
    """The JSON schema of a type; TypedDicts are referred to by name."""
    if kind is Any:
        return {}
    if is_typeddict(kind):
        return {"$ref": f"#/components/schemas/{kind.__name__}"}
    if get_origin(kind) is Literal:
        return {"type": "string", "enum": list(get_args(kind))}
    if get_origin(kind) is list:
        return {"type": "array", "items": json_schema(get_args(kind)[0])}
    if get_origin(kind) is dict:
        return {"type": "object", "additionalProperties": json_schema(get_args(kind)[1])}
    if isinstance(kind, UnionType):
        parts = [json_schema(part) for part in get_args(kind)]
        return {"anyOf": parts}
    plain = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}
    return {"type": plain[kind]}


def component_schemas() -> dict[str, Any]:
    """The JSON schemas of all types above."""
    found: dict[str, Any] = {}
    for name, kind in globals().items():
        if is_typeddict(kind):
            hints = get_type_hints(kind)
            found[name] = {
                "type": "object",
                "description": " ".join((kind.__doc__ or "").split()),
                "properties": {key: json_schema(value) for key, value in hints.items()},
                "required": list(hints),
            }
    return found


# What requests hold

_NAME = {"type": "string", "minLength": 1, "maxLength": 200}
_TEXT = {"type": "string", "maxLength": 10_000}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 10**12}
_SUM = {"type": "number", "minimum": -1e24, "maximum": 1e24}


def _object(
    properties: Mapping[str, Any], required: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


NEW_VARIANT = _object(
    {"name": _NAME, "traffic_weight": _SHARE, "note": _TEXT}, ("name", "traffic_weight")
)
_SETTINGS = {
    "name": _NAME,
    "hypothesis": _TEXT,
    "bandit_enabled": {"type": "boolean"},
    "metric": {"type": "string", "enum": list(get_args(MetricName))},
    "alpha": {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
    "expected_lift": {"type": "number", "exclusiveMinimum": 0, "maximum": 10},
    "planned_visitors": {
        "anyOf": [{"type": "integer", "minimum": 1, "maximum": 10**15}, {"type": "null"}]
    },
    "floor": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "update_seconds": {"type": "integer", "minimum": 0, "maximum": 10**9},
    "variants": {"type": "array", "items": NEW_VARIANT, "maxItems": 50},
}
NEW_EXPERIMENT = _object(
    {"project_id": {"type": "string", "minLength": 1, "maxLength": 100}, **_SETTINGS}, ("name",)
)
CHANGES = _object(_SETTINGS, minProperties=1)
_COUNTS = _object({"exposures": _COUNT, "conversions": _COUNT}, ("exposures", "conversions"))
_STATISTICS = _object(
    {
        "exposures": _COUNT,
        "conversions": _COUNT,
        "total": _SUM,
        "total_squares": _SUM,
        "pre_total": _SUM,
        "pre_squares": _SUM,
        "pre_cross": _SUM,
    },
    ("exposures", "conversions"),
    dependentRequired={
        "total": ["total_squares"],
        "total_squares": ["total"],
        "pre_total": ["pre_squares", "pre_cross"],
        "pre_squares": ["pre_total", "pre_cross"],
        "pre_cross": ["pre_total", "pre_squares"],
    },
)
_ROW = {
    "type": "object",
    "properties": {
        "variant": {"type": "string"},
        "value": {"type": ["number", "boolean"]},
        "pre_value": {"type": ["number", "null"]},
        "visitor_id": {"type": "string"},
    },
    "required": ["variant", "value"],
}
OBSERVATIONS = _object(
    {
        "counts": {"type": "object", "additionalProperties": _COUNTS, "minProperties": 1},
        "statistics": {"type": "object", "additionalProperties": _STATISTICS, "minProperties": 1},
        "rows": {"type": "array", "items": _ROW, "minItems": 1, "maxItems": 1_000_000},
    },
    minProperties=1,
    maxProperties=1,
)
REQUESTS = {
    "NewExperiment": NEW_EXPERIMENT,
    "Changes": CHANGES,
    "NewVariant": NEW_VARIANT,
    "Observations": OBSERVATIONS,
}
