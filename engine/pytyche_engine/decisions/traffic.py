"""Whether a round was served as it was planned."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.special import logsumexp

from pytyche_engine.classic.srm import SplitCounts, Wagers, split_test
from pytyche_engine.contracts.health import TrafficSplit
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.plans import Plan


def traffic_split(plan: Plan, observations: Observations) -> TrafficSplit:
    """Compare a round's counts with its plan: cells, and arms where probabilities are recorded.

    Each is a generalised Pearson test (`classic.srm.split_test`). With both tests, the smaller
    p-value is doubled (Bonferroni).

    Args:
        plan: what was to be served in this round.
        observations: the round's visitors.
    """
    tests = [split_test(counts) for counts in _counts(plan, observations)]
    known = [(test.p_value, test) for test in tests if test.p_value is not None]
    if not known:
        return TrafficSplit(None, "", 0.0, 0)
    p_value, first = min(known, key=lambda pair: pair[0])
    return TrafficSplit(
        min(1.0, p_value * len(tests)), first.worst, first.expected, first.observed, first.kind
    )


def traffic_over_rounds(rounds: Sequence[tuple[Plan, Observations]]) -> TrafficSplit:
    """Compare the counts of all rounds so far with their plans, to be looked at every round.

    Each visitor counts against the probabilities of the own round, so plans may change from
    round to round and follow what was seen. The test is by an e-process
    (`classic.srm.Wagers`) of cells, one of arms, and their mean, which is a third.

    Args:
        rounds: each round's plan and visitors, in order.

    Returns:
        The split over all rounds that had something recorded. ``worst`` is the one furthest
        from plan over all of them.
    """
    wagers: dict[Literal["cell", "arm"], Wagers] = {}
    largest = 0.0  # log of what the e-process begins with
    for plan, observations in rounds:
        for counts in _counts(plan, observations):
            wagers.setdefault(counts.kind, Wagers()).add(counts)
        # What has not been recorded so far has the 1 that every wager begins with.
        wealth = [w.log_wealth for w in wagers.values()] + [0.0] * (2 - len(wagers))
        largest = max(largest, float(logsumexp(wealth) - np.log(2)))
    if not wagers:
        return TrafficSplit(None, "", 0.0, 0)
    kind = max(wagers, key=lambda kind: wagers[kind].log_wealth)
    return TrafficSplit(float(np.exp(-largest)), *wagers[kind].worst(), kind)


def _counts(plan: Plan, observations: Observations) -> list[SplitCounts]:
    n = len(observations)
    found = []
    if n and len(plan.cells) > 1 and (observations.cell >= 0).all():
        # Cells that the plan does not know are counted too, with nothing expected there.
        weight = {cell.id: cell.weight for cell in plan.cells}
        names = tuple(dict.fromkeys((*weight, *observations.cells)))
        position = np.array([names.index(name) for name in observations.cells])
        counts = np.bincount(position[observations.cell], minlength=len(names))
        shares = np.array([weight.get(name, 0.0) for name in names])
        found.append(SplitCounts.of("cell", names, counts, shares[None, :], np.array([n])))
    if n and observations.propensity_recorded:
        p = observations.propensity
        found.append(
            SplitCounts.of(
                "arm",
                observations.arms,
                np.bincount(observations.arm, minlength=observations.n_arms),
                p,
                np.ones(n, dtype=np.int64),
                impossible=bool((p[np.arange(n), observations.arm] <= 0).any()),
            )
        )
    return found
