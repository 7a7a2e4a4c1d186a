"""Cold and warm starts: the first state says what its trees say, and the end does not depend on it."""

from dataclasses import fields, replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from experiment_cases import finished
from trials import trial

from pytyche_engine.bcf import Settings, fit
from pytyche_engine.bcf.draws import Draws, evaluate
from pytyche_engine.bcf.encoding import extend_encoding
from pytyche_engine.bcf.fit import _encode
from pytyche_engine.bcf.layout import arrange
from pytyche_engine.bcf.prior import sample_forest
from pytyche_engine.bcf.propensities import schema_with_propensities, with_propensities
from pytyche_engine.bcf.start import _growable, cold_start, init_state, warm_start
from pytyche_engine.bcf.state import CHANNELS, LatentScale
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
SHORT = replace(SETTINGS, num_warm_up=20, num_warm_up_warm=20, min_draws=10, max_draws=10)
CHANNELS_HERE = CHANNELS[Outcome.HURDLE]
HALF, SIZE, K = 8, 16, 3


@pytest.fixture(scope="module")
def first():
    """Two numbers, two levels and recorded probabilities that depend on a visitor."""
    made = trial(n_features=2)
    levels = np.where(np.random.default_rng(1).random(600) < 0.4, "a", "b")
    features = made.features.assign(c=pd.Categorical(levels))
    likely = np.where((features["z0"] > 0).to_numpy()[:, None], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5])
    category = Feature("c", FeatureKind.CATEGORICAL, "c")
    return replace(
        made,
        features=features,
        schema=FeatureSchema((*made.schema.features, category)),
        propensity=likely,
    )


@pytest.fixture(scope="module")
def second(first):
    """The same visitors, as if a level had appeared and values had begun to be missing."""
    rows = np.arange(600)
    level = first.features["c"].astype(str).mask(rows % 7 == 0, "new")
    features = first.features.assign(
        c=pd.Categorical(level), z1=first.features["z1"].mask(rows % 5 == 0)
    )
    # Money in another unit and with another spread, so that the latent scale differs.
    return replace(first, features=features, revenue=100 * first.revenue**1.3)


@pytest.fixture(scope="module")
def posterior(first):
    return fit(first, settings=SETTINGS, seed=1)


def extended(posterior, observations):
    frame = with_propensities(observations.features, observations.arms, observations.propensity)
    schema = schema_with_propensities(observations.schema, observations.arms)
    return extend_encoding(posterior.encoding, frame, schema, SETTINGS.num_cuts)


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
            for child, parent in zip(path, path[1:], strict=False):
                if var[parent] == column:
                    cut = int(split[parent])
                    left = {s for s in left if (s > cut if child % 2 else s < cut)}
            found[leaf] |= bool(left)
    return found


@pytest.mark.parametrize("kind", ["cold", "warm", "warm on new columns"])
def test_the_first_state_is_what_the_trees_say(kind, first, second, posterior):
    observations = second if kind == "warm on new columns" else first
    encoding = extended(posterior, observations)
    assert len(encoding.columns) - len(posterior.encoding.columns) == 2 * (observations is second)
    data = _encode(observations, encoding)
    rng = np.random.default_rng(4)
    start = (
        cold_start(data, SETTINGS, rng)
        if kind == "cold"
        else warm_start(posterior.draws, 1, CHANNELS_HERE, posterior.scale, data.scale)
    )
    state = init_state(data, start, SETTINGS, rng)

    layout, rows = arrange(data.revenue > 0, K)
    present = rows >= 0
    X, arm, revenue = data.X[:, rows[present]], data.arm[rows[present]], data.revenue[rows[present]]
    lengths = (layout.n_rows, layout.n_severity_rows)
    np.testing.assert_array_equal(np.asarray(state.X)[:, present], X)
    fits = {}
    for name, groups in (("mu", 1), ("tau", K)):
        forest = getattr(state, name)
        var, split, leaf = (getattr(start, f"{name}_{part}")[0] for part in ("var", "split", "leaf"))
        assert (split > 0).sum() > 5  # stumps would prove little
        allowed = data.max_split > 0 if name == "mu" else (data.max_split > 0) & ~data.mu_only
        of_group = np.zeros_like(arm) if groups == 1 else arm
        per_group = len(var) // groups
        fitted = np.zeros((2, len(arm)))
        for tree in range(len(var)):
            leaves, own = walk(X, var[tree], split[tree]), of_group == tree // per_group
            indices = np.asarray(forest.leaf_indices)[tree % per_group]
            np.testing.assert_array_equal(indices[present][own], leaves[own])
            assert not indices[~present].any()
            fitted += np.where(own, leaf[tree][:, leaves], 0)
            for c in range(2):
                counted = own & (revenue > 0) if c == 1 else own
                arms = range(K) if groups == 1 else [tree // per_group]
                for slot, k in enumerate(arms):
                    np.testing.assert_array_equal(
                        forest.counts[c, slot, tree],
                        np.bincount(leaves[counted & (arm == k)], minlength=SIZE),
                    )
            np.testing.assert_array_equal(
                forest.affluence_tree[tree],
                splittable(var[tree], split[tree], data.max_split, allowed),
            )
        for c in range(2):
            in_channel = np.asarray(forest.fit[c])
            np.testing.assert_allclose(
                in_channel[present[: lengths[c]]], fitted[c][: present[: lengths[c]].sum()], atol=1e-5
            )
        fits[name] = fitted

    logs = np.log(np.where(revenue > 0, revenue, 1))
    targets = (
        np.asarray(state.z)[present],
        (logs - data.scale.centre) / data.scale.scale,
    )
    for c, target in enumerate(targets):
        total = (
            start.intercept[0, c]
            + start.arm_effect[0, c][arm]
            + start.mu_multiplier[0, c][arm] * fits["mu"][c]
            + start.tau_multiplier[0, c][arm] * fits["tau"][c]
        )
        here = present[: lengths[c]]
        resid = np.asarray(state.resid[c])
        np.testing.assert_allclose(resid[here], (target - total)[: here.sum()], atol=1e-4)
        assert not resid[~here].any()
    # The latent conversion is on the side of zero that was seen.
    np.testing.assert_array_equal(np.asarray(state.offset + state.z)[present] > 0, revenue > 0)


def test_growable_leaves_are_those_with_a_rule_left_where_columns_are_used_up():
    rng = np.random.default_rng(2)
    max_split = np.array([1, 0, 2, 1], dtype=np.uint8)
    X = rng.integers(0, max_split[:, None] + 1, (4, 500)).astype(np.uint8)
    seen = set()
    for mu_only in (np.zeros(4, bool), np.array([0, 0, 1, 1], bool)):
        allowed = (max_split > 0) & ~mu_only
        splits = np.where(allowed, max_split, 0).astype(np.uint8)
        var, split, _ = sample_forest(rng, X, splits, 60, (0.95, 0.2), 1, SETTINGS)
        growable = _growable(var, split, max_split, np.flatnonzero(~allowed))
        for tree in range(len(var)):
            wanted = splittable(var[tree], split[tree], max_split, allowed)
            np.testing.assert_array_equal(growable[tree], wanted)
        has_leaf = [s[n // 2] > 0 and s[n] == 0 for s in split for n in range(2, HALF)]
        seen |= {bool(g) for g, leaf in zip(growable[:, 2:].ravel(), has_leaf, strict=True) if leaf}
    assert seen == {True, False}


def test_a_warm_start_means_the_same_money_after_the_scale_changed(first, second, posterior):
    new = LatentScale.of(second.revenue)
    assert new.scale / posterior.scale.scale == pytest.approx(1.3)
    X = _encode(first, posterior.encoding).X
    last = np.flatnonzero(posterior.draws.chain == 1)[[-1]]
    before = evaluate(posterior.draws.take(last), X, posterior.scale, CHANNELS_HERE)
    start = warm_start(posterior.draws, 1, CHANNELS_HERE, posterior.scale, new)
    after = evaluate(start, X, new, CHANNELS_HERE)
    np.testing.assert_allclose(after.conversion, before.conversion, rtol=1e-4)
    np.testing.assert_allclose(after.severity, before.severity, rtol=1e-4)
    # The draws themselves, which the earlier round's answers come from, stayed as they were.
    again = evaluate(posterior.draws.take(last), X, posterior.scale, CHANNELS_HERE)
    np.testing.assert_array_equal(again.severity, before.severity)
    # So it is where the conversion rate changed.
    rarer = replace(posterior.scale, offset=posterior.scale.offset - 0.7)
    start = warm_start(posterior.draws, 0, CHANNELS_HERE, rarer, posterior.scale)
    last = np.flatnonzero(posterior.draws.chain == 0)[[-1]]
    before = evaluate(posterior.draws.take(last), X, rarer, CHANNELS_HERE)
    after = evaluate(start, X, posterior.scale, CHANNELS_HERE)
    np.testing.assert_allclose(after.conversion, before.conversion, rtol=1e-4, atol=1e-6)


def test_warm_and_cold_posteriors_agree(first, second, posterior):
    # The start is as wrong as it can be: other columns, other money.
    cold = fit(second, settings=SETTINGS, seed=2)
    warm = fit(second, settings=SETTINGS, seed=3, previous=posterior)
    assert (cold.sampling.start, warm.sampling.start) == ("cold", "warm")
    assert (cold.sampling.warm_up, warm.sampling.warm_up) == (200, 60)
    assert len(warm.encoding.columns) == 8
    one, other = (p.effects(second.features, propensity=second.propensity) for p in (cold, warm))
    for k in (1, 2):
        a, b = one.lift[:, 0, k], other.lift[:, 0, k]
        ess = [
            p.convergence(e).ess[second.arms[k]] for p, e in ((cold, one), (warm, other))
        ]
        error = np.sqrt(a.var() / ess[0] + b.var() / ess[1])
        assert abs(a.mean() - b.mean()) < 3.5 * error
        assert a.std() == pytest.approx(b.std(), rel=0.3)


@pytest.mark.parametrize(
    "other",
    [
        {"arms": ("control", "x", "y")},
        {"outcome": Outcome.CONTINUOUS},
        {"settings": replace(SETTINGS, num_trees_mu=9)},
        {"settings": replace(SETTINGS, num_trees_tau=5)},
        {"settings": replace(SETTINGS, max_depth=5)},
    ],
)
def test_a_fit_of_another_kind_is_ignored(other, first, posterior):
    alone = fit(first, settings=SHORT, seed=6)
    beside = fit(first, settings=SHORT, seed=6, previous=replace(posterior, **other))
    assert beside.sampling.start == "cold"
    assert_same(alone.draws, beside.draws)


def assert_same(one, other):
    for f in fields(Draws):
        np.testing.assert_array_equal(getattr(one, f.name), getattr(other, f.name))


def starts_of(monkeypatch, *args, **kwargs):
    """Where each chain of a fit started."""
    module, starts = import_module("pytyche_engine.bcf.fit"), []

    def noting(data, start, *rest):
        starts.append(start)
        return init_state(data, start, *rest)

    monkeypatch.setattr(module, "init_state", noting)
    # In one thread, chains begin in order.
    monkeypatch.setattr(module.os, "cpu_count", lambda: 1)
    return fit(*args, **kwargs), starts


def test_cold_chains_start_from_trees_of_their_own(monkeypatch, first):
    _, starts = starts_of(monkeypatch, first, settings=SHORT, seed=6)
    assert len(starts) == 2
    for name in ("mu_var", "mu_split", "tau_split", "arm_effect"):
        one, other = (getattr(s, name) for s in starts)
        assert not np.array_equal(one, other)
    assert not any(s.mu_leaf.any() or s.tau_leaf.any() for s in starts)


def test_warm_chains_start_from_different_chains(monkeypatch, first, posterior):
    settings = replace(SHORT, num_chains=3)
    _, starts = starts_of(monkeypatch, first, settings=settings, seed=6, previous=posterior)
    of_chain = [np.flatnonzero(posterior.draws.chain == c) for c in range(2)]
    # There are more chains than before, so the third one takes an earlier draw.
    for start, draw in zip(starts, (of_chain[0][-1], of_chain[1][-1], of_chain[0][-2]), strict=True):
        assert_same(start, posterior.draws.take(np.array([draw])))


def test_the_same_seed_gives_the_same_warm_draws(first, posterior):
    one, again, other = (
        fit(first, settings=SHORT, seed=seed, previous=posterior) for seed in (5, 5, 6)
    )
    assert_same(one.draws, again.draws)
    assert not np.array_equal(one.draws.mu_leaf, other.draws.mu_leaf)


def test_rounds_after_the_first_start_warm():
    starts = [done.posterior.sampling.start for done in finished().history]
    assert starts == ["cold", "warm", "warm"]
