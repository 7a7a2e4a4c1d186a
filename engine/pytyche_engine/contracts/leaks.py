"""Features that are the outcome in disguise, and planted truth where it must not go."""

from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from pytyche_engine.contracts.errors import DataError, TruthError
from pytyche_engine.contracts.observations import FeatureKind, FeatureSchema, LeftOut
from pytyche_engine.contracts.truth import GroundTruth

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


def refuse_truth(value: object) -> None:
    """Raise TruthError if a value is ground truth. For functions that analyse.

    Type checkers refuse it as well; notebooks have none.
    """
    if isinstance(value, GroundTruth):
        raise TruthError(
            "Ground truth was passed where visitors are analysed. Pass the round's Observations; "
            "only a truth comparison takes the GroundTruth."
        )


def refuse_truth_columns(features: pd.DataFrame, truth: GroundTruth) -> None:
    """Raise DataError if a feature is what was planted: a model given it knows the answer.

    Features are compared with every arm's conversion, severity, RPV and CATE. A quantity that is
    the same for all visitors tells nothing and is let pass.

    Args:
        features: (n rows) feature frame of a round.
        truth: what was planted, row for row.
    """
    planted = {
        (name, arm): column
        for name, arms in (
            ("conversion", truth.arms),
            ("severity", truth.arms),
            ("rpv", truth.arms),
            ("cate", truth.arms[1:]),
        )
        for arm, column in zip(arms, getattr(truth, name).T, strict=True)
        if np.ptp(column) > 0
    }
    for feature in features:
        if features[feature].dtype.kind != "f":
            continue
        values = features[feature].to_numpy(dtype=float)
        for (name, arm), column in planted.items():
            if np.allclose(values, column, rtol=1e-6, atol=0):
                raise DataError(
                    f"The feature '{feature}' is the planted {name} of arm '{arm}'",
                    column=str(feature),
                    mend="Return truth beside the frame, not in it, or list the column in "
                    "ColumnMapping(ignore=...).",
                )


def _switched_on(values: pd.Series, kind: FeatureKind) -> Bool[np.ndarray, " n"] | None:
    """Who has the feature: a number above 0, true, or the second of two levels."""
    if kind is FeatureKind.NUMERIC:
        return np.nan_to_num(values.to_numpy(dtype=float)) > 0
    if kind is FeatureKind.BOOLEAN:
        return values.to_numpy(dtype=bool, na_value=False)
    if len(values.cat.categories) == 2:
        return np.asarray(values.cat.codes == 1)
    return None
