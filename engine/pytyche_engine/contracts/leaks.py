"""Features that are the outcome in disguise."""

from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from pytyche_engine.contracts.observations import FeatureKind, FeatureSchema, LeftOut

_FEW_CONVERTERS = 10
_BY_CHANCE = 1e-9


def leave_out_copies(
    schema: FeatureSchema, features: pd.DataFrame, revenue: Float[np.ndarray, " n"]
) -> tuple[FeatureSchema, tuple[str, ...]]:
    """Leave out numeric, boolean and two-level features that tell who converted exactly.

    A feature that no buyer lacks, against all chance (a visit, a cart), stays but is pointed
    out: it was probably measured after the assignment.

    Returns:
        The schema without the copies, and notices about the features that stay.
    """
    converted = revenue > 0
    n_converted = int(converted.sum())
    if n_converted < _FEW_CONVERTERS or n_converted == len(revenue):
        return schema, ()
    kept, left_out, notices = [], list(schema.left_out), []
    for feature in schema.features:
        on = _switched_on(features[feature.name], feature.kind)
        if on is None:
            kept.append(feature)
        elif (on == converted).all() or (on != converted).all():
            left_out.append(
                LeftOut(feature.source, "it tells exactly who converted: an outcome, not a feature")
            )
        else:
            kept.append(feature)
            if on[converted].all() and np.mean(on) ** n_converted < _BY_CHANCE:
                notices.append(
                    f"Every visitor who converted has '{feature.name}', only "
                    f"{np.mean(on):.1%} of all do: was it measured after the assignment? Then "
                    "list it in ColumnMapping(ignore=...)."
                )
    return replace(schema, features=tuple(kept), left_out=tuple(left_out)), tuple(notices)


def _switched_on(values: pd.Series, kind: FeatureKind) -> Bool[np.ndarray, " n"] | None:
    """Who has the feature: a number above 0, true, or the second of two levels."""
    if kind is FeatureKind.NUMERIC:
        return np.nan_to_num(values.to_numpy(dtype=float)) > 0
    if kind is FeatureKind.BOOLEAN:
        return values.to_numpy(dtype=bool, na_value=False)
    if len(values.cat.categories) == 2:
        return np.asarray(values.cat.codes == 1)
    return None
