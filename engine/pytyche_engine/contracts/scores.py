"""Scores that stay unbiased whatever the model got wrong."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class DoublyRobustScores:
    """AIPW scores per visitor and arm (Robins, Rotnitzky and Zhao 1994).

    Attributes:
        scores: (n, K) unbiased for each visitor's RPV under each arm, given correct
            recorded probabilities.
        floored: share of visitors with a recorded probability, of any arm, below the floor.
        weight: (n,) weight of each visitor's round by its precision; their mean is one.
    """

    scores: Float[np.ndarray, "n arms"]
    floored: float
    weight: Float[np.ndarray, " n"]
