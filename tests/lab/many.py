"""An experiment with many segments and rounds, without a fit, for what only shows them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from rounds import ARMS, estimate, finished_round

from pytyche_engine.contracts.decisions import Segment
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.rules import Clause, Rule, Threshold
from pytyche_engine.contracts.verdicts import Verdict, Worth
from pytyche_engine.experiment.round import Round
from pytyche_lab.experiments import LabExperiment, sequential_experiment

N_DRAWS = 600


def worth(lift: Estimate) -> Worth:
    return Worth(lift, per_round=lift, per_year=None)


def leaves(n: int, clauses: tuple[Clause, ...] = ()) -> Iterator[Rule]:
    """The rules of a balanced tree with n leaves, each question on a feature of its own."""
    if n == 1:
        yield Rule(clauses)
        return
    feature = f"feature_{len(clauses)}"
    yield from leaves(n - n // 2, (*clauses, Threshold(feature, "<=", 0.5)))
    yield from leaves(n // 2, (*clauses, Threshold(feature, ">", 0.5)))


def round_with(n_segments: int, index: int) -> Round:
    done = finished_round(index)
    rng = np.random.default_rng(index)
    like: Segment = done.analysis.segments[0]
    found = tuple(
        replace(
            like,
            id=f"S{i + 1}",
            rule=rule,
            population_share=1 / n_segments,
            gates={arm: estimate(float(rng.normal(0.2, 0.3)), 0.2) for arm in ARMS[1:]},
        )
        for i, rule in enumerate(leaves(n_segments))
    )
    search = replace(
        done.analysis.search, segments=found, draws=draws_of([s.id for s in found], rng)
    )
    groups = [done.analysis.everyone.id, *(s.id for s in found)]
    verdicts = tuple(
        Verdict(s, replace(done.analysis.recommendation, treatment=arm), worth(s.gates[arm]), "")
        for s in (done.analysis.everyone, *found)
        for arm in ARMS[1:]
    )
    analysis = replace(done.analysis, search=search, draws=draws_of(groups, rng), verdicts=verdicts)
    return replace(done, analysis=analysis)


def draws_of(groups: Sequence[str], rng: np.random.Generator) -> GroupDraws:
    """As many draws as a fit keeps, of lifts that do not settle anything."""
    rpv = 2.5 + 0.2 * rng.normal(size=(N_DRAWS, len(groups), len(ARMS)))
    lift = rpv - rpv[:, :, :1]
    return GroupDraws(
        arms=ARMS,
        groups=tuple(groups),
        size=np.full(len(groups), 1_000.0),
        chain=np.arange(N_DRAWS) % 4,
        conversion=rpv / 25,
        rpv=rpv,
        conversion_part=0.7 * lift,
        severity_part=0.3 * lift,
    )


def experiment(n_segments: int, n_rounds: int) -> LabExperiment:
    """An experiment that has had these rounds."""
    exp = sequential_experiment(schedule=[2000] * (n_rounds + 1), treatments=ARMS, progress=False)
    rounds = tuple(round_with(n_segments, i) for i in range(n_rounds))
    exp._state = replace(exp._state, rounds=rounds, plan=rounds[-1].next_recommendation)
    return exp
