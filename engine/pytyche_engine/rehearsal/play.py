"""One rehearsal: an experiment from its first round to its last, with the truth beside it."""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pytyche_engine.contracts.decisions import Decision
from pytyche_engine.contracts.errors import DesignError, PytycheWarning
from pytyche_engine.contracts.observations import concat
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.thresholds import in_money
from pytyche_engine.contracts.truth import GroundTruth, concat_truth
from pytyche_engine.experiment import sequential_experiment
from pytyche_engine.experiment.round import Round
from pytyche_engine.experiment.sequential import SequentialExperiment
from pytyche_engine.sources import Source, simulated_experiment_generator

SourceOf = Callable[[int], Source]
"""A simulated source by its seed."""

FOUND = 0.5
"""Overlap (Jaccard) from which a discovered segment counts as the planted one."""

Row = dict[str, Any]


@dataclass
class Recorded:
    """A source that remembers the truth of its rounds.

    Attributes:
        source: the simulated one.
        truths: of every round so far.
    """

    source: Source
    truths: list[GroundTruth] = field(default_factory=list)

    @property
    def columns(self) -> Any:
        """What the source's columns mean."""
        return getattr(self.source, "columns", None)

    def __call__(self, round_index: int, plan: Plan, /) -> tuple[pd.DataFrame, GroundTruth]:
        """The visitors of a round, and what was planted for them."""
        data = self.source(round_index, plan)
        if not isinstance(data, tuple):
            raise DesignError("A rehearsal needs a source that returns (frame, truth).")
        self.truths[round_index:] = [data[1]]
        return data


def simulated(settings: Mapping[str, Any], seed: int) -> Source:
    """A source of arguments of `simulated_experiment_generator`, with a seed."""
    return simulated_experiment_generator(**{**settings, "seed": seed})


def play(
    design: Mapping[str, Any], source: SourceOf | Mapping[str, Any], run: int, seed: int
) -> list[Row]:
    """Play an experiment through, and judge every round by the truth.

    Args:
        design: arguments of `sequential_experiment`.
        source: a source by its seed, or arguments of `simulated_experiment_generator`.
        run: which of the runs.
        seed: of all of them.

    Returns:
        A row a round; see `rehearse.Rehearsal`.
    """
    source_seed, fit_seed = map(int, np.random.SeedSequence([seed, run]).generate_state(2))
    made = simulated(source, source_seed) if isinstance(source, Mapping) else source(source_seed)
    recorded = Recorded(made)
    start = time.perf_counter()
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PytycheWarning)
        experiment = sequential_experiment(
            **{"treatments": getattr(made, "arms", ()), **design},
            generator=recorded,
            seed=fit_seed,
        )
        for done in experiment:
            rows.append(
                {"run": run, **judged(experiment, done, recorded.truths)}
                | {"seconds": time.perf_counter() - start}
            )
    return rows


def judged(experiment: SequentialExperiment, done: Round, truths: list[GroundTruth]) -> Row:
    """A round and all before it, by the truth."""
    truth = concat_truth(truths)
    seen = concat([r.observations for r in experiment.history])
    rpv, n = truth.rpv, len(truth.rpv)
    mean = rpv.mean(axis=0)
    practical = in_money(done.analysis.recommendation.thresholds.practical_effect, mean[0])
    earned = rpv[np.arange(n), seen.arm]
    main = done.analysis.recommendation
    promising = seen.arms.index(main.treatment)
    graduated = [
        _true_lift(rpv, seen.arms.index(c.treatment), c.segment.rule.matches(seen.features))
        for c in experiment.graduation_candidates()
    ]
    compared = done.truth_comparison
    return {
        "round": done.round_idx + 1,
        "n_cumulative": n,
        "found": _found(done, seen.features, rpv, practical),
        "n_segments": len(done.analysis.segments) if done.analysis.search.targeting_pays else 0,
        "graduated": any(lift > 0 for lift in graduated),
        "false_graduation": any(lift <= 0 for lift in graduated),
        "ship": main.decision is Decision.SHIP,
        "false_ship": main.decision is Decision.SHIP and bool(mean[promising] <= mean[0]),
        "stop": main.decision is Decision.STOP,
        "missed_win": main.decision is Decision.STOP
        and bool((mean[1:] - mean[0] > practical).any()),
        "decided": main.decision is not Decision.CONTINUE,
        "converged": done.analysis.converged,
        "earned": float(earned.sum()),
        "gain_over_ab": float((earned - rpv.mean(axis=1)).sum()),
        "regret_best_arm": float((rpv[:, mean.argmax()] - earned).sum()),
        "regret_oracle": float((rpv.max(axis=1) - earned).sum()),
        "policy_gain": np.nan if compared is None else compared.rpv_policy - compared.rpv_best_arm,
    }


def planted(
    rpv: Float[np.ndarray, "n arms"], practical: float
) -> dict[int, Bool[np.ndarray, " n"]]:
    """By treatment, the visitors whom it truly serves best, by at least a practical effect.

    Empty where one arm is best for everyone: then there is no segment to find.
    """
    best: Int[np.ndarray, " n"] = rpv.argmax(axis=1)
    worth = rpv.max(axis=1) - rpv[:, 0] >= practical
    groups = {k: (best == k) & worth for k in range(1, rpv.shape[1])}
    return {k: who for k, who in groups.items() if 0 < who.mean() < 1}


def _found(
    done: Round, features: pd.DataFrame, rpv: Float[np.ndarray, "n arms"], practical: float
) -> bool:
    """Whether the segments that are given an arm are, together, those whom it serves best.

    The segments of one arm are joined: that they touch is an accident of the tree.
    """
    if not done.analysis.search.targeting_pays:
        return False
    arms = done.posterior.arms
    for k, who in planted(rpv, practical).items():
        given = np.zeros(len(features), dtype=bool)
        for segment in done.analysis.segments:
            if segment.recommended_arm == arms[k]:
                given |= segment.rule.matches(features)
        either = (given | who).sum()
        if either and (given & who).sum() / either >= FOUND:
            return True
    return False


def _true_lift(
    rpv: Float[np.ndarray, "n arms"], arm: int, members: Bool[np.ndarray, " n"]
) -> float:
    return float((rpv[members, arm] - rpv[members, 0]).mean()) if members.any() else 0.0
