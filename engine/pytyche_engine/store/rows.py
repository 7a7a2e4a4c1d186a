"""Reading and writing the registry's rows, inside of a transaction that is open already."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Insert,
    Integer,
    RowMapping,
    Select,
    bindparam,
    cast,
    func,
    select,
)

from pytyche_engine.contracts.errors import UnknownExperimentError
from pytyche_engine.store import tables as t
from pytyche_engine.store.records import (
    SUM_NAMES,
    Experiment,
    Period,
    Status,
    Sums,
    Totals,
    Variant,
    VariantDraft,
)

NO_SUCH_EXPERIMENT = "There is no such experiment in this project."

_COLUMNS = tuple(column.name for column in t.experiments.columns)
_V = t.variants
# One statement, made once: this is read before every delivery.
# SQLite has no row locks and needs none: a write transaction is alone.
_LOCKED = (
    select(*t.experiments.columns, _V.c.id, _V.c.name, _V.c.note, _V.c.weight)
    .select_from(t.experiments.outerjoin(_V, _V.c.experiment_id == t.experiments.c.id))
    .where(t.experiments.c.id == bindparam("wanted"))
    .order_by(_V.c.position)
    .with_for_update(of=t.experiments)
)


def now() -> datetime:
    """The moment, with its zone."""
    return datetime.now(UTC)


def said(status: Status) -> str:
    """A status in a sentence."""
    return {"draft": "a draft", "running": "running", "stopped": "stopped"}[status]


def note(
    connection: Connection, experiment_id: str, who: str, action: str, detail: dict[str, Any]
) -> None:
    """Add a line to the audit log, in the transaction of what it tells."""
    row = {"at": now(), "who": who, "experiment_id": experiment_id}
    connection.execute(t.audit.insert().values(row | {"action": action, "detail": detail}))


def insert_row(connection: Connection, statement: Insert, row: dict[str, Any]) -> int:
    """Insert one row; gives the number that the database gave it."""
    inserted = connection.execute(statement, row).inserted_primary_key
    assert inserted is not None  # noqa: S101 - of one row it always is
    return int(inserted[0])


def lock_experiment(connection: Connection, experiment_id: str) -> Experiment:
    """Read an experiment that this transaction will change; others wait until it has.

    Without counts of observations, which few changes need.

    Raises:
        UnknownExperimentError: if there is none.
    """
    found = connection.execute(_LOCKED, {"wanted": experiment_id}).all()
    if not found:
        raise UnknownExperimentError(NO_SUCH_EXPERIMENT)
    n = len(_COLUMNS)
    variants = tuple(Variant(*row[n:]) for row in found if row[n] is not None)
    return Experiment(**dict(zip(_COLUMNS, found[0][:n], strict=True)), variants=variants)


def read_experiment(
    connection: Connection, experiment_id: str, project_id: str | None = None
) -> Experiment:
    """An experiment with the counts of its variants.

    Raises:
        UnknownExperimentError: if there is none, or it is another project's.
    """
    query = in_project(select(t.experiments), project_id)
    query = query.where(t.experiments.c.id == experiment_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise UnknownExperimentError(NO_SUCH_EXPERIMENT)
    (experiment,) = with_variants(connection, [row])
    s = t.period_sums
    counts = connection.execute(
        select(s.c.variant_id, func.sum(s.c.exposures), func.sum(s.c.conversions))
        .where(s.c.experiment_id == experiment_id)
        .group_by(s.c.variant_id)
    )
    seen = {variant: (int(n), int(converted)) for variant, n, converted in counts}
    return replace(
        experiment,
        variants=tuple(
            replace(v, exposures=seen[v.id][0], conversions=seen[v.id][1]) if v.id in seen else v
            for v in experiment.variants
        ),
    )


def read_periods(connection: Connection, experiment: Experiment) -> tuple[Period, ...]:
    """The weight history of an experiment, oldest first."""
    w = t.weight_changes
    rows = connection.execute(
        select(w).where(w.c.experiment_id == experiment.id).order_by(w.c.id)
    ).mappings()
    ids = [variant.id for variant in experiment.variants]
    return tuple(
        Period(
            row["id"],
            row["since"],
            tuple(row["weights"][i] for i in ids),
            None if row["best"] is None else tuple(row["best"][i] for i in ids),
        )
        for row in rows
    )


def change_weights(
    connection: Connection,
    experiment: Experiment,
    weights: Sequence[float],
    best: Sequence[float] | None = None,
) -> None:
    """Begin a period with other weights."""
    ids = [variant.id for variant in experiment.variants]
    row = {
        "experiment_id": experiment.id,
        "since": now(),
        "weights": dict(zip(ids, weights, strict=True)),
        "best": None if best is None else dict(zip(ids, best, strict=True)),
    }
    period = insert_row(connection, t.weight_changes.insert(), row)
    empty = {"period": period, "experiment_id": experiment.id} | asdict(Sums())
    connection.execute(t.period_sums.insert(), [empty | {"variant_id": i} for i in ids])
    v = t.variants
    for variant_id, weight in zip(ids, weights, strict=True):
        connection.execute(v.update().where(v.c.id == variant_id).values(weight=weight))


def insert_variants(
    connection: Connection, experiment_id: str, drafts: Sequence[VariantDraft], first: int = 0
) -> None:
    """Add variants behind the ``first`` that are there."""
    rows = [
        {
            "id": secrets.token_hex(16),
            "experiment_id": experiment_id,
            "position": first + i,
            "name": draft.name,
            "note": draft.note,
            "weight": draft.weight,
        }
        for i, draft in enumerate(drafts)
    ]
    if rows:
        connection.execute(t.variants.insert(), rows)


def in_project(query: Select[Any], project_id: str | None) -> Select[Any]:
    """A query for one project's experiments; None leaves it as it is."""
    return query if project_id is None else query.where(t.experiments.c.project_id == project_id)


def read_totals(connection: Connection, project_id: str | None) -> Totals:
    """How many experiments a project has."""
    e = t.experiments
    alarms = func.sum(cast(e.c.split_alarm, Integer))
    query = select(e.c.status, func.count(), func.count(e.c.winner), alarms).group_by(e.c.status)
    found = {row[0]: row[1:] for row in connection.execute(in_project(query, project_id))}
    count = {status: found.get(status, (0, 0, 0)) for status in ("draft", "running", "stopped")}
    return Totals(
        draft=count["draft"][0],
        running=count["running"][0],
        stopped=count["stopped"][0],
        winners=sum(n[1] for n in count.values()),
        attention=int(count["running"][2] or 0),
    )


def with_variants(connection: Connection, rows: Sequence[RowMapping]) -> tuple[Experiment, ...]:
    """The experiments of some rows, with their variants but without counts."""
    ids = [row["id"] for row in rows]
    v, r = t.variants, t.rounds
    query = select(v).where(v.c.experiment_id.in_(ids)).order_by(v.c.experiment_id, v.c.position)
    found: dict[str, list[Variant]] = {i: [] for i in ids}
    for row in connection.execute(query).mappings():
        found[row["experiment_id"]].append(
            Variant(row["id"], row["name"], row["note"], row["weight"])
        )
    adaptive = [row["id"] for row in rows if row["type"] == "adaptive"]
    done: dict[str, int] = {}
    if adaptive:
        query = select(r.c.experiment_id, func.count()).where(r.c.experiment_id.in_(adaptive))
        query = query.group_by(r.c.experiment_id)
        done = {row[0]: row[1] for row in connection.execute(query)}
    return tuple(
        Experiment(**row, variants=tuple(found[row["id"]]), n_rounds=done.get(row["id"], 0))
        for row in rows
    )


def read_sums(connection: Connection, experiment: Experiment) -> dict[int, tuple[Sums, ...]]:
    """What the visitors of each period add up to, in the order of the variants."""
    s = t.period_sums
    rows = connection.execute(select(s).where(s.c.experiment_id == experiment.id)).mappings()
    found = {
        (row["period"], row["variant_id"]): Sums(**{name: row[name] for name in SUM_NAMES})
        for row in rows
    }
    periods = sorted({period for period, _ in found})
    return {p: tuple(found[p, variant.id] for variant in experiment.variants) for p in periods}
