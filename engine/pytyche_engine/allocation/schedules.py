"""How many visitors each round gets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.given import LARGEST_COUNT, number, shown


@runtime_checkable
class Schedule(Protocol):
    """Sizes of the rounds, known before the first."""

    @property
    def n_rounds(self) -> int | None:
        """How many rounds there are, None when open-ended."""

    def next_round_size(self, round_index: int) -> int | None:
        """Visitors of a round (from 0), or None once the schedule is exhausted."""


@dataclass(frozen=True)
class GeometricSchedule:
    """Rounds that grow by a constant factor: round(initial * growth ** round_index).

    Attributes:
        initial: visitors of the first round.
        growth: factor from one round to the next.
        n_rounds: how many rounds, None for no end.

    Examples:
        >>> schedule = GeometricSchedule(initial=2_000, growth=2.0, n_rounds=3)
        >>> [schedule.next_round_size(i) for i in range(4)]
        [2000, 4000, 8000, None]
    """

    initial: int
    growth: float = 2.0
    n_rounds: int | None = None

    def __post_init__(self) -> None:
        _check_count("'initial' of the schedule", self.initial)
        _check_n_rounds(self.n_rounds)
        if number("'growth' of the schedule", self.growth) <= 0:
            raise DesignError(f"'growth' of the schedule is {self.growth}; use more than 0.")
        if self.n_rounds is not None and self._size(self.n_rounds - 1) < 1:
            raise DesignError(
                f"The last of {self.n_rounds} rounds would have no visitors: {self.initial} * "
                f"{self.growth} ** {self.n_rounds - 1} rounds to 0. Use fewer rounds, a larger "
                "first one or more growth."
            )

    def next_round_size(self, round_index: int) -> int | None:
        """Visitors of a round (from 0), or None once the schedule is exhausted."""
        if self.n_rounds is not None and round_index >= self.n_rounds:
            return None
        # An open-ended schedule that shrinks ends where a round would be empty.
        return self._size(round_index) or None

    def _size(self, round_index: int) -> int:
        try:
            size = self.initial * float(self.growth) ** round_index
        except OverflowError:
            size = math.inf
        if size > LARGEST_COUNT:
            raise DesignError(
                f"Round {round_index + 1} of the schedule would have {self.initial:,} * "
                f"{self.growth} ** {round_index} visitors, more than {LARGEST_COUNT:g}. Use fewer "
                "rounds, a smaller first one or less growth."
            )
        return round(size)


@dataclass(frozen=True)
class FixedSchedule:
    """Rounds of the same size.

    Attributes:
        per_round: visitors of each round.
        n_rounds: how many rounds, None for no end.
    """

    per_round: int
    n_rounds: int | None = None

    def __post_init__(self) -> None:
        _check_count("'per_round' of the schedule", self.per_round)
        _check_n_rounds(self.n_rounds)

    def next_round_size(self, round_index: int) -> int | None:
        """Visitors of a round (from 0), or None once the schedule is exhausted."""
        if self.n_rounds is not None and round_index >= self.n_rounds:
            return None
        return int(self.per_round)


@dataclass(frozen=True)
class ExplicitSchedule:
    """Rounds of the sizes given.

    Attributes:
        sizes: visitors of each round.
    """

    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if isinstance(self.sizes, str) or not isinstance(self.sizes, Sequence | np.ndarray):
            raise DesignError(f"'sizes' of the schedule is {self.sizes!r}; use a list of numbers.")
        if len(self.sizes) == 0:
            raise DesignError("The schedule is empty; give the size of at least one round.")
        for i, size in enumerate(self.sizes):
            _check_count(f"Round {i + 1} of the schedule", size)
        object.__setattr__(self, "sizes", tuple(int(size) for size in self.sizes))

    @property
    def n_rounds(self) -> int:
        """How many rounds there are."""
        return len(self.sizes)

    def next_round_size(self, round_index: int) -> int | None:
        """Visitors of a round (from 0), or None once the schedule is exhausted."""
        return self.sizes[round_index] if round_index < len(self.sizes) else None


def schedule(value: Schedule | Sequence[int]) -> Schedule:
    """A schedule as it is, or a list of round sizes as one.

    Raises:
        DesignError: if it is neither.
    """
    # A class has the same attributes as its instances.
    if isinstance(value, Schedule) and not isinstance(value, type):
        return value
    if isinstance(value, list | tuple | np.ndarray):
        return ExplicitSchedule(tuple(value))
    raise DesignError(
        f"The schedule is {value!r}; use a list of round sizes such as [2000, 4000], "
        "GeometricSchedule(initial=2000, n_rounds=3) or FixedSchedule(per_round=2000, n_rounds=3)."
    )


def _check_count(what: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise DesignError(f"{what} is {shown(value)}; use a whole number of visitors, 1 or more.")
    if value > LARGEST_COUNT:
        raise DesignError(f"{what} is {shown(value)}; {LARGEST_COUNT:g} visitors are the most.")


def _check_n_rounds(value: int | None) -> None:
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1
    ):
        raise DesignError(
            f"'n_rounds' of the schedule is {value!r}; use a whole number, 1 or more, or None."
        )
