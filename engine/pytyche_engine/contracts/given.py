"""Numbers that a person gave: finite and of the right kind, or refused in words."""

import math
from typing import Any, TypeGuard

import numpy as np

from pytyche_engine.contracts.errors import DesignError

LARGEST_COUNT = 10**15
"""No experiment has more visitors than this, and floats hold whole numbers up to it exactly."""

MOST_ARMS = 1_000
"""More arms than this are a typing error, and would fill the memory."""


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether this is a finite real number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


def number(what: str, value: object) -> float:
    """A finite number.

    Raises:
        DesignError: if it is none.
    """
    if not is_number(value):
        raise DesignError(f"{what} is {shown(value)}; use a finite number.")
    return float(value)


def numbers(**given: object) -> tuple[float, ...]:
    """Several arguments that are finite numbers, each by its name.

    Raises:
        DesignError: naming the first that is none.
    """
    return tuple(number(what, value) for what, value in given.items())


def count(what: str, value: object, least: int = 0, most: int = LARGEST_COUNT) -> int:
    """A whole number in a range; 2000.0 will do.

    Raises:
        DesignError: if it is none.
    """
    if not is_number(value) or value != int(value) or not least <= value <= most:
        raise DesignError(
            f"{what} is {shown(value)}; use a whole number from {least:,} to {most:,}."
        )
    return int(value)


def shown(value: Any) -> str:
    """A value as messages show it, whatever it is."""
    if isinstance(value, int) and abs(value) > 10**18:
        return "beyond any number that can be meant"
    return ascii(value)[:80] if isinstance(value, str | bytes) else repr(value)[:80]
