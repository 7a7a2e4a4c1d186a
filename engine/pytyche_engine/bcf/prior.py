"""Draws from the model's own prior, written without the sampler's code.

Used to check the sampler: data simulated from a prior draw must give posteriors in which the
draw's rank is uniform.
"""

import numpy as np
from jaxtyping import Float32, Int, UInt, UInt8

from pytyche_engine.bcf.draws import Draws
from pytyche_engine.bcf.settings import Settings


def sample_prior(
    rng: np.random.Generator,
    X: UInt8[np.ndarray, "p n"],
    max_split: UInt8[np.ndarray, " p"],
    arm: Int[np.ndarray, " n"],
    n_arms: int,
    n_channels: int,
    settings: Settings,
) -> Draws:
    """One draw of every parameter from its prior.

    The prior of a tree is restricted to those whose leaves hold at least
    ``settings.min_leaf`` of the forest's visitors: trees that do not are drawn again.
    """
    variance = (
        settings.arm_scale_df
        * settings.arm_scale**2
        / rng.chisquare(settings.arm_scale_df, size=n_channels)
    )
    mu = _forest(rng, X, max_split, settings.num_trees_mu, settings.mu_split, n_channels, settings)
    tau = [
        _forest(
            rng,
            X[:, arm == a],
            max_split,
            settings.num_trees_tau,
            settings.tau_split,
            n_channels,
            settings,
        )
        for a in range(n_arms)
    ]
    df = settings.multiplier_df

    def multiplier(scale: float, groups: int) -> Float32[np.ndarray, "1 channels groups"]:
        return (scale * rng.standard_t(df, (1, n_channels, groups))).astype(np.float32)

    spread = settings.loading_scale * np.sqrt(df / rng.chisquare(df, size=(1, n_channels, 1)))
    loading = (spread * rng.normal(size=(1, n_channels, n_arms))).astype(np.float32)

    return Draws(
        mu_var=mu[0][None],
        mu_split=mu[1][None],
        mu_leaf=mu[2][None],
        mu_multiplier=multiplier(settings.mu_scale, 1) + loading,
        tau_var=np.concatenate([t[0] for t in tau])[None],
        tau_split=np.concatenate([t[1] for t in tau])[None],
        tau_leaf=np.concatenate([t[2] for t in tau])[None],
        tau_multiplier=multiplier(settings.tau_scale, n_arms),
        intercept=rng.normal(size=(1, n_channels)).astype(np.float32),
        arm_effect=rng.normal(0, np.sqrt(variance)[:, None], (n_channels, n_arms))[None].astype(
            np.float32
        ),
        arm_variance=variance[None].astype(np.float32),
        sigma2=np.array(
            [settings.sigma_df * settings.sigma_scale / rng.chisquare(settings.sigma_df)],
            dtype=np.float32,
        ),
        chain=np.zeros(1, dtype=int),
    )


def _forest(
    rng: np.random.Generator,
    X: UInt8[np.ndarray, "p n"],
    max_split: UInt8[np.ndarray, " p"],
    num_trees: int,
    split: tuple[float, float],
    n_channels: int,
    settings: Settings,
) -> tuple[
    UInt[np.ndarray, "trees half"],
    UInt8[np.ndarray, "trees half"],
    Float32[np.ndarray, "trees channels size"],
]:
    """Trees of one forest: columns and cuts of their decisions, and leaves."""
    half = 2 ** (settings.max_depth - 1)
    var = np.zeros((num_trees, half), dtype=np.uint8 if len(max_split) <= 256 else np.uint16)
    cut = np.zeros((num_trees, half), dtype=np.uint8)
    for tree in range(num_trees):
        while not grow_tree(rng, X, max_split, split, settings, var[tree], cut[tree]):
            var[tree], cut[tree] = 0, 0
    leaf = rng.normal(0, num_trees**-0.5, (num_trees, n_channels, 2 * half))
    return var, cut, leaf.astype(np.float32)


def grow_tree(
    rng: np.random.Generator,
    X: UInt8[np.ndarray, "p n"],
    max_split: UInt8[np.ndarray, " p"],
    split: tuple[float, float],
    settings: Settings,
    var: np.ndarray,
    cut: np.ndarray,
) -> bool:
    """Grow one tree in place; whether every leaf holds enough visitors."""
    alpha, beta = split
    bounds = np.stack([np.zeros_like(max_split, dtype=int), max_split.astype(int)])
    stack = [(1, 0, bounds, np.ones(X.shape[1], dtype=bool))]
    while stack:
        node, depth, limits, inside = stack.pop()
        open_vars = np.flatnonzero(limits[0] < limits[1])
        inner = (
            depth < settings.max_depth - 1
            and len(open_vars) > 0
            and rng.random() < alpha * (1 + depth) ** -beta
        )
        if not inner:
            if inside.sum() < settings.min_leaf:
                return False
            continue
        v = int(rng.choice(open_vars))
        # Split s sends bins below s left, so s runs over (low, high].
        s = int(rng.integers(limits[0, v] + 1, limits[1, v] + 1))
        var[node], cut[node] = v, s
        left, right = limits.copy(), limits.copy()
        left[1, v], right[0, v] = s - 1, s
        below = X[v] < s
        stack.append((2 * node, depth + 1, left, inside & below))
        stack.append((2 * node + 1, depth + 1, right, inside & ~below))
    return True
