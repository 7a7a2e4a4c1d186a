"""The sequential loop: plan, observe, fit, conclude, propose; one round after another."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pytyche_engine.allocation import Floors, override
from pytyche_engine.contracts.actions import Action, DropArm, ReviveArm
from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.decisions import GraduationCandidate
from pytyche_engine.contracts.errors import (
    DesignError,
    FitCancelled,
    FitLeft,
    PytycheWarning,
    UnconvergedWarning,
)
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.served import Served
from pytyche_engine.contracts.warn import warn
from pytyche_engine.experiment.arm_book import ArmBook
from pytyche_engine.experiment.calibrated import calibration_warnings
from pytyche_engine.experiment.draft import PlanDraft
from pytyche_engine.experiment.evidence import promoted
from pytyche_engine.experiment.fit_round import conclude_again, fit_round
from pytyche_engine.experiment.intake import assign_visitors, fetch, read_served
from pytyche_engine.experiment.kept_draft import forget_draft, keep_draft, take_up_draft
from pytyche_engine.experiment.round import Round
from pytyche_engine.experiment.seen import sample_visitors
from pytyche_engine.experiment.segment_book import SegmentBook
from pytyche_engine.experiment.so_far import ExperimentSoFar
from pytyche_engine.experiment.state import State, forgetting, remembered
from pytyche_engine.jobs import Control, Job
from pytyche_engine.sources import Source
from pytyche_engine.store.folder import ExperimentFolder, SavedExperiment, SavedRound
from pytyche_engine.store.spec import ExperimentSpec

_ASSIGNING = 1  # keeps the random numbers of `assign` apart from those of a fit


class SequentialExperiment(ExperimentSoFar):
    """An experiment in rounds. Make one with `sequential_experiment`.

    With a source, ``next(exp)`` runs a round from assignment to the next proposal. Without
    one, hand out `plan`, and bring the round's data to `observe` when it is there, in this
    process or another (`open_experiment`).

    One round is fitted at a time. Meanwhile the experiment can be read and saved from any
    thread; a round shows only once it is finished.

    Attributes:
        watch: called with every job that starts, for whoever shows progress.
    """

    def __init__(
        self,
        spec: ExperimentSpec,
        source: Source | None = None,
        folder: ExperimentFolder | None = None,
    ) -> None:
        super().__init__(spec)
        self.watch: Callable[[Job[Round]], None] | None = None
        self._source = source
        self._folder = folder
        self._lock = threading.Lock()
        self._pending: Served | None = None
        self._job: Job[Round] | None = None
        self._warned: set[str] = set()
        self._listeners: list[Callable[[], None]] = []
        self._handed_out: Plan | None = None
        self._draft: PlanDraft | None = None

    def __repr__(self) -> str:
        total = self.design.schedule.n_rounds
        of = "" if total is None else f" of {total}"
        unfinished = (
            ""
            if self._pending is None
            else f", round {self.current_round_idx + 1} unfinished: exp.resume()"
        )
        return (
            f"SequentialExperiment('{self.name}', {self.current_round_idx}{of} round(s) done, "
            f"arms {list(self.design.arms)}{unfinished})"
        )

    # Running rounds

    @property
    def job(self) -> Job[Round] | None:
        """The job of the round that is being worked on, or the last one."""
        return self._job

    @property
    def has_source(self) -> bool:
        """Whether rounds come from a source, or have to be brought to `observe`."""
        return self._source is not None

    def accept(self, cells: Sequence[Cell]) -> Plan:
        """Serve these cells in the next round instead of the recommended ones.

        Raises:
            DesignError: if they break a floor or do not make a plan, or a round is being
                worked on.
        """
        with self._lock:
            self._check_idle()
            plan = self._override(cells)
            if self._folder is not None:
                # What is recommended anyway follows the recommendation.
                self._folder.write_plan(None if plan == self.next_recommendation else plan)
            self._state = replace(self._state, plan=plan)
        if self._draft is not None and self._draft.is_current:
            self._draft.follow(plan)
        self._tell()
        return plan

    @property
    def draft(self) -> PlanDraft:
        """The next round's plan to be edited step by step; the same one for everyone who asks.

        It starts from `plan`, and anew whenever another plan is recommended.
        """
        with self._lock:
            if self._draft is None or not self._draft.is_current:
                state, design = self._state, self.design
                latest = state.latest
                self._draft = PlanDraft(
                    state.plan,
                    self.next_recommendation,
                    floors=Floors(design.min_control_weight, design.min_explore_weight),
                    schema=state.schema,
                    look=lambda: None if latest is None else sample_visitors(latest),
                    recommendation=lambda: self.next_recommendation,
                    accept=self.accept,
                    keep=self._keep_draft,
                )
            return self._draft

    def assign(self, visitors: pd.DataFrame, *, seed: int | None = None) -> pd.DataFrame:
        """A copy of a frame of visitors with the plan's cell, arm and probabilities.

        The columns are those that `observe` expects back: the mapping's cell, arm and
        probabilities (``propensity_<arm>`` unless it names others). The same rows get the
        same arms every time; give each further batch of a round a seed of its own.
        """
        state = self._state
        entropy = self._spec.seed if seed is None else seed
        rng = np.random.default_rng([entropy, len(state.rounds), _ASSIGNING])
        self._handed_out = state.plan
        return assign_visitors(visitors, state.plan, self._spec.columns, state.schema, rng)

    def start(self, cells: Sequence[Cell] | None = None) -> Job[Round]:
        """Get the next round's data from the source and fit it in the background.

        The data are read and checked before this returns. After a cancelled or failed fit
        the same data are used again, unless the plan changed.

        Raises:
            StopIteration: if the schedule is exhausted.
            DesignError: if there is no source, or a round is being worked on.
            DataError: if the data cannot be used; nothing of them is kept.
        """
        self._check_idle()
        plan = self.plan if cells is None else self._override(cells)
        if plan.n_visitors is None:
            raise StopIteration
        if self._pending is None or self._pending.plan != plan:
            data = fetch(self._source, plan, self.name)
            self._pending = read_served(data, plan, self._spec, self._state.served)
        return self._launch(self._pending)

    def start_observing(self, frame: pd.DataFrame) -> Job[Round]:
        """Like `start`, with data that were collected elsewhere under `plan`.

        Raises:
            DesignError: if a round is being worked on.
            DataError: if the data cannot be used; nothing of them is kept.
        """
        self._check_idle()
        state = self._state
        self._pending = read_served(frame, state.plan, self._spec, state.served)
        return self._launch(self._pending)

    def observe(self, frame: pd.DataFrame) -> Round:
        """Take in the round's data, fit, and return the finished round."""
        return _finished(self.start_observing(frame))

    def start_resuming(self) -> Job[Round]:
        """Go on with the round whose fit did not end, in the background.

        After a cancelled or failed fit the round starts again with the same data. Where its
        process ended, and the experiment has a folder, chains go on from where they were kept
        last, and make the draws that they would have made.

        Raises:
            DesignError: if there is no such round, or one is being worked on.
        """
        self._check_idle()
        if self._pending is None:
            raise DesignError(
                f"There is no unfinished round: round {self.current_round_idx + 1} has no data yet."
            )
        return self._launch(self._pending)

    def resume(self) -> Round:
        """Go on with the round whose fit did not end, and return it; see `start_resuming`."""
        return _finished(self.start_resuming())

    def advance(self, cells: Sequence[Cell] | None = None) -> Round:
        """Run the next round and wait for it, with cells of one's own if given."""
        return _finished(self.start(cells))

    def __next__(self) -> Round:
        return self.advance()

    def __iter__(self) -> Iterator[Round]:
        return self

    def run_to_completion(self) -> tuple[Round, ...]:
        """Run every round that the schedule still has.

        Raises:
            DesignError: if the schedule has no end.
        """
        if self.design.schedule.n_rounds is None:
            raise DesignError("The schedule has no end: give it n_rounds, or call next(exp).")
        for _ in self:
            pass
        return self.history

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after a round is finished, a plan accepted or a decision made.

        It is called in the thread that did it. If it raises, that is a warning.
        """
        self._listeners.append(listener)

    # What the operator decides

    def forget_before(self, round_number: int) -> None:
        """Use no visitors of earlier rounds any more, from the next fit on.

        For when a drift alarm says that visitors respond differently since a round. The data
        stay in `history` and in the folder. Finished rounds keep their conclusions, but those
        that were fitted to forgotten rounds do not count as sustained evidence.

        Args:
            round_number: the first round to remember, as rounds are printed: from 1.

        Raises:
            DesignError: if there is no such finished round, earlier ones are forgotten
                already, or a round is being worked on.
        """
        self._act(lambda state: forgetting(state, round_number))

    @property
    def arms(self) -> ArmBook:
        """The arms: which of them Optimized serves, drop and revive."""
        return ArmBook(lambda: self._state, self._act)

    @property
    def segments(self) -> SegmentBook:
        """The latest round's segments: rename, register, retire, and their history."""
        return SegmentBook(lambda: self._state, self._act)

    def graduate(self, treatment: str, segment: str) -> GraduationCandidate:
        """The candidate for a pair, or an error that says what its evidence lacks.

        Nothing is shipped: the candidate is what a rollout can be decided on.

        Args:
            treatment: the arm.
            segment: id or name of a segment of the latest round.

        Raises:
            ClaimError: if the segment is exploratory, or the evidence was not sustained.
            DesignError: if there is no such segment or treatment.
        """
        return promoted(treatment, self.segments[segment], self.graduation_candidates())

    # Keeping it

    @property
    def folder(self) -> Path | None:
        """Where the rounds are kept; None for in memory alone."""
        return None if self._folder is None else self._folder.path

    def save(self, path: str | Path) -> None:
        """Write everything to a folder; from now on every finished round is added to it.

        Raises:
            StoreError: if the folder holds an experiment already.
        """
        with self._lock:
            state, folder = self._state, ExperimentFolder(Path(path))
            rounds = [
                SavedRound(served, done.posterior, done.fit_seconds, 0)
                for served, done in zip(state.served, state.rounds, strict=True)
            ]
            own_plan = None if state.plan == self.next_recommendation else state.plan
            folder.create(SavedExperiment(self._spec, tuple(rounds), own_plan, state.actions))
            self._folder = folder
            if self._draft is not None:
                self._keep_draft(self._draft)
        self._tell()

    def restore(self, saved: SavedExperiment) -> None:
        """Take in the rounds of a folder, drawing their conclusions again."""
        self._state = self._state.with_actions(saved.actions)
        for one in saved.rounds:
            self._state = self._state.after(
                one.served, conclude_again(one, self._state, self._spec)
            )
        if saved.plan is not None:
            self._state = replace(self._state, plan=saved.plan)
        self._pending = saved.unfinished
        if self._folder is not None:
            take_up_draft(self._folder, self.draft, self.name)

    # Inside

    def _keep_draft(self, draft: PlanDraft) -> None:
        if self._folder is not None:
            keep_draft(self._folder, draft, self._state.plan)

    def _act(self, decide: Callable[[State], Action]) -> None:
        """Add a decision to the record; it is made from the state that it will hold for."""
        with self._lock:
            self._check_idle()
            action = decide(self._state)
            if isinstance(action, DropArm | ReviveArm):
                self._check_not_handed_out()
            state = self._state.with_actions((*self._state.actions, action))
            if self._folder is not None:
                self._folder.write_actions(state.actions)
            self._state = state
        self._tell()

    def _check_not_handed_out(self) -> None:
        if self._handed_out == self._state.plan or self._pending is not None:
            raise DesignError(
                f"Round {self.current_round_idx + 1} is being served: its plan was handed out by "
                "assign, or its data are there. Bring the data first, then drop or revive arms."
            )

    def _override(self, cells: Sequence[Cell]) -> Plan:
        return override(
            self.next_recommendation,
            cells,
            min_control_weight=self.design.min_control_weight,
            min_explore_weight=self.design.min_explore_weight,
            schema=self._state.schema,
        )

    def _check_idle(self) -> None:
        if self._job is not None and not self._job.done():
            raise DesignError(
                f"Round {self.current_round_idx + 1} of '{self.name}' is being fitted. Wait for "
                "it (exp.job.result()) or cancel it (exp.job.cancel())."
            )

    def _launch(self, served: Served) -> Job[Round]:
        round_idx = served.plan.round_index
        with self._lock:
            self._check_idle()
            if self._folder is not None:
                self._folder.check_next(round_idx)
            name = f"{self.name}, round {round_idx + 1}"
            job = self._job = Job(lambda control: self._work(served, control), name).start()
        self._warn_of_calibration(served)
        if self.watch is not None:
            try:
                self.watch(job)
            except Exception as error:  # noqa: BLE001 - a broken view must not end a fit
                warn(f"The progress of {name} cannot be shown: {error!r}.", PytycheWarning)
        return job

    def _warn_of_calibration(self, latest: Served) -> None:
        """Say once an experiment that a round is uncalibrated, and each thing that differs."""
        state = self._state
        rounds = (*remembered(state.served, state.remembered_from), latest)
        for message, category in calibration_warnings(self._spec, rounds):
            if message not in self._warned:
                self._warned.add(message)
                warn(message, category)

    def _work(self, latest: Served, control: Control) -> Round:
        folder = self._folder
        kept = None if folder is None else folder.begin_round(latest)
        try:
            done = fit_round(latest, self._state, self._spec, control, kept)
            control.halt_if_asked()
            with self._lock:
                control.seal()
                if self._folder is not None:
                    n_actions = len(self._state.actions)
                    self._folder.add_round(
                        SavedRound(latest, done.posterior, done.fit_seconds, n_actions)
                    )
                self._state = self._state.after(latest, done)
                self._pending = None
                if self._folder is not None:
                    forget_draft(self._folder, latest.plan)
        except FitLeft:
            raise
        except FitCancelled:
            if folder is not None:
                folder.end_round()
            raise
        if folder is not None:
            folder.end_round()
        self._tell()
        return done

    def _tell(self) -> None:
        for listener in self._listeners:
            try:
                listener()
            except Exception as error:  # noqa: BLE001 - what was done stays done
                warn(f"A view of '{self.name}' could not follow: {error!r}.", PytycheWarning)


def _finished(job: Job[Round]) -> Round:
    """Wait for a job, and warn in the thread of whoever asked for the round."""
    done = job.result()
    if not done.analysis.converged:
        warn(f"Round {done.round_idx + 1} did not converge; its tables say so.", UnconvergedWarning)
    return done
