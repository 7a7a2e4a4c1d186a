"""An experiment as a folder.

    experiment.json      what is fixed
    plan.json            what the next round serves, where the operator changed it
    actions.json         what else the operator decided
    rounds/000/          one folder a finished round: plan, visitors, truth, posterior

A round is written beside its place and moved there, and ``experiment.json`` comes last when a
folder is made, so that a crash leaves nothing or something whole. Formats are JSON, Parquet
and NPZ; nothing in a folder is ever executed. Everything carries a checksum, so that what was
damaged is not read as something else.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pytyche_engine.bcf.posterior import Posterior
from pytyche_engine.contracts.actions import Action, action_from_dict, action_to_dict
from pytyche_engine.contracts.errors import StoreError
from pytyche_engine.contracts.plans import Plan, plan_from_dict, plan_to_dict
from pytyche_engine.contracts.served import Served
from pytyche_engine.contracts.truth import GroundTruth
from pytyche_engine.store.observations_file import read_observations, write_observations
from pytyche_engine.store.spec import ExperimentSpec, spec_from_dict, spec_to_dict

SCHEMA = 1
"""Version of the folder's layout."""

_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError)
"""What reading a damaged file may raise."""


@dataclass(frozen=True, eq=False)
class SavedRound:
    """A round as it is kept.

    Attributes:
        served: what was served, and what came of it.
        posterior: the posterior of all data up to it.
        fit_seconds: how long the round took.
        n_actions: decisions of the operator that were on record when it was finished.
    """

    served: Served
    posterior: Posterior
    fit_seconds: float
    n_actions: int


@dataclass(frozen=True, eq=False)
class SavedExperiment:
    """All that a folder holds.

    Attributes:
        spec: what is fixed.
        rounds: finished rounds, oldest first.
        plan: what the operator chose for the next round; None for what is recommended.
        actions: what else the operator decided, in order.
    """

    spec: ExperimentSpec
    rounds: tuple[SavedRound, ...]
    plan: Plan | None
    actions: tuple[Action, ...] = ()


class ExperimentFolder:
    """Reads and writes one experiment's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, saved: SavedExperiment) -> None:
        """Make the folder.

        Raises:
            StoreError: if it holds an experiment or other rounds already, or cannot be written.
        """
        if (self.path / "experiment.json").exists():
            raise StoreError(
                f"The folder '{self.path}' already holds an experiment. Open it with "
                "open_experiment, or choose another folder."
            )
        if (self.path / "rounds").exists():
            raise StoreError(
                f"The folder '{self.path}' has 'rounds' but no 'experiment.json': what is left "
                "of an interrupted save, or something else. Choose another folder, or delete it."
            )
        content = spec_to_dict(saved.spec)
        try:
            (self.path / "rounds").mkdir(parents=True)
            for done in saved.rounds:
                self.add_round(done)
            if saved.plan is not None:
                self.write_plan(saved.plan)
            if saved.actions:
                self.write_actions(saved.actions)
            _write_json(self.path / "experiment.json", content)
        except OSError as error:
            raise StoreError(f"The folder '{self.path}' cannot be written: {error}.") from error

    def check_next(self, round_index: int) -> None:
        """Check that a round can be added, which is better known before its fit than after.

        Raises:
            StoreError: if the folder has gone, or somebody else added the round.
        """
        if not (self.path / "experiment.json").exists():
            raise StoreError(
                f"The folder '{self.path}' does not hold the experiment any more. Put it back, "
                "or keep the experiment elsewhere with exp.save(path)."
            )
        if self._place(round_index).exists():
            raise StoreError(
                f"The folder '{self.path}' already holds round {round_index + 1}: another process "
                "has added it. Open the experiment again with open_experiment."
            )

    def add_round(self, done: SavedRound) -> None:
        """Add a finished round.

        Raises:
            StoreError: if it is there already, or cannot be written.
        """
        served = done.served
        place = self._place(served.plan.round_index)
        draft = place.with_name(f".{place.name}.draft")
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            write_observations(served.observations, draft)
            done.posterior.save(draft)
            if served.truth is not None:
                np.savez_compressed(
                    draft / "truth.npz",
                    conversion=served.truth.conversion,
                    severity=served.truth.severity,
                )
            _write_json(
                draft / "round.json",
                {
                    "plan": plan_to_dict(served.plan),
                    "fit_seconds": done.fit_seconds,
                    "n_actions": done.n_actions,
                    "files": {file.name: _sha256(file) for file in sorted(draft.iterdir())},
                },
            )
            draft.rename(place)  # fails if the place is taken
        except OSError as error:
            raise StoreError(
                f"Round {served.plan.round_index + 1} cannot be added to '{self.path}': {error}. "
                "Nothing was added."
            ) from error

    def write_plan(self, plan: Plan | None) -> None:
        """Keep what the operator chose for the next round; None for what is recommended.

        Raises:
            StoreError: if it cannot be written.
        """
        try:
            if plan is None:
                (self.path / "plan.json").unlink(missing_ok=True)
            else:
                _write_json(self.path / "plan.json", plan_to_dict(plan))
        except OSError as error:
            raise StoreError(f"The plan cannot be kept in '{self.path}': {error}.") from error

    def write_actions(self, actions: Sequence[Action]) -> None:
        """Keep the whole record of the operator's decisions.

        Raises:
            StoreError: if it cannot be written.
        """
        content = {"actions": [action_to_dict(action) for action in actions]}
        try:
            _write_json(self.path / "actions.json", content)
        except OSError as error:
            raise StoreError(
                f"What you decided cannot be kept in '{self.path}': {error}."
            ) from error

    def read(self) -> SavedExperiment:
        """Read everything.

        Raises:
            StoreError: if this is no experiment's folder, of another version, or if anything
                in it is missing or damaged.
        """
        file = self.path / "experiment.json"
        if not file.exists():
            raise StoreError(f"There is no experiment in the folder '{self.path}'.")
        try:
            spec = spec_from_dict(_read_json(file))
        except _UNREADABLE as error:
            raise _damaged(file, error) from error
        rounds = tuple(
            _read_round(place, i, spec.design.arms) for i, place in enumerate(self._places())
        )
        actions = self._read_actions()
        if len(actions) < max((done.n_actions for done in rounds), default=0):
            raise StoreError(
                f"'{self.path / 'actions.json'}' is missing or shorter than it was: the rounds "
                "rest on decisions that it does not hold. Restore the folder from a copy."
            )
        return SavedExperiment(
            spec, rounds, self._read_plan(len(rounds), spec.design.arms), actions
        )

    def _place(self, round_index: int) -> Path:
        return self.path / "rounds" / f"{round_index:03d}"

    def _places(self) -> list[Path]:
        """Folders of the rounds, which are numbered without gaps."""
        named = [p for p in (self.path / "rounds").glob("*") if p.name.isdecimal()]
        places = [self._place(i) for i in range(len(named))]
        if gone := sorted(set(places) - set(named)):
            raise StoreError(
                f"Round {gone[0].name} of the experiment in '{self.path}' is missing, but later "
                "ones are there. Restore the folder from a copy."
            )
        return places

    def _read_plan(self, round_index: int, arms: tuple[str, ...]) -> Plan | None:
        """The operator's plan for a round; one that was made for an earlier round is spent."""
        file = self.path / "plan.json"
        if not file.exists():
            return None
        try:
            plan = plan_from_dict(_read_json(file))
        except _UNREADABLE as error:
            raise _damaged(file, error) from error
        return plan if (plan.round_index, plan.arms) == (round_index, arms) else None

    def _read_actions(self) -> tuple[Action, ...]:
        file = self.path / "actions.json"
        if not file.exists():
            return ()
        try:
            return tuple(map(action_from_dict, _read_json(file)["actions"]))
        except _UNREADABLE as error:
            raise _damaged(file, error) from error


def _read_round(place: Path, round_index: int, arms: tuple[str, ...]) -> SavedRound:
    try:
        meta = _read_json(place / "round.json")
        for name, digest in meta["files"].items():
            if _sha256(place / name) != digest:
                raise StoreError(
                    f"'{place / name}' was changed or damaged. Restore the folder from a copy."
                )
        plan = plan_from_dict(meta["plan"])
        observations = read_observations(place)
        if plan.round_index != round_index or not plan.arms == observations.arms == arms:
            raise StoreError(
                f"'{place}' is a round of another experiment. Restore the folder from a copy."
            )
        truth = None
        if "truth.npz" in meta["files"]:
            with np.load(place / "truth.npz", allow_pickle=False) as arrays:
                truth = GroundTruth(arms, arrays["conversion"], arrays["severity"])
        served = Served(plan, observations, truth)
        return SavedRound(
            served, Posterior.load(place), float(meta["fit_seconds"]), int(meta.get("n_actions", 0))
        )
    except _UNREADABLE as error:
        raise _damaged(place, error) from error


def _damaged(what: Path, error: Exception) -> StoreError:
    return StoreError(
        f"'{what}' cannot be read: {type(error).__name__}: {error}. Restore the folder from a copy."
    )


def _write_json(file: Path, content: dict[str, Any]) -> None:
    """Write or replace a file in one step."""
    text = json.dumps(content, default=_number)
    envelope = {
        "schema": SCHEMA,
        "version": version("pytyche-lab"),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "content": json.loads(text),
    }
    draft = file.with_name(f".{file.name}.draft")
    draft.write_text(json.dumps(envelope, indent=1), encoding="utf-8")
    os.replace(draft, file)


def _read_json(file: Path) -> dict[str, Any]:
    """The content of a file that `_write_json` wrote.

    Raises:
        StoreError: if it is of another version, or its checksum is wrong.
    """
    envelope = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(envelope, dict) or envelope.get("schema") != SCHEMA:
        raise StoreError(
            f"'{file}' is not of a version of pytyche-lab that can be read (schema {SCHEMA})."
        )
    content: dict[str, Any] = envelope["content"]
    if hashlib.sha256(json.dumps(content).encode()).hexdigest() != envelope["sha256"]:
        raise StoreError(f"'{file}' was changed or damaged. Restore the folder from a copy.")
    return content


def _number(value: object) -> int | float:
    """Numbers of numpy, which JSON does not know."""
    if isinstance(value, np.generic):
        number: int | float = value.item()
        return number
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
