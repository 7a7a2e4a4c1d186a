"""Whatever frame comes: a finite result, or an error of the package's own that says why.

PYTYCHE_EXAMPLES=5000 looks further than the fixed examples of every run.
"""

import warnings
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from door_cases import ARMS, COLUMNS, UNRECORDED, good_round, plan
from hypothesis import given
from hypothesis import strategies as st
from strange import columns, frames

from pytyche_engine.bcf.encoding import learn_encoding
from pytyche_engine.bcf.state import LatentScale
from pytyche_engine.classic import run_all_arms, setup
from pytyche_engine.contracts import Observations, PytycheError
from pytyche_engine.contracts.door import read_round
from pytyche_engine.sources import replay, simulated_experiment_generator
from pytyche_engine.store.observations_file import read_observations, write_observations


def quietly(run, *args, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run(*args, **settings)


def refused(run, *args, **settings):
    """What it gives, or None where it was refused in words."""
    try:
        return quietly(run, *args, **settings)
    except PytycheError as error:
        said = str(error)
    assert len(said) > 10
    return None


def check_read(seen: Observations) -> None:
    """What the door lets pass can be encoded, scaled, written and read again."""
    n = len(seen)
    assert np.isfinite(seen.revenue).all()
    assert (seen.revenue >= 0).all()
    assert seen.revenue.any()
    np.testing.assert_allclose(seen.propensity.sum(axis=1), 1)
    assert (seen.propensity[np.arange(n), seen.arm] > 0).all()
    encoding = quietly(learn_encoding, seen.features, seen.schema, 30)
    assert encoding.encode(seen.features).shape[1] == n
    assert all(
        np.isfinite(getattr(LatentScale.of(seen.revenue), f.name)) for f in fields(LatentScale)
    )
    with TemporaryDirectory() as folder:
        write_observations(seen, Path(folder))
        again = read_observations(Path(folder))
    assert list(again.visitor_id) == list(seen.visitor_id)
    np.testing.assert_array_equal(again.revenue, seen.revenue)
    pd.testing.assert_frame_equal(
        again.features, seen.features, check_dtype=False, check_categorical=False
    )
    assert again.schema == seen.schema


@given(
    frame=frames(),
    mapping=st.sampled_from([COLUMNS, UNRECORDED, replace(UNRECORDED, visitor=None),
                             replace(UNRECORDED, timestamp="age", ignore=("channel",))]),
    refunds=st.sampled_from(["error", "clip", "net"]),
    metric=st.sampled_from(["revenue_per_visitor", "conversion_rate"]),
    planned=st.booleans(),
    later=frames(round_index=1),
)  # fmt: skip
def test_the_door(frame, mapping, refunds, metric, planned, later):
    before = frame.copy(deep=True)
    asked = {"columns": mapping, "arms": ARMS, "refunds": refunds, "metric": metric}
    seen = refused(read_round, frame, plan=plan() if planned else None, **asked)
    assert frame.shape == before.shape
    if seen is None:
        return
    check_read(seen)
    after = refused(
        read_round, later, round_index=1, schema=seen.schema, plan=plan(round_index=1),
        seen_visitors=set(seen.visitor_id), **asked,
    )  # fmt: skip
    if after is not None:
        check_read(after)


@given(column=columns(60))
def test_later_rounds_of_an_ordinary_experiment(column):
    first = quietly(read_round, good_round(200), columns=COLUMNS, arms=ARMS)
    later = good_round(60, round_index=1)
    for name in ("age", "channel", "revenue", "visitor_id"):
        seen = refused(
            read_round, later.assign(**{name: column}), columns=COLUMNS, arms=ARMS,
            round_index=1, schema=first.schema,
        )  # fmt: skip
        if seen is not None:
            check_read(seen)


@given(frame=frames())
def test_the_classical_analysis(frame):
    for covariates in ((), ("age",), ("channel", "is_returning")):
        found = refused(setup, frame, "arm", "visitor_id", covariates)
        if found is None:
            continue
        for metric, value in (("mean", "revenue"), ("proportion", "is_returning"),
                              ("revenue", "revenue")):  # fmt: skip
            refused(found.register_metric, f"{metric} of {value}", metric, value_col=value)
        result = refused(run_all_arms, found)
        if result is None:
            continue
        repr(result), result._repr_html_(), result.to_json()
        for row in result.raw_results:
            assert np.isfinite(row["control_mean"]), row
            assert np.isfinite(row["treatment_mean"]), row


@given(frame=frames())
def test_sources_of_a_frame(frame):
    source = refused(replay, frame, arm="arm", revenue="revenue", visitor="visitor_id", arms=ARMS)
    if source is not None:
        refused(source, 0, plan(20))
    source = refused(simulated_experiment_generator, K=3, treatment_names=ARMS, features=frame)
    found = None if source is None else refused(source, 0, plan(20))
    if found is not None:
        assert np.isfinite(found[0]["revenue"]).all()
