"""The health of a round as lamps with short readings."""

import math

from pytyche_engine.contracts.convergence import Convergence
from pytyche_engine.contracts.health import p_phrase
from pytyche_engine.contracts.money import signed
from pytyche_engine.contracts.round_health import Lamp, RoundHealth
from pytyche_engine.experiment.round import Round
from pytyche_lab.widgets.schema.round_dashboard import LampView
from pytyche_lab.widgets.schema.shared import LampStatus

_STATUS: dict[Lamp, LampStatus] = {
    "ok": "ok",
    "warn": "warn",
    "alarm": "bad",
    "unknown": "none",
}

_MISFIT = {
    "atom": "a common price",
    "cap": "a cap",
    "tail": "large orders",
    "skew": "skewness",
    "mean": "the mean order",
}


def lamps(finished: Round) -> list[LampView]:
    """Every check, whether it is in order, and its reading in a few words."""
    health = finished.health
    recorded = finished.observations.propensity_recorded
    converged, calibrated = finished.analysis.converged, finished.analysis.is_calibrated
    status = {name: _STATUS[state] for name, state in health.lamps.items()}
    return [
        {"name": "Traffic split (SRM)", "status": status["srm"], "reading": _traffic(health)},
        {
            "name": "Assignment",
            "status": "ok" if recorded else "warn",
            "reading": "Probabilities recorded"
            if recorded
            else "Not recorded: arm shares stand in",
        },
        {"name": "Balance", "status": status["balance"], "reading": _balance(health)},
        {"name": "Drift", "status": status["drift"], "reading": _drift(health)},
        {"name": "Model fit", "status": status["model_fit"], "reading": _fit(health)},
        {"name": "Converters", "status": status["converters"], "reading": _converters(health)},
        {
            "name": "Convergence",
            "status": "ok" if converged else "bad",
            "reading": _agreement(finished.analysis.convergence),
        },
        {
            "name": "Interval coverage",
            "status": "ok" if calibrated else "none",
            "reading": "Recalibrated" if calibrated else "Not checked at this size",
        },
    ]


def _traffic(health: RoundHealth) -> str:
    own, all_rounds = health.traffic, health.traffic_over_rounds
    split = all_rounds if all_rounds.alarm and not own.alarm else own
    if split.p_value is None:
        return "Not checked: no cells or probabilities recorded"
    if split.alarm:
        return (
            f"{split.worst}: {split.observed:,} visitors, {split.expected:,.0f} planned, "
            f"{p_phrase(split.p_value)}"
        )
    return f"As planned, {p_phrase(split.p_value)}"


def _balance(health: RoundHealth) -> str:
    if health.balance is None or not health.balance.rows:
        return "Nothing to compare"
    worst = health.balance.rows[0]
    if worst.alarm:
        return f"{worst.feature} in {worst.arm}: {signed(worst.smd, 2)} SD"
    largest = max(abs(row.smd) for row in health.balance.rows)
    return f"Arms alike, at most {largest:.2f} SD apart"


def _drift(health: RoundHealth) -> str:
    if health.drift is None or not health.drift.changes:
        return "Not watched yet"
    if not health.drift.alarms:
        return "No change beyond chance"
    change = health.drift.alarms[0]
    return f"{change.arm} in {change.segment}: {change.direction} since round {change.since + 1}"


def _fit(health: RoundHealth) -> str:
    apart = [c.name for c in health.cross_checks if c.disagree]
    if apart:
        return f"AIPW disagrees on {', '.join(apart)}"
    if health.severity is not None and health.severity.flagged:
        return f"Misfits: {', '.join(_MISFIT[s.name] for s in health.severity.flagged)}"
    return "Not checked" if health.lamps["model_fit"] == "unknown" else "As predicted"


def _converters(health: RoundHealth) -> str:
    if health.converters is None or not health.converters.rows:
        return "Not counted"
    few, rows = len(health.converters.few), len(health.converters.rows)
    return f"Few in {few} of {rows} arms and segments" if few else "Enough everywhere"


def _agreement(found: Convergence) -> str:
    """The worst reading of each: the lamp is as good as the worst reported lift."""
    r_hats = [v for v in found.r_hat.values() if math.isfinite(v)]
    sizes = [v for v in found.ess.values() if math.isfinite(v)]
    if not r_hats or not sizes:
        return "R-hat and ESS not known: too few draws"
    return f"R-hat ≤ {max(r_hats):.3f}, ESS ≥ {min(sizes):,.0f}"
