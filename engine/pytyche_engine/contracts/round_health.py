"""Whether a round was served, recorded and modelled as it should have been."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pytyche_engine.contracts.crosscheck import CrossCheck
from pytyche_engine.contracts.drift import DriftCheck
from pytyche_engine.contracts.health import (
    BalanceCheck,
    ConverterCheck,
    ConverterCount,
    SeverityCheck,
    TrafficSplit,
    p_phrase,
)
from pytyche_engine.contracts.money import money, signed
from pytyche_engine.contracts.tables import Table

Lamp = Literal["ok", "warn", "alarm", "unknown"]
"""``warn``: read with care; ``alarm``: act first; ``unknown``: nothing to check it by."""


@dataclass(frozen=True, repr=False)
class RoundHealth:
    """Everything that was checked of a round. What was not checked is None or empty.

    Attributes:
        round_index: the round, from 0.
        first_round: the first round that is remembered, from 0.
        traffic: the round's split against its plan.
        traffic_over_rounds: the splits of all rounds so far, each against its own plan.
        balance: whether arms are alike in features.
        severity: whether the severity model fits; None also where there is no such channel.
        converters: converters per segment and arm.
        drift: whether lifts are still what they were.
        cross_checks: the model's revenue per visitor beside AIPW's.
        currency: as money is written.
    """

    round_index: int
    first_round: int
    traffic: TrafficSplit
    traffic_over_rounds: TrafficSplit
    balance: BalanceCheck | None = None
    severity: SeverityCheck | None = None
    converters: ConverterCheck | None = None
    drift: DriftCheck | None = None
    cross_checks: tuple[CrossCheck, ...] = ()
    currency: str = "$"

    @property
    def lamps(self) -> Mapping[str, Lamp]:
        """The state of ``srm``, ``balance``, ``drift``, ``model_fit`` and ``converters``."""
        disagree = any(c.disagree for c in self.cross_checks)
        flagged = {s.name for s in self.severity.flagged} if self.severity else set()
        fit_known = bool(self.cross_checks or (self.severity and self.severity.statistics))
        few = self.converters is not None and bool(self.converters.few)
        splits = (self.traffic, self.traffic_over_rounds)
        return {
            "srm": _lamp(
                any(s.p_value is not None for s in splits), alarm=any(s.alarm for s in splits)
            ),
            "balance": _lamp(
                self.balance is not None and bool(self.balance.rows),
                alarm=self.balance is not None and bool(self.balance.alarms),
            ),
            "drift": _lamp(
                self.drift is not None and bool(self.drift.changes),
                alarm=self.drift is not None and bool(self.drift.alarms),
            ),
            "model_fit": _lamp(fit_known, alarm=disagree or "mean" in flagged, warn=bool(flagged)),
            "converters": _lamp(
                self.converters is not None and bool(self.converters.rows), warn=few
            ),
        }

    @property
    def alarms(self) -> tuple[str, ...]:
        """One sentence or two for each lit lamp: what, where, how much, what to do."""
        return (
            *self._traffic_alarms(),
            *self._balance_alarms(),
            *self._drift_alarms(),
            *self._fit_alarms(),
            *self._converter_alarms(),
        )

    def table(self) -> Table:
        """Each check, its lamp and what it found."""
        lamps = self.lamps
        balance = self.balance.rows[0] if self.balance and self.balance.rows else None
        change = self.drift.changes[0] if self.drift and self.drift.changes else None
        apart = min(self.cross_checks, key=lambda c: c.p_value, default=None)
        fit = [s.finding(self.currency) for s in self.severity.flagged] if self.severity else []
        if apart is not None:
            fit.append(
                f"'{apart.name}': model {money(apart.model.mean, self.currency)}, AIPW "
                f"{money(apart.aipw.mean, self.currency)} ({p_phrase(apart.p_value)})"
            )
        few = self.converters.few if self.converters else ()
        rows: list[tuple[str, str, str]] = [
            ("traffic, this round", _split_lamp(self.traffic), self.traffic.sentence),
            (
                "traffic, all rounds",
                _split_lamp(self.traffic_over_rounds),
                self.traffic_over_rounds.sentence,
            ),
            (
                "balance",
                lamps["balance"],
                f"largest: {balance.feature} in '{balance.arm}', {signed(balance.smd, 3)} SD "
                f"({p_phrase(balance.p_value)})"
                if balance
                else "nothing to compare",
            ),
            (
                "drift",
                lamps["drift"],
                "not watched"
                if change is None
                else change.sentence(self.currency)
                if change.alarm
                else f"nothing beyond chance; clearest: '{change.arm}' in '{change.segment}' "
                f"({p_phrase(change.p_value)})",
            ),
            (
                "model fit",
                lamps["model_fit"],
                "; ".join(fit) or ("as predicted" if lamps["model_fit"] == "ok" else "not checked"),
            ),
            (
                "converters",
                lamps["converters"],
                f"few of {_listed(few)}"
                if few
                else ("enough everywhere" if self.converters else "not counted"),
            ),
        ]
        return Table(("check", "state", "finding"), rows)

    def __repr__(self) -> str:
        return "\n".join((self.table().text(), *self.alarms))

    def _repr_html_(self) -> str:
        alarms = "".join(f"<li>{html.escape(alarm)}</li>" for alarm in self.alarms)
        return self.table().html() + (f"<ul>{alarms}</ul>" if alarms else "")

    def _traffic_alarms(self) -> list[str]:
        act = (
            "Find out where visitors are lost or doubled (redirects, consent, bots, joins) before "
            "comparing anything: who is missing is seldom missing by chance."
        )
        where = f"Round {self.round_index + 1}"
        found = [f"{where}: {self.traffic.sentence} {act}"] if self.traffic.alarm else []
        if self.traffic_over_rounds.alarm:
            so_far = f"Rounds {self.first_round + 1} to {self.round_index + 1}"
            found.append(f"{so_far}: {self.traffic_over_rounds.sentence} {act}")
        return found

    def _balance_alarms(self) -> list[str]:
        if self.balance is None or not self.balance.alarms:
            return []
        worst, *others = self.balance.alarms
        more = f", and {len(others)} more such differences" if others else ""
        cause = (
            "The arms were not assigned by the recorded probabilities, or some of their visitors "
            "are lost; check both before comparing arms."
            if self.balance.recorded
            else "No assignment probabilities were recorded; record them if assignment depended "
            "on features, else look for lost visitors."
        )
        return [
            f"Round {self.round_index + 1}: visitors of '{worst.arm}' differ from the others in "
            f"'{worst.feature}' by {signed(worst.smd, 3)} standard deviations "
            f"({p_phrase(worst.p_value)}){more}. {cause}"
        ]

    def _drift_alarms(self) -> list[str]:
        changes = self.drift.alarms if self.drift else ()
        return [
            f"{change.sentence(self.currency)} Find out what changed; if it lasts, forget what was "
            f"before with exp.forget_before({change.since + 1})."
            for change in changes
        ]

    def _fit_alarms(self) -> list[str]:
        flagged = self.severity.flagged if self.severity else ()
        found = [f"Severity model: {s.finding(self.currency)}. {s.consequence}" for s in flagged]
        return found + [
            f"'{c.name}': the model puts revenue per visitor at "
            f"{money(c.model.mean, self.currency)}, AIPW at {money(c.aipw.mean, self.currency)} "
            f"({p_phrase(c.p_value)}). Go by AIPW until the difference is explained."
            for c in self.cross_checks
            if c.disagree
        ]

    def _converter_alarms(self) -> list[str]:
        few = self.converters.few if self.converters else ()
        if self.converters is None or not few:
            return []
        return [
            f"Fewer than {self.converters.fewest:.0f} converters: {_listed(few)}. Estimates there "
            "rest on the prior and on other segments more than on their own visitors; give them "
            "traffic or merge the segment."
        ]


def _lamp(known: bool, *, alarm: bool = False, warn: bool = False) -> Lamp:
    if not known:
        return "unknown"
    return "alarm" if alarm else "warn" if warn else "ok"


def _split_lamp(split: TrafficSplit) -> Lamp:
    return _lamp(split.p_value is not None, alarm=split.alarm)


def _listed(few: tuple[ConverterCount, ...]) -> str:
    """The first five, and how many more."""
    listed = ", ".join(f"'{r.arm}' in '{r.segment}' ({r.converters})" for r in few[:5])
    return listed + (f" and {len(few) - 5} more" if len(few) > 5 else "")
