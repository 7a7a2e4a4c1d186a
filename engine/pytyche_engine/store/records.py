"""What the registry takes and gives: experiments, variants, sums of observations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, Self, get_args

from pytyche_engine.contracts.errors import DesignError

ExperimentType = Literal["fixed", "bandit", "adaptive"]
Status = Literal["draft", "running", "stopped"]
Metric = Literal["conversion", "revenue"]

MAX_NAME = 200
MAX_TEXT = 10_000
MAX_VARIANTS = 50
ROUNDED_WEIGHTS = 1e-3
"""How far weights may be from adding up to 1 and still be taken as thirds that were rounded."""


@dataclass(frozen=True)
class VariantDraft:
    """A variant as it is asked for.

    Attributes:
        name: unique in its experiment.
        weight: share of the visitors, from 0 to 1.
        note: what people should know about it.
    """

    name: str
    weight: float
    note: str = ""

    def check(self) -> None:
        """Check that it can be kept.

        Raises:
            DesignError: if it cannot.
        """
        check_text(self.name, "A variant's name", MAX_NAME)
        check_text(self.note, "A variant's note", MAX_TEXT, may_be_empty=True)
        if not (math.isfinite(self.weight) and 0 <= self.weight <= 1):
            raise DesignError(
                f"The weight of '{self.name}' is {self.weight}; write a share from 0 to 1."
            )


@dataclass(frozen=True)
class ExperimentDraft:
    """An experiment as it is asked for.

    Attributes:
        name: what people call it; need not be unique.
        hypothesis: what they expect to observe, and why.
        project_id: the project it belongs to.
        type: ``"fixed"`` weights, a ``"bandit"``, or ``"adaptive"``: rounds in a notebook.
        metric: ``"conversion"`` or ``"revenue"`` per visitor.
        variants: control first; may be added later.
        alpha: error level of all tests together.
        expected_lift: a relative lift worth finding, which sets the scale of the sequential test.
        planned_visitors: how many visitors end it; None for no planned end.
        floor: least weight of a variant in bandit mode.
        update_seconds: how long a bandit's weights stay at the least; 0 follows every delivery.
        folder: where the rounds of an adaptive experiment lie.
    """

    name: str
    hypothesis: str = ""
    project_id: str = "default"
    type: ExperimentType = "fixed"
    metric: Metric = "conversion"
    variants: tuple[VariantDraft, ...] = ()
    alpha: float = 0.05
    expected_lift: float = 0.1
    planned_visitors: int | None = None
    floor: float = 0.05
    update_seconds: int = 0
    folder: str | None = None

    def check(self) -> None:
        """Check that it can be kept.

        Raises:
            DesignError: if it cannot; the message says what to write instead.
        """
        check_text(self.name, "The name", MAX_NAME)
        check_text(self.project_id, "The project id", 100)
        check_text(self.hypothesis, "The hypothesis", MAX_TEXT, may_be_empty=True)
        _check_choice(self.type, ExperimentType, "type")
        _check_choice(self.metric, Metric, "metric")
        if not 0 < self.alpha <= 0.5:
            raise DesignError(f"alpha is {self.alpha}; write an error level such as 0.05.")
        if not 0 < self.expected_lift <= 10:
            raise DesignError(
                f"expected_lift is {self.expected_lift}; write a share such as 0.1 for +10%."
            )
        if not 0 < self.floor < 1:
            raise DesignError(f"floor is {self.floor}; write a share such as 0.05.")
        if len(self.variants) > MAX_VARIANTS:
            raise DesignError(f"An experiment has {MAX_VARIANTS} variants at the most.")
        for variant in self.variants:
            variant.check()
        names = [variant.name for variant in self.variants]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DesignError(f"Two variants are called '{twice[0]}'; names must differ.")


@dataclass(frozen=True)
class Sums:
    """Sufficient statistics of some visitors of a variant.

    Attributes:
        exposures: visitors.
        conversions: visitors whose value is above 0.
        total: sum of their values; the conversions, where the metric is conversion.
        total_squares: sum of the squares of their values.
        pre_exposures: visitors with a pre-period value.
        pre_total: sum of the pre-period values.
        pre_squares: sum of their squares.
        pre_cross: sum of value times pre-period value.
    """

    exposures: int = 0
    conversions: int = 0
    total: float = 0.0
    total_squares: float = 0.0
    pre_exposures: int = 0
    pre_total: float = 0.0
    pre_squares: float = 0.0
    pre_cross: float = 0.0

    def __add__(self, other: Self) -> "Sums":
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return Sums(*(a + b for a, b in pairs))


SUM_NAMES = tuple(field.name for field in fields(Sums))


@dataclass(frozen=True)
class Variant:
    """A variant of a registered experiment.

    Attributes:
        id: unique everywhere.
        name: unique in its experiment.
        note: what people should know about it.
        weight: share of the visitors that it gets now.
        exposures: visitors so far.
        conversions: how many of them converted.
    """

    id: str
    name: str
    note: str
    weight: float
    exposures: int = 0
    conversions: int = 0

    @property
    def alpha(self) -> int:
        """Successes + 1: first parameter of the Beta posterior that Thompson sampling draws."""
        return self.conversions + 1

    @property
    def beta(self) -> int:
        """Failures + 1: its second parameter."""
        return self.exposures - self.conversions + 1


@dataclass(frozen=True)
class Experiment:
    """A registered experiment; the fields of `ExperimentDraft`, and what became of it.

    Attributes:
        variants: control first. Counts are filled in where one experiment is asked for, not
            in lists.
        tau: scale of effects of the sequential test, in units of the metric; None before the
            first analysis with enough visitors.
        split_alarm: whether the last analysis found that the traffic split is off.
        winner: id of the variant that beat control; None for no winner so far.
        n_rounds: finished rounds of an adaptive experiment.
    """

    id: str
    project_id: str
    name: str
    hypothesis: str
    type: ExperimentType
    status: Status
    metric: Metric
    alpha: float
    expected_lift: float
    planned_visitors: int | None
    floor: float
    update_seconds: int
    folder: str | None
    tau: float | None
    split_alarm: bool
    winner: str | None
    created_at: datetime
    created_by: str
    launched_at: datetime | None
    stopped_at: datetime | None
    variants: tuple[Variant, ...] = ()
    n_rounds: int = 0

    def variant(self, name: str) -> Variant:
        """A variant by its name or id.

        Raises:
            DesignError: if there is none; the message lists those that there are.
        """
        for variant in self.variants:
            if name in (variant.name, variant.id):
                return variant
        known = ", ".join(f"'{variant.name}'" for variant in self.variants) or "none yet"
        raise DesignError(f"There is no variant '{name}' in '{self.name}'. There are: {known}.")


@dataclass(frozen=True)
class Totals:
    """How many experiments there are.

    Attributes:
        draft: not launched yet.
        running: launched.
        stopped: ended.
        winners: with a winner.
        attention: running with an alarm.
    """

    draft: int
    running: int
    stopped: int
    winners: int
    attention: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.draft + self.running + self.stopped


@dataclass(frozen=True)
class Page:
    """Some of the experiments, newest first.

    Attributes:
        experiments: those of the page, without counts of observations.
        n_found: how many match what was asked for.
        totals: of the project, whatever was searched for.
    """

    experiments: tuple[Experiment, ...]
    n_found: int
    totals: Totals


@dataclass(frozen=True)
class Period:
    """A time in which the weights were the same.

    Attributes:
        id: of its row in the weight history.
        since: when it began.
        weights: (K,) shares, in the order of the experiment's variants.
        best: (K,) P(best) that the weights came from; None where a person set them.
    """

    id: int
    since: datetime
    weights: tuple[float, ...]
    best: tuple[float, ...] | None


def check_weights(variants: Sequence[VariantDraft | Variant]) -> tuple[float, ...]:
    """The weights of variants that are to be launched; they add up to 1 exactly.

    Raises:
        DesignError: if there are fewer than two variants, one has no traffic, or the weights
            do not add up.
    """
    if len(variants) < 2:
        raise DesignError(
            f"A launch needs two variants or more, control first; there are {len(variants)}."
        )
    if empty := [variant.name for variant in variants if variant.weight <= 0]:
        raise DesignError(f"'{empty[0]}' has no traffic; give it a weight, or remove it.")
    total = math.fsum(variant.weight for variant in variants)
    if abs(total - 1) > ROUNDED_WEIGHTS:
        raise DesignError(
            f"The weights add up to {100 * total:.4g}%; change them so that they add up to 100%."
        )
    return tuple(variant.weight / total for variant in variants)


def check_text(text: str, what: str, longest: int, *, may_be_empty: bool = False) -> None:
    """Check that a text can be kept by every database.

    Raises:
        DesignError: if it is empty, too long, or holds what is no character.
    """
    if not may_be_empty and not text.strip():
        raise DesignError(f"{what} is empty.")
    if len(text) > longest:
        raise DesignError(f"{what} has {len(text):,} characters; {longest:,} are the most.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DesignError(f"{what} holds half of a character; it is no valid text.") from None
    if "\x00" in text:
        raise DesignError(f"{what} holds a null character.")


def _check_choice(value: str, choices: Any, what: str) -> None:
    if value not in get_args(choices):
        raise DesignError(f"Unknown {what} {value!r}; use one of {list(get_args(choices))}.")
