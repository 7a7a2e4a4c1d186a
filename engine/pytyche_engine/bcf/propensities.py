"""Recorded assignment probabilities as columns that the mu forest sees.

Where assignment depended on the visitor, mu(x, e) keeps what drove it apart from the arms'
effects (Hahn, Murray and Carvalho 2020). Control's probability follows from the others'.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from pytyche_engine.contracts.observations import Feature, FeatureKind, FeatureSchema

_COLUMN = "probability of being assigned to "


def is_propensity(feature: str) -> bool:
    """Whether a column of the model's frame is an assignment probability."""
    return feature.startswith(_COLUMN)


def with_propensities(
    features: pd.DataFrame, arms: Sequence[str], propensity: Float[np.ndarray, "n arms"]
) -> pd.DataFrame:
    """The frame with a column a treatment added."""
    columns = {f"{_COLUMN}{arm}": propensity[:, k] for k, arm in enumerate(arms) if k > 0}
    return features.assign(**columns)


def schema_with_propensities(schema: FeatureSchema, arms: Sequence[str]) -> FeatureSchema:
    """The schema of `with_propensities`'s frame."""
    added = tuple(
        Feature(f"{_COLUMN}{arm}", FeatureKind.NUMERIC, f"{_COLUMN}{arm}") for arm in arms[1:]
    )
    return replace(schema, features=schema.features + added)
