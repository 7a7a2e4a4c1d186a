"""Where chains start, and a chain's first state.

A start is one draw of every tree and scalar. Cold, trees are drawn from their prior, each chain
its own, with empty leaves: chains that started alike would agree before they have forgotten
where they started. Warm, a start is the last draw of a chain of an earlier fit.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Bool, Float, Float32, Int, Int32, UInt, UInt8
from scipy.special import ndtr, ndtri

from pytyche_engine.bcf.bartz_adapter import (
    AutoBatchedReduction,
    StepConfig,
    partition_specs,
)
from pytyche_engine.bcf.draws import Draws, find_leaves
from pytyche_engine.bcf.layout import COLUMN_BUCKET, arrange, bucket, pad_columns
from pytyche_engine.bcf.prior import grow_tree
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.bcf.state import CHANNELS, Channel, ForestGroup, HurdleState, LatentScale
from pytyche_engine.contracts.observations import Outcome

_ROWS_FOR_COLD_TREES = 10_000


@dataclass(frozen=True, eq=False)
class Encoded:
    """Data as the sampler sees them.

    Attributes:
        X: (p, n) bins.
        max_split: (p,) largest split of each column; 0 where there is none.
        mu_only: (p,) columns that only the mu forest may split on.
        arm: (n,) arm codes.
        revenue: (n,) money.
        n_arms: K.
        outcome: which channels are on.
        scale: from money to latent units.
    """

    X: UInt8[np.ndarray, "p n"]
    max_split: UInt8[np.ndarray, " p"]
    mu_only: Bool[np.ndarray, " p"]
    arm: Int[np.ndarray, " n"]
    revenue: Float[np.ndarray, " n"]
    n_arms: int
    outcome: Outcome
    scale: LatentScale

    @property
    def has_severity(self) -> Bool[np.ndarray, " n"]:
        """Who is in the severity channel."""
        if self.outcome is Outcome.HURDLE:
            return self.revenue > 0
        return np.full(len(self.arm), self.outcome is Outcome.CONTINUOUS)

    def padded(self) -> "Encoded":
        """With columns up to the bucket's size, which cannot be split."""
        return replace(
            self,
            X=pad_columns(self.X),
            max_split=pad_columns(self.max_split[:, None])[:, 0],
            mu_only=pad_columns(self.mu_only[:, None])[:, 0],
        )

    def take(self, rows: Int[np.ndarray, " m"]) -> "Encoded":
        """Some of the visitors."""
        return replace(self, X=self.X[:, rows], arm=self.arm[rows], revenue=self.revenue[rows])


def cold_start(data: Encoded, settings: Settings, rng: np.random.Generator) -> Draws:
    """One draw: trees from their prior with empty leaves, scalars near their priors' centres."""
    channels, K = len(CHANNELS[data.outcome]), data.n_arms
    some = data
    if len(data.arm) > _ROWS_FOR_COLD_TREES:
        some = data.take(rng.choice(len(data.arm), _ROWS_FOR_COLD_TREES, replace=False))

    def forest(
        rows: Bool[np.ndarray, " n"],
        trees: int,
        max_split: UInt8[np.ndarray, " p"],
        split: tuple[float, float],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        size = 2**settings.max_depth
        columns = np.uint8 if len(max_split) <= 256 else np.uint16
        var = np.zeros((trees, size // 2), dtype=columns)
        cut = np.zeros((trees, size // 2), dtype=np.uint8)
        X = some.X[:, rows]
        for v, c in zip(var, cut, strict=True):
            # One try: where a leaf would hold too few visitors the tree starts as a root.
            if not grow_tree(rng, X, max_split, split, settings, v, c):
                v[:], c[:] = 0, 0
        return var, cut, np.zeros((trees, channels, size), dtype=np.float32)

    mu = forest(
        np.ones(len(some.arm), bool), settings.num_trees_mu, data.max_split, settings.mu_split
    )
    tau_splits = np.where(data.mu_only, 0, data.max_split).astype(np.uint8)
    tau = [
        forest(some.arm == a, settings.num_trees_tau, tau_splits, settings.tau_split)
        for a in range(K)
    ]

    def full(value: float, *shape: int) -> np.ndarray:
        return np.full((1, *shape), value, dtype=np.float32)

    return Draws(
        mu_var=mu[0][None],
        mu_split=mu[1][None],
        mu_leaf=mu[2][None],
        mu_multiplier=full(0.3 * settings.mu_scale, channels, K),
        tau_var=np.concatenate([t[0] for t in tau])[None],
        tau_split=np.concatenate([t[1] for t in tau])[None],
        tau_leaf=np.concatenate([t[2] for t in tau])[None],
        tau_multiplier=full(0.3 * settings.tau_scale, channels, K),
        intercept=full(0.0, channels),
        arm_effect=rng.normal(0, 0.05, (1, channels, K)).astype(np.float32),
        arm_variance=full(settings.arm_scale**2, channels),
        sigma2=full(1.0),
        chain=np.zeros(1, dtype=int),
    )


def warm_start(
    draws: Draws,
    chain: int,
    channels: tuple[Channel, ...],
    old: LatentScale,
    new: LatentScale,
) -> Draws:
    """The last draw of a chain of an earlier fit, in the units of the new one.

    Chains beyond those of the earlier fit start from earlier draws of its chains.
    """
    chains = int(draws.chain.max()) + 1
    of_chain = np.flatnonzero(draws.chain == chain % chains)
    last = draws.take(of_chain[[-1 - (chain // chains) % len(of_chain)]])
    ratio = old.scale / new.scale
    for c, channel in enumerate(channels):
        if channel == "conversion":
            last.intercept[:, c] += old.offset - new.offset
            continue
        last.intercept[:, c] = (old.centre - new.centre) / new.scale + ratio * last.intercept[:, c]
        for scaled in (last.arm_effect, last.mu_multiplier, last.tau_multiplier):
            scaled[:, c] *= ratio
        last.arm_variance[:, c] *= ratio**2
        last.sigma2[:] *= ratio**2
    return last


def init_state(
    data: Encoded,
    start: Draws,
    settings: Settings,
    rng: np.random.Generator,
    mesh: Mesh | None = None,
) -> HurdleState:
    """A chain's first state: a start (one draw) put on data.

    Args:
        data: padded data.
        start: one draw whose trees refer to the columns of `data`.
        settings: priors and sizes.
        rng: draws the latent conversion given the start.
        mesh: devices to spread rows over, in an axis named ``data``; the state of a mesh of
            one is put there and, needing no sums over devices, does not keep it.
    """
    channels, K = CHANNELS[data.outcome], data.n_arms
    devices = 1 if mesh is None else mesh.size
    layout, rows = arrange(data.has_severity, K, devices)
    present = rows >= 0
    X = np.where(present, data.X[:, rows], 0).astype(np.uint8)
    arm = np.where(present, data.arm[rows], 0).astype(np.uint8)

    def channel_rows(c: int) -> Int[np.ndarray, " channel_rows"]:
        if channels[c] == "conversion":
            return np.arange(len(rows))
        by_device = np.arange(len(rows)).reshape(devices, -1)
        return by_device[:, : layout.n_severity_rows].ravel()

    lengths = [channel_rows(c) for c in range(len(channels))]
    mu = _forest("mu", 1, start, data, settings, X, arm, present, lengths)
    tau = _forest("tau", K, start, data, settings, X, arm, present, lengths)
    converted = np.where(present, data.revenue[rows] > 0, False)
    z, resid = None, []
    for c, (channel, own) in enumerate(zip(channels, lengths, strict=True)):
        fitted = (
            start.intercept[0, c]
            + start.arm_effect[0, c][arm[own]]
            + start.mu_multiplier[0, c][arm[own]] * np.asarray(mu.fit[c])
            + start.tau_multiplier[0, c][arm[own]] * np.asarray(tau.fit[c])
        )
        if channel == "conversion":
            eta = data.scale.offset + fitted
            u = rng.uniform(1e-4, 1, size=len(own))
            error = np.where(converted, -ndtri(u * ndtr(eta)), ndtri(u * ndtr(-eta)))
            target = fitted + np.clip(error, -9, 9)
            z = np.where(present, target, 0).astype(np.float32)
        else:
            money = np.where(present[own], data.revenue[rows[own]], 1.0)
            logs = np.log(np.where(money > 0, money, 1.0))
            target = (logs - data.scale.centre) / data.scale.scale
        resid.append(np.where(present[own], target - fitted, 0).astype(np.float32))
    counts = np.zeros((len(channels), K), dtype=np.float32)
    for c, own in enumerate(lengths):
        np.add.at(counts[c], arm[own][present[own]], 1)
    state = HurdleState(
        X=X,
        valid=present.astype(np.float32),
        arm=arm,
        converted=converted,
        z=z,
        resid=tuple(resid),
        mu=mu,
        tau=tau,
        intercept=start.intercept[0],
        arm_effect=start.arm_effect[0],
        arm_variance=start.arm_variance[0],
        sigma2=np.float32(start.sigma2[0]),
        offset=np.float32(data.scale.offset),
        arm_rows=counts,
        arm_prior=np.array([settings.arm_scale_df, settings.arm_scale**2], np.float32),
        loading_variance=np.maximum(
            start.mu_multiplier[0].var(axis=1), np.float32(settings.loading_scale**2)
        ),
        loading_prior=np.float32(settings.loading_scale**2),
        multiplier_df=np.float32(settings.multiplier_df),
        sigma_prior=np.array([settings.sigma_df, settings.sigma_scale], np.float32),
        config=StepConfig(
            steps_done=np.int32(0),
            sparse_on_at=None,
            resid_reduction_config=AutoBatchedReduction(),
            count_reduction_config=AutoBatchedReduction(),
            prec_reduction_config=AutoBatchedReduction(),
            prec_count_num_trees=1,
            sequential_unroll=1,
            augment=False,
            mesh=mesh if devices > 1 else None,
        ),
        layout=layout,
        channels=channels,
    )
    # Everything up to here is numpy's: one transfer, and no small program to compile for each
    # of some sixty arrays.
    if mesh is None:
        return jax.device_put(state)
    if devices == 1:
        return jax.device_put(state, mesh.devices.item())
    spread = jax.tree.map(lambda spec: NamedSharding(mesh, spec), partition_specs(state, mesh))
    return jax.device_put(state, spread)


def _forest(
    name: str,
    n_groups: int,
    start: Draws,
    data: Encoded,
    settings: Settings,
    X: UInt8[np.ndarray, "p rows"],
    arm: UInt8[np.ndarray, " rows"],
    present: Bool[np.ndarray, " rows"],
    channel_rows: list[Int[np.ndarray, " channel_rows"]],
) -> ForestGroup:
    """A forest with its trees put on rows."""
    var, split, leaf, multiplier = (
        getattr(start, f"{name}_{part}")[0] for part in ("var", "split", "leaf", "multiplier")
    )
    trees, _, size = leaf.shape
    group = arm if n_groups > 1 else np.zeros_like(arm)
    indices, counts, fit = _place(
        X, var, split, leaf, group, arm, present, tuple(channel_rows), n_groups, data.n_arms
    )
    common = multiplier if n_groups > 1 else multiplier.mean(axis=1, keepdims=True)
    p, half = len(data.max_split), size // 2
    blocked = np.flatnonzero((data.max_split == 0) | ((n_groups > 1) & data.mu_only))
    most_blocked = bucket(int(((data.max_split == 0) | data.mu_only).sum()), COLUMN_BUCKET)
    prior = settings.mu_split if name == "mu" else settings.tau_split
    spread = settings.mu_scale if name == "mu" else settings.tau_scale
    p_node = _p_nonterminal(size, *prior)
    return ForestGroup(
        var_tree=var.astype(np.uint8 if p <= 256 else np.uint16),
        split_tree=split,
        affluence_tree=_growable(var, split, data.max_split, blocked),
        leaf_tree=leaf,
        to_prune=np.zeros(trees, bool),
        move_node=np.zeros(trees, np.int32),
        max_split=data.max_split,
        blocked_vars=np.pad(blocked, (0, most_blocked - len(blocked)), constant_values=p).astype(
            np.uint16
        ),
        p_nonterminal=p_node,
        p_propose_grow=p_node[:half],
        log_s=None,
        min_leaf=np.int32(settings.min_leaf),
        leaf_precision=np.float32(trees // n_groups),
        leaf_indices=indices,
        counts=counts,
        multiplier=multiplier,
        multiplier_variance=np.maximum(common**2, np.float32(spread**2)),
        multiplier_prior=np.full(n_groups, spread**2, np.float32),
        fit=fit,
        n_groups=n_groups,
    )


@partial(jax.jit, static_argnames=("n_groups", "n_arms"))
def _place(
    X: UInt8[Array, "p rows"],
    var: UInt[Array, "trees half"],
    split: UInt[Array, "trees half"],
    leaf: Float32[Array, "trees channels size"],
    group: UInt8[Array, " rows"],
    arm: UInt8[Array, " rows"],
    present: Bool[Array, " rows"],
    channel_rows: tuple[Int[Array, " channel_rows"], ...],
    n_groups: int,
    n_arms: int,
) -> tuple[
    UInt8[Array, "trees_per_group rows"],
    Int32[Array, "channels arms_per_group trees size"],
    tuple[Float32[Array, " channel_rows"], ...],
]:
    """Each row's leaf in its own group's trees, rows per leaf, and each row's value."""
    trees, _, size = leaf.shape

    def stacked(x: Array) -> Array:  # (trees, ...) -> (per_group, groups, ...)
        return jnp.moveaxis(x.reshape(n_groups, trees // n_groups, *x.shape[1:]), 0, 1)

    def place(fit: tuple[Array, ...], tree: tuple[Array, ...]) -> tuple[Any, Any]:
        v, s, value = tree
        node = jnp.zeros(X.shape[1], jnp.uint8)  # the unused heap node 0 is padding's
        for g in range(n_groups):
            own = find_leaves(X, v[g], s[g])
            node = jnp.where(present & (group == g), own, node)
        at = group.astype(jnp.int32) * size + node
        of_arm = arm.astype(jnp.int32) * size + node
        counts = jnp.stack(
            [
                jnp.zeros(n_arms * size, jnp.int32).at[of_arm[own]].add(1).reshape(n_arms, size)
                for own in channel_rows
            ]
        )
        fit = tuple(
            f + jnp.where(node[own] > 0, value[:, c].reshape(-1)[at[own]], 0.0)
            for c, (f, own) in enumerate(zip(fit, channel_rows, strict=True))
        )
        return fit, (node, counts.at[:, :, 0].set(0))

    empty = tuple(jnp.zeros(len(own), jnp.float32) for own in channel_rows)
    fit, (indices, counts) = lax.scan(place, empty, (stacked(var), stacked(split), stacked(leaf)))
    # (per_group, channels, arms, size), where an arm is a group or a part of the only one
    counts = jnp.moveaxis(counts, 0, 2)
    if n_groups > 1:
        counts = counts.reshape(len(channel_rows), 1, trees, size)
    return indices, counts, fit


def _p_nonterminal(size: int, alpha: float, beta: float) -> Float32[np.ndarray, " size"]:
    """P(a node is split), by heap index; 0 at the deepest level."""
    depth = np.log2(np.maximum(np.arange(size), 1)).astype(int)
    p = alpha / (1 + depth) ** beta
    return np.where(np.arange(size) < size // 2, p, 0).astype(np.float32)


def _growable(
    var: UInt[np.ndarray, "trees half"],
    split: UInt[np.ndarray, "trees half"],
    max_split: UInt8[np.ndarray, " p"],
    blocked: Int[np.ndarray, " q"],
) -> Bool[np.ndarray, "trees half"]:
    """Leaves, above the deepest level, with a rule left that could split them."""
    open_columns = len(max_split) - len(blocked)
    growable = np.zeros(split.shape, dtype=bool)
    for tree in range(len(split)):
        # (node, {column: its range of split indices}) below the splits so far.
        stack: list[tuple[int, dict[int, tuple[int, int]]]] = [(1, {})]
        while stack:
            node, ranges = stack.pop()
            if node >= split.shape[1]:
                continue
            if split[tree, node] == 0:
                used_up = sum(low > high for low, high in ranges.values())
                growable[tree, node] = open_columns > used_up
                continue
            column, cut = int(var[tree, node]), int(split[tree, node])
            low, high = ranges.get(column, (1, int(max_split[column])))
            stack.append((2 * node, ranges | {column: (low, cut - 1)}))
            stack.append((2 * node + 1, ranges | {column: (cut + 1, high)}))
    return growable
