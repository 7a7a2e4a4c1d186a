"""The segments of the round before, and whether they stay.

Rules that change every round cannot gather evidence: what later rounds say about a segment counts
only as long as it is the same segment. So the segments that are there stay unless the data speak
against them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pytyche_engine.contracts.decisions import Segment
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.scores import DoublyRobustScores
from pytyche_engine.segments.choice import Choice, mean_gain

REPLACED_SE = 1.0
"""Standard errors by which a new tree must beat the segments that are there."""

REPLACED_SHARE = 0.1
"""Share of what the segments that are there earn that a new tree must earn more."""


@dataclass(frozen=True, eq=False)
class Incumbent:
    """The segments of the round before, on the visitors so far.

    Attributes:
        segments: what they were.
        arms: code of the arm of each, chosen anew.
        membership: (n,) index of every visitor's segment, -1 for none.
        later: (n,) who came in rounds after the one that chose the rules.
        gain: (n,) doubly robust gain of every visitor over the best single arm. In each fold
            the arms are those that the other folds choose.
        value: mean of `gain` over later visitors.
    """

    segments: tuple[Segment, ...]
    arms: tuple[int, ...]
    membership: Int[np.ndarray, " n"]
    later: Bool[np.ndarray, " n"]
    gain: Float[np.ndarray, " n"]
    value: Estimate

    @property
    def pays(self) -> bool:
        """Whether they still earn more than the best single arm, on later visitors."""
        return len(set(self.arms)) > 1 and self.value.mean > 0


def find_incumbent(
    previous: Sequence[Segment],
    observations: Observations,
    dr: DoublyRobustScores,
    scores: Float[np.ndarray, "n arms"],
    best: int,
    fold: Int[np.ndarray, " n"],
) -> Incumbent | None:
    """The segments of the round before; None where they divide nobody.

    Rules stay as they are. Each segment gets the arm that scores best in it now, as a leaf of
    a new tree would. Segments that come to have the same arm remain two: their union is
    no rule, and one is found by the search if it is better.

    Args:
        previous: segments of an earlier round.
        observations: n visitors, all rounds so far.
        dr: their doubly robust scores.
        scores: (n, K) the scores that trees are searched on.
        best: code of the best single arm.
        fold: (n,) fold of every visitor.

    Raises:
        DesignError: if no round came after the one that chose the segments.
    """
    if not previous or not all(s.rule.clauses for s in previous):
        return None
    found_in = max(s.found_in for s in previous)
    later = observations.round_index > found_in
    if not later.any():
        raise DesignError(
            f"The previous segments were found in round {found_in + 1}, and the observations hold "
            "no later one. Pass the segments of an earlier round."
        )
    n = len(observations)
    membership = np.full(n, -1)
    for i, segment in enumerate(previous):
        membership[segment.rule.matches(observations.features)] = i
    if len(np.unique(membership[membership >= 0])) < len(previous):
        return None
    served = np.full(n, best)
    for f in np.unique(fold):
        arms = _best_arms(membership, scores, fold != f, len(previous))
        served[fold == f] = np.append(arms, best)[membership[fold == f]]
    rows = np.arange(n)
    gain = dr.scores[rows, served] - dr.scores[rows, best]
    return Incumbent(
        segments=tuple(previous),
        arms=tuple(map(int, _best_arms(membership, scores, np.ones(n, dtype=bool), len(previous)))),
        membership=membership,
        later=later,
        gain=gain,
        value=mean_gain(gain[later], dr.weight[later]),
    )


def stays(incumbent: Incumbent, new: Choice, weight: Float[np.ndarray, " n"]) -> bool:
    """Whether the segments that are there stay.

    They go if they do not pay any more (`Incumbent.pays`), or if a new tree that pays beats
    them by more than `REPLACED_SE` standard errors of the difference and by `REPLACED_SHARE` of
    what they earn over the best single arm. Without the latter a cut that moves by a hair would
    end them one time in six, and the evidence of later rounds with them. Both are valued with
    full AIPW scores on visitors of rounds after the one that chose the segments: neither
    the rules that are there nor the fold trees of the new one were chosen by the visitors that
    judge them. Earlier visitors would flatter the segments that they chose. The
    threshold of paying is zero and not some standard errors: whoever asks for a lucky draw of
    later visitors before keeping a segment estimates it too high on those visitors afterwards.
    """
    if not incumbent.pays:
        return False
    more = mean_gain((new.gain - incumbent.gain)[incumbent.later], weight[incumbent.later])
    clearly = (
        more.mean > REPLACED_SE * more.sd and more.mean > REPLACED_SHARE * incumbent.value.mean
    )
    return not (new.pays and clearly)


def _best_arms(
    membership: Int[np.ndarray, " n"],
    scores: Float[np.ndarray, "n arms"],
    rows: Bool[np.ndarray, " n"],
    n_segments: int,
) -> Int[np.ndarray, " segments"]:
    """The arm with the highest summed score in each segment, over some rows."""
    sums = [
        np.bincount(membership[rows] + 1, column, minlength=n_segments + 1)
        for column in scores[rows].T
    ]
    return np.argmax(np.stack(sums, axis=1)[1:], axis=1)
