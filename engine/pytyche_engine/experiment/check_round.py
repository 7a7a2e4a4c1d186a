"""Everything that is checked of a round before its numbers are read."""

from collections.abc import Sequence

from pytyche_engine.bcf.posterior import Posterior
from pytyche_engine.bcf.predictive import replicate_revenue
from pytyche_engine.contracts.decisions import CellObservation, Segment
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.health import SeverityCheck
from pytyche_engine.contracts.observations import Observations, Outcome
from pytyche_engine.contracts.round_health import RoundHealth
from pytyche_engine.contracts.scores import DoublyRobustScores
from pytyche_engine.contracts.served import Served
from pytyche_engine.decisions import (
    check_severity,
    converters_by_segment,
    covariate_balance,
    cross_check_arms,
    cross_check_cells,
    lift_drift,
    traffic_over_rounds,
    traffic_split,
)
from pytyche_engine.jobs.control import Control


def check_round(
    posterior: Posterior,
    served: Sequence[Served],
    cumulative: Observations,
    scores: DoublyRobustScores,
    everyone: GroupDraws,
    segments: Sequence[Segment],
    cells: Sequence[CellObservation],
    *,
    seed: int,
    currency: str,
    control: Control,
) -> RoundHealth:
    """Check traffic, balance, severity model, converters, drift, and the model against AIPW.

    Args:
        posterior: fitted on ``cumulative``.
        served: all remembered rounds, the latest last.
        cumulative: their visitors together.
        scores: doubly robust scores of those.
        everyone: posterior draws of everyone's means.
        segments: everyone, and the round's segments.
        cells: how the latest round's cells did.
        seed: of the replicated revenue.
        currency: as money is written.
        control: can cancel between checks.
    """
    latest = served[-1]
    called = {s.id if s.rule.clauses else str(s.rule): s for s in segments}
    rules = {name: s.rule for name, s in called.items()}
    chosen = {name: s.found_in for name, s in called.items() if s.rule.clauses}
    own = scores.scores[-len(latest.observations) :]
    return RoundHealth(
        round_index=latest.plan.round_index,
        first_round=served[0].plan.round_index,
        traffic=traffic_split(latest.plan, latest.observations),
        traffic_over_rounds=traffic_over_rounds([(s.plan, s.observations) for s in served]),
        balance=covariate_balance(latest.observations),
        severity=_severity(posterior, cumulative, seed, control),
        converters=converters_by_segment(cumulative, rules, prior_sd=posterior.settings.arm_scale),
        drift=lift_drift(cumulative, rules, found_in=chosen),
        cross_checks=(
            *cross_check_arms(cumulative, scores, everyone),
            *cross_check_cells(latest.plan, latest.observations, own, cells),
        ),
        currency=currency,
    )


def _severity(
    posterior: Posterior, cumulative: Observations, seed: int, control: Control
) -> SeverityCheck | None:
    if cumulative.outcome is Outcome.BINARY or not cumulative.converted.any():
        return None
    drawn = replicate_revenue(posterior, cumulative, seed=seed, control=control)
    return check_severity(drawn.observed, drawn.replicated)
