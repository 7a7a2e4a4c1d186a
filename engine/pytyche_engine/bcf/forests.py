"""Advance forests: propose moves, accept or reject them, redraw leaves.

Formulas, for a leaf and a channel with error precision e, rows i of partial residuals r_i and
multipliers k_i (those of their arms), and leaf prior precision l::

    W = sum k_i^2        S = sum k_i r_i
    v = 1 / (e W + l)            leaf | rest ~ N(v e S, v)
    log ratio of a grow = sum over channels of
        0.5 log(l v_L v_R / v_P) + 0.5 e^2 (v_L S_L^2 + v_R S_R^2 - v_P S_P^2)
        + log(transition x prior)

(Chipman, George and McCulloch 2010, eq. 13 ff., with two conjugate channels per leaf as in
Linero, Sinha and Lipsitz 2020.) Arms have disjoint rows, so that given everything else their
forests are independent: tree t of every arm is advanced in the same scan step.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax, random
from jaxtyping import Bool, Float32, Int32, Key, UInt8

from pytyche_engine.bcf.bartz_adapter import (
    Moves,
    adapt_leaf_trees_to_grow_indices,
    apply_grow_to_indices,
    apply_moves_to_affluence_trees,
    apply_moves_to_leaf_indices,
    apply_moves_to_split_trees,
    complete_ratio,
    propose_moves,
)
from pytyche_engine.bcf.leaf_sums import list_leaves, sum_by_leaf
from pytyche_engine.bcf.state import ForestGroup, HurdleState

Resid = tuple[Float32[Array, " rows"], ...]
"""Per channel, the target less everything fitted."""

_ROWS_OF_A_BYTE = 32
"""So many are counted in a byte, which holds them; rows are padded to a multiple of it."""


def propose(key: Key[Array, ""], state: HurdleState) -> tuple[Moves, Moves]:
    """Propose a move for every tree of both forests.

    A proposal depends on nothing but its own tree, so all are made at the start of the sweep,
    in one call: the code that makes them takes long to compile. Each tree brings the columns
    that it may not split on.
    """
    mu, tau = state.mu, state.tau
    n_mu, n_tau = len(mu.var_tree), len(tau.var_tree)

    def both(name: str) -> Array:
        return jnp.concatenate([getattr(mu, name), getattr(tau, name)])

    def one(key: Array, var: Array, split: Array, affluence: Array, blocked: Array) -> Moves:
        tree = replace(
            mu,
            var_tree=var[None],
            split_tree=split[None],
            affluence_tree=affluence[None],
            leaf_tree=jnp.zeros(1),  # its length is the number of trees
            blocked_vars=blocked,
        )
        return jax.tree.map(lambda x: x[0], propose_moves(key, tree))

    blocked = jnp.concatenate(
        [jnp.tile(mu.blocked_vars, (n_mu, 1)), jnp.tile(tau.blocked_vars, (n_tau, 1))]
    )
    moves = jax.vmap(one)(
        random.split(key, n_mu + n_tau),
        both("var_tree"),
        both("split_tree"),
        both("affluence_tree"),
        blocked,
    )
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


def _by_group(trees: Any, n_groups: int) -> list[Any]:
    """Each group's part of arrays with one row a tree."""
    arrays, structure = jax.tree.flatten(trees)
    parts = zip(*(jnp.split(x, n_groups) for x in arrays), strict=True)
    return [jax.tree.unflatten(structure, part) for part in parts]


def _move_rows(
    forest: ForestGroup, moves: Moves, state: HurdleState
) -> tuple[UInt8[Array, "trees_per_group rows"], Int32[Array, "channels arms_per_group trees"]]:
    """Move rows to the proposed children; count, per channel and arm, rows of the left one."""
    groups = forest.n_groups
    before = rows = forest.leaf_indices
    by_group = _by_group((forest.to_prune, forest.move_node, moves), groups)
    for group, own in enumerate(by_group):
        moved = _moved_rows(before, *own, state.X)
        rows = moved if groups == 1 else jnp.where(state.arm == group, moved, rows)
    # Without the barrier XLA on CPU moves rows once more for every count.
    rows = lax.optimization_barrier(rows)
    lengths = state.lengths
    left = []
    arms = _arms_of_groups(groups, state.layout.n_arms)
    for (_, _, own_moves), own_arms in zip(by_group, arms, strict=True):
        child = own_moves.lrt_nodes[:, :1].astype(jnp.uint8)
        of_arm = [(rows == child) & (state.arm == k) for k in own_arms]
        left.append(jnp.stack([jnp.stack([_count(x[:, :n]) for x in of_arm]) for n in lengths]))
    return rows, state.over_devices(jnp.concatenate(left, axis=2))


@jax.jit
def _moved_rows(
    rows: UInt8[Array, "trees rows"],
    to_prune: Bool[Array, " trees"],
    move_node: Int32[Array, " trees"],
    moves: Moves,
    X: UInt8[Array, "p rows"],
) -> UInt8[Array, "trees rows"]:
    """Rows' leaves after the last sweep's prunes and the proposed grows of a group."""
    moved = apply_moves_to_leaf_indices(rows, to_prune, move_node)
    return apply_grow_to_indices(moves, moved, X)


def _arms_of_groups(n_groups: int, n_arms: int) -> list[range]:
    """The arms whose rows each group sees: all for mu's only one, its own for tau's."""
    return [range(n_arms)] if n_groups == 1 else [range(g, g + 1) for g in range(n_groups)]


@jax.jit
def _count(which: Bool[Array, "trees rows"]) -> Int32[Array, " trees"]:
    """How many rows, added up in bytes first: 32 rows fit in one, and so many fit in a word."""
    by_byte = which.reshape(len(which), _ROWS_OF_A_BYTE, -1).astype(jnp.uint8)
    return by_byte.sum(1, dtype=jnp.uint8).astype(jnp.int32).sum(1)


def _update_counts(
    counts: Int32[Array, "channels arms_per_group trees size"],
    left: Int32[Array, "channels arms_per_group trees"],
    moves: Moves,
) -> Int32[Array, "channels arms_per_group trees size"]:
    """Counts at the nodes of each move: children, and their sum at the parent.

    Before a grow the parent is a leaf, so its cached count is valid and the right child's
    follows from the left one's; before a prune the children's cached counts are valid.
    """

    def one(count: Array, n_left: Array, nodes: Array, grow: Array) -> Array:
        right = jnp.where(grow, count[nodes[2]] - n_left, count[nodes[1]])
        left_count = jnp.where(grow, n_left, count[nodes[0]])
        return count.at[nodes].set(jnp.stack([left_count, right, left_count + right]))

    of_arm = jax.vmap(jax.vmap(one), in_axes=(0, 0, None, None))
    return jax.vmap(of_arm, in_axes=(0, 0, None, None))(counts, left, moves.lrt_nodes, moves.grow)


def _finish_moves(forest: ForestGroup, moves: Moves) -> Moves:
    """Apply the minimum leaf size and complete the transition x prior ratio."""
    half = forest.var_tree.shape[1]
    # The first channel holds the most rows: all visitors, or all of them in a continuous fit.
    rows = forest.counts[0].sum(axis=0)
    children = jnp.take_along_axis(rows, moves.lrt_nodes[:, :2], axis=1)
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
    lengths = state.lengths
    # A leaf's address among the leaves of all groups, in few bytes: rows are read many times.
    small = jnp.uint8 if groups * size < 256 else jnp.uint16
    group_start = state.arm.astype(small) * size if groups > 1 else jnp.zeros((), small)
    slopes = [by_arm(state.arm[:length], forest.multiplier[c]) for c, length in enumerate(lengths)]
    # What the forest has to fit stands still while its trees change: only their sum is carried.
    targets = [r + k * f for r, k, f in zip(resid, slopes, forest.fit, strict=True)]
    weighted = [(k * t, k * k) for k, t in zip(slopes, targets, strict=True)]

    def stacked(x: Array) -> Array:  # (trees, ...) -> (per_group, groups, ...)
        return jnp.moveaxis(x.reshape(groups, per_group, *x.shape[1:]), 0, 1)

    # An arm is a group (tau) or a part of the only one (mu).
    squares = jnp.square(forest.multiplier).reshape(channels, -1, groups, 1, 1)
    by_group = forest.counts.reshape(channels, -1, groups, per_group, size)
    # (per_group, groups, channels, size)
    weights = jnp.transpose(jnp.sum(squares * by_group, axis=1), (2, 1, 0, 3))
    e = precision[:, None]
    prior = forest.leaf_precision
    variance = 1 / (e * weights + prior)
    noise = jnp.sqrt(variance) * random.normal(key, variance.shape)
    nodes = stacked(moves.lrt_nodes)
    v_nodes = jnp.take_along_axis(variance, nodes[:, :, None, :], axis=-1)
    log_root = 0.5 * jnp.sum(
        jnp.log(v_nodes[..., 0]) + jnp.log(v_nodes[..., 1]) - jnp.log(v_nodes[..., 2]), axis=-1
    ) + 0.5 * channels * jnp.log(prior)
    at_group = jnp.arange(groups)[:, None]
    sign = jnp.array([1.0, 1.0, -1.0])

    def one_tree(fit: Resid, tree: tuple[Array, ...]) -> tuple[Resid, tuple[Array, ...]]:
        (
            index,
            leaf,
            weight,
            var,
            noise,
            nodes,
            v_nodes,
            log_root,
            prior_ratio,
            grow,
            ok,
            logu,
            leaves,
            few,
        ) = tree
        address = forest.leaf_indices[index].astype(small) + group_start
        sums = []
        for (kt, kk), f, length in zip(weighted, fit, lengths, strict=True):
            total = sum_by_leaf(kt - kk * f, address[:length], leaves, few, groups * size)
            sums.append(state.over_devices(total).reshape(groups, size))
        S = jnp.stack(sums, axis=1) + weight * leaf
        child = jnp.take_along_axis(S, nodes[:, None, :2], axis=-1)
        S_nodes = jnp.concatenate([child, child.sum(-1, keepdims=True)], axis=-1)
        S = S.at[at_group, :, nodes].set(jnp.moveaxis(S_nodes, -1, 1))
        fit_gain = 0.5 * jnp.sum((e * S_nodes) ** 2 * v_nodes * sign, axis=(1, 2))
        log_ratio = prior_ratio + log_root + fit_gain
        log_ratio = jnp.where(grow, log_ratio, -log_ratio)
        acc = ok & (logu <= log_ratio)
        to_prune = acc ^ grow
        new_leaf = var * e * S + noise
        # A pruned node's value goes to its children, to which rows still point.
        target = jnp.where(to_prune[:, None], nodes, size)
        parent = jnp.take_along_axis(new_leaf, nodes[:, None, 2:], axis=-1)
        new_leaf = new_leaf.at[at_group, :, target].set(
            jnp.broadcast_to(jnp.moveaxis(parent, -1, 1), (groups, 3, channels)), mode="drop"
        )
        new_leaf = new_leaf.at[:, :, 0].set(0.0)  # padding's node
        # The barrier keeps XLA on CPU from recomputing the small table for every row.
        drop = lax.optimization_barrier(leaf - new_leaf)
        fit = tuple(
            f - drop[:, c].reshape(-1)[address[:length]]
            for c, (f, length) in enumerate(zip(fit, lengths, strict=True))
        )
        return fit, (new_leaf, acc, to_prune)

    fit, (leaf, acc, to_prune) = lax.scan(
        one_tree,
        forest.fit,
        (
            jnp.arange(per_group),
            stacked(forest.leaf_tree),
            weights,
            variance,
            noise,
            nodes,
            v_nodes,
            log_root,
            stacked(moves.log_trans_prior_ratio),
            stacked(moves.grow),
            stacked(moves.allowed),
            stacked(moves.logu),
            *list_leaves(forest.split_tree, moves, groups),
        ),
    )

    def unstacked(x: Array) -> Array:
        return jnp.moveaxis(x, 0, 1).reshape(trees, *x.shape[2:])

    resid = tuple(t - k * f for t, k, f in zip(targets, slopes, fit, strict=True))
    forest = replace(forest, leaf_tree=unstacked(leaf), fit=fit)
    return forest, resid, unstacked(acc), unstacked(to_prune)


@jax.jit
def by_arm(arm: UInt8[Array, " rows"], values: Float32[Array, " arms"]) -> Float32[Array, " rows"]:
    """Each row's value of its arm. Arms are few: choosing is faster than looking up."""
    out = values[0]
    for k in range(1, len(values)):
        out = jnp.where(arm == k, values[k], out)
    return jnp.broadcast_to(out, arm.shape)
