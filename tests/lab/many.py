"""An experiment with many segments and rounds, without a fit, for what only shows them."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from rounds import ARMS, estimate, finished_round

from pytyche_engine.contracts.decisions import Segment
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.rules import Clause, Rule, Threshold
from pytyche_engine.experiment.round import Round
from pytyche_lab.experiments import LabExperiment, sequential_experiment


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
    draws = GroupDraws(
        ARMS,
        tuple(s.id for s in found),
        np.ones(n_segments),
        np.zeros(0, dtype=int),
        *(np.zeros((0, n_segments, 3)) for _ in range(4)),
    )
    search = replace(done.analysis.search, segments=found, draws=draws)
    return replace(done, analysis=replace(done.analysis, search=search))


def experiment(n_segments: int, n_rounds: int) -> LabExperiment:
    """An experiment that has had these rounds."""
    exp = sequential_experiment(schedule=[2000] * (n_rounds + 1), treatments=ARMS, progress=False)
    rounds = tuple(round_with(n_segments, i) for i in range(n_rounds))
    exp._state = replace(exp._state, rounds=rounds, plan=rounds[-1].next_recommendation)
    return exp
