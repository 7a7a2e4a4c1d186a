"""One sweep of the sampler: mu forest, tau forests, scalars, latent conversion, sigma^2."""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array, lax, random
from jax.scipy.special import log_ndtr, ndtr, ndtri
from jaxtyping import Float32, Key

from pytyche_engine.bcf.bartz_adapter import shard_map_state
from pytyche_engine.bcf.forests import by_arm, propose, update_forests
from pytyche_engine.bcf.state import HurdleState


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
    state = _update_scalars(keys[2], state, precision)
    state = _update_latent(keys[3], state)
    return _update_sigma2(keys[4], state)


def _error_precision(state: HurdleState) -> Float32[Array, " channels"]:
    one = jnp.float32(1.0)
    return jnp.stack([one if c == "conversion" else 1 / state.sigma2 for c in state.channels])


def _update_scalars(
    key: Key[Array, ""], state: HurdleState, precision: Float32[Array, " channels"]
) -> HurdleState:
    """Draw each channel's intercept, arm effects and forest multipliers, jointly.

    A change of one is paid back by another, so single draws would crawl. Then the prior
    variances of the arm effects and of the multipliers, given them.
    """
    K = state.layout.n_arms
    theta, variance, resid, spread = [], [], [], []
    multiplier_prior = jnp.concatenate([state.mu.multiplier_prior, state.tau.multiplier_prior])
    for c, channel_key in enumerate(random.split(key, len(state.channels))):
        theta_key, variance_key, spread_key = random.split(channel_key, 3)
        new, left = _draw_scalars(theta_key, state, c, precision[c])
        theta.append(new)
        resid.append(left)
        nu, s2 = state.arm_prior
        rate = 0.5 * (nu * s2 + jnp.sum(new[1 : K + 1] ** 2))
        variance.append(rate / _gamma(variance_key, 0.5 * (nu + K)))
        df = state.multiplier_df
        rates = 0.5 * (df * multiplier_prior + new[K + 1 :] ** 2)
        draw = jax.vmap(_gamma, (0, None))(random.split(spread_key, K + 1), 0.5 * (df + 1))
        spread.append(rates / draw)
    stacked, spreads = jnp.stack(theta), jnp.stack(spread)
    return replace(
        state,
        resid=tuple(resid),
        intercept=stacked[:, 0],
        arm_effect=stacked[:, 1 : K + 1],
        arm_variance=jnp.stack(variance),
        mu=replace(
            state.mu, multiplier=stacked[:, K + 1 : K + 2], multiplier_variance=spreads[:, :1]
        ),
        tau=replace(
            state.tau, multiplier=stacked[:, K + 2 :], multiplier_variance=spreads[:, 1:]
        ),
    )


def _draw_scalars(
    key: Key[Array, ""], state: HurdleState, c: int, precision: Float32[Array, ""]
) -> tuple[Float32[Array, " scalars"], Float32[Array, " rows"]]:
    """One channel's (b0, t[0..K-1], m, d[0..K-1]) given its forests, and the new residuals.

    The design row of a visitor is (1, one-hot arm, f_mu, one-hot arm x f_tau), so the normal
    equations need sums over each arm's rows only.
    """
    K = state.layout.n_arms
    length = state.lengths[c]
    arm, valid = state.arm[:length], state.valid[:length]
    r, f, g = state.resid[c], state.mu.fit[c], state.tau.fit[c]

    def sums(x: Float32[Array, " rows"]) -> Float32[Array, " arms"]:
        return _arm_sums(state, x)

    n, n_f, n_g = state.arm_rows[c], sums(f), sums(g)
    ff, gg, fg = sums(f * f), sums(g * g), sums(f * g)
    upper = jnp.concatenate([n.sum()[None], n, n_f.sum()[None], n_g])
    arm_slope = jnp.concatenate([n[:, None], jnp.diag(n), n_f[:, None], jnp.diag(n_g)], axis=1)
    mu_slope = jnp.concatenate([n_f.sum()[None], n_f, ff.sum()[None], fg])
    tau_slope = jnp.concatenate([n_g[:, None], jnp.diag(n_g), fg[:, None], jnp.diag(gg)], axis=1)
    gram = jnp.concatenate([upper[None], arm_slope, mu_slope[None], tau_slope])
    old = jnp.concatenate(
        [
            state.intercept[c][None],
            state.arm_effect[c],
            state.mu.multiplier[c],
            state.tau.multiplier[c],
        ]
    )
    r_sums, r_f, r_g = sums(r), sums(r * f), sums(r * g)
    score = jnp.concatenate([r_sums.sum()[None], r_sums, r_f.sum()[None], r_g]) + gram @ old
    prior = jnp.concatenate(
        [
            jnp.ones(1),
            jnp.full(K, 1 / state.arm_variance[c]),
            1 / state.mu.multiplier_variance[c],
            1 / state.tau.multiplier_variance[c],
        ]
    )
    chol = jnp.linalg.cholesky(precision * gram + jnp.diag(prior))
    half = jax.scipy.linalg.solve_triangular(chol, precision * score, lower=True)
    shock = half + random.normal(key, half.shape)
    new = jax.scipy.linalg.solve_triangular(chol.T, shock, lower=False)
    step = new - old
    shift = by_arm(arm, step[0] + step[1 : K + 1])
    slope = by_arm(arm, step[K + 2 :])
    return new, r - valid * shift - step[K + 1] * f - slope * g


def _arm_sums(state: HurdleState, x: Float32[Array, " rows"]) -> Float32[Array, " arms"]:
    """Sum over each arm's rows, of a channel's values that are 0 at padding."""
    arm = state.arm[: len(x)]
    sums = [jnp.sum(jnp.where(arm == k, x, 0.0)) for k in range(state.layout.n_arms)]
    return state.over_devices(jnp.stack(sums))


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
    fitted = fitted + by_arm(state.arm, shift)
    eta = state.offset + fitted
    if state.config.data_sharded:
        key = random.fold_in(key, lax.axis_index("data"))
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
        return _arm_sums(state, x * state.valid)

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
    q_new = q_old + sign * by_arm(state.arm, shift)
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


def _update_sigma2(key: Key[Array, ""], state: HurdleState) -> HurdleState:
    """Redraw the error variance of severity."""
    if "severity" not in state.channels:
        return state
    nu, scale = state.sigma_prior
    n = state.arm_rows[-1].sum()
    squares = state.over_devices(jnp.sum(state.resid[-1] ** 2))
    rate = 0.5 * (nu * scale + squares)
    return replace(state, sigma2=rate / _gamma(key, 0.5 * (nu + n)))


def _gamma(key: Key[Array, ""], shape: Float32[Array, ""]) -> Float32[Array, ""]:
    """One draw of Gamma(shape, 1), shape at least 1 (Marsaglia and Tsang 2000).

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
