"""Sums over leaves, by masks and by scatter, against a count that knows neither."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from trials import trial

from pytyche_engine.bcf import Settings
from pytyche_engine.bcf.encoding import learn_encoding
from pytyche_engine.bcf.forests import _move_rows, propose
from pytyche_engine.bcf.leaf_sums import (
    FEW_LEAVES,
    FEW_LEAVES_OF_GROUPS,
    FEW_ROWS,
    list_leaves,
    sum_by_leaf,
)
from pytyche_engine.bcf.start import Encoded, cold_start, init_state
from pytyche_engine.bcf.state import LatentScale

SIZE = 16
HALF = SIZE // 2


def random_split(rng, p_inner):
    """A tree's decisions: nodes with a positive cut, each below another one."""
    split = np.zeros(HALF, dtype=np.uint8)
    stack = [1]
    while stack:
        node = stack.pop()
        if node < HALF and rng.random() < p_inner:
            split[node] = 1 + rng.integers(5)
            stack += [2 * node, 2 * node + 1]
    return split


def leaves_of(split, proposed=None):
    """Walk a tree from its root; a proposed leaf is walked through to its children."""
    found, stack = [], [1]
    while stack:
        node = stack.pop()
        if (node < HALF and split[node] > 0) or node == proposed:
            stack += [2 * node, 2 * node + 1]
        else:
            found.append(node)
    return sorted(found)


def moves_for(rng, splits, kinds):
    """A move a tree: grow a leaf, prune a node above two leaves, or none that is possible."""
    grow, nodes, proposed = [], [], []
    for split, kind in zip(splits, kinds, strict=True):
        leaves = leaves_of(split)
        low = [leaf for leaf in leaves if leaf < HALF]
        prunable = [n for n in range(1, HALF) if {2 * n, 2 * n + 1} <= set(leaves)]
        if kind == "grow" and low:
            node, is_grow = int(rng.choice(low)), True
        elif kind == "prune" and prunable:
            node, is_grow = int(rng.choice(prunable)), False
        else:  # what bartz proposes where nothing can be done: a prune of no node
            node, is_grow = HALF, False
        grow.append(is_grow)
        nodes.append((2 * node, 2 * node + 1, node))
        proposed.append(node if is_grow else None)
    moves = SimpleNamespace(grow=jnp.array(grow), lrt_nodes=jnp.array(nodes, jnp.int32))
    return moves, proposed


@pytest.mark.parametrize("kind", ["grow", "prune", "disallowed"])
@pytest.mark.parametrize("groups", [1, 3])
def test_listed_leaves_are_those_of_a_walk(kind, groups):
    rng = np.random.default_rng(groups)
    per_group = 20
    splits = np.stack([random_split(rng, 0.45) for _ in range(groups * per_group)])
    moves, proposed = moves_for(rng, splits, [kind] * len(splits))
    addresses, are_few = map(np.asarray, list_leaves(jnp.asarray(splits), moves, groups))
    few = FEW_LEAVES if groups == 1 else FEW_LEAVES_OF_GROUPS
    assert addresses.shape == (per_group, few)
    for tree in range(per_group):
        wanted = [
            group * SIZE + leaf
            for group in range(groups)
            for leaf in leaves_of(
                splits[group * per_group + tree], proposed[group * per_group + tree]
            )
        ]
        assert are_few[tree] == (len(wanted) <= few)
        if are_few[tree]:
            assert addresses[tree].tolist() == wanted + [groups * SIZE] * (few - len(wanted))
    assert 0 < are_few.sum() < per_group  # both kinds were seen


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("n_leaves", [1, 3, 12])
@pytest.mark.parametrize("rows", [FEW_ROWS // 2, FEW_ROWS + 500])
@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.uint16])
def test_sums_are_those_of_a_count_with_weights(groups, n_leaves, rows, dtype):
    rng = np.random.default_rng(n_leaves)
    few = FEW_LEAVES if groups == 1 else FEW_LEAVES_OF_GROUPS
    size, padding = groups * SIZE, 24
    # Address 0 is padding's, where residuals are 0.
    leaves = np.sort(rng.choice(np.arange(1, size), n_leaves, replace=False))
    address = np.concatenate([rng.choice(leaves, rows), np.zeros(padding, int)])
    values = np.concatenate([rng.normal(size=rows), np.zeros(padding)]).astype(np.float32)
    listed = np.full(few, size)
    listed[: min(few, n_leaves)] = leaves[:few]
    sums = jax.jit(sum_by_leaf, static_argnums=4)(
        jnp.asarray(values),
        jnp.asarray(address, dtype=dtype),
        jnp.asarray(listed, dtype=jnp.int32),
        jnp.asarray(n_leaves <= few),
        size,
    )
    np.testing.assert_allclose(sums, np.bincount(address, values, size), atol=1e-4)


def test_masks_see_the_listed_leaves_only():
    # So a list that lacks a leaf would show: the scatter must not hide it.
    address = jnp.tile(jnp.array([1, 1, 2, 3], jnp.uint8), FEW_ROWS)
    leaves = jnp.array([1, 2, SIZE, SIZE])
    sums = sum_by_leaf(jnp.ones(4 * FEW_ROWS), address, leaves, jnp.array(True), SIZE)
    assert np.asarray(sums)[:4].tolist() == [0, 2 * FEW_ROWS, FEW_ROWS, 0]


def test_rows_are_in_listed_leaves_once_they_moved_to_proposed_children():
    observations = trial()
    settings = Settings(num_trees_mu=30, num_trees_tau=15, max_depth=4)
    encoding = learn_encoding(observations.features, observations.schema, settings.num_cuts)
    data = Encoded(
        X=encoding.encode(observations.features),
        max_split=encoding.max_split,
        mu_only=np.zeros(len(encoding.columns), dtype=bool),
        arm=observations.arm,
        revenue=observations.revenue,
        n_arms=3,
        outcome=observations.outcome,
        scale=LatentScale.of(observations.revenue),
    ).padded()
    rng = np.random.default_rng(5)
    state = init_state(data, cold_start(data, settings, rng), settings, rng)

    @jax.jit
    def moved(state):
        return [
            (_move_rows(forest, moves, state)[0], *list_leaves(forest.split_tree, moves, groups))
            for forest, moves, groups in zip(
                (state.mu, state.tau), propose(jax.random.key(3), state), (1, 3), strict=True
            )
        ]

    present, arm = np.asarray(state.valid) > 0, np.asarray(state.arm, dtype=int)
    for (rows, leaves, few), offset in zip(moved(state), (0 * arm, SIZE * arm), strict=True):
        at = np.asarray(rows, dtype=int) + offset
        checked = [np.isin(at[t][present], leaves[t]).all() for t in np.flatnonzero(few)]
        assert len(checked) > 3
        assert all(checked)
