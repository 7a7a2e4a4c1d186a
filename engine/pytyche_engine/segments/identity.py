"""Segments that keep their names over rounds."""

import re
from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Float, Int

from pytyche_engine.contracts.decisions import Segment

EVERYONE = "S0"
"""Id of the segment without a rule. No other segment ever has it."""

SAME_MEMBERS = 0.5
"""Jaccard similarity from which two segments count as the same."""


def shared_members(
    a: Int[np.ndarray, " n"], n_a: int, b: Int[np.ndarray, " n"], n_b: int
) -> Float[np.ndarray, "n_a n_b"]:
    """(n_a, n_b) Jaccard similarity of the groups of two partitions of the same visitors.

    Args:
        a: (n,) group of every visitor in the first partition, -1 for none.
        n_a: its groups.
        b: the same in the second.
        n_b: its groups.
    """
    table = np.bincount((a + 1) * (n_b + 1) + b + 1, minlength=(n_a + 1) * (n_b + 1))
    both = table.reshape(n_a + 1, n_b + 1)
    either = both.sum(axis=1, keepdims=True) + both.sum(axis=0) - both
    return (both / np.maximum(either, 1))[1:, 1:]


def carry_over(
    shared: Float[np.ndarray, "previous now"],
) -> dict[int, int]:
    """Which previous segment each present one is: one to one, most members shared first.

    Pairs below `SAME_MEMBERS` are not the same segment. Rules that hold for the same visitors
    share all members, so the same rule is always the same segment.

    Args:
        shared: Jaccard similarity of previous (rows) and present segments.

    Returns:
        The position of the previous segment by that of the present one.
    """
    found: dict[int, int] = {}
    for pair in np.argsort(-shared, axis=None, kind="stable"):
        before, now = divmod(int(pair), shared.shape[1])
        if shared[before, now] < SAME_MEMBERS:
            break
        if now not in found and before not in found.values():
            found[now] = before
    return found


def new_ids(count: int, used: Collection[str]) -> list[str]:
    """`count` ids above the highest that was ever used."""
    numbers = [int(i[1:]) for i in used if re.fullmatch(r"S\d+", i)]
    start = max(numbers, default=0) + 1
    return [f"S{number}" for number in range(start, start + count)]


def identify(
    previous: Sequence[Segment],
    shared: Float[np.ndarray, "previous now"],
    used: Collection[str],
    latest: int,
) -> list[tuple[str, int]]:
    """Id and round of first appearance of every present segment, all of which have rules.

    Args:
        previous: segments of the round before, with rules.
        shared: Jaccard similarity of those (rows) and the present segments.
        used: all ids that were ever given.
        latest: index of the present round.
    """
    same = carry_over(shared)
    n = shared.shape[1]
    fresh = iter(new_ids(n - len(same), {*used, *(s.id for s in previous)}))
    return [
        (previous[same[i]].id, previous[same[i]].first_seen) if i in same else (next(fresh), latest)
        for i in range(n)
    ]
