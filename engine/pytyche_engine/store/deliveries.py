"""Observations coming in: counts, sufficient statistics or rows, each delivery counted once."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import pyarrow as pa
from sqlalchemy import Connection, bindparam, func, select

from pytyche_engine.contracts.errors import DataError, WrongStateError
from pytyche_engine.store import tables as t
from pytyche_engine.store.records import SUM_NAMES, Experiment, Sums, check_text
from pytyche_engine.store.registry import Registry
from pytyche_engine.store.reweighing import reweigh
from pytyche_engine.store.rows import insert_row, lock_experiment, now, said
from pytyche_engine.store.visitor_rows import keep_rows, sums_of

MAX_KEY = 200
MAX_COUNT = 10**12
"""More visitors in one delivery are a mistake, and no database could add them up."""

Kind = Literal["counts", "statistics", "rows"]

_BATCH = ("experiment_id", "key", "kind", "digest", "received_from", "received_at", "sums")
_P = t.period_sums
_PERIOD = (
    select(func.max(_P.c.period))
    .where(_P.c.experiment_id == bindparam("of_experiment"))
    .scalar_subquery()
)
"""The period that has begun last: deliveries belong to it."""

_KEEP = t.batches.insert().values({name: bindparam(name) for name in _BATCH} | {"period": _PERIOD})
_ADD = (
    _P.update()
    .where(_P.c.period == _PERIOD, _P.c.variant_id == bindparam("of_variant"))
    .values({_P.c[name]: _P.c[name] + bindparam(f"more_{name}") for name in SUM_NAMES})
)
"""Adds to a period's sums where they are, so that nothing read before can be out of date."""


@dataclass(frozen=True)
class Receipt:
    """What a delivery became.

    Attributes:
        id: its number.
        repeated: whether it came before, with the same key; then nothing was added.
        exposures: visitors in it.
        digest: SHA-256 of its content.
    """

    id: int
    repeated: bool
    exposures: int
    digest: str


def deliver_sums(
    registry: Registry,
    experiment_id: str,
    sums: Mapping[str, Sums],
    who: str,
    *,
    kind: Kind = "statistics",
    key: str | None = None,
) -> Receipt:
    """Add sums of visitors who were not counted yet.

    Args:
        registry: where the experiment is.
        experiment_id: a running experiment.
        sums: by variant name or id.
        who: sends them.
        kind: ``"counts"`` where only exposures and conversions are known.
        key: repeating a delivery with its key adds nothing.

    Raises:
        DataError: if they contradict themselves.
        WrongStateError: if the experiment is not running, or the key was used for others.
    """
    if not sums:
        raise DataError("There are no observations")

    def checked(experiment: Experiment) -> tuple[dict[str, Sums], str]:
        by_id: dict[str, Sums] = {}
        for name, one in sums.items():
            variant = experiment.variant(name)
            if variant.id in by_id:
                raise DataError(f"'{variant.name}' is there twice, by its name and by its id")
            by_id[variant.id] = one
            _check_sums(one, experiment, variant.name, kind)
        text = json.dumps({i: asdict(one) for i, one in sorted(by_id.items())})
        return by_id, hashlib.sha256(text.encode()).hexdigest()

    return _add(registry, experiment_id, checked, kind, key, who)


def deliver_rows(
    registry: Registry, experiment_id: str, visitors: pa.Table, who: str, *, key: str | None = None
) -> Receipt:
    """Add visitors who were not counted yet, a row each; see `visitor_rows`.

    The rows are kept as Parquet before they are counted, so that whatever was counted can be
    found. Visitors are not compared with those of earlier deliveries.

    Raises:
        DataError: if they cannot be used; nothing of them is counted.
        WrongStateError: if the experiment is not running, or the key was used for others.
    """
    experiment = registry.get(experiment_id)
    _check_running(experiment)
    sums = sums_of(visitors, experiment)
    digest = keep_rows(visitors, registry.folder)
    return _add(registry, experiment_id, lambda _: (sums, digest), "rows", key, who)


def _add(
    registry: Registry,
    experiment_id: str,
    content: Callable[[Experiment], tuple[dict[str, Sums], str]],
    kind: Kind,
    key: str | None,
    who: str,
) -> Receipt:
    """Count a delivery; ``content`` gives its sums by variant id, and their digest."""
    if key is not None:
        check_text(key, "The idempotency key", MAX_KEY)
    with registry.database.write() as connection:
        experiment = lock_experiment(connection, experiment_id)
        sums, digest = content(experiment)
        n_visitors = sum(one.exposures for one in sums.values())
        if (known := _known(connection, experiment, digest, key)) is not None:
            return Receipt(known, True, n_visitors, digest)
        _check_running(experiment)
        contents = {i: asdict(one) for i, one in sums.items()}
        row = (experiment_id, key, kind, digest, who, now(), contents)
        batch = dict(zip(_BATCH, row, strict=True)) | {"of_experiment": experiment_id}
        number = insert_row(connection, _KEEP, batch)
        connection.execute(
            _ADD,
            [
                {"of_experiment": experiment_id, "of_variant": i}
                | {f"more_{name}": value for name, value in one.items()}
                for i, one in contents.items()
            ],
        )
        reweigh(connection, experiment)
        return Receipt(number, False, n_visitors, digest)


def _known(
    connection: Connection, experiment: Experiment, digest: str, key: str | None
) -> int | None:
    """The number of the delivery that had this key."""
    if key is None:
        return None
    b = t.batches
    query = select(b.c.id, b.c.digest).where(b.c.experiment_id == experiment.id, b.c.key == key)
    found = connection.execute(query).first()
    if found is None:
        return None
    if found.digest != digest:
        raise WrongStateError(
            f"The idempotency key '{key}' was used for other observations of "
            f"'{experiment.name}'. Give every delivery a key of its own."
        )
    return int(found.id)


def _check_running(experiment: Experiment) -> None:
    if experiment.type == "adaptive":
        raise WrongStateError(
            f"'{experiment.name}' is adaptive: bring its visitors to the notebook, with "
            "exp.observe(frame)."
        )
    if experiment.status != "running":
        raise WrongStateError(
            f"'{experiment.name}' takes no observations: it is {said(experiment.status)}."
        )


def _check_sums(sums: Sums, experiment: Experiment, name: str, kind: Kind) -> None:
    def refuse(what: str) -> None:
        raise DataError(f"The observations of '{name}' cannot be: {what}")

    for field in SUM_NAMES:
        value = getattr(sums, field)
        if not abs(value) <= MAX_COUNT**2:  # NaN is not either
            refuse(f"{field} is {value}")
    if not 0 <= sums.conversions <= sums.exposures <= MAX_COUNT:
        refuse(f"{sums.conversions:,} conversions of {sums.exposures:,} exposures")
    if not 0 <= sums.pre_exposures <= sums.exposures:
        refuse(f"{sums.pre_exposures:,} pre-period values of {sums.exposures:,} exposures")
    if experiment.metric == "revenue" and kind == "counts":
        refuse("its metric is revenue, so total and total_squares are needed beside the counts")
    if experiment.metric == "conversion" and not (
        sums.total == sums.total_squares == sums.conversions
    ):
        refuse("of conversions, total and total_squares are the conversions themselves")
    if sums.total < 0 or (sums.conversions == 0) != (sums.total == 0):
        refuse(f"a total of {sums.total:g} from {sums.conversions:,} conversions")
    slack = 1 + 1e-9
    if sums.total**2 > sums.total_squares * max(sums.conversions, 1) * slack:
        refuse("total_squares is too small for the total")
    if sums.pre_total**2 > sums.pre_squares * max(sums.pre_exposures, 1) * slack:
        refuse("pre_squares is too small for pre_total")
    if sums.pre_cross**2 > sums.pre_squares * sums.total_squares * slack:
        refuse("pre_cross is too large for the squares")
