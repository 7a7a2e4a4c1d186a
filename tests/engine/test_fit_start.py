"""Where chains start: first states against walks of their trees, warm fits against cold ones."""

from dataclasses import fields, replace
from importlib import import_module

import jax
import numpy as np
import pytest
from trials import trial

from pytyche_engine.bcf import Settings, fit
from pytyche_engine.bcf.chain import run_chunk
from pytyche_engine.bcf.draws import Draws, concat_draws, draws_of_trace, evaluate
from pytyche_engine.bcf.encoding import learn_encoding
from pytyche_engine.bcf.layout import arrange
from pytyche_engine.bcf.start import Encoded, cold_start, init_state, warm_start
from pytyche_engine.bcf.state import CHANNELS, LatentScale
from pytyche_engine.contracts.observations import Outcome

QUICK = Settings(
    num_trees_mu=10, num_trees_tau=5, num_warm_up=100, min_draws=200, max_draws=200, thin=2
)
TINY = replace(QUICK, num_warm_up=20, num_warm_up_warm=20, min_draws=10, max_draws=10)
DEEP = replace(QUICK, mu_split=(0.99, 0.1), tau_split=(0.99, 0.1), min_leaf=1)
HURDLE = CHANNELS[Outcome.HURDLE]


def encoded(observations):
    """A trial whose features have few values, so that trees use columns up; mu alone has z2."""
    features = observations.features.round().clip(-1, 1)
    features["z1"] = (features["z1"] > 0).astype(float)
    encoding = learn_encoding(features, observations.schema, 100)
    return Encoded(
        X=encoding.encode(features),
        max_split=encoding.max_split,
        mu_only=np.array([c.feature == "z2" for c in encoding.columns]),
        arm=observations.arm,
        revenue=observations.revenue,
        n_arms=3,
        outcome=observations.outcome,
        scale=LatentScale.of(observations.revenue),
    ).padded()


@pytest.fixture(scope="module")
def ran():
    """A chain of deep trees that ran for a while: its data, last draw and last state."""
    data = encoded(trial())
    rng = np.random.default_rng(0)
    state, key = init_state(data, cold_start(data, DEEP, rng), DEEP, rng), jax.random.key(0)
    for _ in range(10):
        state, trace = run_chunk(key, state, 10, 2)
    return data, draws_of_trace(trace, 0).take(np.array([9])), state


def other_data():
    """Other visitors, another rate, another currency, orders more spread."""
    observations = trial(seed=5, rates=(0.24, 0.3, 0.24))
    return encoded(replace(observations, revenue=30 * observations.revenue**1.5))


def leaves(X, var, split):
    """(n,) each visitor's leaf, walked to from the root."""
    node = np.ones(X.shape[1], dtype=int)
    for _ in range(10):
        inner = (node < len(split)) & (split[node % len(split)] > 0)
        at = np.where(inner, node, 1)
        right = X[var[at], np.arange(len(node))] >= split[at]
        node = np.where(inner, 2 * node + right, node)
    return node


def bins_that_reach(node, var, split, column, max_split):
    """How many bins of a column the decisions above a node let through."""
    bins = set(range(int(max_split[column]) + 1))
    while node > 1:
        parent = node // 2
        if var[parent] == column:
            bins = {b for b in bins if (b >= split[parent]) == bool(node % 2)}
        node = parent
    return len(bins)


def has_parent(node, split):
    return node == 1 or split[node // 2] > 0


def first_state(data, draw, old=None, settings=DEEP):
    start = warm_start(draw, 0, HURDLE, old or data.scale, data.scale)
    return start, init_state(data, start, settings, np.random.default_rng(3))


@pytest.fixture(scope="module", params=["the same data", "other data"])
def put(request, ran):
    """A draw put on data."""
    data, draw, _ = ran
    on = data if request.param == "the same data" else other_data()
    return on, *first_state(on, draw, data.scale)


def groups_of(state, start):
    """(the forest, its trees in the start, how many trees a group has)."""
    yield state.mu, start.mu_var[0], start.mu_split[0], start.mu_leaf[0], 10
    yield state.tau, start.tau_var[0], start.tau_split[0], start.tau_leaf[0], 5


def test_leaf_indices_are_those_of_a_walk(put):
    _, start, state = put
    X, arm = np.asarray(state.X), np.asarray(state.arm)
    present = np.asarray(state.valid) > 0
    for forest, var, split, _, per_group in groups_of(state, start):
        indices = np.asarray(forest.leaf_indices)
        assert not indices[:, ~present].any()
        for tree, (v, s) in enumerate(zip(var, split, strict=True)):
            own = present & ((arm == tree // per_group) | (forest.n_groups == 1))
            np.testing.assert_array_equal(indices[tree % per_group][own], leaves(X, v, s)[own])


def test_counts_are_those_of_the_data(put):
    data, start, state = put
    paid = data.revenue > 0
    for forest, var, split, _, per_group in groups_of(state, start):
        counts = np.asarray(forest.counts)
        assert counts.shape[1] == (3 if forest.n_groups == 1 else 1)
        for tree, (v, s) in enumerate(zip(var, split, strict=True)):
            node = leaves(data.X, v, s)
            for c, in_channel in enumerate((np.ones(len(paid), bool), paid)):
                for k in range(counts.shape[1]):
                    arm = k if forest.n_groups == 1 else tree // per_group
                    own = in_channel & (data.arm == arm)
                    wanted = np.bincount(node[own], minlength=counts.shape[-1])
                    np.testing.assert_array_equal(counts[c, k, tree], wanted)


def test_growable_leaves_are_those_with_a_rule_left(put):
    data, start, state = put
    seen = {True: 0, False: 0}
    for forest, var, split, _, _ in groups_of(state, start):
        open_columns = np.flatnonzero(
            (data.max_split > 0) & ((forest.n_groups == 1) | ~data.mu_only)
        )
        growable = np.asarray(forest.affluence_tree)
        for tree, (v, s) in enumerate(zip(var, split, strict=True)):
            for node in range(len(s)):
                is_leaf = node > 0 and s[node] == 0 and has_parent(node, s)
                wanted = is_leaf and any(
                    bins_that_reach(node, v, s, column, data.max_split) > 1
                    for column in open_columns
                )
                assert growable[tree, node] == wanted, (tree, node)
                if is_leaf:
                    seen[wanted] += 1
    assert min(seen.values()) > 10, seen  # both kinds were seen


def test_the_chain_itself_kept_the_same_books(ran):
    data, draw, last = ran
    _, state = first_state(data, draw)
    for one, other in ((state.mu, last.mu), (state.tau, last.tau)):
        np.testing.assert_array_equal(one.affluence_tree, other.affluence_tree)
        is_leaf = np.asarray(one.counts).sum(axis=(0, 1)) > 0
        np.testing.assert_array_equal(
            np.asarray(one.counts)[:, :, is_leaf], np.asarray(other.counts)[:, :, is_leaf]
        )
        for mine, theirs in zip(one.fit, other.fit, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-4)
    np.testing.assert_allclose(state.resid[1], last.resid[1], atol=1e-4)


def test_residuals_are_what_the_start_leaves(put):
    data, start, state = put
    layout, rows = arrange(data.has_severity, 3)
    present = rows >= 0
    visitor = rows[present]
    X, arm = data.X[:, visitor], data.arm[visitor]
    fitted = start.intercept[0][:, None] + start.arm_effect[0][:, arm]
    for v, s, leaf in zip(start.mu_var[0], start.mu_split[0], start.mu_leaf[0], strict=True):
        fitted = fitted + start.mu_multiplier[0][:, arm] * leaf[:, leaves(X, v, s)]
    tau = zip(start.tau_var[0], start.tau_split[0], start.tau_leaf[0], strict=True)
    for tree, (v, s, leaf) in enumerate(tau):
        own = start.tau_multiplier[0][:, arm] * leaf[:, leaves(X, v, s)]
        fitted = fitted + np.where(arm == tree // 5, own, 0)
    assert np.ptp(fitted, axis=1).min() > 0.1  # the trees say something
    z, (conversion, severity) = np.asarray(state.z), map(np.asarray, state.resid)
    paid = data.revenue[visitor] > 0
    np.testing.assert_array_equal(data.scale.offset + z[present] > 0, paid)
    np.testing.assert_allclose(conversion[present], z[present] - fitted[0], atol=1e-4)
    prefix = present[: layout.n_severity_rows]
    assert paid[: prefix.sum()].all()
    assert paid.sum() == prefix.sum()
    log_money = np.log(data.revenue[visitor][: prefix.sum()])
    target = (log_money - data.scale.centre) / data.scale.scale
    np.testing.assert_allclose(severity[prefix], target - fitted[1][: prefix.sum()], atol=1e-4)
    assert not conversion[~present].any()
    assert not severity[~prefix].any()


def test_a_rescaled_draw_predicts_the_same_money(ran):
    data, draw, _ = ran
    old = data.scale
    new = LatentScale(offset=old.offset + 0.4, centre=old.centre + 3, scale=2.5 * old.scale)
    moved = warm_start(draw, 0, HURDLE, old, new)
    before, after = evaluate(draw, data.X, old, HURDLE), evaluate(moved, data.X, new, HURDLE)
    np.testing.assert_allclose(after.conversion, before.conversion, rtol=1e-4)
    np.testing.assert_allclose(after.severity, before.severity, rtol=1e-4)
    assert moved.arm_variance[0, 1] == pytest.approx(draw.arm_variance[0, 1] / 2.5**2)
    # The earlier fit is left as it was.
    assert not np.array_equal(moved.arm_effect, draw.arm_effect)


def test_chains_beyond_the_earlier_ones_start_from_earlier_draws(ran):
    data, draw, _ = ran
    marked = [
        replace(draw, sigma2=np.array([s], np.float32), chain=np.array([c]))
        for c, s in ((0, 1.0), (0, 2.0), (1, 3.0), (1, 4.0))
    ]
    draws = concat_draws(marked)
    starts = [warm_start(draws, i, HURDLE, data.scale, data.scale) for i in range(6)]
    assert [float(s.sigma2[0]) for s in starts] == [2.0, 4.0, 1.0, 3.0, 2.0, 4.0]


@pytest.fixture
def starts(monkeypatch):
    """The starts of all chains of the fits to come."""
    module, seen = import_module("pytyche_engine.bcf.fit"), []
    real = module.init_state

    def spy(data, start, *rest):
        seen.append(start)
        return real(data, start, *rest)

    monkeypatch.setattr(module, "init_state", spy)
    return seen


@pytest.fixture(scope="module")
def earlier():
    """A fit of other visitors in another currency."""
    observations = trial(seed=5, rates=(0.24, 0.3, 0.24))
    return fit(replace(observations, revenue=30 * observations.revenue), settings=QUICK, seed=3)


def same_trees(one, other):
    names = ("mu_var", "mu_split", "mu_leaf", "tau_var", "tau_split", "tau_leaf")
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)


def test_cold_chains_start_apart(starts):
    posterior = fit(trial(), settings=TINY, seed=1)
    one, other = starts
    assert posterior.sampling.start == "cold"
    assert not np.array_equal(one.mu_split, other.mu_split)
    assert not np.array_equal(one.tau_split, other.tau_split)
    assert not np.array_equal(one.arm_effect, other.arm_effect)
    assert not any(leaf.any() for s in starts for leaf in (s.mu_leaf, s.tau_leaf))


def test_warm_chains_start_from_different_chains(starts, earlier):
    posterior = fit(trial(), settings=TINY, seed=1, previous=earlier)
    assert posterior.sampling.start == "warm"
    assert posterior.sampling.warm_up == 20
    last = [
        earlier.draws.take(np.flatnonzero(earlier.draws.chain == chain)[[-1]]) for chain in (0, 1)
    ]
    assert not same_trees(*last)
    assert sum(same_trees(starts[0], x) for x in last) == 1
    assert sum(same_trees(starts[1], x) for x in last) == 1
    assert not same_trees(*starts)


def other_arms(previous):
    return replace(previous, arms=("control", "b", "a"))


def fewer_arms(previous):
    return replace(previous, arms=("control", "a"))


def other_outcome(previous):
    return replace(previous, outcome=Outcome.BINARY)


def other_size(**sizes):
    return lambda previous: replace(previous, settings=replace(previous.settings, **sizes))


@pytest.mark.parametrize(
    "change",
    [
        other_arms,
        fewer_arms,
        other_outcome,
        other_size(num_trees_mu=11),
        other_size(num_trees_tau=6),
        other_size(max_depth=5),
    ],
)
def test_an_earlier_fit_that_does_not_match_is_ignored(change, earlier):
    observations = trial()
    found = fit(observations, settings=TINY, seed=1, previous=change(earlier))
    assert found.sampling.start == "cold"
    alone = fit(observations, settings=TINY, seed=1)
    for f in fields(Draws):
        np.testing.assert_array_equal(getattr(found.draws, f.name), getattr(alone.draws, f.name))


def test_warm_and_cold_posteriors_agree(earlier):
    observations = trial()
    settings = replace(QUICK, min_draws=800, max_draws=800)
    cold = fit(observations, settings=settings, seed=1)
    warm = fit(observations, settings=settings, seed=2, previous=earlier)
    assert (cold.sampling.start, warm.sampling.start) == ("cold", "warm")
    one, other = (p.effects(observations.features) for p in (cold, warm))
    sizes = [p.convergence(e).ess for p, e in ((cold, one), (warm, other))]
    for k, arm in enumerate(observations.arms[1:], start=1):
        a, b = one.lift[:, 0, k], other.lift[:, 0, k]
        error = np.sqrt(a.var() / sizes[0][arm] + b.var() / sizes[1][arm])
        assert min(s[arm] for s in sizes) > 100
        assert abs(a.mean() - b.mean()) < 4 * error
        assert a.std() == pytest.approx(b.std(), rel=0.25)
