"""Advance forests: propose moves, accept or reject them, redraw leaves.

Formulas, for a leaf and a channel with error precision e, forest multiplier k, rows N, sum of
partial residuals S and leaf prior precision l::

    v = 1 / (e k^2 N + l)            leaf | rest ~ N(v e k S, v)
    log ratio of a grow = sum over channels of
        0.5 log(l v_L v_R / v_P) + 0.5 e^2 k^2 (v_L S_L^2 + v_R S_R^2 - v_P S_P^2)
        + log(transition x prior)

(Chipman, George and McCulloch 2010, eq. 13 ff., with two conjugate channels per leaf as in
Linero, Sinha and Lipsitz 2020.) Arms have disjoint rows, so that given everything else their
forests are independent: tree t of every arm is advanced in the same scan step.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array, lax, random
from jaxtyping import Float32, Int32, Key, UInt8

from pytyche_engine.bcf.bartz_adapter import (
    Moves,
    adapt_leaf_trees_to_grow_indices,
    apply_grow_to_indices,
    apply_moves_to_affluence_trees,
    apply_moves_to_leaf_indices,
    apply_moves_to_split_trees,
    complete_ratio,
    propose_moves,
    sum_resid,
)
from pytyche_engine.bcf.layout import RowLayout
from pytyche_engine.bcf.state import ForestGroup, HurdleState, channel_lengths

Resid = tuple[Float32[Array, " rows"], ...]
"""Per channel, the target less everything fitted."""


def propose(key: Key[Array, ""], state: HurdleState) -> tuple[Moves, Moves]:
    """Propose a move for every tree of both forests.

    A proposal depends on nothing but its own tree, so all are made at the start of the sweep,
    in one call: the code that makes them takes long to compile.
    """
    mu, tau = state.mu, state.tau

    def both(name: str) -> Array:
        return jnp.concatenate([getattr(mu, name), getattr(tau, name)])

    names = ("var_tree", "split_tree", "affluence_tree", "leaf_tree")
    moves: Moves = propose_moves(key, replace(mu, **{name: both(name) for name in names}))
    n_mu = len(mu.var_tree)
    return (
        jax.tree.map(lambda x: x[:n_mu], moves),
        jax.tree.map(lambda x: x[n_mu:], moves),
    )


def update_forests(
    key: Key[Array, ""],
    forest: ForestGroup,
    moves: Moves,
    resid: Resid,
    precision: Float32[Array, " channels"],
    state: HurdleState,
) -> tuple[ForestGroup, Resid]:
    """Accept or reject every tree's move and redraw its leaves, tree by tree."""
    indices, left = _move_rows(forest, moves, state)
    forest = replace(
        forest,
        var_tree=moves.var_tree,
        leaf_indices=indices,
        leaf_tree=adapt_leaf_trees_to_grow_indices(forest.leaf_tree, moves),
        counts=_update_counts(forest.counts, left, moves),
    )
    moves = _finish_moves(forest, moves)
    forest, resid, acc, to_prune = _scan_trees(key, forest, moves, resid, precision, state)
    moves = replace(moves, acc=acc, to_prune=to_prune)
    return replace(
        forest,
        to_prune=to_prune,
        move_node=moves.lrt_nodes[..., 2],
        split_tree=apply_moves_to_split_trees(forest.split_tree, moves),
        affluence_tree=apply_moves_to_affluence_trees(forest.affluence_tree, moves),
    ), resid


def _group_slice(tree: Array, group: int, n_groups: int) -> Array:
    per_group = tree.shape[0] // n_groups
    return tree[group * per_group : (group + 1) * per_group]


def _move_rows(
    forest: ForestGroup, moves: Moves, state: HurdleState
) -> tuple[UInt8[Array, "trees_per_group rows"], Int32[Array, "channels trees"]]:
    """Move rows to the proposed children; count, per channel, rows of the left child."""
    blocks = _forest_blocks(state.layout, forest.n_groups)
    lengths = channel_lengths(state.layout, state.channels)
    moved = []
    left = [[jnp.int32(0)] * forest.n_groups for _ in lengths]
    for group, start, stop in blocks:
        own: Moves = jax.tree.map(lambda x, g=group: _group_slice(x, g, forest.n_groups), moves)
        rows = apply_moves_to_leaf_indices(
            forest.leaf_indices[:, start:stop],
            _group_slice(forest.to_prune, group, forest.n_groups),
            _group_slice(forest.move_node, group, forest.n_groups),
        )
        rows = apply_grow_to_indices(own, rows, state.X[:, start:stop])
        moved.append(rows)
        is_left = rows == own.lrt_nodes[:, :1].astype(jnp.uint8)
        n_left = jnp.sum(is_left, axis=1, dtype=jnp.int32)
        for c, length in enumerate(lengths):
            if stop <= length:
                left[c][group] = left[c][group] + n_left
    return jnp.concatenate(moved, axis=1), jnp.stack([jnp.concatenate(one) for one in left])


def _forest_blocks(layout: RowLayout, n_groups: int) -> list[tuple[int, int, int]]:
    """(group, start, stop) of contiguous rows of one group that share their channels."""
    if n_groups > 1:
        return [(b.arm, b.start, b.stop) for b in layout.blocks]
    return [(0, 0, layout.n_severity_rows), (0, layout.n_severity_rows, layout.n_rows)]


def _update_counts(
    counts: Int32[Array, "channels trees size"],
    left: Int32[Array, "channels trees"],
    moves: Moves,
) -> Int32[Array, "channels trees size"]:
    """Counts at the nodes of each move: children, and their sum at the parent.

    Before a grow the parent is a leaf, so its cached count is valid and the right child's
    follows from the left one's; before a prune the children's cached counts are valid.
    """

    def one(count: Array, n_left: Array, nodes: Array, grow: Array) -> Array:
        right = jnp.where(grow, count[nodes[2]] - n_left, count[nodes[1]])
        left_count = jnp.where(grow, n_left, count[nodes[0]])
        return count.at[nodes].set(jnp.stack([left_count, right, left_count + right]))

    return jax.vmap(jax.vmap(one), in_axes=(0, 0, None, None))(
        counts, left, moves.lrt_nodes, moves.grow
    )


def _finish_moves(forest: ForestGroup, moves: Moves) -> Moves:
    """Apply the minimum leaf size and complete the transition x prior ratio."""
    half = forest.var_tree.shape[1]
    # The first channel holds the most rows: all visitors, or all of them in a continuous fit.
    children = jnp.take_along_axis(forest.counts[0], moves.lrt_nodes[:, :2], axis=1)
    moves = replace(
        moves,
        lrt_affluent=(moves.lrt_nodes < half) & moves.lrt_growable,
        allowed=moves.allowed & jnp.all(children >= forest.min_leaf, axis=1),
    )
    return complete_ratio(moves, forest.p_nonterminal)


def _scan_trees(
    key: Key[Array, ""],
    forest: ForestGroup,
    moves: Moves,
    resid: Resid,
    precision: Float32[Array, " channels"],
    state: HurdleState,
) -> tuple[ForestGroup, Resid, Array, Array]:
    """Accept or reject and redraw leaves, one tree of every group at a time."""
    groups = forest.n_groups
    trees, channels, size = forest.leaf_tree.shape
    per_group = trees // groups
    lengths = channel_lengths(state.layout, state.channels)
    node_offset = _node_offset(state.layout, groups, size)

    def stacked(x: Array) -> Array:  # (trees, ...) -> (per_group, groups, ...)
        return jnp.moveaxis(x.reshape(groups, per_group, *x.shape[1:]), 0, 1)

    counts = stacked(jnp.moveaxis(forest.counts, 0, 1))  # (per_group, groups, channels, size)
    k = forest.multiplier.T[:, :, None]  # (groups, channels, 1)
    e = precision[:, None]
    weight = e * k
    prior = forest.leaf_precision
    variance = 1 / (e * k**2 * counts.astype(jnp.float32) + prior)
    noise = jnp.sqrt(variance) * random.normal(key, variance.shape)
    nodes = stacked(moves.lrt_nodes)
    v_nodes = jnp.take_along_axis(variance, nodes[:, :, None, :], axis=-1)
    log_root = 0.5 * jnp.sum(
        jnp.log(v_nodes[..., 0]) + jnp.log(v_nodes[..., 1]) - jnp.log(v_nodes[..., 2]), axis=-1
    ) + 0.5 * channels * jnp.log(prior)
    at_group = jnp.arange(groups)[:, None]
    sign = jnp.array([1.0, 1.0, -1.0])

    def one_tree(resid: Resid, tree: tuple[Array, ...]) -> tuple[Resid, tuple[Array, ...]]:
        index, leaf, count, var, noise, nodes, v_nodes, log_root, prior_ratio, grow, ok, logu = tree
        flat = forest.leaf_indices[index].astype(jnp.int32) + node_offset
        sums = []
        for r, length in zip(resid, lengths, strict=True):
            total = sum_resid(
                r, flat[:length], groups * size, state.config.resid_reduction_config, False
            )
            sums.append(total.reshape(groups, size))
        S = jnp.stack(sums, axis=1) + count.astype(jnp.float32) * k * leaf
        child = jnp.take_along_axis(S, nodes[:, None, :2], axis=-1)
        S_nodes = jnp.concatenate([child, child.sum(-1, keepdims=True)], axis=-1)
        S = S.at[at_group, :, nodes].set(jnp.moveaxis(S_nodes, -1, 1))
        fit_gain = 0.5 * jnp.sum((weight * S_nodes) ** 2 * v_nodes * sign, axis=(1, 2))
        log_ratio = prior_ratio + log_root + fit_gain
        log_ratio = jnp.where(grow, log_ratio, -log_ratio)
        acc = ok & (logu <= log_ratio)
        to_prune = acc ^ grow
        new_leaf = var * weight * S + noise
        # A pruned node's value goes to its children, to which rows still point.
        target = jnp.where(to_prune[:, None], nodes, size)
        parent = jnp.take_along_axis(new_leaf, nodes[:, None, 2:], axis=-1)
        new_leaf = new_leaf.at[at_group, :, target].set(
            jnp.broadcast_to(jnp.moveaxis(parent, -1, 1), (groups, 3, channels)), mode="drop"
        )
        new_leaf = new_leaf.at[:, :, 0].set(0.0)  # padding's node
        # The barrier keeps XLA on CPU from recomputing the small table for every row.
        delta = lax.optimization_barrier(k * (leaf - new_leaf))
        resid = tuple(
            r + delta[:, c].reshape(-1)[flat[:length]]
            for c, (r, length) in enumerate(zip(resid, lengths, strict=True))
        )
        return resid, (new_leaf, acc, to_prune)

    resid, (leaf, acc, to_prune) = lax.scan(
        one_tree,
        resid,
        (
            jnp.arange(per_group),
            stacked(forest.leaf_tree),
            counts,
            variance,
            noise,
            nodes,
            v_nodes,
            log_root,
            stacked(moves.log_trans_prior_ratio),
            stacked(moves.grow),
            stacked(moves.allowed),
            stacked(moves.logu),
        ),
    )

    def unstacked(x: Array) -> Array:
        return jnp.moveaxis(x, 0, 1).reshape(trees, *x.shape[2:])

    forest = replace(forest, leaf_tree=unstacked(leaf))
    return (
        replace(forest, fit=_evaluate_rows(forest, leaf, node_offset, lengths)),
        resid,
        unstacked(acc),
        unstacked(to_prune),
    )


def _node_offset(layout: RowLayout, groups: int, size: int) -> Int32[Array, " rows"]:
    """What to add to a row's leaf index to address its own group's leaves."""
    parts = [
        jnp.full(stop - start, group * size, jnp.int32)
        for group, start, stop in _forest_blocks(layout, groups)
    ]
    return jnp.concatenate(parts)


def _evaluate_rows(
    forest: ForestGroup,
    leaf: Float32[Array, "trees_per_group groups channels size"],
    node_offset: Int32[Array, " rows"],
    lengths: tuple[int, ...],
) -> Resid:
    """Per channel, the sum of the forest's leaves at each row."""

    def add(total: Resid, tree: tuple[Array, Array]) -> tuple[Resid, None]:
        indices, values = tree
        flat = indices.astype(jnp.int32) + node_offset
        return tuple(
            t + values[:, c].reshape(-1)[flat[:length]]
            for c, (t, length) in enumerate(zip(total, lengths, strict=True))
        ), None

    start = tuple(jnp.zeros(length, jnp.float32) for length in lengths)
    total, _ = lax.scan(add, start, (forest.leaf_indices, leaf))
    return total
