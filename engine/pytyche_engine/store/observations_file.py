"""Observations as one Parquet file and one JSON file."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from pytyche_engine.contracts.observations import (
    Feature,
    FeatureKind,
    FeatureSchema,
    LeftOut,
    Observations,
    Outcome,
)
from pytyche_engine.contracts.reading import read_frame, read_json

# Feature columns are numbered, so that no name of a feature can clash with ours.
_FEATURE = "feature_{}"
_PROPENSITY = "propensity_{}"


def write_observations(observations: Observations, folder: Path) -> None:
    """Write ``observations.parquet`` and ``observations.json`` to a folder."""
    columns: dict[str, object] = {
        "visitor_id": pd.Series(observations.visitor_id, dtype="string"),
        "arm": observations.arm,
        "revenue": observations.revenue,
        "round_index": observations.round_index,
        "cell": observations.cell,
    }
    for k in range(observations.n_arms):
        columns[_PROPENSITY.format(k)] = observations.propensity[:, k]
    for j, name in enumerate(observations.schema.names):
        columns[_FEATURE.format(j)] = observations.features[name].reset_index(drop=True)
    if observations.timestamp is not None:
        columns["timestamp"] = observations.timestamp.reset_index(drop=True)
    pd.DataFrame(columns).to_parquet(folder / "observations.parquet", index=False)
    meta = {
        "arms": observations.arms,
        "cells": observations.cells,
        "outcome": observations.outcome,
        "propensity_recorded": observations.propensity_recorded,
        "notices": observations.notices,
        "features": [asdict(f) for f in observations.schema.features],
        "left_out": [asdict(c) for c in observations.schema.left_out],
    }
    (folder / "observations.json").write_text(json.dumps(meta))


def read_observations(folder: Path) -> Observations:
    """Read what `write_observations` wrote; errors are the files' own."""
    meta = read_json(folder / "observations.json")
    frame = read_frame(folder / "observations.parquet")
    features = tuple(
        Feature(
            name=f["name"],
            kind=FeatureKind(f["kind"]),
            source=f["source"],
            levels=tuple(f["levels"]),
            had_missing=f["had_missing"],
        )
        for f in meta["features"]
    )
    arms = tuple(meta["arms"])
    return Observations(
        arms=arms,
        visitor_id=frame["visitor_id"].to_numpy(dtype=object),
        arm=frame["arm"].to_numpy(),
        revenue=frame["revenue"].to_numpy(),
        features=pd.DataFrame(
            {f.name: frame[_FEATURE.format(j)] for j, f in enumerate(features)},
            index=pd.RangeIndex(len(frame)),
        ),
        schema=FeatureSchema(features, tuple(LeftOut(**c) for c in meta["left_out"])),
        outcome=Outcome(meta["outcome"]),
        propensity=np.column_stack([frame[_PROPENSITY.format(k)] for k in range(len(arms))]),
        propensity_recorded=meta["propensity_recorded"],
        round_index=frame["round_index"].to_numpy(),
        cell=frame["cell"].to_numpy(),
        cells=tuple(meta["cells"]),
        timestamp=frame.get("timestamp"),
        notices=tuple(meta["notices"]),
    )
