"""Encoding, layout and convergence figures on their own."""

import numpy as np
import pandas as pd
import pytest

from pytyche_engine.bcf.diagnostics import by_chain, ess, r_hat
from pytyche_engine.bcf.encoding import MAX_LEVELS, learn_encoding
from pytyche_engine.bcf.layout import SMALLEST_BLOCK, arrange, bucket, pad_columns
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.observations import Feature, FeatureKind, FeatureSchema


def schema(**kinds):
    return FeatureSchema(tuple(Feature(n, FeatureKind(k), n) for n, k in kinds.items()))


def test_numbers_are_binned_by_quantiles_and_missing_is_a_state_of_its_own():
    frame = pd.DataFrame({"x": [3.0, 1.0, np.nan, 2.0]})
    encoding = learn_encoding(frame, schema(x="numeric"), 100)
    assert [(c.test, c.cuts) for c in encoding.columns] == [("value", (1.5, 2.5)), ("missing", ())]
    np.testing.assert_array_equal(encoding.encode(frame), [[2, 0, 1, 1], [0, 0, 1, 0]])
    many = pd.DataFrame({"x": np.random.default_rng(0).normal(size=5000)})
    bins = learn_encoding(many, schema(x="numeric"), 20).encode(many)[0]
    assert np.bincount(bins).min() > 200
    assert bins.max() == 20


def test_levels_have_columns_and_an_unseen_one_is_none_of_them():
    frame = pd.DataFrame({"c": pd.Categorical(["a", "b", "a", None, "d"])})
    encoding = learn_encoding(frame, schema(c="categorical"), 100)
    assert [(c.test, c.level) for c in encoding.columns] == [
        ("level", "a"),
        ("level", "b"),
        ("level", "d"),
        ("missing", ""),
    ]
    unseen = encoding.encode(pd.DataFrame({"c": pd.Categorical(["new", "b"])}))
    assert unseen.T.tolist() == [[0, 0, 0, 0], [0, 1, 0, 0]]


def test_rare_levels_share_a_column_that_unseen_ones_join():
    levels = [f"l{i}" for i in range(MAX_LEVELS + 5)]
    frame = pd.DataFrame({"c": pd.Categorical([*levels, *levels[:MAX_LEVELS]])})
    encoding = learn_encoding(frame, schema(c="categorical"), 100)
    assert sum(c.test == "level" for c in encoding.columns) == MAX_LEVELS
    rare = next(i for i, c in enumerate(encoding.columns) if c.test == "rare")
    encoded = encoding.encode(pd.DataFrame({"c": pd.Categorical([levels[-1], "new", levels[0]])}))
    assert encoded[rare].tolist() == [1, 1, 0]


def test_columns_without_a_choice_are_left_out():
    frame = pd.DataFrame(
        {"x": [1.0, 1.0], "c": pd.Categorical(["a", "a"]), "b": pd.array([True, False])}
    )
    encoding = learn_encoding(frame, schema(x="numeric", c="categorical", b="boolean"), 100)
    assert [(c.feature, c.level) for c in encoding.columns] == [("b", "True")]


@pytest.mark.parametrize("n_devices", [1, 3])
def test_rows_are_converters_first_on_every_device(n_devices):
    converted = np.random.default_rng(1).random(500) < 0.2
    layout, rows = arrange(converted, 3, n_devices)
    assert sorted(rows[rows >= 0]) == list(range(500))
    for device in rows.reshape(n_devices, layout.n_rows):
        first = device[: layout.n_severity_rows]
        rest = device[layout.n_severity_rows :]
        assert converted[first[first >= 0]].all()
        assert not converted[rest[rest >= 0]].any()


@pytest.mark.parametrize(("n", "rate"), [(500, 0.3), (2000, 0.24), (30_000, 0.05)])
def test_data_sets_of_like_size_share_a_shape(n, rate):
    rng = np.random.default_rng(2)
    shapes = {arrange(rng.random(n + more) < rate, 3)[0] for more in range(20)}
    assert len(shapes) <= 2


@pytest.mark.parametrize("n_devices", [1, 3])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 32, 500, 4097, 100_000])
def test_padding_holds_every_visitor_and_wastes_little(n, rate, n_devices):
    converted = np.random.default_rng(3).random(n) < rate
    layout, rows = arrange(converted, 3, n_devices)
    assert sorted(rows[rows >= 0]) == list(range(n))
    each = -(-n // n_devices)
    assert layout.n_rows <= 1.1 * each + 4 * each**0.5 + 3 * SMALLEST_BLOCK
    assert layout.n_severity_rows <= layout.n_rows


@pytest.mark.parametrize("size", [0, 1, 32, 33, 100, 1000, 123_457])
def test_buckets_are_few_and_waste_little(size):
    padded = bucket(size)
    assert padded >= max(size, SMALLEST_BLOCK)
    assert padded <= max(size * 1.07, size + SMALLEST_BLOCK)
    assert padded % SMALLEST_BLOCK == 0
    assert bucket(padded) == padded


@pytest.mark.parametrize(("p", "padded"), [(0, 8), (1, 8), (8, 8), (9, 16)])
def test_columns_are_padded_with_zeros(p, padded):
    X = np.ones((p, 4), dtype=np.uint8)
    assert pad_columns(X).shape == (padded, 4)
    assert pad_columns(X).sum() == 4 * p


def test_r_hat_and_ess_of_chains_with_known_autocorrelation():
    rng = np.random.default_rng(0)
    independent = rng.normal(size=(4, 1000))
    assert r_hat(independent) < 1.01
    assert ess(independent) == pytest.approx(4000, rel=0.15)
    rho, n = 0.9, 20_000
    chains = np.zeros((4, n))
    for t in range(1, n):
        chains[:, t] = rho * chains[:, t - 1] + np.sqrt(1 - rho**2) * rng.normal(size=4)
    assert ess(chains) == pytest.approx(4 * n * (1 - rho) / (1 + rho), rel=0.15)
    shifted = independent + np.array([[0.0], [0], [0], [1.0]])
    assert r_hat(shifted) > 1.1
    scaled = independent * np.array([[1.0], [1], [1], [3.0]])
    assert r_hat(scaled) > 1.05
    assert np.isnan(r_hat(independent[:, :7]))


def test_chains_are_cut_to_the_shortest():
    draws = np.arange(5.0)
    assert by_chain(draws, np.array([0, 0, 0, 1, 1])).tolist() == [[0, 1], [3, 4]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_draws": 0},
        {"max_draws": 1},
        {"num_warm_up": -1},
        {"max_depth": 9},
        {"num_cuts": 255},
        {"num_chains": "2"},
        {"thin": 1.5},
        {"num_trees_mu": True},
        {"tau_scale": float("nan")},
        {"sigma_scale": -0.1},
        {"multiplier_df": 0},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(DesignError, match=next(iter(wrong))):
        Settings(**wrong)
