"""An experiment as a folder: what was fixed, and a folder for each finished round.

Rounds are written beside their place and moved there, so that a crash leaves either no round
or a whole one. Formats are JSON, Parquet and NPZ; nothing in a folder is ever executed.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pytyche_engine.allocation import (
    Design,
    ExplicitSchedule,
    FixedSchedule,
    GeometricSchedule,
    Schedule,
)
from pytyche_engine.bcf.posterior import Posterior
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.contracts.decisions import DecisionThresholds
from pytyche_engine.contracts.errors import StoreError
from pytyche_engine.contracts.observations import ColumnMapping
from pytyche_engine.contracts.plans import plan_from_dict, plan_to_dict
from pytyche_engine.contracts.served import Labels, Served
from pytyche_engine.contracts.truth import GroundTruth
from pytyche_engine.decisions import ExpectedLossRule
from pytyche_engine.store.observations_file import read_observations, write_observations

SCHEMA = 1
"""Version of the folder's layout."""

_SCHEDULES: dict[str, type[Any]] = {
    "geometric": GeometricSchedule,
    "fixed": FixedSchedule,
    "explicit": ExplicitSchedule,
}


@dataclass(frozen=True)
class SavedExperiment:
    """Everything about an experiment that its rounds do not hold. Fields as its builder's."""

    design: Design
    columns: ColumnMapping
    labels: Labels
    settings: Settings
    graduation_rule: ExpectedLossRule
    thresholds: DecisionThresholds
    refunds: Literal["error", "clip", "net"]
    seed: int


@dataclass(frozen=True, eq=False)
class SavedRound:
    """A round as it was kept: what was served, and the posterior of all data up to it."""

    served: Served
    posterior: Posterior
    fit_seconds: float


class ExperimentFolder:
    """Reads and writes one experiment's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, saved: SavedExperiment) -> None:
        """Make the folder.

        Raises:
            StoreError: if there is an experiment in it already.
        """
        if (self.path / "experiment.json").exists():
            raise StoreError(
                f"The folder '{self.path}' already holds an experiment. Open it with "
                "open_experiment, or choose another folder."
            )
        (self.path / "rounds").mkdir(parents=True, exist_ok=True)
        meta = {
            "schema": SCHEMA,
            "version": version("pytyche-lab"),
            "design": _design_to_dict(saved.design),
            "columns": asdict(saved.columns),
            "labels": asdict(saved.labels),
            "settings": asdict(saved.settings),
            "graduation_rule": asdict(saved.graduation_rule),
            "thresholds": asdict(saved.thresholds),
            "refunds": saved.refunds,
            "seed": saved.seed,
        }
        (self.path / "experiment.json").write_text(json.dumps(meta, indent=1))

    def add_round(self, served: Served, posterior: Posterior, fit_seconds: float) -> None:
        """Add a finished round."""
        place = self.path / "rounds" / f"{served.plan.round_index:03d}"
        draft = place.with_name(f".{place.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        write_observations(served.observations, draft)
        posterior.save(draft)
        meta = {"plan": plan_to_dict(served.plan), "fit_seconds": fit_seconds}
        (draft / "round.json").write_text(json.dumps(meta))
        if served.truth is not None:
            np.savez_compressed(
                draft / "truth.npz",
                conversion=served.truth.conversion,
                severity=served.truth.severity,
            )
        draft.rename(place)

    def read(self) -> SavedExperiment:
        """Read what was fixed.

        Raises:
            StoreError: if this is no experiment's folder, or of another version.
        """
        try:
            meta = json.loads((self.path / "experiment.json").read_text())
        except FileNotFoundError as error:
            raise StoreError(f"There is no experiment in the folder '{self.path}'.") from error
        except (OSError, ValueError) as error:
            raise StoreError(f"'{self.path / 'experiment.json'}' is damaged: {error}.") from error
        if not isinstance(meta, dict) or meta.get("schema") != SCHEMA:
            raise StoreError(
                f"The folder '{self.path}' is not an experiment of a version that can be read "
                f"(schema {SCHEMA})."
            )
        try:
            return SavedExperiment(
                design=_design_from_dict(meta["design"]),
                columns=ColumnMapping(**_tuples(meta["columns"])),
                labels=Labels(**meta["labels"]),
                settings=Settings(**_tuples(meta["settings"])),
                graduation_rule=ExpectedLossRule(**meta["graduation_rule"]),
                thresholds=DecisionThresholds(**meta["thresholds"]),
                refunds=meta["refunds"],
                seed=meta["seed"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"'{self.path / 'experiment.json'}' lacks or contradicts something: {error}."
            ) from error

    def read_rounds(self) -> list[SavedRound]:
        """All finished rounds, oldest first.

        Raises:
            StoreError: if a round's files are missing or damaged.
        """
        return [_read_round(p) for p in sorted((self.path / "rounds").glob("[0-9]*"))]


def _read_round(place: Path) -> SavedRound:
    posterior = Posterior.load(place)
    try:
        meta = json.loads((place / "round.json").read_text())
        observations = read_observations(place)
        truth = None
        if (place / "truth.npz").exists():
            with np.load(place / "truth.npz", allow_pickle=False) as arrays:
                truth = GroundTruth(observations.arms, arrays["conversion"], arrays["severity"])
        plan = plan_from_dict(meta["plan"])
        return SavedRound(Served(plan, observations, truth), posterior, meta["fit_seconds"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"Round {place.name} in '{place.parent.parent}' cannot be read: {error}. Restore "
            "the folder from a copy; earlier rounds are untouched."
        ) from error


def _design_to_dict(design: Design) -> dict[str, Any]:
    return {
        "arms": list(design.arms),
        "schedule": _schedule_to_dict(design.schedule),
        "first_plan": plan_to_dict(design.first_plan),
        "min_control_weight": design.min_control_weight,
        "min_explore_weight": design.min_explore_weight,
        "max_segment_depth": design.max_segment_depth,
        "min_segment_share": design.min_segment_share,
        "notices": list(design.notices),
    }


def _design_from_dict(value: Mapping[str, Any]) -> Design:
    return Design(
        arms=tuple(value["arms"]),
        schedule=_schedule_from_dict(value["schedule"]),
        first_plan=plan_from_dict(value["first_plan"]),
        min_control_weight=value["min_control_weight"],
        min_explore_weight=value["min_explore_weight"],
        max_segment_depth=value["max_segment_depth"],
        min_segment_share=value["min_segment_share"],
        notices=tuple(value["notices"]),
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


def _tuples(value: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
