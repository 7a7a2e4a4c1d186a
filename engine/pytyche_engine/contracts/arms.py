"""Reading the assignment: arms, cells and recorded probabilities."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pytyche_engine.contracts.columns import as_numbers, as_text, did_you_mean, row_labels
from pytyche_engine.contracts.errors import DataError, DesignError
from pytyche_engine.contracts.plans import Plan

PROPENSITY_TOLERANCE = 1e-3
"""How far recorded probabilities of a visitor may be from adding up to one (rounding)."""

_RARE_BY_CHANCE = 10  # expected visitors from which an empty arm is no accident (exp(-10))


def check_arms(treatments: object) -> tuple[str, ...]:
    """Arm names, control first.

    Raises:
        DesignError: for text instead of a list, fewer than two names, names that are empty,
            not text, or used twice (also when they differ in surrounding blanks only).
    """
    if isinstance(treatments, str | bytes):
        raise DesignError(
            f"The arms must be a list of names, control first; got the text {treatments!r}. "
            f"Write e.g. treatments=['control', {str(treatments)!r}]."
        )
    if not isinstance(treatments, Sequence | np.ndarray):
        raise DesignError(
            "The arms must be a list or tuple of names, control first; got "
            f"{type(treatments).__name__}."
        )
    names = list(treatments)
    for name in names:
        if not isinstance(name, str):
            raise DesignError(f"Arm names must be text; got {name!r} ({type(name).__name__}).")
        if not name.strip():
            raise DesignError(f"An arm has an empty name; the arms are {names}.")
    if len(names) < 2:
        raise DesignError(
            f"An experiment needs control and at least one treatment; the arms are {names}."
        )
    stripped = [name.strip() for name in names]
    if repeated := sorted({n for n in stripped if stripped.count(n) > 1}):
        raise DesignError(f"Arm names must differ; {repeated} is used more than once in {names}.")
    return tuple(str(name) for name in names)  # text of numpy becomes plain text


def propensity_columns(arms: Sequence[str]) -> tuple[str, ...]:
    """What columns of recorded probabilities are called, one for each arm."""
    return tuple(f"propensity_{arm}" for arm in arms)


def read_codes(
    column: pd.Series, known: Sequence[str], noun: str, mend: str, *, allow_missing: bool = False
) -> Int[np.ndarray, " n"]:
    """(n,) codes of labels into known names, -1 where missing.

    Raises:
        DataError: for unknown labels (with counts and the known ones) and missing ones.
    """
    name = str(column.name)
    try:
        found = as_text(column)
    except TypeError as error:
        raise DataError(
            f"The {noun} column '{name}' holds lists or other objects, not labels",
            column=name,
            mend=mend,
        ) from error
    missing = found.codes < 0
    if missing.any() and not allow_missing:
        raise DataError(
            f"{int(missing.sum()):,} visitor(s) have no {noun} in '{name}'",
            column=name,
            rows=row_labels(column, missing),
            mend=f"Record the {noun} that each visitor was assigned to, or drop these rows.",
        )
    position = {label: i for i, label in enumerate(known)}
    recode = np.array([*(position.get(v, -2) for v in found.values), -1], dtype=np.int64)
    codes = recode[found.codes]
    if (codes == -2).any():
        unknown = [v for v in found.values if v not in position]
        counts = np.bincount(found.codes[~missing], minlength=len(found.values))
        listed = ", ".join(
            f"'{v}' ({counts[found.values.index(v)]:,} rows)" for v in unknown[:5]
        ) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        raise DataError(
            f"Unknown {noun}(s) {listed} in '{name}'; the {noun}s are {list(known)}",
            column=name,
            rows=row_labels(column, codes == -2),
            mend=did_you_mean(unknown[0], known) + mend,
        )
    return codes


def read_arms(column: pd.Series, arms: tuple[str, ...]) -> Int[np.ndarray, " n"]:
    """(n,) arm codes, 0 for control.

    Raises:
        DataError: for unknown or missing labels, or no visitor in control.
    """
    codes = read_codes(column, arms, "arm", "Use the experiment's arm names exactly.")
    if not (codes == 0).any():
        raise DataError(
            f"No visitor has the control arm '{arms[0]}' (the first of {list(arms)})",
            column=str(column.name),
            mend="Every round needs control; name the arms with the control arm first.",
        )
    return codes


def check_every_arm(
    column: pd.Series,
    arms: tuple[str, ...],
    arm: Int[np.ndarray, " n"],
    expected: Float[np.ndarray, " arms"] | None,
) -> tuple[str, ...]:
    """Refuse arms without visitors, unless the plan explains it.

    Args:
        column: the arm column.
        arms: arm names.
        arm: (n,) arm codes.
        expected: (K,) visitors that a plan gives each arm, in a round after the first.

    Returns:
        Notices about arms that are empty by the plan or by chance.

    Raises:
        DataError: naming the empty arms.
    """
    empty = [k for k in range(len(arms)) if not (arm == k).any()]
    if expected is None:
        unexplained = empty
    else:
        unexplained = [k for k in empty if expected[k] >= _RARE_BY_CHANCE]
    if unexplained:
        raise DataError(
            f"No visitor has the arm(s) {[arms[k] for k in unexplained]}",
            column=str(column.name),
            mend="Check the assignment and the join; leave the arm out of the experiment if it "
            "was never served.",
        )
    return tuple(
        f"Arm '{arms[k]}' has no visitors in this round (the plan expects "
        f"{0.0 if expected is None else expected[k]:.1f})."
        for k in empty
    )


def read_propensity(
    frame: pd.DataFrame, columns: tuple[str, ...], arms: tuple[str, ...], arm: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "n arms"]:
    """(n, K) recorded probabilities, scaled to add up to exactly one.

    Raises:
        DataError: for values that are no probabilities, do not add up to one, or give the
            arm that a visitor saw the probability 0.
    """
    out = np.empty((len(frame), len(arms)))
    for k, name in enumerate(columns):
        numbers, wrong = as_numbers(frame[name])
        bad: Bool[np.ndarray, " n"] = wrong | ~((numbers >= 0) & (numbers <= 1))
        if bad.any():
            example = frame[name].iloc[int(np.flatnonzero(bad)[0])]
            raise DataError(
                f"{int(bad.sum()):,} recorded probability(ies) in '{name}' are not in (0, 1], "
                f"such as {example!r}",
                column=name,
                rows=row_labels(frame, bad),
                mend="Record each arm's assignment probability as a share, not a per cent.",
            )
        out[:, k] = numbers
    total = out.sum(axis=1)
    off = np.abs(total - 1) > PROPENSITY_TOLERANCE
    if off.any():
        raise DataError(
            f"The recorded probabilities of {int(off.sum()):,} visitor(s) do not add up to 1, "
            f"such as {total[off][0]:.4g}",
            column=columns[0],
            rows=row_labels(frame, off),
            mend=f"Record one column for each arm, in the order {list(arms)}.",
        )
    check_given(frame, arm, out, arms, "was recorded with", columns)
    return out / total[:, None]


def check_given(
    frame: pd.DataFrame,
    arm: Int[np.ndarray, " n"],
    propensity: Float[np.ndarray, "n arms"],
    arms: tuple[str, ...],
    source: str,
    columns: Sequence[str],
) -> None:
    """Refuse visitors who saw an arm that had the probability 0.

    Raises:
        DataError: naming the rows.
    """
    impossible = propensity[np.arange(len(arm)), arm] <= 0
    if impossible.any():
        k = int(arm[impossible][0])
        raise DataError(
            f"{int(impossible.sum()):,} visitor(s) saw an arm that {source} probability 0, such "
            f"as '{arms[k]}'",
            column=columns[k] if k < len(columns) else None,
            rows=row_labels(frame, impossible),
            mend="A recorded probability is in (0, 1] for the arm given. If the platform did not "
            "follow the plan, record the probabilities that it really used.",
        )


def read_cells(
    frame: pd.DataFrame,
    column: str | None,
    plan: Plan | None,
    features: pd.DataFrame,
    arms: tuple[str, ...],
    arm: Int[np.ndarray, " n"],
) -> tuple[Int[np.ndarray, " n"], tuple[str, ...], tuple[str, ...]]:
    """(n,) cell codes, -1 where not recorded; the cells' names; notices.

    Raises:
        DataError: for cells that the plan does not have, and for visitors whose arm their
            cell never serves (non-control arms in cell 'control' first of all).
    """
    if column is None or column not in frame.columns:
        return np.full(len(frame), -1, dtype=np.int64), (), ()
    labels = frame[column]
    if plan is None:
        try:
            cells = tuple(sorted(as_text(labels).values))
        except TypeError:
            cells = ()
    else:
        cells = tuple(cell.id for cell in plan.cells)
    codes = read_codes(labels, cells, "cell", "Use the plan's cell names.", allow_missing=True)
    notices = []
    if missing := int((codes < 0).sum()):
        notices.append(f"{missing:,} visitor(s) have no cell; they count in no cell's figures.")
    for c, cell in enumerate(cells):
        rows = np.flatnonzero(codes == c)
        if not len(rows):
            if plan is not None and plan.cells[c].weight > 0:
                notices.append(
                    f"Cell '{cell}' has no visitors; the plan gives it {plan.cells[c].weight:.1%}."
                )
            continue
        if plan is not None:
            served = plan.cells[c].policy.arm_shares(features.iloc[rows], arms) > 0
            wrong = ~served[np.arange(len(rows)), arm[rows]]
        elif cell == "control":
            wrong = arm[rows] != 0
        else:
            continue
        if wrong.any():
            bad = rows[wrong]
            raise DataError(
                f"{len(bad):,} visitor(s) in cell '{cell}' saw an arm that it does not serve, "
                f"such as '{arms[arm[bad[0]]]}'",
                column=column,
                rows=list(frame.index[bad[:5]]),
                mend="Correct the cell or the arm of these visitors. If another plan than "
                "exp.plan was served, accept its cells first: exp.accept(cells).",
            )
    return codes, cells, tuple(notices)
