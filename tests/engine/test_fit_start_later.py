"""Warm starts in later rounds: data have columns and money that the earlier fit did not know."""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from experiment_cases import finished
from trials import trial

from pytyche_engine.bcf import Settings, fit
from pytyche_engine.bcf.draws import Draws
from pytyche_engine.bcf.encoding import extend_encoding
from pytyche_engine.bcf.fit import _encode
from pytyche_engine.bcf.layout import arrange
from pytyche_engine.bcf.propensities import schema_with_propensities, with_propensities
from pytyche_engine.bcf.start import init_state, warm_start
from pytyche_engine.bcf.state import CHANNELS
from pytyche_engine.contracts.observations import Feature, FeatureKind, FeatureSchema, Outcome

# All fits here share one compiled shape.
SETTINGS = Settings(
    num_trees_mu=8,
    num_trees_tau=4,
    num_warm_up=200,
    num_warm_up_warm=60,
    min_draws=300,
    max_draws=300,
    thin=2,
    max_depth=4,
)
HURDLE = CHANNELS[Outcome.HURDLE]
HALF, K = 8, 3


@pytest.fixture(scope="module")
def first():
    """Two numbers, two levels and recorded probabilities that depend on a visitor."""
    made = trial(n_features=2)
    levels = np.where(np.random.default_rng(1).random(600) < 0.4, "a", "b")
    likely = np.where((made.features["z0"] > 0).to_numpy()[:, None], [0.5, 0.3, 0.2], 1 / 3)
    category = Feature("c", FeatureKind.CATEGORICAL, "c")
    return replace(
        made,
        features=made.features.assign(c=pd.Categorical(levels)),
        schema=FeatureSchema((*made.schema.features, category)),
        propensity=likely,
    )


@pytest.fixture(scope="module")
def later(first):
    """A level has appeared, values have begun to be missing, money is in another unit."""
    rows = np.arange(600)
    levels = first.features["c"].astype(str).mask(rows % 7 == 0, "new")
    features = first.features.assign(
        c=pd.Categorical(levels), z1=first.features["z1"].mask(rows % 5 == 0)
    )
    return replace(first, features=features, revenue=100 * first.revenue**1.3)


@pytest.fixture(scope="module")
def posterior(first):
    return fit(first, settings=SETTINGS, seed=1)


def walk(X, var, split):
    """Each row's leaf, row by row."""
    leaves = []
    for row in X.T:
        node = 1
        while node < HALF and split[node] > 0:
            node = 2 * node + int(row[var[node]] >= split[node])
        leaves.append(node)
    return np.array(leaves)


def splittable(var, split, max_split, allowed):
    """Leaves with a rule left, by trying every rule of every column at every leaf."""
    found = np.zeros(HALF, dtype=bool)
    for leaf in range(1, HALF):
        path = [leaf >> up for up in range(leaf.bit_length())]
        if split[leaf] > 0 or any(split[node] == 0 for node in path[1:]):
            continue
        for column in np.flatnonzero(allowed):
            left = set(range(1, int(max_split[column]) + 1))
            for child, parent in pairwise(path):
                if var[parent] == column:
                    cut = int(split[parent])
                    left = {s for s in left if (s > cut if child % 2 else s < cut)}
            found[leaf] |= bool(left)
    return found


def test_old_trees_are_put_on_data_with_new_columns(later, posterior):
    frame = with_propensities(later.features, later.arms, later.propensity)
    schema = schema_with_propensities(later.schema, later.arms)
    encoding = extend_encoding(posterior.encoding, frame, schema, SETTINGS.num_cuts)
    assert [(c.test, c.level) for c in encoding.columns[len(posterior.encoding.columns) :]] == [
        ("missing", ""),
        ("level", "new"),
    ]
    data = _encode(later, encoding)
    start = warm_start(posterior.draws, 1, HURDLE, posterior.scale, data.scale)
    state = init_state(data, start, SETTINGS, np.random.default_rng(4))
    layout, rows = arrange(data.revenue > 0, K)
    present = rows >= 0
    X, arm, paid = (x[..., rows[present]] for x in (data.X, data.arm, data.revenue > 0))
    fitted = start.intercept[0][:, None] + start.arm_effect[0][:, arm]
    for name, groups in (("mu", 1), ("tau", K)):
        forest = getattr(state, name)
        var, split, leaf = (getattr(start, f"{name}_{x}")[0] for x in ("var", "split", "leaf"))
        multiplier = getattr(start, f"{name}_multiplier")[0][:, arm]
        assert (split > 0).sum() > 5  # stumps would prove little
        allowed = data.max_split > 0
        if name == "tau":
            allowed &= ~data.mu_only
        per_group = len(var) // groups
        for tree in range(len(var)):
            leaves = walk(X, var[tree], split[tree])
            own = (arm == tree // per_group) | (groups == 1)
            indices = np.asarray(forest.leaf_indices)[tree % per_group]
            np.testing.assert_array_equal(indices[present][own], leaves[own])
            fitted = fitted + np.where(own, multiplier * leaf[tree][:, leaves], 0)
            for c, counted in enumerate((own, own & paid)):
                for slot, k in enumerate(range(K) if groups == 1 else [tree // per_group]):
                    wanted = np.bincount(leaves[counted & (arm == k)], minlength=2 * HALF)
                    np.testing.assert_array_equal(forest.counts[c, slot, tree], wanted)
            np.testing.assert_array_equal(
                forest.affluence_tree[tree],
                splittable(var[tree], split[tree], data.max_split, allowed),
            )
    z, (conversion, severity) = np.asarray(state.z)[present], map(np.asarray, state.resid)
    np.testing.assert_allclose(conversion[present], z - fitted[0], atol=1e-4)
    np.testing.assert_array_equal(data.scale.offset + z > 0, paid)
    prefix = present[: layout.n_severity_rows]
    logs = np.log(data.revenue[rows[: layout.n_severity_rows][prefix]])
    target = (logs - data.scale.centre) / data.scale.scale
    np.testing.assert_allclose(severity[prefix], target - fitted[1][: prefix.sum()], atol=1e-4)


def test_where_the_earlier_fit_was_far_off_the_answer_is_that_of_a_cold_start(later, posterior):
    cold = fit(later, settings=SETTINGS, seed=2)
    warm = fit(later, settings=SETTINGS, seed=3, previous=posterior)
    assert (cold.sampling.start, warm.sampling.start) == ("cold", "warm")
    assert (cold.sampling.warm_up, warm.sampling.warm_up) == (200, 60)
    asked = [p.effects(later.features, propensity=later.propensity) for p in (cold, warm)]
    for k in (1, 2):
        one, other = (e.lift[:, 0, k] for e in asked)
        ess = [
            p.convergence(e).ess[later.arms[k]] for p, e in zip((cold, warm), asked, strict=True)
        ]
        error = np.sqrt(one.var() / ess[0] + other.var() / ess[1])
        assert abs(one.mean() - other.mean()) < 3.5 * error
        assert one.std() == pytest.approx(other.std(), rel=0.3)


def test_the_same_seed_gives_the_same_warm_draws(later, posterior):
    short = replace(SETTINGS, num_warm_up_warm=20, min_draws=10, max_draws=10)
    one, again, other = (
        fit(later, settings=short, seed=seed, previous=posterior).draws for seed in (5, 5, 6)
    )
    for f in fields(Draws):
        np.testing.assert_array_equal(getattr(one, f.name), getattr(again, f.name))
    assert not np.array_equal(one.mu_leaf, other.mu_leaf)


def test_rounds_after_the_first_start_warm():
    starts = [done.posterior.sampling.start for done in finished().history]
    assert starts == ["cold", "warm", "warm"]
