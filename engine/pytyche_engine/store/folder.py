"""An experiment as a folder.

    experiment.json      what is fixed
    plan.json            what the next round serves, where the operator changed it
    draft.json           what the operator makes of that plan and has not accepted yet
    actions.json         what else the operator decided
    rounds/000/          one folder a finished round: plan, visitors, truth, posterior
    unfinished/          the round being fitted: plan, visitors, truth, and its chains so far

A round is written beside its place and moved there, and ``experiment.json`` comes last when a
folder is made, so that a crash leaves nothing or something whole. Formats are JSON, Parquet
and NPZ; nothing in a folder is ever executed. Everything carries a checksum, so that what was
damaged is not read as something else.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytyche_engine.bcf.checkpoint import Checkpoints
from pytyche_engine.bcf.posterior import Posterior
from pytyche_engine.contracts.actions import Action, action_from_dict, action_to_dict
from pytyche_engine.contracts.errors import StoreError
from pytyche_engine.contracts.plans import Plan, plan_from_dict, plan_to_dict
from pytyche_engine.contracts.served import Served
from pytyche_engine.store.files import UNREADABLE, damaged, read_sealed, sha256, write_sealed
from pytyche_engine.store.served_files import check_files, read_served, write_served
from pytyche_engine.store.spec import ExperimentSpec, spec_from_dict, spec_to_dict


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


@dataclass(frozen=True)
class SavedDraft:
    """A plan that was being edited.

    Attributes:
        plan: the plan as it stood.
        based_on: checksum of the recommendation that it started from; see `plan_checksum`.
    """

    plan: Plan
    based_on: str


@dataclass(frozen=True, eq=False)
class SavedExperiment:
    """All that a folder holds.

    Attributes:
        spec: what is fixed.
        rounds: finished rounds, oldest first.
        plan: what the operator chose for the next round; None for what is recommended.
        actions: what else the operator decided, in order.
        unfinished: the data of a round whose fit has not ended.
    """

    spec: ExperimentSpec
    rounds: tuple[SavedRound, ...]
    plan: Plan | None
    actions: tuple[Action, ...] = ()
    unfinished: Served | None = None


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
            write_sealed(self.path / "experiment.json", content)
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
            if draft.exists():  # of a process that was killed
                shutil.rmtree(draft)
            draft.mkdir(parents=True)
            write_served(served, draft)
            done.posterior.save(draft)
            write_sealed(
                draft / "round.json",
                {
                    "plan": plan_to_dict(served.plan),
                    "fit_seconds": done.fit_seconds,
                    "n_actions": done.n_actions,
                    "files": {file.name: sha256(file) for file in sorted(draft.iterdir())},
                },
            )
            draft.rename(place)  # fails if the place is taken
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)  # a full disk needs the room
            raise StoreError(
                f"Round {served.plan.round_index + 1} cannot be added to '{self.path}': {error}. "
                "Nothing was added."
            ) from error

    def begin_round(self, served: Served) -> Checkpoints:
        """Keep the data of a round before it is fitted, and make a place for its chains.

        The same data again, after a failure, find the chains that are there already.

        Raises:
            StoreError: if they cannot be written.
        """
        place, draft = self._unfinished, self.path / ".unfinished.draft"
        try:
            if draft.exists():  # of a process that was killed
                shutil.rmtree(draft)
            draft.mkdir(parents=True)
            write_served(served, draft)
            files = {file.name: sha256(file) for file in sorted(draft.iterdir())}
            write_sealed(draft / "round.json", {"plan": plan_to_dict(served.plan), "files": files})
            if _same_file(draft / "round.json", place / "round.json"):
                shutil.rmtree(draft)
            else:
                shutil.rmtree(place, ignore_errors=True)
                draft.rename(place)
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            raise StoreError(
                f"The data of round {served.plan.round_index + 1} cannot be kept in "
                f"'{self.path}': {error}. The round was not begun."
            ) from error
        return Checkpoints(place / "chains")

    def end_round(self) -> None:
        """Forget the round that was begun: it is finished, or was cancelled."""
        shutil.rmtree(self._unfinished, ignore_errors=True)

    def write_plan(self, plan: Plan | None) -> None:
        """Keep what the operator chose for the next round; None for what is recommended.

        Raises:
            StoreError: if it cannot be written.
        """
        try:
            if plan is None:
                (self.path / "plan.json").unlink(missing_ok=True)
            else:
                write_sealed(self.path / "plan.json", plan_to_dict(plan))
        except OSError as error:
            raise StoreError(f"The plan cannot be kept in '{self.path}': {error}.") from error

    def write_draft(self, plan: Plan | None, recommended: Plan) -> None:
        """Keep a plan that is being edited; None where there is nothing to keep.

        Raises:
            StoreError: if it cannot be written.
        """
        file = self.path / "draft.json"
        try:
            if plan is None:
                file.unlink(missing_ok=True)
            else:
                content = {"plan": plan_to_dict(plan), "based_on": plan_checksum(recommended)}
                write_sealed(file, content)
        except OSError as error:
            raise StoreError(f"The draft cannot be kept in '{self.path}': {error}.") from error

    def read_draft(self) -> SavedDraft | None:
        """The plan that was being edited, if there is one.

        Raises:
            StoreError: if it is damaged, or of another version.
        """
        file = self.path / "draft.json"
        if not file.exists():
            return None
        try:
            content = read_sealed(file)
            return SavedDraft(plan_from_dict(content["plan"]), str(content["based_on"]))
        except UNREADABLE as error:
            raise damaged(file, error) from error

    def write_actions(self, actions: Sequence[Action]) -> None:
        """Keep the whole record of the operator's decisions.

        Raises:
            StoreError: if it cannot be written.
        """
        content = {"actions": [action_to_dict(action) for action in actions]}
        try:
            write_sealed(self.path / "actions.json", content)
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
            spec = spec_from_dict(read_sealed(file))
        except UNREADABLE as error:
            raise damaged(file, error) from error
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
            spec,
            rounds,
            self._read_plan(len(rounds), spec.design.arms),
            actions,
            self._read_unfinished(len(rounds), spec.design.arms),
        )

    @property
    def _unfinished(self) -> Path:
        return self.path / "unfinished"

    def _read_unfinished(self, round_index: int, arms: tuple[str, ...]) -> Served | None:
        """The round that was being fitted; one that was finished all the same is spent."""
        if not (self._unfinished / "round.json").exists():
            return None
        try:
            meta = read_sealed(self._unfinished / "round.json")
            check_files(self._unfinished, meta["files"])
            served = read_served(self._unfinished, plan_from_dict(meta["plan"]))
        except UNREADABLE as error:
            raise damaged(self._unfinished, error) from error
        return (
            served if (served.plan.round_index, served.plan.arms) == (round_index, arms) else None
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
            plan = plan_from_dict(read_sealed(file))
        except UNREADABLE as error:
            raise damaged(file, error) from error
        return plan if (plan.round_index, plan.arms) == (round_index, arms) else None

    def _read_actions(self) -> tuple[Action, ...]:
        file = self.path / "actions.json"
        if not file.exists():
            return ()
        try:
            return tuple(map(action_from_dict, read_sealed(file)["actions"]))
        except UNREADABLE as error:
            raise damaged(file, error) from error


def plan_checksum(plan: Plan) -> str:
    """Tells plans apart that differ in anything."""
    return hashlib.sha256(json.dumps(plan_to_dict(plan), default=float).encode()).hexdigest()


def _read_round(place: Path, round_index: int, arms: tuple[str, ...]) -> SavedRound:
    try:
        meta = read_sealed(place / "round.json")
        check_files(place, meta["files"])
        served = read_served(place, plan_from_dict(meta["plan"]))
        if served.plan.round_index != round_index or served.plan.arms != arms:
            raise StoreError(
                f"'{place}' is a round of another experiment. Restore the folder from a copy."
            )
        return SavedRound(
            served, Posterior.load(place), float(meta["fit_seconds"]), int(meta.get("n_actions", 0))
        )
    except UNREADABLE as error:
        raise damaged(place, error) from error


def _same_file(one: Path, other: Path) -> bool:
    return other.exists() and one.read_bytes() == other.read_bytes()
