"""Analyses of registered experiments: made from what was delivered, and kept."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Connection, select

from pytyche_engine.contracts.errors import WrongStateError
from pytyche_engine.store import tables as t
from pytyche_engine.store.records import SUM_NAMES, Experiment
from pytyche_engine.store.registry import Registry
from pytyche_engine.store.rows import (
    insert_row,
    lock_experiment,
    note,
    now,
    read_experiment,
    read_periods,
    read_sums,
    said,
)

if TYPE_CHECKING:
    from pytyche_engine.classic.running_figures import RunningSums


@dataclass(frozen=True)
class Analysis:
    """An analysis as it is kept.

    Attributes:
        id: its number.
        made_at: when.
        made_by: who asked for it.
        result: `RunningAnalysis` as plain JSON values.
    """

    id: int
    made_at: datetime
    made_by: str
    result: dict[str, Any]


def analyse(registry: Registry, experiment_id: str, who: str) -> Analysis:
    """Analyse what was delivered so far, and keep the result.

    The always-valid p-values are the smallest of all looks, so a decision stays; looks that
    are asked for at the same time follow each other. The experiment is marked with the
    winner, or the alarm.

    Raises:
        WrongStateError: if it is a draft, or adaptive.
    """
    # Here, so that a server starts without waiting for the statistics; and not in the
    # transaction, which would keep others waiting.
    from pytyche_engine.classic.running import analyse_running
    from pytyche_engine.classic.running_figures import RunningDesign

    with registry.database.read() as connection:
        _check(read_experiment(connection, experiment_id))
    with registry.database.write() as connection:
        experiment = lock_experiment(connection, experiment_id)
        before = _newest(connection, experiment_id, 1)
        found = analyse_running(
            _sums(connection, experiment),
            RunningDesign(
                names=tuple(variant.name for variant in experiment.variants),
                alpha=experiment.alpha,
                expected_lift=experiment.expected_lift,
                tau=experiment.tau,
                is_bandit=experiment.type == "bandit",
                planned_visitors=experiment.planned_visitors,
                is_stopped=experiment.status == "stopped",
                unit=experiment.metric,
            ),
            [c["p_always"] for c in before[0].result["comparisons"]] if before else None,
        )
        result = asdict(found)
        at = now()
        row = {"experiment_id": experiment_id, "made_at": at, "made_by": who, "result": result}
        number = insert_row(connection, t.analyses.insert(), row)
        winner = found.verdict.winner
        e = t.experiments
        connection.execute(
            e.update()
            .where(e.c.id == experiment_id)
            .values(
                tau=found.tau,
                split_alarm=found.split.alarm,
                winner=None if winner is None else experiment.variant(winner).id,
            )
        )
        note(connection, experiment_id, who, "analyze", {"verdict": found.verdict.kind})
        return Analysis(number, at, who, result)


def results(
    registry: Registry, experiment_id: str, *, limit: int = 50, offset: int = 0
) -> Sequence[Analysis]:
    """Analyses of an experiment, the newest first."""
    with registry.database.read() as connection:
        return _newest(connection, experiment_id, limit, offset)


def _check(experiment: Experiment) -> None:
    if experiment.type == "adaptive":
        raise WrongStateError(
            f"'{experiment.name}' is adaptive: its rounds are analysed in the notebook."
        )
    if experiment.status == "draft":
        raise WrongStateError(
            f"'{experiment.name}' cannot be analysed: it is {said(experiment.status)}. Launch it."
        )


def _newest(
    connection: Connection, experiment_id: str, limit: int, offset: int = 0
) -> list[Analysis]:
    a = t.analyses
    query = select(a).where(a.c.experiment_id == experiment_id).order_by(a.c.id.desc())
    rows = connection.execute(query.limit(limit).offset(offset)).mappings()
    return [Analysis(r["id"], r["made_at"], r["made_by"], r["result"]) for r in rows]


def _sums(connection: Connection, experiment: Experiment) -> "RunningSums":
    from pytyche_engine.classic.running_figures import RunningSums

    sums = read_sums(connection, experiment)
    weights = {period.id: period.weights for period in read_periods(connection, experiment)}
    columns = {
        name: np.array([[getattr(one, name) for one in row] for row in sums.values()], dtype=float)
        for name in SUM_NAMES
    }
    return RunningSums(weights=np.array([weights[p] for p in sums]), **columns)
