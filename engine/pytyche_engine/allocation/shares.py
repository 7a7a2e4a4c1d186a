"""From P(best) to shares of traffic.

Thompson sampling serves each arm as often as it is probably the best, which costs little while
the experiment runs. The other two rules serve the leader less, and the arms that may yet
overtake it more, so that the best arm is known sooner.
"""

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.policies import AllocationRule, check_allocation

EXPLORATION = 0.02
"""Share of a segment's traffic that is spread evenly at the least; the floor is this over K."""

LEADER = 0.5
"""How often top-two Thompson sampling serves its leader: beta, 1/2 by default in Russo (2020)."""


def allocation_shares(
    rule: AllocationRule,
    arm_best_probabilities: Float[np.ndarray, " arms"],
    floor: float | None = None,
) -> Float[np.ndarray, " arms"]:
    """The shares that a rule gives, none below a floor.

    Args:
        rule: ``"thompson"``, ``"top_two"`` or ``"exploration_sampling"``.
        arm_best_probabilities: (K,) P(the arm has the highest RPV).
        floor: least share of any arm; None takes 0.02 / K.

    Returns:
        (K,) shares, none below the floor; they add up to 1.

    Raises:
        DesignError: if the rule is unknown, the probabilities are negative, not finite or all
            zero, or K floors do not fit into 1.

    Examples:
        >>> p = np.array([0.1, 0.3, 0.6])
        >>> allocation_shares("thompson", p).round(2).tolist()
        [0.1, 0.3, 0.6]
        >>> allocation_shares("exploration_sampling", p).round(2).tolist()
        [0.17, 0.39, 0.44]
    """
    check_allocation(rule)
    match rule:
        case "thompson":
            return thompson_shares(arm_best_probabilities, floor)
        case "top_two":
            return top_two_shares(arm_best_probabilities, floor)
        case "exploration_sampling":
            return exploration_shares(arm_best_probabilities, floor)


def thompson_shares(
    arm_best_probabilities: Float[np.ndarray, " arms"], floor: float | None = None
) -> Float[np.ndarray, " arms"]:
    """Serve each arm as often as it is probably the best (Thompson 1933), by `allocation_shares`.

    The share of arm k is p_k, its P(best).
    """
    return _floored(_checked(arm_best_probabilities), floor)


def top_two_shares(
    arm_best_probabilities: Float[np.ndarray, " arms"], floor: float | None = None
) -> Float[np.ndarray, " arms"]:
    """Serve a leader and a challenger (top-two Thompson sampling, Russo 2020).

    Draw an arm by P(best). With probability beta = 1/2 serve it; otherwise draw again until
    another arm comes, and serve that. So the share of arm k is

        beta p_k + (1 - beta) p_k sum_{j != k} p_j / (1 - p_j).

    Where one arm was best in every draw, the challengers share 1 - beta evenly. Arguments,
    returns and errors are those of `allocation_shares`.
    """
    p = _checked(arm_best_probabilities)
    k = len(p)
    # Row j has the challengers of leader j. 1 - p_j is summed, as a subtraction would lose
    # the arms that are hardly ever the best.
    rivals = np.tile(p, (k, 1))
    np.fill_diagonal(rivals, 0.0)
    rivals[rivals.sum(axis=1) == 0] = 1.0
    np.fill_diagonal(rivals, 0.0)
    challenger = rivals / rivals.sum(axis=1, keepdims=True)
    return _floored(LEADER * p + (1 - LEADER) * p @ challenger, floor)


def exploration_shares(
    arm_best_probabilities: Float[np.ndarray, " arms"], floor: float | None = None
) -> Float[np.ndarray, " arms"]:
    """Exploration sampling (Kasy and Sautmann 2021).

    The share of arm k is proportional to p_k (1 - p_k), with p_k its P(best). These are the
    long-run shares of Thompson sampling in which no arm comes twice in a row. No arm gets more
    than half, but for the floors of the others.

    Where one arm was best in every draw it gets half, and the others share the rest evenly.
    Arguments, returns and errors are those of `allocation_shares`.
    """
    p = _checked(arm_best_probabilities)
    others = np.array([np.delete(p, k).sum() for k in range(len(p))])  # 1 - p_k, see above
    weight = p * others
    if weight.sum() == 0:
        weight = np.where(p > 0, len(p) - 1.0, 1.0)
    return _floored(weight / weight.sum(), floor)


def _checked(arm_best_probabilities: Float[np.ndarray, " arms"]) -> Float[np.ndarray, " arms"]:
    p = np.asarray(arm_best_probabilities, dtype=np.float64)
    if len(p) < 2:
        raise DesignError(f"Shares need two arms or more; there are {len(p)}.")
    if not (np.isfinite(p).all() and (p >= 0).all() and p.sum() > 0):
        raise DesignError(
            f"Shares of traffic need probabilities of being best, 0 or more; they are {p.tolist()}."
        )
    return p / p.sum()


def _floored(asked: Float[np.ndarray, " arms"], floor: float | None) -> Float[np.ndarray, " arms"]:
    """Shares of which none is below a floor.

    Arms under the floor get exactly the floor, and the others share the rest in proportion to
    what they asked for; repeated, as the cut can push further arms under it.
    """
    k = len(asked)
    least = EXPLORATION / k if floor is None else float(floor)
    if not 0 <= least * k <= 1 + 1e-12:
        raise DesignError(f"A floor of {least} for each of {k} arms does not fit into 1.")
    if least * k >= 1 - 1e-12:
        return np.full(k, 1 / k)
    floored = np.zeros(k, dtype=bool)
    while True:
        rest = np.where(floored, 0.0, asked)
        shares = np.where(floored, least, rest / rest.sum() * (1 - floored.sum() * least))
        below = shares < least
        if not below.any():
            break
        floored |= below
    # What rounding left over goes to the largest share, far from any floor.
    shares[shares.argmax()] += 1 - shares.sum()
    return shares
