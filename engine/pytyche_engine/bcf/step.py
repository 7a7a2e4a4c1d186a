"""One sweep of the sampler: mu forest, tau forests, scalars, latent conversion, sigma^2."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Float32, Key, UInt8

from pytyche_engine.bcf.bartz_adapter import shard_map_state
from pytyche_engine.bcf.forests import by_arm, propose, update_forests
from pytyche_engine.bcf.state import HurdleState

_LEAST = 1e-37
"""Probabilities stay above this, so that they have a logarithm and an inverse."""


def hurdle_step(key: Key[Array, ""], state: HurdleState) -> HurdleState:
    """One sweep over everything that is sampled, on every device that has rows."""
    swept: HurdleState = shard_map_state(_sweep)(key, state)
    return swept


def _sweep(key: Key[Array, ""], state: HurdleState) -> HurdleState:
    keys = random.split(key, 6)
    precision = _error_precision(state)
    mu_moves, tau_moves = propose(keys[5], state)
    mu, resid = update_forests(keys[0], state.mu, mu_moves, state.resid, precision, state)
    tau, resid = update_forests(keys[1], state.tau, tau_moves, resid, precision, state)
    state = replace(state, mu=mu, tau=tau, resid=resid)
    gammas = _variance_gammas(keys[4], state)
    state = _update_scalars(keys[2], state, precision, gammas)
    state = _update_latent(keys[3], state)
    return _update_sigma2(state, gammas[-1, -1])


def _error_precision(state: HurdleState) -> Float32[Array, " channels"]:
    one = jnp.float32(1.0)
    return jnp.stack([one if c == "conversion" else 1 / state.sigma2 for c in state.channels])


def _update_scalars(
    key: Key[Array, ""],
    state: HurdleState,
    precision: Float32[Array, " channels"],
    gammas: Float32[Array, "channels variances"],
) -> HurdleState:
    """Draw each channel's intercept, arm effects and forest multipliers, jointly.

    A change of one is paid back by another, so single draws would crawl. Then the prior
    variances of the arm effects and of the multipliers, given them.
    """
    old = _Scalars(
        intercept=state.intercept,
        arm_effect=state.arm_effect,
        mu=state.mu.multiplier,
        tau=state.tau.multiplier,
        arm_variance=state.arm_variance,
        mu_variance=state.mu.multiplier_variance[:, 0],
        loading_variance=state.loading_variance,
        tau_variance=state.tau.multiplier_variance,
    )
    columns = [
        (state.valid[:length], mu, tau)
        for length, mu, tau in zip(state.lengths, state.mu.fit, state.tau.fit, strict=True)
    ]
    sums = [_column_sums(state, r, x) for r, x in zip(state.resid, columns, strict=True)]
    gram, score = (jnp.stack(of_channels) for of_channels in zip(*sums, strict=True))
    # All channels at once: the code for a handful of numbers is long, and is traced, compiled and
    # read from the cache for every time that it is written out.
    normals = random.normal(key, (len(columns), 2 + 3 * state.layout.n_arms))
    scalars = jax.vmap(partial(_draw_scalars, state))(normals, gammas, old, gram, score, precision)
    change = scalars.coefficients - old.coefficients
    resid = []
    for r, own, by in zip(state.resid, columns, change, strict=True):
        for j, x in enumerate(own):
            r = r - by_arm(state.arm[: len(r)], by[:, j]) * x
        resid.append(r)
    return replace(
        state,
        resid=tuple(resid),
        intercept=scalars.intercept,
        arm_effect=scalars.arm_effect,
        arm_variance=scalars.arm_variance,
        loading_variance=scalars.loading_variance,
        mu=replace(
            state.mu, multiplier=scalars.mu, multiplier_variance=scalars.mu_variance[:, None]
        ),
        tau=replace(state.tau, multiplier=scalars.tau, multiplier_variance=scalars.tau_variance),
    )


class _Scalars(NamedTuple):
    """One channel's scalars, or all channels' along a first axis."""

    intercept: Float32[Array, ""]
    arm_effect: Float32[Array, " arms"]
    mu: Float32[Array, " arms"]
    tau: Float32[Array, " arms"]
    arm_variance: Float32[Array, ""]
    mu_variance: Float32[Array, ""]
    loading_variance: Float32[Array, ""]
    tau_variance: Float32[Array, " arms"]

    @property
    def coefficients(self) -> Float32[Array, "arms 3"]:
        """What (1, f_mu, f_tau) are multiplied by at each arm's rows."""
        return jnp.stack([self.intercept[..., None] + self.arm_effect, self.mu, self.tau], axis=-1)


def _column_sums(
    state: HurdleState, resid: Float32[Array, " rows"], columns: tuple[Float32[Array, " rows"], ...]
) -> tuple[Float32[Array, "3 3 arms"], Float32[Array, "3 arms"]]:
    """Each arm's sums of products of (1, f_mu, f_tau), among themselves and with residuals."""
    half = {
        (i, j): _arm_sums(state, columns[i] * columns[j]) for i in range(3) for j in range(i + 1)
    }
    gram = jnp.stack([half[max(i, j), min(i, j)] for i in range(3) for j in range(3)])
    score = jnp.stack([_arm_sums(state, resid * x) for x in columns])
    return gram.reshape(3, 3, -1), score


def _variance_gammas(
    key: Key[Array, ""], state: HurdleState
) -> Float32[Array, "channels variances"]:
    """What `_variance` takes: arm effects', mu's, the loadings', each tau multiplier's, errors'.

    One call draws all of a sweep, because its code is long.
    """
    K = state.layout.n_arms
    df, nu = jnp.full(2 + K, state.multiplier_df), state.sigma_prior[0]
    sizes = np.array([K, 1, K] + [1] * K, dtype=np.float32)
    sums = jnp.concatenate([state.arm_prior[:1], df]) + sizes
    return _gamma(
        key, 0.5 * jnp.stack([jnp.append(sums, nu + rows.sum()) for rows in state.arm_rows])
    )


def _draw_scalars(
    state: HurdleState,
    normals: Float32[Array, " scalars"],
    gammas: Float32[Array, " variances"],
    old: _Scalars,
    gram: Float32[Array, "3 3 arms"],
    score: Float32[Array, "3 arms"],
    precision: Float32[Array, ""],
) -> _Scalars:
    """One channel's scalars given its forests.

    At arm a's rows the mean is u_a . (1, f_mu, f_tau) with u_a = (b0 + t_a, m + l_a, d_a), so
    the normal equations of (b0, t, m, l, d) need each arm's sums only.
    """
    K = state.layout.n_arms
    score = score + jnp.einsum("ija,aj->ia", gram, old.coefficients)
    place = _coefficients(K)
    A = precision * jnp.einsum("aip,ija,ajq->pq", place, gram, place)
    rhs = precision * jnp.einsum("aip,ia->p", place, score)
    prior = jnp.concatenate(
        [
            jnp.ones(1),
            jnp.full(K, 1 / old.arm_variance),
            1 / old.mu_variance[None],
            jnp.full(K, 1 / old.loading_variance),
            1 / old.tau_variance,
        ]
    )
    chol = jnp.linalg.cholesky(A + jnp.diag(prior))
    half = jax.scipy.linalg.solve_triangular(chol, rhs, lower=True)
    theta = jax.scipy.linalg.solve_triangular(chol.T, half + normals, lower=False)
    intercept, effect, common, loading, deviation = jnp.split(theta, [1, K + 1, K + 2, 2 * K + 2])
    new = jnp.einsum("aip,p->ai", place, theta)
    df = state.multiplier_df
    half_t = jax.vmap(_variance, (0, 0, None, 0))
    return _Scalars(
        intercept=intercept[0],
        arm_effect=effect,
        mu=new[:, 1],
        tau=new[:, 2],
        arm_variance=_variance(gammas[0], effect, *state.arm_prior),
        mu_variance=_variance(gammas[1], common, df, state.mu.multiplier_prior[0]),
        loading_variance=_variance(gammas[2], loading, df, state.loading_prior),
        tau_variance=half_t(gammas[3:-1], deviation[:, None], df, state.tau.multiplier_prior),
    )


def _coefficients(n_arms: int) -> Float32[np.ndarray, "arms 3 scalars"]:
    """What of (b0, t, m, l, d) adds up to each arm's intercept, multiplier of mu, and of tau."""
    one, each = np.ones((n_arms, 1)), np.eye(n_arms)
    blank = np.zeros((n_arms, n_arms))
    return np.stack(
        [
            np.concatenate([one, each, 0 * one, blank, blank], axis=1),
            np.concatenate([0 * one, blank, one, each, blank], axis=1),
            np.concatenate([0 * one, blank, 0 * one, blank, each], axis=1),
        ],
        axis=1,
    ).astype(np.float32)


def _variance(
    gamma: Float32[Array, ""],
    values: Float32[Array, " m"],
    df: Float32[Array, ""],
    scale2: Float32[Array, ""],
) -> Float32[Array, ""]:
    """The variance of normal values, given a scaled-inv-chi2(df, scale2) prior.

    ``gamma`` is one of Gamma((df + m) / 2, 1).
    """
    return 0.5 * (df * scale2 + jnp.sum(values**2)) / gamma


def _arm_sums(state: HurdleState, x: Float32[Array, " rows"]) -> Float32[Array, " arms"]:
    """Sum over each arm's rows, of a channel's values that are 0 at padding."""
    return state.over_devices(_sums_by_arm(state.arm, x, state.layout.n_arms))


@partial(jax.jit, static_argnames="n_arms")
def _sums_by_arm(
    arm: UInt8[Array, " all_rows"], x: Float32[Array, " rows"], n_arms: int
) -> Float32[Array, " arms"]:
    """Sum over each arm's rows among the first. Traced and lowered once a sweep, not per call."""
    arm = arm[: len(x)]
    return jnp.stack([jnp.sum(jnp.where(arm == k, x, 0.0)) for k in range(n_arms)])


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
    sign = jnp.where(state.converted, 1.0, -1.0)
    fitted = state.z - state.resid[0]
    shift, likelihood = _draw_arm_shift(shift_key, state, sign, state.offset + fitted)
    fitted = fitted + by_arm(state.arm, shift)
    mesh = state.config.mesh
    if mesh is not None and mesh.size > 1:
        key = random.fold_in(key, lax.axis_index("data"))
    u = random.uniform(key, fitted.shape, minval=2e-38)
    # z = eta + s e with e > -s eta: -e is a normal below s eta. The floor keeps the inverse
    # finite where a visitor's outcome was all but impossible.
    resid = -sign * ndtri(jnp.maximum(u * likelihood, _LEAST)) * state.valid
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
) -> tuple[Float32[Array, " arms"], Float32[Array, " rows"]]:
    """Metropolis-Hastings moves of conversion's arm effects, one an arm.

    Given the forests the probit likelihood factors over arms, so each arm is accepted on its
    own. The proposal is normal around a Newton step with the curvature there; the way
    back is proposed from the other end in the same manner.

    Returns:
        What to add to each arm's effect, and the probability of each visitor's outcome then.
    """
    K = state.layout.n_arms
    effect, precision = state.arm_effect[0], 1 / state.arm_variance[0]
    normal_key, accept_key = random.split(key)

    def arm_sum(x: Float32[Array, " rows"]) -> Float32[Array, " arms"]:
        return _arm_sums(state, x * state.valid)

    def newton(
        p: Float32[Array, " rows"], q: Float32[Array, " rows"], at: Float32[Array, " arms"]
    ) -> tuple[Float32[Array, " arms"], Float32[Array, " arms"]]:
        mills = jnp.exp(-0.5 * q**2) * 0.3989422804014327 / p
        curvature = arm_sum(mills * (mills + q)) + precision
        return (arm_sum(sign * mills) - precision * at) / curvature, curvature

    q_old = sign * eta
    # Probabilities, not their logarithms: those take three times as long.
    p_old = jnp.maximum(ndtr(q_old), _LEAST)
    step_old, curve_old = newton(p_old, q_old, effect)
    shift = step_old + random.normal(normal_key, (K,)) * lax.rsqrt(curve_old)
    q_new = q_old + sign * by_arm(state.arm, shift)
    p_new = jnp.maximum(ndtr(q_new), _LEAST)
    step_new, curve_new = newton(p_new, q_new, effect + shift)
    log_ratio = (
        arm_sum(jnp.log(p_new / p_old))
        - 0.5 * precision * ((effect + shift) ** 2 - effect**2)
        + 0.5 * (jnp.log(curve_new) - curve_new * (-shift - step_new) ** 2)
        - 0.5 * (jnp.log(curve_old) - curve_old * (shift - step_old) ** 2)
    )
    accept = jnp.log(random.uniform(accept_key, (K,), minval=2e-38)) < log_ratio
    # 1 or 0, since choosing among arms is written for numbers.
    moved = by_arm(state.arm, accept.astype(jnp.float32))
    return jnp.where(accept, shift, 0.0), jnp.where(moved > 0, p_new, p_old)


def _update_sigma2(state: HurdleState, gamma: Float32[Array, ""]) -> HurdleState:
    """Redraw the error variance of severity."""
    if "severity" not in state.channels:
        return state
    nu, scale = state.sigma_prior
    squares = state.over_devices(jnp.sum(state.resid[-1] ** 2))
    return replace(state, sigma2=0.5 * (nu * scale + squares) / gamma)


def _gamma(key: Key[Array, ""], shape: Float32[Array, "*draws"]) -> Float32[Array, "*draws"]:
    """Draws of Gamma(shape, 1), shapes at least 1 (Marsaglia and Tsang 2000).

    JAX's own sampler loops, which takes long to compile. At least 95 candidates in 100 are
    accepted, so among 24 there is one but for odds of 1e-31.
    """
    normal_key, uniform_key = random.split(key)
    d = shape[..., None] - 1 / 3
    x = random.normal(normal_key, (*shape.shape, 24))
    v = (1 + x * lax.rsqrt(9 * d)) ** 3
    log_u = jnp.log(random.uniform(uniform_key, x.shape, minval=2e-38))
    # Where v <= 0 the candidate is refused; the maximum keeps its logarithm finite.
    bound = 0.5 * x**2 + d - d * v + d * jnp.log(jnp.maximum(v, 1e-30))
    first = jnp.argmax((v > 0) & (log_u < bound), axis=-1, keepdims=True)
    return (d * jnp.take_along_axis(v, first, axis=-1))[..., 0]
