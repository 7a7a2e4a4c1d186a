"""Thompson sampling as shares of traffic."""

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.errors import DesignError

EXPLORATION = 0.02
"""Share of a segment's traffic that is spread evenly at the least; the floor is this over K."""


def thompson_shares(
    arm_best_probabilities: Float[np.ndarray, " arms"], floor: float | None = None
) -> Float[np.ndarray, " arms"]:
    """Serve each arm as often as it is probably the best, but none below a floor.

    Arms under the floor get exactly the floor, and the others share the rest in proportion
    to their probabilities; repeated, as the cut can push further arms under it.

    Args:
        arm_best_probabilities: (K,) P(the arm has the highest RPV).
        floor: least share of any arm; None takes 0.02 / K.

    Returns:
        (K,) shares, none below the floor; they add up to 1.

    Raises:
        DesignError: if the probabilities are negative, not finite or all zero, or K floors
            do not fit into 1.
    """
    p = np.asarray(arm_best_probabilities, dtype=np.float64)
    k = len(p)
    least = EXPLORATION / k if floor is None else float(floor)
    if not (np.isfinite(p).all() and (p >= 0).all() and p.sum() > 0):
        raise DesignError(
            f"Thompson shares need probabilities of being best, 0 or more; they are {p.tolist()}."
        )
    if not 0 <= least * k <= 1 + 1e-12:
        raise DesignError(f"A floor of {least} for each of {k} arms does not fit into 1.")
    if least * k >= 1 - 1e-12:
        return np.full(k, 1 / k)
    floored = np.zeros(k, dtype=bool)
    while True:
        rest = np.where(floored, 0.0, p)
        shares = np.where(floored, least, rest / rest.sum() * (1 - floored.sum() * least))
        below = shares < least
        if not below.any():
            break
        floored |= below
    # What rounding left over goes to the largest share, far from any floor.
    shares[shares.argmax()] += 1 - shares.sum()
    return shares
