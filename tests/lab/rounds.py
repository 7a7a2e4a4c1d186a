"""Finished rounds written by hand, and experiments that have had them, for what only shows them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.convergence import Convergence
from pytyche_engine.contracts.decisions import (
    CellObservation,
    Comparison,
    Decision,
    Recommendation,
    Segment,
    SegmentSearch,
)
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.observations import FeatureSchema, Observations, Outcome
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.policies import BaselinePolicy, Route, TreePolicy, UniformPolicy
from pytyche_engine.contracts.round_health import RoundHealth
from pytyche_engine.contracts.rules import Levels, Rule, Threshold
from pytyche_engine.contracts.scores import DoublyRobustScores
from pytyche_engine.contracts.thresholds import DecisionThresholds
from pytyche_engine.contracts.truth import TruthComparison
from pytyche_engine.decisions import traffic_over_rounds, traffic_split
from pytyche_engine.experiment.analysis import RoundAnalysis
from pytyche_engine.experiment.round import Round
from pytyche_lab.experiments import LabExperiment, sequential_experiment

ARMS = ("control", "low_promo", "free_ship")
NO_DRAWS = (np.zeros(0, dtype=int), *(np.zeros((0, 2, 3)) for _ in range(4)))


def estimate(mean: float, half: float) -> Estimate:
    return Estimate(mean=mean, low=mean - half, high=mean + half, sd=half / 1.28)


def segments(arms: tuple[str, ...] = ARMS) -> tuple[Segment, ...]:
    control, first, second = arms
    claims = dict.fromkeys(arms[1:], ClaimLevel.HONEST_ESTIMATE)
    shared = {"claims": claims, "n_converted": 40}
    return (
        Segment(
            id="S1",
            rule=Rule(
                (Threshold("browse_depth", ">", 1.136), Levels("channel", ("paid", "email")))
            ),
            population_share=0.63,
            n_visitors=1260,
            recommended_arm=first,
            gates={first: estimate(0.4005, 0.11), second: estimate(-0.2, 0.2)},
            arm_best_probabilities={control: 0.0, first: 0.999, second: 0.001},
            stability_score=0.92,
            **shared,  # type: ignore[arg-type]
        ),
        Segment(
            id="S2",
            rule=Rule((Threshold("browse_depth", "<=", 1.136),)),
            population_share=0.37,
            n_visitors=740,
            recommended_arm=control,
            gates={first: estimate(-0.3, 0.3), second: estimate(-0.1, 0.2)},
            arm_best_probabilities={control: 0.7, first: 0.1, second: 0.2},
            stability_score=0.81,
            **shared,  # type: ignore[arg-type]
        ),
    )


def plan(round_index: int = 0, arms: tuple[str, ...] = ARMS, n: int | None = 2000) -> Plan:
    cells = (
        Cell("control", BaselinePolicy(), 0.05),
        Cell("explore", UniformPolicy(arms), 0.95),
    )
    return Plan(round_index=round_index, arms=arms, cells=cells, n_visitors=n)


def comparison(treatment: str, control: str, mean: float) -> Comparison:
    return Comparison(
        treatment=treatment,
        control=control,
        lift=estimate(mean, 0.17),
        relative_lift=estimate(mean / 2.4, 0.07),
        conversion_part=estimate(mean * 0.75, 0.1),
        severity_part=estimate(mean * 0.25, 0.1),
        conversion_lift=estimate(0.01, 0.005),
        probability_positive=0.961,
        observed_lift=mean * 1.1,
        aipw_lift=mean * 1.05,
        aipw_se=0.14,
        claim_level=ClaimLevel.HONEST_ESTIMATE,
    )


def finished_round(
    index: int = 0, arms: tuple[str, ...] = ARMS, *, with_truth: bool = True
) -> Round:
    n = 100
    rng = np.random.default_rng(7)
    observations = Observations(
        arms=arms,
        visitor_id=np.arange(n).astype(str),
        arm=rng.integers(0, len(arms), n),
        revenue=np.where(rng.random(n) < 0.1, 20.0, 0.0),
        features=pd.DataFrame(index=range(n)),
        schema=FeatureSchema(()),
        outcome=Outcome.HURDLE,
        propensity=np.full((n, len(arms)), 1 / len(arms)),
        propensity_recorded=True,
        round_index=np.full(n, index),
        cell=np.zeros(n, dtype=np.int64),
        cells=("control", "explore"),
    )
    found = segments(arms)
    recommendation = Recommendation(
        treatment=arms[1],
        decision=Decision.SHIP,
        lift=estimate(0.2517, 0.17),
        probability_positive=0.999,
        probability_better=0.93,
        probability_harmful=0.001,
        probability_best=0.98,
        expected_loss_if_shipped=0.0002,
        expected_loss_if_kept=0.25,
        expected_value_of_one_more_round=0.001,
        thresholds=DecisionThresholds(),
        reason="It clears every threshold; a fall of the lift below the practical one would not.",
    )
    analysis = RoundAnalysis(
        comparisons=tuple(
            comparison(arm, arms[0], mean)
            for arm, mean in zip(arms[1:], (0.25, -0.13), strict=True)
        ),
        everyone=replace(found[0], id="S0", rule=Rule(), population_share=1.0),
        search=SegmentSearch(
            segments=found,
            membership=(np.arange(n) % 2).astype(np.int64),
            best_arm=arms[1],
            value_of_targeting=estimate(0.014, 0.02),
            targeting_pays=True,
            value_claim=ClaimLevel.EXPLORATORY,
            draws=GroupDraws(arms, ("S1", "S2"), np.array([1260.0, 740.0]), *NO_DRAWS),
        ),
        registered=(),
        draws=GroupDraws(arms, ("S0", "S1", "S2"), np.ones(3), *NO_DRAWS),
        best_arm_rpv=estimate(2.66, 0.08),
        recommendation=recommendation,
        verdicts=(),
        currency="$",
        recalibration=None,
        converged=True,
        convergence=Convergence(
            r_hat=dict.fromkeys(arms[1:], 1.003), ess=dict.fromkeys(arms[1:], 420.0)
        ),
    )
    truth = TruthComparison(0.35, 0.41, 0.4, 0.618, 2.65, 2.5, 2.6, 2.75, arms[1])
    return Round(
        round_idx=index,
        n_rounds=3,
        metric="revenue_per_visitor",
        currency="$",
        plan=plan(index, arms),
        observations=observations,
        n_cumulative=n * (index + 1),
        remembered_from=0,
        cell_observations=(
            CellObservation("control", 50, 2.4, None, estimate(2.45, 0.1), None, "always control"),
            CellObservation(
                "explore", 50, 2.6, 0.2, estimate(2.55, 0.1), estimate(0.1, 0.09), "uniform"
            ),
        ),
        analysis=analysis,
        next_recommendation=plan(index + 1, arms, 4000),
        dropped=(),
        revived=(),
        truth_comparison=truth if with_truth else None,
        own_scores=DoublyRobustScores(np.zeros((n, len(arms))), 0.0, np.ones(n)),
        health=RoundHealth(
            index,
            0,
            traffic_split(plan(index, arms), observations),
            traffic_over_rounds([(plan(index, arms), observations)]),
        ),
        posterior=None,  # type: ignore[arg-type]  # nothing that shows a round reads it
        fit_seconds=12.5,
    )


def routed(done: Round) -> Plan:
    """A plan whose Optimized cell routes by the round's segments."""
    first, second = done.analysis.segments
    shares = {"control": 0.1, "low_promo": 0.7, "free_ship": 0.2}
    policy = TreePolicy(
        (Route(first.id, first.rule, shares), Route(second.id, second.rule, {"control": 1.0})),
        shares,
    )
    proposed = plan(1)
    cells = (replace(proposed.cells[0], weight=0.5), Cell("optimized", policy, 0.5))
    return replace(proposed, cells=cells)


def with_rounds(*rounds: Round, schedule: Sequence[int] = (2000, 4000)) -> LabExperiment:
    """An experiment that has had these rounds, without a fit."""
    exp = sequential_experiment(schedule=schedule, treatments=ARMS, progress=False, name="promo")
    exp._state = replace(exp._state, rounds=rounds, plan=rounds[-1].next_recommendation)
    return exp
