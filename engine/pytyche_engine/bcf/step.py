"""One sweep of the sampler: mu forest, tau forests, scalars, latent conversion, sigma^2.

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
from jax.scipy.special import log_ndtr, ndtr, ndtri
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


def hurdle_step(key: Key[Array, ""], state: HurdleState) -> HurdleState:
    """One sweep over everything that is sampled."""
    keys = random.split(key, 6)
    precision = _error_precision(state)
    mu_moves, tau_moves = _propose(keys[5], state)
    mu, resid = _update_forests(keys[0], state.mu, mu_moves, state.resid, precision, state)
    tau, resid = _update_forests(keys[1], state.tau, tau_moves, resid, precision, state)
    state = replace(state, mu=mu, tau=tau, resid=resid)
    state = _update_scalars(keys[2], state, precision)
    state = _update_latent(keys[3], state)
    return _update_sigma2(keys[4], state)


def _error_precision(state: HurdleState) -> Float32[Array, " channels"]:
    one = jnp.float32(1.0)
    return jnp.stack([one if c == "conversion" else 1 / state.sigma2 for c in state.channels])


def _propose(key: Key[Array, ""], state: HurdleState) -> tuple[Moves, Moves]:
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


def _update_forests(
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


def _update_scalars(
    key: Key[Array, ""], state: HurdleState, precision: Float32[Array, " channels"]
) -> HurdleState:
    """Draw intercept, arm effects and forest multipliers of a channel jointly.

    The design row is (1, one-hot arm, f_mu, one-hot arm x f_tau); everything is normal given
    the forests. Drawn together because a change of one is paid back by another.
    """
    K = state.layout.n_arms
    keys = random.split(key, 2 * len(state.channels))
    lengths = channel_lengths(state.layout, state.channels)
    resid, intercept, effect, variance = [], [], [], []
    mu_k, tau_k = [], []
    for c, length in enumerate(lengths):
        r, f, g = state.resid[c], state.mu.fit[c], state.tau.fit[c]
        blocks = [b for b in state.layout.blocks if b.stop <= length]

        def by_arm(x: Array, blocks: list = blocks) -> Float32[Array, " arms"]:  # type: ignore[type-arg]
            return jnp.stack(
                [sum(jnp.sum(x[b.start : b.stop]) for b in blocks if b.arm == a) for a in range(K)]
            )

        valid = state.valid[:length]
        n, n_f, n_g = state.arm_rows[c], by_arm(f * valid), by_arm(g * valid)
        ff, gg, fg = by_arm(f * f * valid), by_arm(g * g * valid), by_arm(f * g * valid)
        gram = jnp.zeros((2 * K + 2, 2 * K + 2))
        arms, slopes = slice(1, K + 1), slice(K + 2, 2 * K + 2)
        gram = gram.at[0, 0].set(n.sum()).at[0, arms].set(n).at[0, K + 1].set(n_f.sum())
        gram = gram.at[0, slopes].set(n_g)
        gram = gram.at[jnp.arange(1, K + 1), jnp.arange(1, K + 1)].set(n)
        gram = gram.at[arms, K + 1].set(n_f)
        gram = gram.at[jnp.arange(1, K + 1), jnp.arange(K + 2, 2 * K + 2)].set(n_g)
        gram = gram.at[K + 1, K + 1].set(ff.sum()).at[K + 1, slopes].set(fg)
        gram = gram.at[jnp.arange(K + 2, 2 * K + 2), jnp.arange(K + 2, 2 * K + 2)].set(gg)
        gram = jnp.triu(gram) + jnp.triu(gram, 1).T
        old = jnp.concatenate(
            [
                state.intercept[c][None],
                state.arm_effect[c],
                state.mu.multiplier[c],
                state.tau.multiplier[c],
            ]
        )
        right = jnp.concatenate(
            [by_arm(r).sum()[None], by_arm(r), by_arm(r * f).sum()[None], by_arm(r * g)]
        )
        right = precision[c] * (right + gram @ old)
        prior = jnp.concatenate(
            [
                jnp.ones(1),
                jnp.full(K, 1 / state.arm_variance[c]),
                state.mu.multiplier_scale[None] ** -2,
                jnp.full(K, state.tau.multiplier_scale**-2),
            ]
        )
        chol = jnp.linalg.cholesky(precision[c] * gram + jnp.diag(prior))
        half = jax.scipy.linalg.solve_triangular(chol, right, lower=True)
        shock = half + random.normal(keys[2 * c], half.shape)
        new = jax.scipy.linalg.solve_triangular(chol.T, shock, lower=False)

        step = new - old
        shift = jnp.concatenate(
            [jnp.full(b.stop - b.start, step[0] + step[1 + b.arm]) for b in blocks]
        )
        slope = jnp.concatenate([jnp.full(b.stop - b.start, step[K + 2 + b.arm]) for b in blocks])
        resid.append(r - valid * (shift + step[K + 1] * f + slope * g))
        t = new[arms]
        nu, s2 = state.arm_prior
        rate = 0.5 * (nu * s2 + jnp.sum(t**2))
        variance.append(rate / _gamma(keys[2 * c + 1], 0.5 * (nu + K)))
        intercept.append(new[0])
        effect.append(t)
        mu_k.append(new[K + 1][None])
        tau_k.append(new[slopes])
    return replace(
        state,
        resid=tuple(resid),
        intercept=jnp.stack(intercept),
        arm_effect=jnp.stack(effect),
        arm_variance=jnp.stack(variance),
        mu=replace(state.mu, multiplier=jnp.stack(mu_k)),
        tau=replace(state.tau, multiplier=jnp.stack(tau_k)),
    )


def _update_latent(key: Key[Array, ""], state: HurdleState) -> HurdleState:
    """Redraw conversion's arm effects with the latent outcome integrated out, then that.

    With a few converters in a hundred the latent outcome (Albert and Chib 1993) pins what it
    was drawn from: effects given it move by a small part of their posterior sd. Drawing the
    pair as a block (arm effects from the probit likelihood itself, then the latent outcome
    given them) removes that drag.
    """
    if state.z is None:
        return state
    shift_key, key = random.split(key)
    fitted = state.z - state.resid[0]
    sign = jnp.where(state.converted, 1.0, -1.0)
    shift = _draw_arm_shift(shift_key, state, sign, state.offset + fitted)
    fitted = fitted + _by_row(state.layout, shift)
    eta = state.offset + fitted
    u = random.uniform(key, eta.shape, minval=2e-38)
    # z = eta + s e with e > -s eta: -e is a normal below s eta. The floor keeps the inverse
    # finite where a visitor's outcome was all but impossible.
    below = jnp.maximum(u * ndtr(sign * eta), 1e-37)
    resid = -sign * ndtri(below) * state.valid
    return replace(
        state,
        arm_effect=state.arm_effect.at[0].add(shift),
        z=(fitted + resid) * state.valid,
        resid=(resid, *state.resid[1:]),
    )


def _draw_arm_shift(
    key: Key[Array, ""],
    state: HurdleState,
    sign: Float32[Array, " rows"],
    eta: Float32[Array, " rows"],
) -> Float32[Array, " arms"]:
    """Metropolis-Hastings moves of conversion's arm effects, one an arm.

    Given the forests the probit likelihood factors over arms, so each arm is accepted on its
    own. The proposal is normal around a Newton step with the curvature there; the way
    back is proposed from the other end in the same manner.
    """
    K = state.layout.n_arms
    effect, precision = state.arm_effect[0], 1 / state.arm_variance[0]
    normal_key, accept_key = random.split(key)

    def arm_sum(x: Float32[Array, " rows"]) -> Float32[Array, " arms"]:
        x = x * state.valid
        blocks = state.layout.blocks
        return jnp.stack(
            [sum(jnp.sum(x[b.start : b.stop]) for b in blocks if b.arm == a) for a in range(K)]
        )

    def newton(
        log_p: Float32[Array, " rows"], q: Float32[Array, " rows"], at: Float32[Array, " arms"]
    ) -> tuple[Float32[Array, " arms"], Float32[Array, " arms"]]:
        mills = jnp.exp(-0.5 * q**2 - log_p) * 0.3989422804014327
        curvature = arm_sum(mills * (mills + q)) + precision
        return (arm_sum(sign * mills) - precision * at) / curvature, curvature

    q_old = sign * eta
    log_old = log_ndtr(q_old)
    step_old, curve_old = newton(log_old, q_old, effect)
    shift = step_old + random.normal(normal_key, (K,)) * lax.rsqrt(curve_old)
    q_new = q_old + sign * _by_row(state.layout, shift)
    log_new = log_ndtr(q_new)
    step_new, curve_new = newton(log_new, q_new, effect + shift)
    log_ratio = (
        arm_sum(log_new - log_old)
        - 0.5 * precision * ((effect + shift) ** 2 - effect**2)
        + 0.5 * (jnp.log(curve_new) - curve_new * (-shift - step_new) ** 2)
        - 0.5 * (jnp.log(curve_old) - curve_old * (shift - step_old) ** 2)
    )
    accept = jnp.log(random.uniform(accept_key, (K,), minval=2e-38)) < log_ratio
    return jnp.where(accept, shift, 0.0)


def _by_row(layout: RowLayout, by_arm: Float32[Array, " arms"]) -> Float32[Array, " rows"]:
    """Each row's value of its arm."""
    return jnp.concatenate([jnp.full(b.stop - b.start, by_arm[b.arm]) for b in layout.blocks])


def _update_sigma2(key: Key[Array, ""], state: HurdleState) -> HurdleState:
    """Redraw the error variance of severity."""
    if "severity" not in state.channels:
        return state
    nu, scale = state.sigma_prior
    n = state.arm_rows[-1].sum()
    rate = 0.5 * (nu * scale + jnp.sum(state.resid[-1] ** 2))
    return replace(state, sigma2=rate / _gamma(key, 0.5 * (nu + n)))


def _gamma(key: Key[Array, ""], shape: Float32[Array, ""]) -> Float32[Array, ""]:
    """One draw of Gamma(shape, 1), shape above 1 (Marsaglia and Tsang 2000).

    JAX's own sampler loops, which takes long to compile. At least 95 candidates in 100 are
    accepted, so among 24 there is one but for odds of 1e-31.
    """
    normal_key, uniform_key = random.split(key)
    d = shape - 1 / 3
    x = random.normal(normal_key, (24,))
    v = (1 + x * lax.rsqrt(9 * d)) ** 3
    log_u = jnp.log(random.uniform(uniform_key, (24,), minval=2e-38))
    # Where v <= 0 the candidate is refused; the maximum keeps its logarithm finite.
    bound = 0.5 * x**2 + d - d * v + d * jnp.log(jnp.maximum(v, 1e-30))
    return d * v[jnp.argmax((v > 0) & (log_u < bound))]
