"""Experiments from what an operator writes, or from a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from pytyche_engine.allocation import Schedule, check_design
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.calibration import Calibration, CalibrationError, resolve
from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.columns import is_text
from pytyche_engine.contracts.errors import DataNotice, DesignError
from pytyche_engine.contracts.given import count
from pytyche_engine.contracts.labels import Labels
from pytyche_engine.contracts.observations import ColumnMapping
from pytyche_engine.contracts.policies import AllocationRule
from pytyche_engine.contracts.revenue import RefundPolicy, check_metric
from pytyche_engine.contracts.thresholds import DecisionThresholds
from pytyche_engine.contracts.warn import warn
from pytyche_engine.decisions import ExpectedLossRule
from pytyche_engine.experiment.sequential import SequentialExperiment
from pytyche_engine.sources import ReplaySource, Source
from pytyche_engine.store.folder import ExperimentFolder
from pytyche_engine.store.spec import ExperimentSpec


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
    allocation: AllocationRule = "thompson",
    calibration: Calibration = None,
    graduation_rule: ExpectedLossRule | None = None,
    thresholds: DecisionThresholds | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    name: str = "experiment",
    metric: str = "revenue_per_visitor",
    currency: str = "$",
    visitors_per_year: int | None = None,
    refunds: RefundPolicy = "error",
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
        allocation: how Optimized shares out its traffic: ``"thompson"`` earns most while the
            experiment runs, ``"top_two"`` and ``"exploration_sampling"`` find the best arm sooner.
        calibration: artifacts that recalibrate what rounds report: one, its name or folder,
            several of these, or ``"auto"`` for those of the package. Each round uses the one that
            was made nearest to it; a round that none holds for is labelled uncalibrated, as all
            are with None.
        graduation_rule: what a (treatment, segment) pair must fulfil to be a candidate.
        thresholds: when the verdict is SHIP or STOP.
        settings: sampler settings.
        seed: of everything random. The same data and seed give the same results.
        name: printed, and the key under which magics know it.
        metric: ``"revenue_per_visitor"`` or ``"conversion_rate"``.
        currency: symbol printed with money; conversions have none.
        visitors_per_year: how many visitors a decision is for; with it, verdicts say what a
            lift is worth in a year.
        refunds: what negative revenue is: an ``"error"``, set to 0 (``"clip"``), or summed
            with the visitor's other rows (``"net"``).
        path: a folder that keeps the experiment; see `open_experiment`.

    Raises:
        DesignError: if something contradicts itself; the message says what to write instead.
        CalibrationError: if an artifact cannot be read, or none could hold for the experiment.
        StoreError: if the folder already holds an experiment.
    """
    check_metric(metric)
    artifacts = resolve(calibration)
    if refunds not in get_args(RefundPolicy):
        raise DesignError(
            f"Unknown refund policy {refunds!r}; use one of {list(get_args(RefundPolicy))}."
        )
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise DesignError(f"The seed is {seed!r}; use a whole number, 0 or more.")
    for what, text in (("name", name), ("currency", currency)):
        if not isinstance(text, str) or not is_text(text):
            raise DesignError(f"The {what} is {text!a}; use text.")
    if visitors_per_year is not None:
        visitors_per_year = count("'visitors_per_year'", visitors_per_year, 1)
    design = check_design(
        treatments=treatments,
        schedule_or_sizes=schedule,
        cells=cells,
        min_control_weight=min_control_weight,
        min_explore_weight=min_explore_weight,
        max_segment_depth=max_segment_depth,
        min_segment_share=min_segment_share,
        allocation=allocation,
    )
    if generator is not None and not callable(generator):
        raise DesignError(
            f"'generator' is {type(generator).__name__}; use a callable (round_index, plan) that "
            "returns the round's frame, or leave it out and call exp.observe(frame)."
        )
    experiment = SequentialExperiment(
        ExperimentSpec(
            design=design,
            columns=_column_mapping(columns, generator),
            # Conversions are counted, not paid in.
            labels=Labels(
                name, metric, "" if metric == "conversion_rate" else currency, visitors_per_year
            ),
            settings=settings or Settings(),
            graduation_rule=graduation_rule or ExpectedLossRule(),
            thresholds=thresholds or DecisionThresholds(),
            refunds=refunds,
            seed=int(seed),
            calibration=artifacts,
        ),
        generator,
    )
    if calibration is not None and calibration != "auto":
        _check_calibration(experiment)
    for notice in design.notices:
        warn(notice, DataNotice)
    if path is not None:
        experiment.save(path)
    return experiment


def _check_calibration(experiment: SequentialExperiment) -> None:
    """Refuse artifacts of which none holds for the first round as it is planned."""
    answers = [(a, a.applies_to(experiment)) for a in experiment.calibration]
    if not any(answer for _, answer in answers):
        why = "; ".join(f"'{a.name}': {' and '.join(found.refusals)}" for a, found in answers)
        raise CalibrationError(f"No calibration artifact holds for this experiment. {why}.")


def open_experiment(path: str | Path, generator: Source | None = None) -> SequentialExperiment:
    """Open an experiment that was saved, in any process.

    Conclusions are drawn again from the saved posteriors; they are the same.

    Raises:
        StoreError: if the folder is damaged, foreign or of another version.
    """
    folder = ExperimentFolder(Path(path))
    saved = folder.read()
    experiment = SequentialExperiment(saved.spec, generator, folder)
    experiment.restore(saved)
    if saved.unfinished is not None:
        number = saved.unfinished.plan.round_index + 1
        warn(
            f"Round {number} of '{experiment.name}' was being fitted when its process ended. "
            "exp.resume() goes on with it.",
            DataNotice,
        )
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
    if not isinstance(columns, Mapping):
        raise DesignError(f"'columns' is {columns!r}; use a mapping of {sorted(known)}.")
    if unknown := set(columns) - known:
        raise DesignError(
            f"'columns' has unknown entries {sorted(unknown)}; use some of {sorted(known)}."
        )
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in columns.items()}
    return ColumnMapping(**given)
