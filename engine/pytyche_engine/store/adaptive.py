"""Adaptive experiments in the registry: their rounds, plans and decisions, as they happen.

The rounds' files lie in the experiment's folder. The registry has what they concluded, so that
the console and a platform can read it without them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.store import tables as t
from pytyche_engine.store.records import Experiment
from pytyche_engine.store.registry import Registry
from pytyche_engine.store.rows import lock_experiment, note, now, read_experiment


@dataclass(frozen=True)
class RoundSummary:
    """What a finished round concluded.

    Attributes:
        round_index: from 0.
        n_visitors: of the round.
        verdict: SHIP, CONTINUE or STOP.
        treatment: the arm it is about.
        lift: that arm's lift in revenue per visitor, with its interval.
        label: what the intervals are worth, e.g. ``"uncalibrated"``.
    """

    round_index: int
    n_visitors: int
    verdict: str
    treatment: str
    lift: float
    lift_low: float
    lift_high: float
    label: str


@dataclass(frozen=True)
class Progress:
    """How far an adaptive experiment is.

    Attributes:
        rounds: all that are finished.
        plan: of the next round, as JSON values; None when the schedule is exhausted.
        actions: what the operator decided beside plans, as JSON values, in order.
        folder: where the rounds lie; None where they are kept in memory alone.
    """

    rounds: tuple[RoundSummary, ...]
    plan: Mapping[str, Any] | None
    actions: tuple[Mapping[str, Any], ...]
    folder: str | None


def record_progress(
    registry: Registry, experiment_id: str, progress: Progress, who: str
) -> Experiment:
    """Add what the registry does not have yet; recording the same again adds nothing.

    So a record that failed is made good by the next one.

    Raises:
        DesignError: if the experiment is not adaptive.
        UnknownExperimentError: if there is none.
    """
    with registry.database.write() as connection:
        experiment = lock_experiment(connection, experiment_id)
        if experiment.type != "adaptive":
            raise DesignError(f"'{experiment.name}' is not adaptive; it has no rounds.")
        _add_rounds(connection, experiment, progress.rounds, who)
        _add_plan(connection, experiment, progress, who)
        _add_actions(connection, experiment, progress.actions, who)
        status = "running" if progress.rounds else "draft"
        if progress.plan is None:
            status = "stopped"
        values: dict[str, Any] = {"status": status, "folder": progress.folder}
        if status != "draft" and experiment.launched_at is None:
            values["launched_at"] = now()
        if status == "stopped" and experiment.stopped_at is None:
            values["stopped_at"] = now()
        e = t.experiments
        connection.execute(e.update().where(e.c.id == experiment_id).values(values))
        return read_experiment(connection, experiment_id)


def rounds_of(registry: Registry, experiment_id: str) -> list[dict[str, Any]]:
    """Finished rounds of an adaptive experiment, oldest first."""
    r = t.rounds
    query = select(r).where(r.c.experiment_id == experiment_id).order_by(r.c.round_index)
    with registry.database.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def plans_of(registry: Registry, experiment_id: str) -> list[dict[str, Any]]:
    """Every revision of every plan, oldest first; the last one is in force."""
    p = t.plans
    query = select(p).where(p.c.experiment_id == experiment_id).order_by(p.c.id)
    with registry.database.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def _add_rounds(
    connection: Connection, experiment: Experiment, rounds: Sequence[RoundSummary], who: str
) -> None:
    r = t.rounds
    query = select(r.c.round_index).where(r.c.experiment_id == experiment.id)
    known = set(connection.scalars(query))
    for one in rounds:
        if one.round_index not in known:
            row = asdict(one) | {"experiment_id": experiment.id, "finished_at": now()}
            connection.execute(r.insert().values(row))
            detail = {"round": one.round_index + 1, "verdict": one.verdict}
            note(connection, experiment.id, who, "finish round", detail)


def _add_plan(connection: Connection, experiment: Experiment, progress: Progress, who: str) -> None:
    if progress.plan is None:
        return
    p, index = t.plans, len(progress.rounds)
    query = select(p.c.revision, p.c.plan).where(
        p.c.experiment_id == experiment.id, p.c.round_index == index
    )
    last = connection.execute(query.order_by(p.c.revision.desc()).limit(1)).first()
    if last is not None and last.plan == progress.plan:
        return
    revision = 1 if last is None else last.revision + 1
    row = {"experiment_id": experiment.id, "round_index": index, "revision": revision}
    row |= {"plan": dict(progress.plan), "made_at": now(), "made_by": who}
    connection.execute(p.insert().values(row))
    note(connection, experiment.id, who, "plan", {"round": index + 1, "revision": revision})


def _add_actions(
    connection: Connection, experiment: Experiment, actions: Sequence[Mapping[str, Any]], who: str
) -> None:
    a = t.audit
    query = select(func.count()).where(a.c.experiment_id == experiment.id, a.c.action == "decide")
    for action in actions[connection.scalar(query) or 0 :]:
        note(connection, experiment.id, who, "decide", dict(action))
