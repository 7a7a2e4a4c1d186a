"""What came of a round, from whoever has it, through the door."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pytyche_engine.contracts.arms import propensity_columns
from pytyche_engine.contracts.door import read_round
from pytyche_engine.contracts.errors import DataError, DesignError
from pytyche_engine.contracts.features import prepare_features
from pytyche_engine.contracts.leaks import refuse_truth_columns
from pytyche_engine.contracts.observations import ColumnMapping, FeatureSchema, Observations
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.served import Served
from pytyche_engine.contracts.truth import GroundTruth
from pytyche_engine.sources import Source
from pytyche_engine.store.spec import ExperimentSpec


def fetch(source: Source | None, plan: Plan, name: str) -> object:
    """Ask a source for the data of a plan's round. Its own errors pass through.

    Raises:
        DesignError: if there is no source.
        DataError: if the source says that there is nothing left.
    """
    if source is None:
        raise DesignError(
            f"'{name}' has no source. Serve exp.plan, then bring the round's data with "
            "exp.observe(frame)."
        )
    try:
        return source(plan.round_index, plan)
    except StopIteration as error:
        # Passed on, it would look like the end of the schedule.
        raise DataError(
            f"The source has no data for round {plan.round_index + 1}: it raised StopIteration",
            mend="Shorten the schedule or extend the source.",
        ) from error


def read_served(data: object, plan: Plan, spec: ExperimentSpec, before: Sequence[Served]) -> Served:
    """Check a round's frame, or a pair of the frame and its ground truth.

    Args:
        data: what a source returned, or what was observed.
        plan: what was served.
        spec: what is fixed for the experiment.
        before: earlier rounds.

    Raises:
        DataError: if anything of it cannot be used.
    """
    if isinstance(data, tuple) and len(data) != 2:
        raise DataError(
            f"A source returns a frame, or a frame and its ground truth; got {len(data)} values",
            mend="Return (frame, truth).",
        )
    frame, truth = data if isinstance(data, tuple) else (data, None)
    observations = read_round(
        frame,
        columns=spec.columns,
        arms=spec.design.arms,
        round_index=plan.round_index,
        schema=before[0].observations.schema if before else None,
        seen_visitors={i for s in before for i in s.observations.visitor_id},
        plan=plan,
        refunds=spec.refunds,
        metric=spec.labels.metric,
    )
    if truth is not None:
        _check_truth(truth, observations)
    return Served(plan, observations, truth)


def assign_visitors(
    visitors: pd.DataFrame,
    plan: Plan,
    columns: ColumnMapping,
    schema: FeatureSchema | None,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """A copy of a frame of visitors with the plan's cell, arm and probabilities.

    Args:
        visitors: one row a visitor.
        plan: what is served.
        columns: under which names; probabilities are ``propensity_<arm>`` unless it names
            others, and the cell is left out if it names none.
        schema: the experiment's features; None before the first round.
        rng: draws cells and arms.

    Raises:
        DataError: if a feature is missing that the plan's rules may need.
    """
    drawn = plan.assign(visitors if schema is None else prepare_features(visitors, schema), rng)
    assigned = visitors.copy()
    if columns.cell is not None:
        cells = np.array([cell.id for cell in plan.cells], dtype=object)
        assigned[columns.cell] = cells[drawn.cell]
    assigned[columns.arm] = np.array(plan.arms, dtype=object)[drawn.arm]
    for k, name in enumerate(columns.propensity or propensity_columns(plan.arms)):
        assigned[name] = drawn.propensity[:, k]
    return assigned


def _check_truth(truth: object, observations: Observations) -> None:
    if not isinstance(truth, GroundTruth):
        raise DataError(
            f"The source returned {type(truth).__name__} as ground truth",
            mend="Return (frame, GroundTruth(...)), or the frame alone.",
        )
    if truth.arms != observations.arms:
        raise DataError(
            f"The ground truth is about the arms {list(truth.arms)}, the round about "
            f"{list(observations.arms)}",
            mend="Name the same arms in the same order, control first.",
        )
    expected = (len(observations), observations.n_arms)
    for name in ("conversion", "severity"):
        shape = np.shape(getattr(truth, name))
        if shape != expected:
            raise DataError(
                f"The ground truth's {name} has shape {shape}; the round has {expected[0]:,} "
                f"visitors and {expected[1]} arms",
                mend="Give one row for each visitor of the frame, in its order.",
            )
    refuse_truth_columns(observations.features, truth)
