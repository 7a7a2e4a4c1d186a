"""What is checked of a round: traffic, balance, severity model, converters."""

from dataclasses import dataclass
from typing import Literal

from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.money import money, signed
from pytyche_engine.contracts.tables import Table

ALARM = 0.001
"""Below this p-value traffic or balance is not an accident.

Fabijan et al. 2019 use 0.0005 to 0.01 for the split of traffic.
"""


@dataclass(frozen=True)
class TrafficSplit:
    """Sample ratio mismatch: counts against what was planned, of one round or over several.

    Attributes:
        p_value: probability of a split at least this uneven if the plan was served, corrected
            for the number of tests; None when nothing was recorded to compare. Over several
            rounds it holds at every look, however many there are.
        worst: the cell or arm furthest from plan, in standard deviations.
        expected, observed: its visitors as planned and as seen.
        kind: which of the two `worst` is; empty when nothing was compared.
    """

    p_value: float | None
    worst: str
    expected: float
    observed: int
    kind: Literal["cell", "arm", ""] = ""

    @property
    def alarm(self) -> bool:
        """Whether visitors did not arrive as planned."""
        return self.p_value is not None and self.p_value < ALARM

    @property
    def sentence(self) -> str:
        """The worst cell or arm in one sentence."""
        if self.p_value is None:
            return "Neither cells nor assignment probabilities were recorded."
        size = (
            f", {signed(100 * (self.observed / self.expected - 1), 1)} %" if self.expected else ""
        )
        return (
            f"{self.kind.capitalize()} '{self.worst}' has {self.observed:,} visitors where "
            f"{self.expected:,.0f} were expected ({p_phrase(self.p_value)}{size})."
        )


@dataclass(frozen=True)
class Imbalance:
    """How unlike one arm's visitors are to the others' in one feature.

    Attributes:
        feature: the feature, the level (``device = mobile``) or ``age missing``.
        arm: the arm that is compared with all others.
        smd: standardised difference of means, arm less others, at equal assignment
            probabilities (overlap weights); in standard deviations of the feature.
        p_value: of a difference this large by chance, corrected for all that were looked at.
        alarm: whether it is beyond chance.
    """

    feature: str
    arm: str
    smd: float
    p_value: float
    alarm: bool


@dataclass(frozen=True)
class BalanceCheck:
    """Whether arms are alike in features, given the probabilities that assigned them.

    Attributes:
        rows: every feature and arm that could be compared, the least likely first.
        recorded: whether assignment probabilities were recorded. Without them every visitor
            of a round is taken to have had the same.
    """

    rows: tuple[Imbalance, ...]
    recorded: bool

    @property
    def p_value(self) -> float | None:
        """Joint p-value of no imbalance anywhere; None when nothing could be compared."""
        return min((row.p_value for row in self.rows), default=None)

    @property
    def alarms(self) -> tuple[Imbalance, ...]:
        """Rows beyond chance, the least likely first."""
        return tuple(row for row in self.rows if row.alarm)

    def table(self) -> Table:
        """Features and arms, worst first."""
        rows = [
            (r.feature, r.arm, signed(r.smd, 3), p_phrase(r.p_value), "alarm" if r.alarm else "")
            for r in self.rows
        ]
        return Table(("feature", "arm", "SMD", "p (corrected)", ""), rows)


StatisticName = Literal["atom", "cap", "tail", "skew", "mean"]
"""Commonest price, largest amount, top 1 % of orders, skewness of log residuals, mean order."""


@dataclass(frozen=True)
class SeverityStatistic:
    """One statistic of converters' revenue beside what the model predicts of it.

    Attributes:
        name: which one.
        observed: its value in the data.
        predicted: its predictive mean and interval.
        tail_probability: predictive probability of a value as far out as the observed one.
        flagged: whether it is beyond chance and large enough to matter.
        consequence: what that means for what is reported, one sentence.
        at: the amount that an atom or a cap is at, money; None for the others.
    """

    name: StatisticName
    observed: float
    predicted: Estimate
    tail_probability: float
    flagged: bool
    consequence: str
    at: float | None = None

    def finding(self, currency: str = "$") -> str:
        """What was seen and what was predicted, a phrase."""
        seen, told = self.observed, self.predicted.mean
        match self.name:
            case "atom" | "cap":
                where = "the largest amount, " if self.name == "cap" else ""
                price = money(self.at or 0.0, currency, 2)
                return f"{seen:.1%} of orders are {where}{price}; the model expects {told:.1%}"
            case "tail":
                return (
                    f"the largest 1 % of orders bring {seen:.1%} of revenue; the model expects "
                    f"{told:.1%}"
                )
            case "skew":
                seen, told = round(seen, 2) + 0.0, round(told, 2) + 0.0  # no negative zero
                return (
                    f"log revenue has skewness {signed(seen, 2)} around the model's mean; the "
                    f"model expects {signed(told, 2)}"
                )
            case "mean":
                return (
                    f"the mean order is {money(seen, currency, 2)}; the model expects "
                    f"{money(told, currency, 2)} ({signed(100 * (told / seen - 1), 1)} %)"
                )


@dataclass(frozen=True)
class SeverityCheck:
    """Posterior predictive check of the severity model.

    Attributes:
        n_converters: converters that were looked at.
        statistics: the statistics, or none where converters are too few to tell.
    """

    n_converters: int
    statistics: tuple[SeverityStatistic, ...]

    @property
    def flagged(self) -> tuple[SeverityStatistic, ...]:
        """What the model does not fit."""
        return tuple(s for s in self.statistics if s.flagged)

    def table(self, currency: str = "$") -> Table:
        """Every statistic and its finding."""
        rows = [
            (
                s.name,
                s.finding(currency),
                f"[{s.predicted.low:.3g}, {s.predicted.high:.3g}]",
                f"{s.tail_probability:.3f}",
                s.consequence if s.flagged else "",
            )
            for s in self.statistics
        ]
        return Table(("statistic", "finding", "predictive interval", "P", "consequence"), rows)


@dataclass(frozen=True)
class ConverterCount:
    """Visitors and converters of one arm in one segment.

    Attributes:
        segment, arm: their names.
        visitors, converters: how many.
        few: whether the arm's estimate there rests on the prior more than on its own data.
    """

    segment: str
    arm: str
    visitors: int
    converters: int
    few: bool


@dataclass(frozen=True)
class ConverterCheck:
    """Whether segments hold enough converters for estimates of their own.

    Attributes:
        fewest: converters below which the prior outweighs an arm's data in a segment.
        rows: segments by arms, in their order.
    """

    fewest: float
    rows: tuple[ConverterCount, ...]

    @property
    def few(self) -> tuple[ConverterCount, ...]:
        """Segments and arms with too few converters, the fewest first."""
        return tuple(sorted((r for r in self.rows if r.few), key=lambda r: r.converters))

    def table(self) -> Table:
        """Segments by arms: visitors and converters."""
        rows = [
            (r.segment, r.arm, f"{r.visitors:,}", f"{r.converters:,}", "few" if r.few else "")
            for r in self.rows
        ]
        return Table(("segment", "arm", "visitors", "converters", ""), rows)


def p_phrase(value: float) -> str:
    """A p-value as a phrase that never claims 0, e.g. ``p = 0.012`` or ``p < 0.001``."""
    return f"p = {value:.3f}" if value >= ALARM else f"p < {ALARM:g}"
