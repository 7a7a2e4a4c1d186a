"""What to do about a running test, in plain English with its reasons; the split comes first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pytyche_engine.classic.running_figures import RunningComparison, RunningDesign, SplitCheck
from pytyche_engine.classic.sequential import FEWEST_CONVERSIONS, FEWEST_VISITORS
from pytyche_engine.contracts.money import percent

VerdictKind = Literal[
    "no data", "split", "too early", "winner", "keep control", "no difference", "keep running"
]


@dataclass(frozen=True)
class Verdict:
    """A recommendation.

    Attributes:
        kind: which of the cases it is.
        headline: what to do, in a line.
        reason: why, in sentences.
        winner: the variant that beat control; None for none.
    """

    kind: VerdictKind
    headline: str
    reason: str
    winner: str | None = None


def verdict_on(
    split: SplitCheck,
    comparisons: Sequence[RunningComparison],
    design: RunningDesign,
    n_visitors: int,
) -> Verdict:
    """The recommendation that a look supports.

    In this order: no data, a split that is off, too few visitors, a variant that beat control,
    none that could still, a planned end without a difference, and else: keep running.
    """
    control = design.names[0]
    if n_visitors == 0:
        return Verdict("no data", "No data yet.", "No visitors have come in.")
    decided = [c for c in comparisons if c.p_always_holm <= design.alpha]
    if split.alarm:
        k = design.names.index(split.worst)
        less = "fewer" if split.observed[k] < split.expected[k] else "more"
        return Verdict(
            "split",
            "Don't decide yet. Fix assignment first.",
            f"{split.worst} gets {less} visitors than planned: {split.observed[k]:.1%} "
            f"instead of {split.expected[k]:.1%} (p {_p(split.p_value)}). Whatever made "
            "the difference may also have made one in the outcomes. "
            + (
                "The sequential test has reached its limit, but not on sound data."
                if decided
                else "The sequential test has not reached its limit either, so even a clean "
                "split would say: keep running."
            ),
        )
    if early := [c.name for c in comparisons if not c.enough]:
        return Verdict(
            "too early",
            "Too early to say.",
            f"{control} and {early[0]} need {FEWEST_VISITORS} visitors and {FEWEST_CONVERSIONS} "
            "conversions each before a test means anything.",
        )
    better = [c for c in decided if c.lift is not None and c.lift > 0]
    tests = _method(len(comparisons))
    if better:
        best = max(better, key=lambda c: c.lift or 0.0)
        others = [c.name for c in better if c is not best]
        also = f" {_and(others)} beat {control} too, by less." if others else ""
        return Verdict(
            "winner",
            f"{best.name} beats {control}.",
            f"{_lift(best)} with {tests}, p {_p(best.p_always_holm)}. The test is valid at "
            f"any time, so the experiment can be stopped now.{also}",
            best.name,
        )
    if len(decided) == len(comparisons):
        worst = min(decided, key=lambda c: c.lift or 0.0)
        return Verdict(
            "keep control",
            f"Keep {control}.",
            f"Every variant does worse than {control}; {worst.name}: {_lift(worst)}, with {tests}.",
        )
    losing = [c.name for c in decided]
    lost = f" {_and(losing)} {'does' if len(losing) == 1 else 'do'} worse." if losing else ""
    open_yet = [c for c in comparisons if c not in decided]
    closest = max(open_yet, key=lambda c: c.log_lr if c.log_lr is not None else -1e9)
    at_end = design.planned_visitors is not None and n_visitors >= design.planned_visitors
    if at_end or design.is_stopped:
        return Verdict(
            "no difference",
            f"No variant was shown to beat {control}.",
            f"The experiment has {'reached its planned end' if at_end else 'been stopped'}. "
            f"{closest.name} came closest: {_lift(closest)}. What lies inside of the interval "
            f"cannot be told from chance.{lost}{_end_test(comparisons, design, at_end)}",
        )
    more = (
        f"If its lift stays as it is, about {_round(closest.visitors_needed):,} more visitors "
        "will tell."
        if closest.visitors_needed is not None
        else "At this lift that would take very many visitors; think of stopping it."
    )
    return Verdict(
        "keep running",
        "No decision yet. Keep running.",
        f"{closest.name} is closest: {_lift(closest)}, with {tests}. {more}{lost}",
    )


def _end_test(comparisons: Sequence[RunningComparison], design: RunningDesign, at_end: bool) -> str:
    """What the classical test says, where it may be looked at."""
    known = [c for c in comparisons if c.p_classical_holm is not None]
    if not (at_end and known):
        return ""
    least = min(known, key=lambda c: c.p_classical_holm or 0.0)
    p = least.p_classical_holm or 0.0
    if p > design.alpha:
        return f" The classical test at the planned end agrees (p {_p(p)})."
    return (
        f" The classical test at the planned end finds a difference of {least.name} "
        f"(p {_p(p)}); it counts if nobody would have stopped the experiment before."
    )


def _lift(c: RunningComparison) -> str:
    if c.lift is None:
        return "its lift is not defined, as control has no outcomes"
    if c.lift_low is None or c.lift_high is None:
        return percent(c.lift)
    return f"{percent(c.lift)} [{percent(c.lift_low)}, {percent(c.lift_high)}]"


def _method(n: int) -> str:
    return "the sequential test" + (f" (Holm over {n} comparisons)" if n > 1 else "")


def _p(p: float | None) -> str:
    if p is None:
        return "not known"
    return "< 0.0001" if p < 0.0001 else f"= {p:.2g}"


def _round(n: int) -> int:
    """Two figures are what such an estimate is good for."""
    digits = max(len(str(n)) - 2, 0)
    return int(round(n, -digits))


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
