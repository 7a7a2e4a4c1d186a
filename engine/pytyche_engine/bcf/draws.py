"""Kept draws of the sampler, and the surfaces they imply."""

from dataclasses import dataclass, fields
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.special import ndtr
from jaxtyping import Float32, Int, UInt, UInt8

from pytyche_engine.bcf.bartz_adapter import Trace, field
from pytyche_engine.bcf.state import Channel, ForestGroup, HurdleState, LatentScale


class HurdleTrace(Trace):
    """What `run_mcmc` saves of each kept iteration."""

    mu_var: UInt[Array, "draws trees half"] = field(samples=0)
    mu_split: UInt[Array, "draws trees half"] = field(samples=0)
    mu_leaf: Float32[Array, "draws trees channels size"] = field(samples=0)
    mu_multiplier: Float32[Array, "draws channels arms"] = field(samples=0)
    tau_var: UInt[Array, "draws trees half"] = field(samples=0)
    tau_split: UInt[Array, "draws trees half"] = field(samples=0)
    tau_leaf: Float32[Array, "draws trees channels size"] = field(samples=0)
    tau_multiplier: Float32[Array, "draws channels arms"] = field(samples=0)
    intercept: Float32[Array, "draws channels"] = field(samples=0)
    arm_effect: Float32[Array, "draws channels arms"] = field(samples=0)
    arm_variance: Float32[Array, "draws channels"] = field(samples=0)
    sigma2: Float32[Array, " draws"] = field(samples=0)

    @property
    def has_chains(self) -> bool:
        """False: one chain a state. bartz asks for it."""
        return False

    @classmethod
    def from_state(cls, state: HurdleState) -> "HurdleTrace":
        """One draw."""
        return cls(
            **_forest_fields("mu", state.mu),
            **_forest_fields("tau", state.tau),
            intercept=state.intercept,
            arm_effect=state.arm_effect,
            arm_variance=state.arm_variance,
            sigma2=state.sigma2,
        )


def _forest_fields(name: str, forest: ForestGroup) -> dict[str, Array]:
    return {
        f"{name}_var": forest.var_tree,
        f"{name}_split": forest.split_tree,
        f"{name}_leaf": forest.leaf_tree,
        f"{name}_multiplier": forest.multiplier,
    }


@dataclass(frozen=True, eq=False)
class Draws:
    """Kept draws of all chains, chain after chain. Field meanings are `HurdleTrace`'s.

    Attributes:
        chain: (S,) the chain of each draw.
    """

    mu_var: UInt[np.ndarray, "draws trees half"]
    mu_split: UInt[np.ndarray, "draws trees half"]
    mu_leaf: Float32[np.ndarray, "draws trees channels size"]
    mu_multiplier: Float32[np.ndarray, "draws channels arms"]
    tau_var: UInt[np.ndarray, "draws trees half"]
    tau_split: UInt[np.ndarray, "draws trees half"]
    tau_leaf: Float32[np.ndarray, "draws trees channels size"]
    tau_multiplier: Float32[np.ndarray, "draws channels arms"]
    intercept: Float32[np.ndarray, "draws channels"]
    arm_effect: Float32[np.ndarray, "draws channels arms"]
    arm_variance: Float32[np.ndarray, "draws channels"]
    sigma2: Float32[np.ndarray, " draws"]
    chain: Int[np.ndarray, " draws"]

    def __len__(self) -> int:
        return len(self.sigma2)

    def take(self, which: Int[np.ndarray, " m"]) -> "Draws":
        """Some of the draws."""
        return Draws(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


def draws_of_trace(trace: HurdleTrace, chain: int) -> Draws:
    """Bring a trace to host memory."""
    values = {f.name: np.asarray(getattr(trace, f.name)) for f in fields(HurdleTrace)}
    return Draws(**values, chain=np.full(len(values["sigma2"]), chain))


def concat_draws(parts: list[Draws]) -> Draws:
    """Draws one after the other."""
    return Draws(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Draws)}
    )


@dataclass(frozen=True, eq=False)
class Surfaces:
    """What each draw says of each visitor under each arm.

    Attributes:
        conversion: (S, K, n) P(revenue > 0); 1 where there is no such channel.
        severity: (S, K, n) E[revenue | revenue > 0], money; 1 where there is none.
    """

    conversion: Float32[np.ndarray, "draws arms n"]
    severity: Float32[np.ndarray, "draws arms n"]


def evaluate(
    draws: Draws, X: UInt8[np.ndarray, "p n"], scale: LatentScale, channels: tuple[Channel, ...]
) -> Surfaces:
    """Evaluate draws at encoded visitors."""
    conversion, severity = _evaluate(
        {f.name: getattr(draws, f.name) for f in fields(HurdleTrace)},
        X,
        np.array([scale.offset, scale.centre, scale.scale, scale.most], dtype=np.float32),
        channels=channels,
    )
    return Surfaces(np.asarray(conversion), np.asarray(severity))


@partial(jax.jit, static_argnames="channels")
def _evaluate(
    draws: dict[str, Array],
    X: UInt8[Array, "p n"],
    scale: Float32[Array, " 4"],
    *,
    channels: tuple[Channel, ...],
) -> tuple[Float32[Array, "draws arms n"], Float32[Array, "draws arms n"]]:
    offset, centre, spread, most = scale
    K = draws["arm_effect"].shape[-1]

    def one_draw(d: dict[str, Array]) -> tuple[Array, Array]:
        mu = _forest_values(X, d["mu_var"], d["mu_split"], d["mu_leaf"])  # (1, channels, n)
        tau = _forest_values(X, d["tau_var"], d["tau_split"], d["tau_leaf"], groups=K)
        constant = d["intercept"] + d["arm_effect"].T  # (K, channels)
        latent = (
            constant[:, :, None]
            + d["mu_multiplier"].T[:, :, None] * mu
            + d["tau_multiplier"].T[:, :, None] * tau
        )  # (K, channels, n)
        conversion = severity = jnp.ones((K, X.shape[1]))
        for c, channel in enumerate(channels):
            if channel == "conversion":
                conversion = ndtr(offset + latent[:, c])
            else:
                logs = centre + spread * latent[:, c] + 0.5 * spread**2 * d["sigma2"]
                severity = jnp.exp(jnp.minimum(logs, most))
        return conversion, severity

    return lax.map(one_draw, draws)


def _forest_values(
    X: UInt8[Array, "p n"],
    var: UInt[Array, "trees half"],
    split: UInt[Array, "trees half"],
    leaf: Float32[Array, "trees channels size"],
    groups: int = 1,
) -> Float32[Array, "groups channels n"]:
    trees, channels, _ = leaf.shape

    def add(total: Array, tree: tuple[Array, Array, Array, Array]) -> tuple[Array, None]:
        v, s, value, group = tree
        return total.at[group].add(value[:, find_leaves(X, v, s)]), None

    group = jnp.repeat(jnp.arange(groups), trees // groups)
    total, _ = lax.scan(add, jnp.zeros((groups, channels, X.shape[1])), (var, split, leaf, group))
    return total


def find_leaves(
    X: UInt8[Array, "p n"], var: UInt[Array, " half"], split: UInt[Array, " half"]
) -> UInt8[Array, " n"]:
    """The leaf (heap index, root 1) that each visitor falls into.

    Goes through the tree's decisions, all visitors at each: trees have few decisions, and a
    decision reads one column from end to end.
    """
    half = len(split)
    # A parent's index is below its children's.
    decisions = jnp.sort(jnp.where(split > 0, jnp.arange(half), half))

    def decide(i: int, node: Array) -> Array:
        at = decisions[i]
        right = X[var[at]] >= split[at]
        return jnp.where(node == at.astype(jnp.uint8), (2 * at).astype(jnp.uint8) + right, node)

    start = jnp.ones(X.shape[1], jnp.uint8)
    return lax.fori_loop(0, jnp.sum(split > 0), decide, start)
