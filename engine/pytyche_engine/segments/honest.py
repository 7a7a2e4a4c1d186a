"""Estimates of segments on visitors who did not choose them, and the claims they support."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int
from scipy.special import stdtr

from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.decisions import Segment
from pytyche_engine.contracts.estimates import INTERVAL_LEVEL, Estimate
from pytyche_engine.contracts.money import signed
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.scores import DoublyRobustScores
from pytyche_engine.decisions.crosscheck import weighted_estimate
from pytyche_engine.segments.identity import SAME_MEMBERS, shared_members
from pytyche_engine.segments.tree import PolicyTree

MATCHED_FOLDS = 4
"""Folds (of five) whose tree must have a segment again before it has a cross-fitted estimate."""

ESTIMATED_CONVERTERS = 5
"""Converters that an arm and control need each before their difference is estimated."""

CONFIRMING_CONVERTERS = 20
"""Converters that the arm in question and control need each before a claim is confirmed."""

CONTRADICTION_ERROR = 0.05
"""Probability that a right model is contradicted about a segment by chance, at most."""


@dataclass(frozen=True)
class HeldOut:
    """One segment on visitors who did not choose it.

    Attributes:
        lift: per treatment, AIPW estimate of its lift over control, money per visitor.
        freedom: per treatment, the degrees of freedom of its t interval.
        converters: per arm, how many of the visitors spent anything.
        n_rows: how many visitors there are.
    """

    lift: Mapping[str, Estimate]
    freedom: Mapping[str, float]
    converters: Mapping[str, int]
    n_rows: int


def held_out_lift(
    observations: Observations, dr: DoublyRobustScores, rows: Bool[np.ndarray, " n"]
) -> HeldOut:
    """Each treatment's lift over control on some visitors, by full AIPW with a t interval.

    The model behind the scores has seen these visitors. AIPW undoes its errors only to first
    order, so where the model overfits, the estimate leans towards it.

    Args:
        observations: n visitors.
        dr: their doubly robust scores.
        rows: which of them did not choose the segment.
    """
    arms = observations.arms
    spent = np.bincount(observations.arm[rows & observations.converted], minlength=len(arms))
    lift, freedom = {}, {}
    for a, arm in enumerate(arms[1:], start=1):
        if min(spent[a], spent[0]) >= ESTIMATED_CONVERTERS:
            values = dr.scores[rows, a] - dr.scores[rows, 0]
            lift[arm], freedom[arm] = weighted_estimate(values, dr.weight[rows], INTERVAL_LEVEL)
    counts = dict(zip(arms, map(int, spent), strict=True))
    return HeldOut(lift, freedom, counts, int(rows.sum()))


def cross_fitted(
    fold_trees: Sequence[PolicyTree],
    fold: Int[np.ndarray, " n"],
    features: pd.DataFrame,
    membership: Int[np.ndarray, " n"],
    arms: Sequence[int],
) -> Int[np.ndarray, " n"]:
    """(n,) the segment that a tree which did not see the visitor puts them to, -1 for none.

    A leaf of a fold tree stands for the segment with which it shares most members among the
    visitors of its training folds, if they share enough (Jaccard of `SAME_MEMBERS`) and have
    the same arm. A segment that fewer than `MATCHED_FOLDS` trees have again gets nobody. So
    what is estimated is a segment as the search finds it, a little blurred: a visitor near a
    border may count on the other side of it.

    The rows did not choose the rules, but together they decided that a tree is kept at all (its
    cross-fitted value passed `choice.AGREED_SE`). Where there is something to find this matters
    little: 80 % intervals covered .77 over simulated rounds with planted segments. Where there is
    nothing, the few trees that pass do so by luck, their recommended lifts are about one standard
    error too high, and intervals cover about .5. Rows of later rounds have no such luck.

    Args:
        fold_trees: for each fold, the tree of the other folds.
        fold: (n,) fold of every visitor.
        features: (n rows) feature frame.
        membership: (n,) segment of every visitor.
        arms: code of the arm of each segment.
    """
    held = np.full(len(fold), -1)
    matched = np.zeros(len(arms), dtype=int)
    for f, tree in enumerate(fold_trees):
        leaf = tree.assign(features)
        seen = fold != f
        shared = shared_members(leaf[seen], len(tree.leaves), membership[seen], len(arms))
        for i, its in enumerate(tree.leaves):
            segment = int(np.argmax(shared[i]))
            if shared[i, segment] >= SAME_MEMBERS and its.arm == arms[segment]:
                held[~seen & (leaf == i)] = segment
                matched[segment] += 1
    held[np.append(matched < MATCHED_FOLDS, True)[held]] = -1
    return held


def claims(
    segment: Segment, held: HeldOut, latest: int, *, rearmed: bool = False
) -> dict[str, tuple[ClaimLevel, str]]:
    """For each treatment, the claim level that held-out visitors support, and why.

    Held-out estimates that differ from the reported GATEs beyond chance leave nothing but
    exploratory claims. Chance: a t test of the difference for each treatment, with
    `CONTRADICTION_ERROR` for all of them (Bonferroni). The difference is given the variance of
    the held-out estimate alone; see `decisions.crosscheck` for why that is a bound.

    Args:
        segment: with its GATEs.
        held: what visitors who did not choose it say.
        latest: index of the latest round. A rule of an earlier one is judged by later rounds.
        rearmed: whether the segment stayed, but got another arm in the latest round.
    """
    contradiction = _contradiction(segment, held)
    if contradiction:
        return dict.fromkeys(segment.gates, (ClaimLevel.EXPLORATORY, contradiction))
    if not segment.rule.clauses:
        everyone = "Everyone is no choice of the data, so all visitors estimate it."
        return dict.fromkeys(segment.gates, (ClaimLevel.HONEST_ESTIMATE, everyone))
    if rearmed:
        anew = f"It has another arm since round {latest + 1}, whose visitors chose that arm too."
        return dict.fromkeys(segment.gates, (ClaimLevel.EXPLORATORY, anew))
    if held.n_rows == 0 and segment.found_in == latest:
        again = (
            "Found and estimated on the same visitors: trees of four fifths of them do not have "
            "it again."
        )
        return dict.fromkeys(segment.gates, (ClaimLevel.EXPLORATORY, again))
    return {arm: _claim(arm, segment.found_in, held, latest) for arm in segment.gates}


def _claim(arm: str, found_in: int, held: HeldOut, latest: int) -> tuple[ClaimLevel, str]:
    control = next(iter(held.converters))
    spent = {a: held.converters[a] for a in (arm, control)}
    counts = " and ".join(f"{n} under '{a}'" for a, n in spent.items())
    if found_in < latest:
        who = f"{held.n_rows:,} visitors who came after its rule was chosen"
        needed = CONFIRMING_CONVERTERS
        if min(spent.values()) >= needed:
            return ClaimLevel.CONFIRMED, f"Estimated on {who}."
    else:
        who = (
            f"{held.n_rows:,} visitors whom trees that had not seen them put to it, and who had a "
            "part in deciding that segments pay"
        )
        needed = ESTIMATED_CONVERTERS
    if arm not in held.lift:
        return ClaimLevel.EXPLORATORY, (
            f"Of {who}, {counts} spent anything; an estimate needs {ESTIMATED_CONVERTERS} each."
        )
    few = (
        f", of whom {counts} spent anything; to confirm it takes {needed} each"
        if found_in < latest
        else ""
    )
    return ClaimLevel.HONEST_ESTIMATE, f"Estimated on {who}{few}."


def _contradiction(segment: Segment, held: HeldOut) -> str:
    """The treatment whose GATE differs most beyond chance, as a sentence; empty without one."""
    worst, found = CONTRADICTION_ERROR, ""
    for arm, lift in held.lift.items():
        gate = segment.gates[arm].mean
        if lift.sd > 0:
            distance = abs(lift.mean - gate) / lift.sd
            p_value = len(held.lift) * 2 * float(stdtr(held.freedom[arm], -distance))
            if p_value <= worst:
                worst = p_value
                found = (
                    f"The model's lift of '{arm}', {signed(gate)}, is contradicted by "
                    f"{held.n_rows:,} visitors who did not choose the segment: they say "
                    f"{lift.text()}."
                )
    return found
