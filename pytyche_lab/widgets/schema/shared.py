"""What several widgets show."""

from typing import Literal, TypedDict

LampStatus = Literal["ok", "warn", "bad", "none"]
Verdict = Literal["SHIP", "CONTINUE", "STOP"]


class Interval(TypedDict):
    """A mean and its interval."""

    mean: float
    low: float
    high: float


class ArmRef(TypedDict):
    """An arm and its place among the arms (0 is control), which sets colour and shape."""

    name: str
    slot: int
