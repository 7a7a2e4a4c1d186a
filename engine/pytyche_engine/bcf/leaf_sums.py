"""Sum residuals over leaves: what a sweep spends most of its time on.

A scatter costs the same however few leaves there are, and its additions wait for one another.
Most trees have few leaves, and for those a CPU is faster comparing every row with every leaf:
a product of a row of masks with the residuals, which XLA turns into vector instructions.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float32, Int32, UInt

from pytyche_engine.bcf.bartz_adapter import AutoBatchedReduction, Moves, sum_resid

FEW_LEAVES = 4
"""Leaves of one forest's tree up to which masks are faster (measured: 0.5 ns a row against 1.6)."""

FEW_LEAVES_OF_GROUPS = 8
"""The same for trees of several forests at once."""

FEW_ROWS = 2048
"""Rows below which choosing between the two ways costs more than it saves."""


def list_leaves(
    split_tree: UInt[Array, "trees half"], moves: Moves, n_groups: int
) -> tuple[Int32[Array, "trees_per_group few"], Bool[Array, " trees_per_group"]]:
    """The leaves that rows may be in during a sweep, with proposed children for their parent.

    Returns:
        For each tree of a group, the addresses (group * size + leaf) of all groups' leaves,
        as far as they are few, padded with an address that no row has; and whether they are.
    """
    trees, half = split_tree.shape
    size = 2 * half
    parent = jnp.where(moves.grow, moves.lrt_nodes[:, 2], half)
    inner = (split_tree > 0).at[jnp.arange(trees), parent].set(True, mode="drop")
    inner = jnp.pad(inner, ((0, 0), (0, half)))
    node = jnp.arange(size)
    leaf = ~inner & jnp.where(node > 1, inner[:, node // 2], node == 1)
    leaf = jnp.moveaxis(leaf.reshape(n_groups, trees // n_groups, size), 0, 1)
    leaf = leaf.reshape(trees // n_groups, n_groups * size)
    few = FEW_LEAVES if n_groups == 1 else FEW_LEAVES_OF_GROUPS
    addresses = jnp.sort(jnp.where(leaf, jnp.arange(n_groups * size), n_groups * size), axis=1)
    return addresses[:, :few], leaf.sum(axis=1) <= few


def sum_by_leaf(
    values: Float32[Array, " rows"],
    address: UInt[Array, " rows"],
    leaves: Int32[Array, " few"],
    are_few: Bool[Array, ""],
    size: int,
) -> Float32[Array, " size"]:
    """Sums of values by their address; `leaves` are the only addresses if they are few."""

    def scatter() -> Float32[Array, " size"]:
        return _scatter(values, address, size)

    def masks() -> Float32[Array, " size"]:
        which = (address == leaves[:, None].astype(address.dtype)).astype(jnp.float32)
        sums = jnp.dot(which, values, precision=lax.Precision.HIGHEST)
        return jnp.zeros(size).at[leaves].set(sums, mode="drop")

    if len(values) < FEW_ROWS:
        return scatter()
    return lax.platform_dependent(cpu=partial(lax.cond, are_few, masks, scatter), default=scatter)


@partial(jax.jit, static_argnames="size")
def _scatter(
    values: Float32[Array, " rows"], address: UInt[Array, " rows"], size: int
) -> Float32[Array, " size"]:
    return sum_resid(values, address, size, AutoBatchedReduction(), False)
