"""Reading the outcome: money or 0/1 per visitor, refunds, and what kind of outcome it is."""

from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from pandas.api import types

from pytyche_engine.contracts.columns import (
    STORED_AS_TEXT,
    as_numbers,
    contents,
    did_you_mean,
    row_labels,
)
from pytyche_engine.contracts.errors import DataError, DesignError
from pytyche_engine.contracts.observations import Outcome

RefundPolicy = Literal["error", "clip", "net"]
"""Negative revenue: an error; set to 0; or a visitor's rows summed first, then set to 0."""

METRICS = ("revenue_per_visitor", "conversion_rate")

LARGEST = 1e15
"""Amounts beyond this are no money of any currency."""

OUTLIER_RATIO = 1_000
"""An amount this many times the median order is pointed out."""

FEW_VISITORS = 30
"""Arms with fewer visitors than this are pointed out."""


def check_metric(metric: str) -> None:
    """Refuse an unknown metric.

    Raises:
        DesignError: naming the known ones.
    """
    if metric not in METRICS:
        raise DesignError(
            f"Unknown metric '{metric}'. {did_you_mean(str(metric), METRICS)}"
            f"Known metrics: {', '.join(METRICS)}."
        )


def read_amounts(column: pd.Series) -> tuple[Float[np.ndarray, " n"], tuple[str, ...]]:
    """(n,) finite amounts, negative ones included, and notices.

    Raises:
        DataError: for text that is no number, missing and infinite values.
    """
    name = str(column.name)
    dtype = column.dtype
    if types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        raise DataError(
            f"The revenue column '{name}' holds times ({dtype})",
            column=name,
            mend="Name the column with money per visitor in the column mapping.",
        )
    numbers, wrong = as_numbers(column)
    if wrong.any():
        example = column.iloc[int(np.flatnonzero(wrong)[0])]
        raise DataError(
            f"Revenue must be numbers; {int(wrong.sum()):,} value(s) of '{name}' are not, such "
            f"as {example!r}",
            column=name,
            rows=row_labels(column, wrong),
            mend=f"Remove currency signs and thousands separators, e.g. frame['{name}'].str"
            ".replace(r'[^0-9.-]', '', regex=True).astype(float).",
        )
    for bad, what, mend in (
        (np.isnan(numbers), "missing", "Give visitors who bought nothing the revenue 0."),
        (
            np.abs(numbers) > LARGEST,
            f"infinite or beyond {LARGEST:g}",
            "Find out what was divided by zero or stands for a missing value.",
        ),
    ):
        if bad.any():
            raise DataError(
                f"{int(bad.sum()):,} revenue value(s) in '{name}' are {what}",
                column=name,
                rows=row_labels(column, bad),
                mend=mend,
            )
    if contents(column).remark != STORED_AS_TEXT:
        return numbers, ()
    return numbers, (f"Revenue column '{name}' holds {STORED_AS_TEXT}; they were converted.",)


def settle_refunds(
    amounts: Float[np.ndarray, " n"], column: pd.Series, refunds: RefundPolicy
) -> tuple[Float[np.ndarray, " n"], tuple[str, ...]]:
    """Apply the refund policy to negative amounts. ``"net"`` comes with rows summed already.

    Raises:
        DataError: for negative amounts under the policy ``"error"``.
    """
    negative = amounts < 0
    if not negative.any():
        return amounts, ()
    count, total = int(negative.sum()), float(amounts[negative].sum())
    if refunds == "error":
        raise DataError(
            f"{count:,} revenue value(s) in '{column.name}' are negative ({total:,.2f} in all)",
            column=str(column.name),
            rows=row_labels(column, negative),
            mend="If they are refunds, choose refunds='clip' (set to 0) or refunds='net' (sum "
            "each visitor's rows first).",
        )
    left = " after summing each visitor's rows" if refunds == "net" else ""
    return np.where(negative, 0.0, amounts), (
        f"{count:,} negative revenue value(s){left} were set to 0; together they were "
        f"{total:,.2f}.",
    )


def outcome_of(
    values: Float[np.ndarray, " n"], column: pd.Series, metric: str
) -> tuple[Outcome, tuple[str, ...]]:
    """Which channels of the model this outcome needs.

    ``conversion_rate`` is binary and takes 0 and 1 only. ``revenue_per_visitor`` is
    continuous when not one visitor has 0, and a hurdle otherwise, also when every order has
    the same amount (0/1 included): then severity has nothing to learn, which is said.

    Raises:
        DataError: if nobody converted, or for values that do not fit the metric.
    """
    name = str(column.name)
    if metric == "conversion_rate":
        other = (values != 0) & (values != 1)
        if other.any():
            raise DataError(
                f"The metric 'conversion_rate' takes 0 and 1; {int(other.sum()):,} value(s) of "
                f"'{name}' are neither, such as {values[other][0]:g}",
                column=name,
                rows=row_labels(column, other),
                mend="Pass (revenue > 0) as the column, or use metric='revenue_per_visitor'.",
            )
    if not values.any():
        raise DataError(
            f"Every visitor's '{name}' is 0, so there is nothing to compare",
            column=name,
            mend="Check the join with the orders; wait for more data if nobody bought yet.",
        )
    if metric == "conversion_rate":
        if values.all():
            raise DataError(
                f"Every visitor's '{name}' is 1, so there is nothing to compare",
                column=name,
                mend="Include the visitors who did not convert.",
            )
        return Outcome.BINARY, ()
    positive = values[values > 0]
    notices = []
    if len(positive) > 1 and (positive == positive[0]).all():
        notices.append(
            f"Every order is exactly {positive[0]:g}: only conversion can differ between arms. "
            "Consider metric='conversion_rate'."
        )
    largest, median = float(positive.max()), float(np.median(positive))
    if largest > OUTLIER_RATIO * median:
        row = column.index[int(values.argmax())]
        notices.append(
            f"Row {row} has revenue {largest:,.2f}, {largest / median:,.0f} times the median order "
            f"and {largest / positive.sum():.0%} of all revenue: observed means rest on it. "
            "Check it, and cap or remove it if it is no real order."
        )
    return (Outcome.CONTINUOUS if len(positive) == len(values) else Outcome.HURDLE), tuple(notices)


def arm_notices(
    arms: tuple[str, ...],
    arm: Int[np.ndarray, " n"],
    values: Float[np.ndarray, " n"],
    outcome: Outcome,
) -> tuple[str, ...]:
    """Arms with few visitors or no conversion."""
    visitors = np.bincount(arm, minlength=len(arms))
    converted = np.bincount(arm[values > 0], minlength=len(arms))
    notices = []
    for name, n, c in zip(arms, visitors, converted, strict=True):
        if 0 < n < FEW_VISITORS:
            notices.append(
                f"Arm '{name}' has only {n} visitor(s): what is said about it rests mostly on "
                "the prior."
            )
        if n and not c and outcome is not Outcome.CONTINUOUS:
            notices.append(
                f"None of the {n:,} visitor(s) of arm '{name}' converted"
                + (
                    "; what its orders are worth rests on the other arms and the prior."
                    if outcome is Outcome.HURDLE
                    else "."
                )
            )
    return tuple(notices)
