"""What is fixed for an experiment, and the same as plain JSON values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pytyche_engine.allocation import (
    Design,
    ExplicitSchedule,
    FixedSchedule,
    GeometricSchedule,
    Schedule,
)
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.calibration.artifact import CalibrationArtifact, artifact_from_dict
from pytyche_engine.contracts.errors import StoreError
from pytyche_engine.contracts.labels import Labels
from pytyche_engine.contracts.observations import ColumnMapping
from pytyche_engine.contracts.plans import plan_from_dict, plan_to_dict
from pytyche_engine.contracts.policies import check_allocation
from pytyche_engine.contracts.revenue import RefundPolicy
from pytyche_engine.contracts.thresholds import DecisionThresholds, Money
from pytyche_engine.decisions import ExpectedLossRule

_SCHEDULES: dict[str, type[Any]] = {
    "geometric": GeometricSchedule,
    "fixed": FixedSchedule,
    "explicit": ExplicitSchedule,
}


@dataclass(frozen=True)
class ExperimentSpec:
    """Everything about an experiment that its rounds do not hold.

    Attributes:
        design: arms, schedule, floors and the first plan.
        columns: what the columns of a round's frame mean.
        labels: names and currency.
        settings: of the sampler.
        graduation_rule: what a candidate must fulfil.
        thresholds: when the verdict is SHIP or STOP.
        refunds: what negative revenue is.
        seed: of everything random.
        calibration: artifacts; each round uses the nearest that holds for it.
    """

    design: Design
    columns: ColumnMapping
    labels: Labels
    settings: Settings
    graduation_rule: ExpectedLossRule
    thresholds: DecisionThresholds
    refunds: RefundPolicy
    seed: int
    calibration: tuple[CalibrationArtifact, ...] = ()


def spec_to_dict(spec: ExperimentSpec) -> dict[str, Any]:
    """A spec as plain JSON values.

    Raises:
        StoreError: for a schedule of the user's own making.
    """
    design = spec.design
    return {
        "design": {
            "arms": list(design.arms),
            "schedule": _schedule_to_dict(design.schedule),
            "first_plan": plan_to_dict(design.first_plan),
            "min_control_weight": design.min_control_weight,
            "min_explore_weight": design.min_explore_weight,
            "max_segment_depth": design.max_segment_depth,
            "min_segment_share": design.min_segment_share,
            "notices": list(design.notices),
            "allocation": design.allocation,
        },
        "columns": asdict(spec.columns),
        "labels": asdict(spec.labels),
        "settings": asdict(spec.settings),
        "graduation_rule": asdict(spec.graduation_rule),
        "thresholds": asdict(spec.thresholds),
        "refunds": spec.refunds,
        "seed": spec.seed,
        "calibration": [artifact.to_dict() for artifact in spec.calibration],
    }


def spec_from_dict(value: Mapping[str, Any]) -> ExperimentSpec:
    """The inverse of `spec_to_dict`.

    Experiments from before there was a choice of allocation open with Thompson sampling, and
    those from before there were artifacts without any.

    Raises:
        DesignError: for an allocation rule that this version does not have.
    """
    design = _tuples(value["design"])
    check_allocation(design.setdefault("allocation", "thompson"))
    design["schedule"] = _schedule_from_dict(design["schedule"])
    design["first_plan"] = plan_from_dict(design["first_plan"])
    return ExperimentSpec(
        design=Design(**design),
        columns=ColumnMapping(**_tuples(value["columns"])),
        labels=Labels(**value["labels"]),
        settings=Settings(**_tuples(value["settings"])),
        graduation_rule=ExpectedLossRule(**_limits(value["graduation_rule"])),
        thresholds=DecisionThresholds(**_limits(value["thresholds"])),
        refunds=value["refunds"],
        seed=value["seed"],
        calibration=tuple(map(artifact_from_dict, value.get("calibration", ()))),
    )


def _schedule_to_dict(schedule: Schedule) -> dict[str, Any]:
    for kind, cls in _SCHEDULES.items():
        if isinstance(schedule, cls):
            return {"kind": kind, **asdict(schedule)}
    raise StoreError(
        f"A schedule of type {type(schedule).__name__} cannot be saved; use a geometric, fixed "
        "or explicit one."
    )


def _schedule_from_dict(value: Mapping[str, Any]) -> Schedule:
    fields = {k: v for k, v in _tuples(value).items() if k != "kind"}
    schedule: Schedule = _SCHEDULES[value["kind"]](**fields)
    return schedule


def _limits(value: Mapping[str, Any]) -> dict[str, Any]:
    """Amounts of money, which JSON holds as objects."""
    return {k: Money(**v) if isinstance(v, dict) else v for k, v in value.items()}


def _tuples(value: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where the dataclasses have tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
