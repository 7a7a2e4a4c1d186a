"""How visitors are divided in a round: as in the round before, anew, or not at all."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.money import signed
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.rules import Rule
from pytyche_engine.segments.choice import Choice, mean_gain
from pytyche_engine.segments.honest import cross_fitted
from pytyche_engine.segments.identity import EVERYONE, identify, shared_members
from pytyche_engine.segments.incumbent import Incumbent


@dataclass(frozen=True)
class Part:
    """One segment before anything is estimated.

    Attributes:
        id, rule, found_in, first_seen: as in `Segment`.
        arm: code of its arm.
        rearmed: whether it stayed, but got another arm.
    """

    id: str
    rule: Rule
    arm: int
    found_in: int
    first_seen: int
    rearmed: bool = False


@dataclass(frozen=True, eq=False)
class Division:
    """All segments of a round.

    Attributes:
        parts: the segments, largest first.
        membership: (n,) position of every visitor's segment, -1 for none.
        held_out: (n,) position of the segment that the visitor judges without having chosen
            it, -1 for none.
        depth: depth of a search that could find them.
        value: gain in RPV over the best single arm.
        value_claim: what supports it.
        reason: why these, one sentence.
    """

    parts: tuple[Part, ...]
    membership: Int[np.ndarray, " n"]
    held_out: Int[np.ndarray, " n"]
    depth: int
    value: Estimate
    value_claim: ClaimLevel
    reason: str


def keep_segments(incumbent: Incumbent, arms: Sequence[str], best: str, latest: int) -> Division:
    """The segments of the round before.

    A segment that gets another arm is found anew: the visitors so far chose that arm.

    Args:
        incumbent: those segments.
        arms: all arms, control first.
        best: the best single arm.
        latest: index of the present round.
    """
    order, membership = _by_size(incumbent.membership, len(incumbent.segments))
    segments = [incumbent.segments[i] for i in order]
    parts = []
    for i, s in zip(order, segments, strict=True):
        rearmed = arms[incumbent.arms[i]] != s.recommended_arm
        found_in = latest if rearmed else s.found_in
        parts.append(Part(s.id, s.rule, incumbent.arms[i], found_in, s.first_seen, rearmed))
    judged = np.array([*(not part.rearmed for part in parts), False])[membership]
    return Division(
        parts=tuple(parts),
        membership=membership,
        held_out=np.where(incumbent.later & judged, membership, -1),
        depth=max(len(s.rule.clauses) for s in segments),
        value=incumbent.value,
        value_claim=ClaimLevel.CONFIRMED,
        reason=(
            "The segments stay: on visitors who came after they were found, they earn "
            f"{signed(incumbent.value.mean)} more per visitor than '{best}' for everyone, and no "
            "new tree is clearly better."
        ),
    )


def divide_anew(
    new: Choice,
    incumbent: Incumbent | None,
    used_ids: Collection[str],
    observations: Observations,
    fold: Int[np.ndarray, " n"],
    weight: Float[np.ndarray, " n"],
    best: str,
) -> Division:
    """A new tree, or one segment for everyone.

    Args:
        new: what the search came to.
        incumbent: the segments that have to go, if there were any.
        used_ids: ids that were ever given.
        observations: n visitors.
        fold: (n,) fold of every visitor.
        weight: (n,) weight of every visitor.
        best: the best single arm.
    """
    n, leaves = len(observations), new.tree.leaves
    if not new.pays:
        none = "The segments of the round before do not pay any more, and no" if incumbent else "No"
        return Division(
            parts=(Part(EVERYONE, Rule(), leaves[0].arm, 0, 0),),
            membership=np.zeros(n, dtype=int),
            held_out=np.zeros(n, dtype=int),
            depth=0,
            value=new.value,
            value_claim=ClaimLevel.HONEST_ESTIMATE,
            reason=f"{none} division of the visitors earns clearly more than '{best}' for all.",
        )
    order, membership = _by_size(new.tree.assign(observations.features), len(leaves))
    leaves = tuple(leaves[i] for i in order)
    arms = [leaf.arm for leaf in leaves]
    latest = int(observations.round_index.max())
    before = incumbent.segments if incumbent else ()
    shared = np.zeros((0, len(leaves)))
    if incumbent:
        shared = shared_members(incumbent.membership, len(before), membership, len(leaves))
    named = identify(before, shared, used_ids, latest)
    return Division(
        parts=tuple(
            Part(name, leaf.rule, leaf.arm, latest, first)
            for leaf, (name, first) in zip(leaves, named, strict=True)
        ),
        membership=membership,
        held_out=cross_fitted(new.fold_trees, fold, observations.features, membership, arms),
        depth=new.depth,
        value=new.value,
        value_claim=ClaimLevel.EXPLORATORY,
        reason=_why_new(new, incumbent, weight, best),
    )


def _why_new(
    new: Choice, incumbent: Incumbent | None, weight: Float[np.ndarray, " n"], best: str
) -> str:
    worth = (
        f"{signed(new.value.mean)} more per visitor than '{best}' for everyone, on held-out "
        "visitors who also decided that they pay, so rather too much; the next round will tell"
    )
    if incumbent is None:
        return f"These segments earn {worth}."
    if not incumbent.pays:
        return (
            "The segments of the round before do not pay any more on visitors who came after "
            f"they were found. The new ones earn {worth}."
        )
    more = mean_gain((new.gain - incumbent.gain)[incumbent.later], weight[incumbent.later]).mean
    return (
        f"New segments earn {signed(more)} more per visitor than those of the round before, on "
        "visitors who chose neither, though they decided between them."
    )


def _by_size(
    membership: Int[np.ndarray, " n"], n_segments: int
) -> tuple[list[int], Int[np.ndarray, " n"]]:
    """Positions from the largest segment to the smallest, and the membership in that order."""
    order = np.argsort(-np.bincount(membership + 1, minlength=n_segments + 1)[1:], kind="stable")
    return [int(i) for i in order], np.append(np.argsort(order), -1)[membership]
