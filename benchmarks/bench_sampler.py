"""The sampler, measured: ``python benchmarks/bench_sampler.py [part ...]``.

Parts: step, profile, start-up, tutorial, large. Without a name all run, in this order. Peers in
their own environments are in ``bench_peers.py``, coverage and mixing in ``sampler_study.py``.
"""

import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from bartz import mcmcstep
from bartz.mcmcloop import run_mcmc
from figures import Figure

from pytyche_engine.bcf.chain import run_chunk
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.bcf.start import Encoded, cold_start, init_state
from pytyche_engine.bcf.state import LatentScale
from pytyche_engine.contracts.observations import Outcome

ROOT = Path(__file__).parents[1]
PART = "sampler"


def made_up(n: int, p: int = 20, n_arms: int = 3, rate: float = 0.05, seed: int = 0) -> Encoded:
    """Encoded visitors with ``rate`` converters and small effects."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 101, (p, n)).astype(np.uint8)
    arm = rng.integers(0, n_arms, n)
    converted = rng.random(n) < rate * (1 + 0.3 * (X[0] > 50) * (arm == 1))
    revenue = np.where(converted, np.exp(np.log(50) + 0.5 * rng.normal(size=n)), 0.0)
    return Encoded(
        X=X,
        max_split=np.full(p, 100, dtype=np.uint8),
        mu_only=np.zeros(p, dtype=bool),
        arm=arm,
        revenue=revenue,
        n_arms=n_arms,
        outcome=Outcome.HURDLE,
        scale=LatentScale.of(revenue),
    ).padded()


def our_steps(data: Encoded, settings: Settings) -> Callable[[int], None]:
    """Run some iterations of our sampler, warmed up."""
    rng = np.random.default_rng(0)
    key, state = jax.random.key(0), init_state(data, cold_start(data, settings, rng), settings, rng)

    def run(iterations: int) -> None:
        nonlocal state
        state, _ = run_chunk(key, state, 1, iterations)

    run(100)
    return run


def bartz_steps(data: Encoded, num_trees: int) -> Callable[[int], None]:
    """Run some iterations of bartz's own univariate step at its defaults, warmed up."""
    y = np.log1p(data.revenue).astype(np.float32)
    y = (y - y.mean()) / y.std()
    state = mcmcstep.init(
        X=data.X[: (data.max_split > 0).sum()],
        y=y,
        offset=0.0,
        max_split=data.max_split[data.max_split > 0],
        num_trees=num_trees,
        p_nonterminal=mcmcstep.make_p_nonterminal(6, 0.95, 2.0),
        leaf_prior_cov_inv=mcmcstep.Wishart(None, None, num_trees),
        error_cov_inv=mcmcstep.Wishart(3.0, 1.0, 1.0),
    )
    key = jax.random.key(1)

    def run(iterations: int) -> None:
        nonlocal state
        result = run_mcmc(key, state, 1, n_skip=iterations)
        jax.block_until_ready(result.final_state.resid)
        state = result.final_state

    run(100)
    return run


def cpu_seconds(run: Callable[[int], None], iterations: int) -> float:
    """CPU seconds of an iteration: walls are another matter where cores are shared."""
    start = time.process_time()
    run(iterations)
    return (time.process_time() - start) / iterations


def step() -> list[Figure]:
    """A K = 3 sweep against bartz's univariate step with as many trees, interleaved."""
    figures = []
    settings = Settings()
    full_row_trees = settings.num_trees_mu + settings.num_trees_tau
    for n, bar in ((5_000, None), (100_000, 1.0)):
        data = made_up(n)
        ours, theirs = our_steps(data, settings), bartz_steps(data, full_row_trees)
        runs = max(10, 1_000_000 // n)
        pairs = [(cpu_seconds(ours, runs), cpu_seconds(theirs, runs)) for _ in range(7)]
        a, b = np.median(pairs, axis=0)
        ratio = float(np.median([x / y for x, y in pairs]))
        print(n, np.round(np.array(pairs) * 1e9 / n / full_row_trees, 2).tolist(), flush=True)
        what = f"CPU, whole K = 3 sweep, {n:,} visitors, 5 % converters, {full_row_trees} full-row trees"
        figures += [
            Figure(
                f"step-ratio-{n}", f"{what}, over bartz's univariate step", ratio, bar, "lower", "x"
            ),
            Figure(
                f"step-ns-{n}",
                f"{what}, a visitor and tree",
                a / n / full_row_trees * 1e9,
                None,
                "lower",
                "ns",
            ),
            Figure(
                f"bartz-step-ns-{n}",
                f"bartz's univariate step, {n:,} visitors, a visitor and tree",
                b / n / full_row_trees * 1e9,
                None,
                "lower",
                "ns",
            ),
        ]
    return figures


PARTS = {"step": step}
if __name__ == "__main__":
    for f in step():
        print(f)
