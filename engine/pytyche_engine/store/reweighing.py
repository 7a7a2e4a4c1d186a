"""A bandit's weights, following what was observed."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection, func, select

from pytyche_engine.allocation.shares import thompson_shares
from pytyche_engine.contracts.errors import WrongStateError
from pytyche_engine.store import tables as t
from pytyche_engine.store.records import Experiment, Sums
from pytyche_engine.store.registry import Registry
from pytyche_engine.store.rows import (
    change_weights,
    lock_experiment,
    now,
    read_experiment,
    read_sums,
)

MIN_VISITORS = 100
"""Weights stay as they were launched until every variant has this many visitors."""

MIN_PERIOD, MIN_SHARE = 200, 0.01
"""Weights stay for this many visitors, and this share of all visitors so far.

What is compared is compared within a period, so a period needs visitors; and with a share of
them all, a long experiment has hundreds of periods, not one a delivery.
"""

MIN_CHANGE = 0.001
"""A change of every weight by less than this is not worth a new period."""


def serve_plan(registry: Registry, experiment_id: str, project_id: str | None) -> Experiment:
    """The experiment with the weights to be served now; what a platform polls.

    A bandit's weights that are due are changed first, so that a schedule also works where
    observations come seldom.

    Raises:
        UnknownExperimentError: if there is none.
        WrongStateError: if it is a draft.
    """
    experiment = registry.get(experiment_id, project_id)
    if experiment.status == "draft":
        raise WrongStateError(f"'{experiment.name}' has no plan yet: it is a draft. Launch it.")
    if experiment.type != "bandit" or experiment.status != "running":
        return experiment
    with registry.database.read() as connection:
        if not _is_due(connection, experiment):
            return experiment
    with registry.database.write() as connection:
        reweigh(connection, lock_experiment(connection, experiment_id))
        return read_experiment(connection, experiment_id)


def reweigh(connection: Connection, experiment: Experiment) -> bool:
    """Change the weights of a bandit where that is due; says whether they were changed.

    Each variant gets its P(best), and the floor at the least. The change is a new period of
    the weight history, which names the P(best) that it came from.
    """
    if experiment.type != "bandit" or not _is_due(connection, experiment):
        return False
    periods = list(read_sums(connection, experiment).values())
    sums = [sum(of_variant, Sums()) for of_variant in zip(*periods, strict=True)]
    n_visitors = sum(one.exposures for one in sums)
    if sum(one.exposures for one in periods[-1]) < max(MIN_PERIOD, MIN_SHARE * n_visitors):
        return False
    if min(one.exposures for one in sums) < MIN_VISITORS:
        return False
    best = _probability_best(sums, experiment)
    weights = thompson_shares(best, experiment.floor)
    before = np.array([variant.weight for variant in experiment.variants])
    if np.abs(weights - before).max() < MIN_CHANGE:
        return False
    change_weights(connection, experiment, weights.tolist(), best.tolist())
    return True


def _probability_best(sums: Sequence[Sums], experiment: Experiment) -> np.ndarray:
    # Here, so that a server starts without waiting for the statistics.
    from pytyche_engine.classic.best_mean import probability_best_mean
    from pytyche_engine.classic.thompson import BetaArms

    if experiment.metric == "conversion":
        arms = BetaArms.of([one.conversions for one in sums], [one.exposures for one in sums])
        return arms.probability_best()
    columns = np.array([(one.exposures, one.total, one.total_squares) for one in sums]).T
    return probability_best_mean(*columns)


def _is_due(connection: Connection, experiment: Experiment) -> bool:
    w = t.weight_changes
    last = connection.scalar(select(func.max(w.c.since)).where(w.c.experiment_id == experiment.id))
    return last is None or (now() - last).total_seconds() >= experiment.update_seconds
