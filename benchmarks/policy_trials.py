"""Visitors whose best policy is known, and as many as a search can be asked to take.

Shared by ``bench_policies.py`` and the tests.
"""

import numpy as np
import pandas as pd
from jaxtyping import Float

from pytyche_engine.contracts.observations import Feature, FeatureKind, FeatureSchema

XOR_ARMS = ("control", "agree", "corner")


def xor_and(
    n: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, FeatureSchema, Float[np.ndarray, "n arms"]]:
    """Ten features, and the effects of an XOR arm (+-.3) and of an AND arm, both 0 on average.

    The first pays where x0 and x1 agree in sign, the second where x2 and x3 are positive. The
    AND arm's size makes the oracle worth .204, as in the project's notes on data.
    """
    frame = pd.DataFrame({f"x{i}": rng.normal(size=n) for i in range(10)})
    agree = 0.3 * np.sign(frame["x0"] * frame["x1"])
    corner = np.where((frame["x2"] > 0) & (frame["x3"] > 0), 0.366, -0.122)
    schema = FeatureSchema(tuple(Feature(x, FeatureKind.NUMERIC, x) for x in frame))
    return frame, schema, np.column_stack([np.zeros(n), agree, corner])


LEVELS = (2, 3, 4, 5, 6, 8, 12, 30)


def of_size(n: int) -> tuple[pd.DataFrame, FeatureSchema, Float[np.ndarray, "n 4"]]:
    """12 numeric features, 8 categorical ones of `LEVELS`, and scores that are mostly noise."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{i}": rng.normal(size=n) for i in range(12)})
    kinds = [FeatureKind.NUMERIC] * 12
    for i, count in enumerate(LEVELS):
        names = [f"level {k}" for k in range(count)]
        frame[f"c{i}"] = pd.Categorical.from_codes(rng.integers(0, count, n), names)
        kinds.append(FeatureKind.CATEGORICAL)
    schema = FeatureSchema(
        tuple(Feature(name, kind, name) for name, kind in zip(frame, kinds, strict=True))
    )
    scores = rng.normal(0, 3, (n, 4))
    scores[:, 1] += 0.3 * np.sign(frame["x0"] * frame["x1"])
    return frame, schema, scores
