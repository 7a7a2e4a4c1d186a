"""One pass over the rows to sufficient statistics: visitors, means and cross products."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from pytyche_engine.contracts.errors import DesignError

ROWS_AT_A_TIME = 8_192
"""Rows that are looked at together: few enough to stay in a processor's cache.

And few enough for a product of two columns to be taken in one thread: starting threads for each
would take longer than the product, and very long on a machine with other work.
"""

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Column:
    """One number a visitor, made from a column of the data.

    Attributes:
        source: the column.
        part: its value, whether it is missing, or whether it is a level.
        level: code of that level.
        low, high: what values are capped at.
        fill: what missing values count as; None where there are none. Next to a column of
            their missingness, which takes up any difference, it does not matter what it is.
    """

    source: str
    part: Literal["value", "missing", "level"] = "value"
    level: int = 0
    low: float = -np.inf
    high: float = np.inf
    fill: float | None = None

    def read(self, raw: np.ndarray) -> Float[np.ndarray, " rows"]:
        """The numbers of some rows of `source`; a view where nothing has to be done."""
        if self.part == "missing":
            missing: Float[np.ndarray, " rows"] = np.isnan(raw).astype(float)
            return missing
        if self.part == "level":
            level: Float[np.ndarray, " rows"] = (raw == self.level).astype(float)
            return level
        values = raw.astype(float, copy=False)
        if self.fill is not None:
            values = np.where(np.isnan(values), self.fill, values)
        if self.low > -np.inf or self.high < np.inf:
            values = np.clip(values, self.low, self.high)
        return values


@dataclass(frozen=True, eq=False)
class Moments:
    """All that an analysis needs to know of one arm.

    Attributes:
        n: visitors.
        columns: what was measured.
        mean: (k,) means.
        cross: (k, k) sums of products of deviations from the means; nan where products were
            not given.
    """

    n: int
    columns: tuple[Column, ...]
    mean: Float[np.ndarray, " k"]
    cross: Float[np.ndarray, "k k"]

    @classmethod
    def from_sums(
        cls,
        n: int,
        columns: Sequence[Column | str],
        sums: Sequence[float],
        products: Sequence[Sequence[float]],
    ) -> "Moments":
        """From plain sums and sums of products, as a data base returns them.

        Args:
            n: visitors.
            columns: k columns.
            sums: (k,) their sums.
            products: (k, k) sums of squares on the diagonal, of products beside it.

        Raises:
            DesignError: if the shapes differ, or the sums cannot be those of `n` numbers.
        """
        total, squares = np.asarray(sums, dtype=float), np.asarray(products, dtype=float)
        if total.shape != (len(columns),) or squares.shape != (len(columns), len(columns)):
            raise DesignError(
                f"There are {len(columns)} columns, sums of shape {total.shape} and products of "
                f"shape {squares.shape}; products need a row and a column for each."
            )
        if n < 1:
            raise DesignError(f"Sums of {n} visitors were given; give those of one at least.")
        cross = squares - np.outer(total, total) / n
        spread = np.diag(cross)
        if (spread < -1e-9 * np.maximum(np.diag(squares), 1.0)).any():
            worst = columns[int(np.argmin(spread))]
            name = worst if isinstance(worst, str) else worst.source
            raise DesignError(
                f"The sum of squares of '{name}' is smaller than its sum and {n} visitors allow."
            )
        np.fill_diagonal(cross, np.maximum(spread, 0.0))
        named = tuple(Column(c) if isinstance(c, str) else c for c in columns)
        return cls(n, named, total / n, cross)

    @property
    def covariance(self) -> Float[np.ndarray, "k k"]:
        """Sample covariance (divisor n - 1)."""
        return self.cross / (self.n - 1)

    def of(self, columns: Sequence[Column]) -> "Moments":
        """The same for some of the columns, in the order given."""
        at = [self.columns.index(column) for column in columns]
        return Moments(self.n, tuple(columns), self.mean[at], self.cross[np.ix_(at, at)])

    def __add__(self, other: "Moments") -> "Moments":
        """Of both arms' visitors together (Chan, Golub and LeVeque 1983)."""
        n = self.n + other.n
        apart = other.mean - self.mean
        return Moments(
            n,
            self.columns,
            self.mean + apart * (other.n / n),
            self.cross + other.cross + np.outer(apart, apart) * (self.n * other.n / n),
        )


def moments_by_arm(
    arm: Int[np.ndarray, " n"],
    n_arms: int,
    groups: Sequence[Sequence[Column]],
    raw: Mapping[str, np.ndarray],
) -> tuple[Moments, ...]:
    """Moments of every arm in one pass, a block of rows at a time.

    Nothing of the size of the data is copied. Deviations are taken from the first block's
    means, so that sums of squares lose no digits to a large mean.

    Args:
        arm: (n,) codes below `n_arms`; -1 leaves a row out.
        n_arms: how many arms.
        groups: columns whose products are needed together; other products stay nan.
        raw: the (n,) values of every source.
    """
    columns = tuple(dict.fromkeys(column for group in groups for column in group))
    place = {column: j for j, column in enumerate(columns)}
    pairs = sorted(
        {
            (min(place[a], place[b]), max(place[a], place[b]))
            for group in groups
            for a in group
            for b in group
        }
    )
    k = len(columns)
    count = np.zeros(n_arms, dtype=np.int64)
    total = np.zeros((n_arms, k))
    product = np.zeros((n_arms, len(pairs)))
    shift = np.zeros(k)
    block = np.empty((k, ROWS_AT_A_TIME))
    for start in range(0, len(arm), ROWS_AT_A_TIME):
        stop = min(start + ROWS_AT_A_TIME, len(arm))
        part = block[:, : stop - start]
        for j, column in enumerate(columns):
            read = column.read(raw[column.source][start:stop])
            if start == 0:
                shift[j] = read.mean()
            np.subtract(read, shift[j], out=part[j])
        codes = arm[start:stop]
        for a in range(n_arms):
            mine = part.take(np.flatnonzero(codes == a), axis=1)
            count[a] += mine.shape[1]
            total[a] += mine.sum(axis=1)
            product[a] += [mine[i] @ mine[j] for i, j in pairs]
    return tuple(
        _moments(int(count[a]), columns, shift, total[a], pairs, product[a]) for a in range(n_arms)
    )


def _moments(
    n: int,
    columns: tuple[Column, ...],
    shift: Float[np.ndarray, " k"],
    total: Float[np.ndarray, " k"],
    pairs: Sequence[tuple[int, int]],
    product: Float[np.ndarray, " pairs"],
) -> Moments:
    cross = np.full((len(columns), len(columns)), np.nan)
    for (i, j), value in zip(pairs, product, strict=True):
        left = value - total[i] * total[j] / max(n, 1)
        # What rounding leaves of a column that is constant in this arm is no variance.
        cross[i, j] = cross[j, i] = 0.0 if i == j and left <= _ROUNDING * value else left
    return Moments(n, columns, shift + total / max(n, 1), cross)
