"""The one door: a tidy frame becomes `Observations`, or an error says what to mend."""

from collections.abc import Collection, Set
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pytyche_engine.contracts.arms import (
    check_arms,
    check_every_arm,
    check_given,
    propensity_columns,
    read_arms,
    read_cells,
    read_propensity,
)
from pytyche_engine.contracts.columns import (
    as_dates,
    as_text,
    did_you_mean,
    is_text,
    require,
    row_labels,
)
from pytyche_engine.contracts.errors import DataError, DataNotice, DesignError
from pytyche_engine.contracts.features import (
    check_feature_columns,
    feature_notices,
    infer_schema,
    new_level_notices,
    prepare_features,
)
from pytyche_engine.contracts.leaks import leave_out_copies
from pytyche_engine.contracts.observations import ColumnMapping, FeatureSchema, Observations
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.revenue import (
    RefundPolicy,
    arm_notices,
    check_metric,
    outcome_of,
    read_amounts,
    settle_refunds,
)
from pytyche_engine.contracts.warn import warn

SIZE_TOLERANCE = 0.2
"""How far a round's size may be from the plan's before it is pointed out."""


def read_round(
    frame: pd.DataFrame,
    *,
    columns: ColumnMapping,
    arms: tuple[str, ...],
    round_index: int = 0,
    schema: FeatureSchema | None = None,
    seen_visitors: Collection[str] = (),
    plan: Plan | None = None,
    refunds: RefundPolicy = "error",
    metric: str = "revenue_per_visitor",
) -> Observations:
    """Validate one round's visitors. The frame is never changed and nothing of it is kept.

    What was accepted with a stated treatment is listed in `Observations.notices` and given
    as one `DataNotice` warning each.

    Args:
        frame: (n rows) one row a visitor; with ``refunds="net"`` a visitor may have several
            rows, which are summed (arm, cell and features are those of the first).
        columns: what the columns mean; every other column is a feature.
        arms: arm names, control first.
        round_index: the round, from 0.
        schema: the experiment's features; None infers them (round 1).
        seen_visitors: ids, as text, of visitors of earlier rounds.
        plan: what was served. Without recorded probabilities they are taken from it, and
            cells are checked against it.
        refunds: what to do with negative revenue.
        metric: ``"revenue_per_visitor"`` or ``"conversion_rate"``.

    Raises:
        DataError: naming the column, the first offending rows and the mend.
        DesignError: if arms, metric, policy or plan contradict themselves.
    """
    arms = check_arms(arms)
    check_metric(metric)
    if refunds not in ("error", "clip", "net"):
        raise DesignError(f"Unknown refund policy '{refunds}'; use 'error', 'clip' or 'net'.")
    if plan is not None and plan.arms != arms:
        raise DesignError(
            f"The plan is for the arms {list(plan.arms)}, not for {list(arms)} (control first)."
        )
    frame, notices = _check_frame(frame, columns, arms)
    usual = propensity_columns(arms)
    if columns.propensity is None and set(usual) <= set(frame.columns):
        columns = replace(columns, propensity=usual)
    if schema is not None:
        check_feature_columns(frame, columns, schema)
    visitor_id = _read_visitors(frame, columns, round_index)
    arm = read_arms(require(frame, columns.arm, "the arm each visitor saw"), arms)
    amounts, said = read_amounts(require(frame, columns.revenue, "money per visitor"))
    notices += said
    if refunds == "net":
        frame, visitor_id, arm, amounts, said = _net(frame, columns, visitor_id, arm, amounts)
        notices += said
    _check_unique(frame, columns, visitor_id, seen_visitors, refunds)
    revenue, said = settle_refunds(amounts, frame[columns.revenue], refunds)
    notices += said
    outcome, said = outcome_of(revenue, frame[columns.revenue], metric)
    notices += said

    inferred = schema is None
    schema = infer_schema(frame, columns) if schema is None else schema
    features = prepare_features(frame, schema)
    if inferred:
        schema, said = leave_out_copies(schema, features, revenue)
        features = features[list(schema.names)]
        notices += (*feature_notices(frame, schema), *said)
    else:
        notices += new_level_notices(features, schema)

    cell, cells, said = read_cells(frame, columns.cell, plan, features, arms, arm)
    notices += said
    planned = None if plan is None else plan.propensity(features)
    expected = None if planned is None or round_index == 0 else planned.sum(axis=0)
    notices += check_every_arm(frame[columns.arm], arms, arm, expected)
    propensity, recorded, said = _probabilities(frame, columns, arms, arm, planned)
    notices += said
    notices += arm_notices(arms, arm, revenue, outcome)
    notices += _size_notice(len(frame), plan)
    for notice in notices:
        warn(notice, DataNotice)
    return Observations(
        arms=arms,
        visitor_id=visitor_id,
        arm=arm,
        revenue=revenue,
        features=features,
        schema=schema,
        outcome=outcome,
        propensity=propensity,
        propensity_recorded=recorded,
        round_index=np.full(len(frame), round_index, dtype=np.int64),
        cell=cell,
        cells=cells,
        timestamp=_read_times(frame, columns.timestamp),
        notices=notices,
    )


def _check_frame(
    frame: object, columns: ColumnMapping, arms: tuple[str, ...]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The frame with text column names, once its shape is right."""
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            f"A round's data must be a pandas DataFrame; got {type(frame).__name__}",
            mend="Wrap it: pd.DataFrame(...), or .to_pandas() for other data frame libraries.",
        )
    names = [str(c) for c in frame.columns]
    if repeated := sorted({n for n in names if names.count(n) > 1}):
        raise DataError(
            f"The frame has several columns called {repeated[:5]}",
            column=repeated[0],
            mend="Rename or drop all but one.",
        )
    if broken := [name for name in names if not is_text(name)]:
        raise DataError(
            f"The column name {broken[0][:40]!a} is no valid Unicode",
            mend="Rename the column; it was read with another encoding than it was written in.",
        )
    if names != list(frame.columns):
        frame = frame.set_axis(names, axis="columns")
    meanings = [columns.visitor, columns.arm, columns.revenue, columns.cell, columns.timestamp]
    mapped = [c for c in (*meanings, *(columns.propensity or ())) if c is not None]
    if twice := sorted({c for c in mapped if mapped.count(c) > 1}):
        raise DataError(
            f"The column mapping uses '{twice[0]}' for two meanings",
            column=twice[0],
            mend="Give each meaning a column of its own.",
        )
    if columns.visitor is not None:
        require(
            frame,
            columns.visitor,
            "visitor ids",
            "Name it in the column mapping; ColumnMapping(visitor=None) numbers visitors by row.",
        )
    require(frame, columns.arm, "the arm each visitor saw")
    require(frame, columns.revenue, "money per visitor")
    if columns.timestamp is not None:
        require(frame, columns.timestamp, "when the visitor was seen")
    if columns.propensity is not None:
        if len(columns.propensity) != len(arms):
            raise DataError(
                f"The column mapping names {len(columns.propensity)} column(s) of recorded "
                f"probabilities for {len(arms)} arms",
                mend=f"Name one for each arm, in the order {list(arms)}.",
            )
        for arm, name in zip(arms, columns.propensity, strict=True):
            require(frame, name, f"recorded probabilities of arm '{arm}'")
    if not len(frame):
        raise DataError(
            "The round has no visitors",
            mend="Check the query's dates and filters; pass the round once it has data.",
        )
    absent = [c for c in columns.ignore if c not in names]
    return frame, tuple(
        f"Column '{c}' is to be ignored but is not there. {did_you_mean(c, names)}".strip()
        for c in absent
    )


def _read_visitors(frame: pd.DataFrame, columns: ColumnMapping, round_index: int) -> np.ndarray:
    if columns.visitor is None:
        rows = pd.Series(np.arange(len(frame))).astype(str)
        return (f"{round_index}:" + rows).to_numpy(dtype=object)
    column = frame[columns.visitor]
    try:
        found = as_text(column)
    except TypeError as error:
        raise DataError(
            f"The visitor ids in '{columns.visitor}' are lists or other objects",
            column=columns.visitor,
            mend="Use one text or whole number a visitor.",
        ) from error
    missing = found.codes < 0
    if missing.any():
        raise DataError(
            f"{int(missing.sum()):,} visitor id(s) in '{columns.visitor}' are missing",
            column=columns.visitor,
            rows=row_labels(frame, missing),
            mend="Give every visitor an id, or use ColumnMapping(visitor=None).",
        )
    return np.array(found.values, dtype=object)[found.codes]


def _net(
    frame: pd.DataFrame,
    columns: ColumnMapping,
    visitor_id: np.ndarray,
    arm: Int[np.ndarray, " n"],
    amounts: Float[np.ndarray, " n"],
) -> tuple[
    pd.DataFrame,
    np.ndarray,
    Int[np.ndarray, " m"],
    Float[np.ndarray, " m"],
    tuple[str, ...],
]:
    """One row a visitor: the first, with the sum of the visitor's amounts."""
    codes, unique = pd.factorize(visitor_id)
    if len(unique) == len(visitor_id):
        return frame, visitor_id, arm, amounts, ()
    first = np.unique(codes, return_index=True)[1]
    moved = arm != arm[first][codes]
    if moved.any():
        raise DataError(
            f"{len(np.unique(codes[moved])):,} visitor(s) have rows in more than one arm, such as "
            f"'{visitor_id[moved][0]}'",
            column=columns.visitor,
            rows=row_labels(frame, moved),
            mend="A visitor stays in one arm; drop visitors whose assignment changed.",
        )
    return (
        frame.iloc[first],
        visitor_id[first],
        arm[first],
        np.bincount(codes, weights=amounts),
        (
            f"{len(visitor_id):,} rows were summed to {len(unique):,} visitors; what else is "
            "known of a visitor is taken from the first row.",
        ),
    )


def _check_unique(
    frame: pd.DataFrame,
    columns: ColumnMapping,
    visitor_id: np.ndarray,
    seen: Collection[str],
    refunds: RefundPolicy,
) -> None:
    ids = pd.Index(visitor_id)
    if (again := ids.duplicated()).any():
        raise DataError(
            f"{int(again.sum()):,} row(s) repeat a visitor id of this round, such as "
            f"'{visitor_id[again][0]}'",
            column=columns.visitor,
            rows=row_labels(frame, again),
            mend="Sum each visitor's revenue into one row"
            + ("." if refunds == "net" else ", or let refunds='net' do it."),
        )
    if isinstance(seen, Set):  # asking it costs this round's size, not that of all before
        known = np.fromiter((v in seen for v in visitor_id), dtype=bool, count=len(visitor_id))
    else:
        known = ids.isin(list(seen))
    if known.any():
        raise DataError(
            f"{int(known.sum()):,} visitor(s) were in an earlier round already, such as "
            f"'{visitor_id[known][0]}'",
            column=columns.visitor,
            rows=row_labels(frame, known),
            mend="A round takes new visitors only; drop those who came before.",
        )


def _probabilities(
    frame: pd.DataFrame,
    columns: ColumnMapping,
    arms: tuple[str, ...],
    arm: Int[np.ndarray, " n"],
    planned: Float[np.ndarray, "n arms"] | None,
) -> tuple[Float[np.ndarray, "n arms"], bool, tuple[str, ...]]:
    if columns.propensity is not None:
        return read_propensity(frame, columns.propensity, arms, arm), True, ()
    if planned is not None:
        check_given(frame, arm, planned, arms, "the plan gives", ())
        said = "Assignment probabilities were not recorded; they are computed from the plan."
        return planned, True, (said,)
    shares = np.bincount(arm, minlength=len(arms)) / len(arm)
    said = (
        "Assignment probabilities were not recorded and there is no plan; the arms' shares "
        "stand in, which is right only if every visitor had the same chances."
    )
    return np.tile(shares, (len(arm), 1)), False, (said,)


def _read_times(frame: pd.DataFrame, name: str | None) -> pd.Series | None:
    if name is None:
        return None
    times, wrong = as_dates(frame[name])
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum()):,} value(s) of the timestamp column '{name}' are no ISO 8601 "
            f"times, such as {frame[name].iloc[int(np.flatnonzero(wrong)[0])]!r}",
            column=name,
            rows=row_labels(frame, wrong),
            mend="Convert it with pd.to_datetime.",
        )
    return times.reset_index(drop=True)


def _size_notice(n: int, plan: Plan | None) -> tuple[str, ...]:
    if plan is None or plan.n_visitors is None:
        return ()
    if abs(n - plan.n_visitors) <= SIZE_TOLERANCE * plan.n_visitors:
        return ()
    return (f"The round has {n:,} visitors; the plan expected {plan.n_visitors:,}.",)
