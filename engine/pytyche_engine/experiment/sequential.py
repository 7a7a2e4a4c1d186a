"""The sequential loop: plan, observe, fit, conclude, propose; one round after another."""

import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from pytyche_engine.allocation import Design, Schedule, check_design, override
from pytyche_engine.bcf.fit import fit
from pytyche_engine.bcf.progress import ProgressReporter
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.contracts.decisions import DecisionThresholds, GraduationCandidate
from pytyche_engine.contracts.door import read_round
from pytyche_engine.contracts.errors import (
    DataNotice,
    DesignError,
    UncalibratedWarning,
    UnconvergedWarning,
)
from pytyche_engine.contracts.features import prepare_features
from pytyche_engine.contracts.observations import ColumnMapping, FeatureSchema, concat
from pytyche_engine.contracts.plans import Cell, Plan
from pytyche_engine.contracts.served import Labels, Served
from pytyche_engine.contracts.truth import GroundTruth
from pytyche_engine.decisions import ExpectedLossRule
from pytyche_engine.experiment import narration
from pytyche_engine.experiment.conclude import conclude_round
from pytyche_engine.experiment.evidence import Evidence
from pytyche_engine.experiment.round import Round
from pytyche_engine.jobs import Control, Job
from pytyche_engine.sources import ReplaySource
from pytyche_engine.store.folder import ExperimentFolder, SavedExperiment, SavedRound

Source = Callable[[int, Plan], Any]
Refunds = Literal["error", "clip", "net"]

UNCALIBRATED = (
    "Running uncalibrated BCF posteriors (calibration=None); interval coverage may be "
    "miscalibrated at scale."
)


class SequentialExperiment:
    """An experiment in rounds. Make one with `sequential_experiment`.

    With a source, ``next(exp)`` runs a round from assignment to the next proposal. Without
    one, hand out `plan`, and bring the round's data to `observe` when it is there, in this
    process or another (`open_experiment`).

    Attributes:
        watch: called with every job that starts, for whoever shows progress.
    """

    def __init__(
        self,
        *,
        design: Design,
        source: Source | None,
        columns: ColumnMapping,
        labels: Labels,
        settings: Settings,
        graduation_rule: ExpectedLossRule,
        thresholds: DecisionThresholds,
        refunds: Refunds,
        seed: int,
        folder: ExperimentFolder | None = None,
        watch: Callable[[Job[Round]], None] | None = None,
    ) -> None:
        self.watch = watch
        self._design = design
        self._source = source
        self._columns = columns
        self._labels = labels
        self._settings = settings
        self._rule = graduation_rule
        self._thresholds = thresholds
        self._refunds: Refunds = refunds
        self._seed = seed
        self._folder = folder
        self._lock = threading.RLock()
        self._served: list[Served] = []
        self._rounds: list[Round] = []
        self._plan = design.first_plan
        self._pending: Served | None = None
        self._job: Job[Round] | None = None
        self._warned = False
        self._evidence = Evidence()

    # What it is

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self._labels.name

    @property
    def design(self) -> Design:
        """What was fixed at construction."""
        return self._design

    @property
    def labels(self) -> Labels:
        """Name, metric and currency."""
        return self._labels

    @property
    def plan(self) -> Plan:
        """What the next round serves."""
        return self._plan

    @property
    def history(self) -> tuple[Round, ...]:
        """Finished rounds, oldest first."""
        return tuple(self._rounds)

    @property
    def latest(self) -> Round | None:
        """The last finished round."""
        return self._rounds[-1] if self._rounds else None

    @property
    def current_round_idx(self) -> int:
        """How many rounds are finished; the index of the next one."""
        return len(self._rounds)

    @property
    def next_recommendation(self) -> Plan:
        """The plan that the latest round proposes, or the cold start."""
        return self._rounds[-1].next_recommendation if self._rounds else self._design.first_plan

    @property
    def job(self) -> Job[Round] | None:
        """The job of the round that is being worked on, or the last one."""
        return self._job

    @property
    def seen_visitors(self) -> set[str]:
        """Ids of all visitors so far."""
        return {i for s in self._served for i in s.observations.visitor_id}

    # Running rounds

    def accept(self, cells: Sequence[Cell]) -> Plan:
        """Serve these cells in the next round instead of the recommended ones.

        Raises:
            DesignError: if they break a floor or do not make a plan.
        """
        self._plan = self._override(cells)
        return self._plan

    def assign(self, visitors: pd.DataFrame, *, seed: int | None = None) -> pd.DataFrame:
        """A copy of a frame of visitors with the plan's cell, arm and probabilities.

        The columns are those that `observe` expects back: the mapping's cell and arm, and
        ``propensity_<arm>`` for each arm.
        """
        features = visitors if self._schema is None else prepare_features(visitors, self._schema)
        rng = np.random.default_rng([self._seed if seed is None else seed, len(self._rounds), 1])
        drawn = self._plan.assign(features, rng)
        cells = np.array([cell.id for cell in self._plan.cells], dtype=object)
        arms = np.array(self._design.arms, dtype=object)
        assigned = visitors.copy()
        assigned[self._columns.cell or "cell"] = cells[drawn.cell]
        assigned[self._columns.arm] = arms[drawn.arm]
        for k, arm in enumerate(self._design.arms):
            assigned[f"propensity_{arm}"] = drawn.propensity[:, k]
        return assigned

    def start(self, cells: Sequence[Cell] | None = None) -> Job[Round]:
        """Get the next round's data from the source and fit it in the background.

        The data are read and checked before this returns. After a cancelled or failed fit
        the same data are used again, unless the plan changed.

        Raises:
            StopIteration: if the schedule is exhausted.
            DesignError: if there is no source, or a round is being worked on.
            DataError: if the data cannot be used; nothing of them is kept.
        """
        plan = self._plan if cells is None else self._override(cells)
        if plan.n_visitors is None:
            raise StopIteration
        if self._pending is None or self._pending.plan != plan:
            if self._source is None:
                raise DesignError(
                    f"'{self.name}' has no source. Serve exp.plan, then bring the round's data "
                    "with exp.observe(frame)."
                )
            self._check_idle()
            data = self._source(len(self._rounds), plan)
            frame, truth = data if isinstance(data, tuple) else (data, None)
            self._pending = self._read(frame, plan, truth)
        return self._launch(self._pending)

    def start_observing(self, frame: pd.DataFrame) -> Job[Round]:
        """Like `start`, with data that were collected elsewhere under `plan`.

        Raises:
            DesignError: if a round is being worked on.
            DataError: if the data cannot be used; nothing of them is kept.
        """
        self._check_idle()
        self._pending = self._read(frame, self._plan, None)
        return self._launch(self._pending)

    def observe(self, frame: pd.DataFrame) -> Round:
        """Take in the round's data, fit, and return the finished round."""
        return self.start_observing(frame).result()

    def advance(self, cells: Sequence[Cell] | None = None) -> Round:
        """Run the next round and wait for it, with cells of one's own if given."""
        return self.start(cells).result()

    def __next__(self) -> Round:
        return self.advance()

    def __iter__(self) -> Iterator[Round]:
        return self

    def run_to_completion(self) -> tuple[Round, ...]:
        """Run every round that the schedule still has.

        Raises:
            DesignError: if the schedule has no end.
        """
        if self._design.schedule.n_rounds is None:
            raise DesignError("The schedule has no end: give it n_rounds, or call next(exp).")
        for _ in self:
            pass
        return self.history

    # What it says

    def graduation_candidates(
        self, sustained_rounds: int | None = None
    ) -> tuple[GraduationCandidate, ...]:
        """(Treatment, segment) pairs whose evidence held over consecutive rounds."""
        return self._evidence.candidates(
            self._rounds, self._served, self._rule, self._labels, sustained_rounds
        )

    def has_graduation_candidate(self) -> bool:
        """Whether any pair is ready to ship under the experiment's rule."""
        return bool(self.graduation_candidates())

    def has_credible_segments(self, stability: float = 0.80) -> bool:
        """Whether a segment of the latest round is stable and responds."""
        return bool(self.latest and narration.credible_segments(self.latest, stability))

    @property
    def confidence(self) -> str:
        """``"high"``, ``"medium"`` or ``"low"``, from segments and candidates."""
        return narration.confidence(self.latest, self.graduation_candidates())

    @property
    def summary(self) -> str:
        """The experiment so far in a few paragraphs."""
        return narration.summary(self._rounds, self.graduation_candidates(), self.plan)

    def __repr__(self) -> str:
        total = self._design.schedule.n_rounds
        of = "" if total is None else f" of {total}"
        return (
            f"SequentialExperiment('{self.name}', {len(self._rounds)}{of} round(s) done, "
            f"arms {list(self._design.arms)})"
        )

    # Keeping it

    def save(self, path: str | Path) -> None:
        """Write everything to a folder; from now on every finished round is added to it.

        Raises:
            StoreError: if the folder holds another experiment.
        """
        with self._lock:
            folder = ExperimentFolder(Path(path))
            folder.create(self._saved())
            for served, done in zip(self._served, self._rounds, strict=True):
                folder.add_round(served, done.posterior, done.fit_seconds)
            self._folder = folder

    def _saved(self) -> SavedExperiment:
        return SavedExperiment(
            design=self._design,
            columns=self._columns,
            labels=self._labels,
            settings=self._settings,
            graduation_rule=self._rule,
            thresholds=self._thresholds,
            refunds=self._refunds,
            seed=self._seed,
        )

    def restore(self, rounds: Sequence[SavedRound]) -> None:
        """Take in rounds that were saved, drawing their conclusions again."""
        for saved in rounds:
            served = [*self._served, saved.served]
            control = Control()
            cumulative = concat([s.observations for s in served])
            done = conclude_round(
                saved.posterior,
                served,
                cumulative,
                design=self._design,
                labels=self._labels,
                thresholds=self._thresholds,
                seed=self._round_seed(len(self._rounds)),
                control=control,
                progress=ProgressReporter(control, cumulative, self._settings),
                started=time.monotonic(),
            )
            self._served.append(saved.served)
            self._rounds.append(replace(done, fit_seconds=saved.fit_seconds))
            self._plan = done.next_recommendation

    # Inside

    @property
    def _schema(self) -> FeatureSchema | None:
        return self._served[0].observations.schema if self._served else None

    def _override(self, cells: Sequence[Cell]) -> Plan:
        return override(
            self.next_recommendation,
            cells,
            min_control_weight=self._design.min_control_weight,
            min_explore_weight=self._design.min_explore_weight,
            schema=self._schema,
        )

    def _check_idle(self) -> None:
        if self._job is not None and not self._job.done():
            raise DesignError(
                f"Round {len(self._rounds) + 1} of '{self.name}' is being fitted. Wait for it "
                "(exp.job.result()) or cancel it (exp.job.cancel())."
            )

    def _read(self, frame: pd.DataFrame, plan: Plan, truth: GroundTruth | None) -> Served:
        observations = read_round(
            frame,
            columns=self._columns,
            arms=self._design.arms,
            round_index=len(self._rounds),
            schema=self._schema,
            seen_visitors=self.seen_visitors,
            plan=plan,
            refunds=self._refunds,
            metric=self._labels.metric,
        )
        return Served(plan, observations, truth)

    def _round_seed(self, round_idx: int) -> int:
        return int(np.random.SeedSequence([self._seed, round_idx]).generate_state(1)[0])

    def _launch(self, served: Served) -> Job[Round]:
        with self._lock:
            self._check_idle()
            if not self._warned:
                warnings.warn(UNCALIBRATED, UncalibratedWarning, stacklevel=4)
                self._warned = True
            name = f"{self.name}, round {len(self._rounds) + 1}"
            self._job = Job(lambda control: self._work(served, control), name)
            job = self._job
        if self.watch is not None:
            self.watch(job)
        return job.start()

    def _work(self, served: Served, control: Control) -> Round:
        started = time.monotonic()
        all_served = [*self._served, served]
        cumulative = concat([s.observations for s in all_served])
        progress = ProgressReporter(control, cumulative, self._settings)
        seed = self._round_seed(len(self._rounds))
        posterior = fit(
            cumulative, settings=self._settings, seed=seed, control=control, progress=progress
        )
        done = conclude_round(
            posterior,
            all_served,
            cumulative,
            design=self._design,
            labels=self._labels,
            thresholds=self._thresholds,
            seed=seed,
            control=control,
            progress=progress,
            started=started,
        )
        control.checkpoint()
        if not done.analysis.converged:
            warnings.warn(
                f"Round {done.round_idx + 1} did not converge; its tables say so.",
                UnconvergedWarning,
                stacklevel=2,
            )
        with self._lock:
            if self._folder is not None:
                self._folder.add_round(served, posterior, done.fit_seconds)
            self._served.append(served)
            self._rounds.append(done)
            self._plan = done.next_recommendation
            self._pending = None
        return done


def sequential_experiment(
    *,
    schedule: Schedule | Sequence[int],
    treatments: Sequence[str],
    generator: Source | None = None,
    columns: ColumnMapping | Mapping[str, Any] | None = None,
    cells: Sequence[Cell] | None = None,
    min_control_weight: float = 0.05,
    min_explore_weight: float = 0.05,
    max_segment_depth: int = 3,
    min_segment_share: float = 0.10,
    calibration: None = None,
    graduation_rule: ExpectedLossRule | None = None,
    thresholds: DecisionThresholds | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    name: str = "experiment",
    metric: str = "revenue_per_visitor",
    currency: str = "$",
    refunds: Refunds = "error",
    path: str | Path | None = None,
) -> SequentialExperiment:
    """A new experiment in rounds.

    Args:
        schedule: visitors of each round.
        treatments: arm names, control first.
        generator: a source, called as ``source(round_index, plan)``; it returns the round's
            frame, or the frame and its `GroundTruth`. None for data that come in later.
        columns: which columns of a frame mean what; a mapping of `ColumnMapping`'s fields
            will do. By default the source's own, else `ColumnMapping`'s defaults.
        cells: the first round's cells; None for half Control, half Explore.
        min_control_weight: floor of the Control cell, in every round.
        min_explore_weight: floor of the Explore cell, in every round.
        max_segment_depth: depth of the deepest policy tree, 1 to 3.
        min_segment_share: smallest share of visitors in a segment.
        calibration: None; intervals are used as they are and labelled uncalibrated.
        graduation_rule: what a (treatment, segment) pair must fulfil to be a candidate.
        thresholds: when the verdict is SHIP or STOP.
        settings: sampler settings.
        seed: of everything random. The same data and seed give the same results.
        name: printed, and the key under which magics know it.
        metric: ``"revenue_per_visitor"`` or ``"conversion_rate"``.
        currency: symbol printed with money.
        refunds: what negative revenue is: an ``"error"``, set to 0 (``"clip"``), or summed
            with the visitor's other rows (``"net"``).
        path: a folder that keeps the experiment; see `open_experiment`.

    Raises:
        DesignError: if something contradicts itself; the message says what to write instead.
        StoreError: if the folder already holds an experiment.
    """
    if calibration is not None:
        raise DesignError("Only calibration=None exists in this version.")
    design = check_design(
        treatments=treatments,
        schedule_or_sizes=schedule,
        cells=cells,
        min_control_weight=min_control_weight,
        min_explore_weight=min_explore_weight,
        max_segment_depth=max_segment_depth,
        min_segment_share=min_segment_share,
    )
    if generator is not None and not callable(generator):
        raise DesignError(
            f"'generator' is {type(generator).__name__}; use a callable (round_index, plan) that "
            "returns the round's frame, or leave it out and call exp.observe(frame)."
        )
    experiment = SequentialExperiment(
        design=design,
        source=generator,
        columns=_column_mapping(columns, generator),
        labels=Labels(name, metric, currency, str(getattr(generator, "description", ""))),
        settings=settings or Settings(),
        graduation_rule=graduation_rule or ExpectedLossRule(),
        thresholds=thresholds or DecisionThresholds(),
        refunds=refunds,
        seed=seed,
    )
    for notice in design.notices:
        warnings.warn(notice, DataNotice, stacklevel=2)
    if path is not None:
        experiment.save(path)
    return experiment


def open_experiment(path: str | Path, generator: Source | None = None) -> SequentialExperiment:
    """Open an experiment that was saved, in any process.

    Conclusions are drawn again from the saved posteriors; they are the same.

    Raises:
        StoreError: if the folder is damaged, foreign or of another version.
    """
    folder = ExperimentFolder(Path(path))
    saved = folder.read()
    experiment = SequentialExperiment(
        design=saved.design,
        source=generator,
        columns=saved.columns,
        labels=saved.labels,
        settings=saved.settings,
        graduation_rule=saved.graduation_rule,
        thresholds=saved.thresholds,
        refunds=saved.refunds,
        seed=saved.seed,
        folder=folder,
    )
    experiment.restore(folder.read_rounds())
    if isinstance(generator, ReplaySource):
        generator.continue_after(experiment.seen_visitors)
    return experiment


def _column_mapping(
    columns: ColumnMapping | Mapping[str, Any] | None, generator: Source | None
) -> ColumnMapping:
    if columns is None:
        return getattr(generator, "columns", None) or ColumnMapping()
    if isinstance(columns, ColumnMapping):
        return columns
    known = set(ColumnMapping.__dataclass_fields__)
    if unknown := set(columns) - known:
        raise DesignError(
            f"'columns' has unknown entries {sorted(unknown)}; use some of {sorted(known)}."
        )
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in columns.items()}
    return ColumnMapping(**given)
