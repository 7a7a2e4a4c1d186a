"""One fit against planted truth, and what it makes of it.

`measure` fits a `DataSet` once and gives one row of numbers (times, convergence, coverage, errors,
policy value). The studies that put rows together are in ``bench_coverage.py``.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from typing import Any
from unittest.mock import patch

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from simulated_trials import FRESH, DataSet, Trial, generate, segments

from pytyche_engine.bcf import Posterior, Settings, fit
from pytyche_engine.bcf.diagnostics import by_chain, ess, r_hat
from pytyche_engine.bcf.draws import Draws
from pytyche_engine.bcf.start import cold_start, init_state
from pytyche_engine.bcf.state import HurdleState
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.truth import GroundTruth

FIT = import_module("pytyche_engine.bcf.fit")
"""The module, which its package's function of the same name hides."""

LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Nominal levels of the central intervals whose coverage is counted."""

EVALUATED = 5_000
"""At most so many of the fitted visitors, the first ones, stand for all of them (rows are in
random order): truth and estimate are means over the same people."""

VISITORS_PER_QUESTION = 250
"""Fresh visitors that draws are asked for at once."""


@dataclass(frozen=True)
class Option:
    """A way to fit.

    Attributes:
        name: short, as it stands in tables.
        settings: what differs from the default `Settings`.
        share_before: share of the visitors, the first ones, that an earlier fit has seen, from
            whose forests chains start; 0 for a cold start. The earlier fit is not timed.
        start: what becomes of the trees and scalars that a cold chain starts from.
        state: what becomes of each chain's first state.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    share_before: float = 0.0
    start: Callable[[Draws], Draws] = lambda start: start
    state: Callable[[HurdleState], HurdleState] = lambda state: state

    def fit(
        self, observations: Observations, settings: Settings, seed: int, previous: Posterior | None
    ) -> Posterior:
        """Fit in this way."""

        with (
            patch.object(FIT, "cold_start", lambda *given: self.start(cold_start(*given))),
            patch.object(FIT, "init_state", lambda *given: self.state(init_state(*given))),
        ):
            return fit(observations, settings=settings, seed=seed, previous=previous)


def from_stumps(start: Draws) -> Draws:
    """The start with a root for every tree, the same in all chains."""
    trees = ("mu_var", "mu_split", "tau_var", "tau_split")
    return replace(start, **{name: np.zeros_like(getattr(start, name)) for name in trees})


def without_deviations_of_control(state: HurdleState) -> HurdleState:
    """The coding in which control has no deviation: mu is its surface, tau are the effects."""
    first = jnp.arange(state.layout.n_arms) == 0
    none = jnp.float32(1e-12)
    tau = replace(
        state.tau,
        multiplier_prior=jnp.where(first, none, state.tau.multiplier_prior),
        multiplier_variance=jnp.where(first, none, state.tau.multiplier_variance),
    )
    return replace(state, tau=tau)


def measure(data: DataSet, option: Option, *, timed: bool) -> dict[str, Any]:
    """Fit a data set and compare with the truth.

    Args:
        data: what to fit.
        option: how.
        timed: fit briefly before, so that the times below hold no compilation. A brief fit
            has the same shapes and runs the same compiled code for a few iterations.

    Returns:
        One row, ready for JSON. Money is per visitor; lists named ``segment_...`` run over
        segments, then treatments.
    """
    trial = generate(data)
    settings = replace(Settings(), **option.settings)
    previous = None
    if option.share_before > 0:
        some = trial.observations.take(np.arange(round(option.share_before * data.n)))
        previous = option.fit(some, settings, data.seed + 1, None)
    compile_seconds = None
    if timed:
        brief = replace(settings, num_warm_up=1, num_warm_up_warm=1, min_draws=1, max_draws=1)
        start = time.perf_counter()
        option.fit(trial.observations, brief, data.seed, previous)
        compile_seconds = time.perf_counter() - start
    start, start_cpu = time.perf_counter(), time.process_time()
    posterior = option.fit(trial.observations, settings, data.seed, previous)
    wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    row = {
        "wall": wall,
        "cpu": cpu,
        "holds_compile": not timed,
        "first_fit_seconds": compile_seconds,
        "iterations": posterior.sampling.iterations,
        "chains": posterior.settings.num_chains,
        "draws": len(posterior.draws),
        "converters": int(trial.observations.converted.sum()),
        "arm_rows": np.bincount(trial.observations.arm, minlength=data.n_arms).tolist(),
        **_groups(posterior, trial),
        **_visitors(posterior, trial),
    }
    row["evaluation_seconds"] = time.perf_counter() - start - wall
    return {"data": asdict(data), "option": option.name, **_rounded(row)}


def _groups(posterior: Posterior, trial: Trial) -> dict[str, Any]:
    """Average effects and segment means of the fitted visitors."""
    x = trial.observations.features.iloc[:EVALUATED]
    truth = GroundTruth(
        trial.truth.arms, trial.truth.conversion[:EVALUATED], trial.truth.severity[:EVALUATED]
    )
    found = segments(x)
    names = ("everyone", *found)
    membership = np.column_stack([np.ones(len(x)), *found.values()]).astype(float)
    draws = posterior.group_draws(
        x, membership, names, propensity=trial.observations.propensity[:EVALUATED]
    )
    weights = membership / membership.sum(axis=0)
    rpv = weights.T @ truth.rpv  # (groups, K)
    lift = rpv[:, 1:] - rpv[:, :1]
    by_conversion, by_severity = (weights.T @ part for part in _parts(truth))
    lifts = draws.lift[:, :, 1:]
    size = [[_chain_size(lifts[:, g, k], draws.chain) for k in range(lifts.shape[2])]
            for g in range(len(names))]  # fmt: skip
    sizes = np.array(size)  # (groups, treatments, [ess, r_hat])
    mean, sd = lifts.mean(axis=0), lifts.std(axis=0)
    return {
        "ess_ate": float(sizes[0, :, 0].min()),
        "r_hat_ate": float(sizes[0, :, 1].max()),
        "ess_segment_median": float(np.median(sizes[1:, :, 0])),
        "ess_segment_min": float(sizes[1:, :, 0].min()),
        "r_hat_segment": float(sizes[1:, :, 1].max()),
        "ate": _interval_scores(lifts[:, 0], lift[0]),
        "segment_lift": _interval_scores(lifts[:, 1:], lift[1:]),
        "segment_rpv": _interval_scores(draws.rpv[:, 1:], rpv[1:]),
        "ate_truth": lift[0].tolist(),
        "ate_mean": mean[0].tolist(),
        "ate_sd": sd[0].tolist(),
        "segment_truth": lift[1:].tolist(),
        "segment_mean": mean[1:].tolist(),
        "segment_sd": sd[1:].tolist(),
        "segment_conversion_truth": by_conversion[1:].tolist(),
        "segment_conversion_mean": draws.conversion_part.mean(axis=0)[1:, 1:].tolist(),
        "segment_severity_truth": by_severity[1:].tolist(),
        "segment_severity_mean": draws.severity_part.mean(axis=0)[1:, 1:].tolist(),
        "segment_rpv_truth": rpv[1:].tolist(),
        "segment_rpv_mean": draws.rpv.mean(axis=0)[1:].tolist(),
    }


def _parts(
    truth: GroundTruth,
) -> tuple[Float[np.ndarray, "n treatments"], Float[np.ndarray, "n treatments"]]:
    """Each visitor's lift, split into what conversion and what severity explain."""
    p, m = truth.conversion, truth.severity
    by_conversion = (p[:, 1:] - p[:, :1]) * (m[:, 1:] + m[:, :1]) / 2
    by_severity = (m[:, 1:] - m[:, :1]) * (p[:, 1:] + p[:, :1]) / 2
    return by_conversion, by_severity


def _chain_size(
    draws: Float[np.ndarray, " draws"], chain: Int[np.ndarray, " draws"]
) -> tuple[float, float]:
    chains = by_chain(draws, chain)
    return ess(chains), r_hat(chains)


def _visitors(posterior: Posterior, trial: Trial) -> dict[str, Any]:
    """Effects on fresh visitors, one by one, and what a policy makes of them."""
    cate_draws, rpv_mean = [], []
    for first in range(0, FRESH, VISITORS_PER_QUESTION):
        rows = slice(first, first + VISITORS_PER_QUESTION)
        x = trial.fresh.iloc[rows]
        draws = posterior.group_draws(
            x,
            np.eye(len(x)),
            tuple(map(str, x.index)),
            propensity=trial.fresh_propensity[rows],
        )
        cate_draws.append(draws.lift[:, :, 1:])
        rpv_mean.append(draws.rpv.mean(axis=0))
    cates, rpv = np.concatenate(cate_draws, axis=1), np.concatenate(rpv_mean)
    truth = trial.fresh_truth
    mean = cates.mean(axis=0)
    value = truth.rpv.mean(axis=0)
    return {
        "cate": _interval_scores(cates, truth.cate),
        "cate_rmse_arm": _rms(mean - truth.cate, axis=0).tolist(),
        "cate_rmse_constant": float(_rms(truth.cate - truth.cate.mean(axis=0))),
        "cate_rmse_fitted_constant": float(_rms(truth.cate - mean.mean(axis=0))),
        "cate_spread": mean.std(axis=0).tolist(),
        "cate_spread_truth": truth.cate.std(axis=0).tolist(),
        "policy": float(truth.rpv[np.arange(FRESH), rpv.argmax(axis=1)].mean()),
        "policy_single": float(value[rpv.mean(axis=0).argmax()]),
        "best_single": float(value.max()),
        "oracle": float(truth.rpv.max(axis=1).mean()),
    }


def _interval_scores(
    draws: Float[np.ndarray, "draws *shape"], truth: Float[np.ndarray, "*shape"]
) -> dict[str, Any]:
    """Coverage of central intervals at LEVELS, width at 90 %, bias and RMSE of the mean."""
    covered = []
    width = float("nan")
    for level in LEVELS:
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
        covered.append(int(((low <= truth) & (truth <= high)).sum()))
        if level == 0.9:
            width = float((high - low).mean())
    error = draws.mean(axis=0) - truth
    return {
        "count": int(np.size(truth)),
        "covered": covered,
        "width90": width,
        "bias": float(error.mean()),
        "rmse": float(_rms(error)),
    }


def _rms(x: Float[np.ndarray, "*shape"], axis: int | None = None) -> Any:
    return np.sqrt((x**2).mean(axis=axis))


def _rounded(value: Any) -> Any:
    """The same with numbers of five significant digits: rows stay short."""
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
