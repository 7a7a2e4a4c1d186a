"""Arms, estimates and figures as the plain JSON values that all views share."""

import math
from collections.abc import Sequence

from pytyche_engine.contracts import Estimate
from pytyche_lab.widgets.schema.shared import ArmRef, Interval


def arm_ref(name: str, arms: Sequence[str]) -> ArmRef:
    """An arm and its place, which sets its colour and shape."""
    return {"name": name, "slot": arms.index(name)}


def interval(estimate: Estimate) -> Interval:
    """An estimate without its standard deviation."""
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}


def finite_interval(estimate: Estimate) -> Interval | None:
    """The same, or None where it is not known."""
    known = all(map(math.isfinite, (estimate.mean, estimate.low, estimate.high)))
    return interval(estimate) if known else None


def finite(value: float | None) -> float | None:
    """A number, or None where it is not known: NaN is no JSON."""
    return None if value is None or not math.isfinite(value) else value
