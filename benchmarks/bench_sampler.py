"""The sampler, measured: ``python benchmarks/bench_sampler.py [part ...]``.

Parts: step, profile, start-up, tutorial, large. Without a name all run, in this order. Peers in
their own environments are in ``bench_peers.py``, coverage and mixing in ``bench_coverage.py``.
"""

import json
import time
import warnings
from collections.abc import Callable

import jax
import numpy as np
from bartz import mcmcstep
from bartz.mcmcloop import run_mcmc
from figures import Figure, measure
from processes import last_line, nothing_compiled

from pytyche_engine.bcf import forests
from pytyche_engine.bcf import step as sweep
from pytyche_engine.bcf.chain import run_chunk
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.bcf.start import Encoded, cold_start, init_state
from pytyche_engine.bcf.state import ForestGroup, HurdleState, LatentScale
from pytyche_engine.contracts.observations import Outcome


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
    trees = settings.num_trees_mu + settings.num_trees_tau
    for n, bar in ((5_000, None), (100_000, 1.0)):
        data = made_up(n)
        ours, theirs = our_steps(data, settings), bartz_steps(data, trees)
        iterations = max(10, 1_000_000 // n)
        pairs = [(cpu_seconds(ours, iterations), cpu_seconds(theirs, iterations)) for _ in range(9)]
        a, b = np.median(pairs, axis=0) * 1e9 / n / trees
        ratio = float(np.median([x / y for x, y in pairs]))
        print(n, np.round(np.array(pairs) * 1e9 / n / trees, 2).tolist(), flush=True)
        sweep = f"K = 3 sweep, {n:,} visitors, 5 % converters, {trees} full-row trees, CPU time"
        figures += [
            Figure(f"step-ratio-{n}", f"{sweep} over bartz's step", ratio, bar, "lower", "x"),
            Figure(f"step-ns-{n}", f"{sweep} a visitor and tree", float(a), None, "lower", "ns"),
            Figure(
                f"bartz-step-ns-{n}",
                f"bartz's univariate step, {n:,} visitors, CPU time a visitor and tree",
                float(b),
                None,
                "lower",
                "ns",
            ),
        ]
    return figures


def profile() -> list[Figure]:
    """What each part of a sweep costs; printed as Markdown for the README."""
    settings = Settings()
    lines = []
    for n in (5_000, 100_000, 1_000_000):
        data = made_up(n)
        rng = np.random.default_rng(0)
        state = init_state(data, cold_start(data, settings, rng), settings, rng)
        state, _ = run_chunk(jax.random.key(0), state, 1, 60)
        parts = {name: _part_seconds(part, state) for name, part in _parts(state).items()}
        lines.append([f"{n:,}", *(f"{x * 1e3:.2f} ({x / n * 1e9:.0f})" for x in parts.values())])
        print(n, parts, flush=True)
    print("| visitors | " + " | ".join(parts) + " |\n|" + "---|" * (len(parts) + 1))
    print("\n".join("| " + " | ".join(line) + " |" for line in lines))
    return []


def _parts(state: HurdleState) -> dict[str, Callable[[jax.Array, HurdleState], object]]:
    mu_moves, tau_moves = jax.jit(forests.propose)(jax.random.key(1), state)

    def leaves(forest: ForestGroup, moves: forests.Moves, s: HurdleState, key: jax.Array) -> object:
        precision = sweep._error_precision(s)
        moves = forests._finish_moves(forest, moves)
        _, resid, *_ = forests._scan_trees(key, forest, moves, s.resid, precision, s)
        return resid

    def scalars(key: jax.Array, s: HurdleState) -> object:
        gammas = sweep._variance_gammas(key, s)
        return sweep._update_scalars(key, s, sweep._error_precision(s), gammas).resid

    return {
        "propose": forests.propose,
        "move rows, mu": lambda _, s: forests._move_rows(s.mu, mu_moves, s),
        "leaves, mu": lambda k, s: leaves(s.mu, mu_moves, s, k),
        "move rows, tau": lambda _, s: forests._move_rows(s.tau, tau_moves, s),
        "leaves, tau": lambda k, s: leaves(s.tau, tau_moves, s, k),
        "scalars": scalars,
        "latent outcome": lambda k, s: sweep._update_latent(k, s).resid,
    }


def _part_seconds(part: Callable[[jax.Array, HurdleState], object], state: HurdleState) -> float:
    run, key = jax.jit(part), jax.random.key(2)
    jax.block_until_ready(run(key, state))
    seconds = []
    for _ in range(7):
        start = time.process_time()
        jax.block_until_ready(run(key, state))
        seconds.append(time.process_time() - start)
    return min(seconds)


START = """
import sys, time, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, "../tests/engine")
import jax
compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda name, seconds, **_: compiled.append(seconds)
    if name == "/jax/core/compile/backend_compile_duration" else None)
from trials import trial
from pytyche_engine.bcf import fit
from pytyche_engine.jobs import Control
first = []
def on_event(event):
    if event.iteration and not first:
        first.append(time.time() - float(sys.argv[1]))
fit(trial(n=2000), seed=1, control=Control(on_event))
before = len(compiled)
fit(trial(n=2010, seed=5), seed=2)
print(first[0], sum(s > 0.2 for s in compiled[before:]))
"""


def start_up() -> list[Figure]:
    """From a process's start to its first iterations; compilation inside a bucket of shapes."""
    rows = []
    with nothing_compiled() as environment:
        for _ in range(4):
            said = last_line(START, str(time.time()), environment=environment)
            rows.append([float(x) for x in said.split()])
            print(rows[-1], flush=True)
    what = "2,000 visitors, process start to first iterations"
    return [
        Figure("start-cold", f"{what}, nothing compiled", rows[0][0], None, "lower", "s"),
        Figure(
            "start-second-process",
            f"{what}, compiled by an earlier process (median of 3)",
            float(np.median([r[0] for r in rows[1:]])),
            3,
            "lower",
            "s",
        ),
        Figure(
            "compiles-in-bucket",
            "compilations over 0.2 s in a second fit with 10 visitors more",
            max(r[1] for r in rows),
            0,
            "lower",
        ),
    ]


TUTORIAL = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
from peers.measure import peak_mib
from tutorial import tutorial_experiment
rows = []
start = time.monotonic()
for done in tutorial_experiment(0.1, 42, [50_000, 100_000, 200_000]):
    truth = done.truth_comparison
    rows.append([time.monotonic() - start, truth.cate_rmse, truth.oracle_gap,
                 truth.rpv_oracle - truth.rpv_best_arm, done.posterior.sampling.iterations])
    print(done.posterior.sampling.line, done.truth_line(), file=sys.stderr, flush=True)
print(json.dumps({"rounds": rows, "peak": peak_mib() / 2**10}))
"""


def tutorial() -> list[Figure]:
    """The seeds' tutorial at its own size, in a new process without compiled code."""
    with nothing_compiled() as environment:
        result = json.loads(last_line(TUTORIAL, environment=environment))
    rounds = result["rounds"]
    print(result, flush=True)
    sizes = "50,000 / 100,000 / 200,000 visitors, effect_scale 0.1, K = 3, seed 42"
    figures = [
        Figure(
            "tutorial-minutes",
            f"{sizes}: three rounds, compilation and conclusions included",
            rounds[-1][0] / 60,
            6,
            "lower",
            "min",
        ),
        Figure("tutorial-memory", f"{sizes}: peak memory", result["peak"], 3, "lower", "GiB"),
        Figure(
            "tutorial-oracle-gap",
            f"{sizes}: final gap to the oracle less that of the best single arm",
            round(rounds[-1][2] - rounds[-1][3], 9),
            0,
            "lower",
            "$/visitor",
        ),
    ]
    for i, bar in enumerate((0.988, 0.349, 0.299)):
        what = f"{sizes}: CATE RMSE after round {i + 1}"
        figures.append(Figure(f"tutorial-cate-rmse-{i + 1}", what, rounds[i][1], bar, "lower", "$"))
    return figures


LARGE = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
from peers.measure import peak_mib
from pytyche_engine.bcf import Settings, fit
from pytyche_engine.contracts.observations import (
    Feature, FeatureKind, FeatureSchema, Observations, Outcome)
n, p, K = int(sys.argv[1]), 20, 3
rng = np.random.default_rng(0)
features = pd.DataFrame({f"x{j}": rng.normal(size=n) for j in range(p)})
arm = rng.integers(0, K, n)
rate = 0.05 * (1 + 0.2 * (arm == 1) * (features["x0"].to_numpy() > 0))
revenue = np.where(rng.random(n) < rate, np.exp(4 + 0.5 * rng.normal(size=n)), 0.0)
observations = Observations(
    arms=("control", "a", "b"), visitor_id=np.arange(n).astype(str), arm=arm, revenue=revenue,
    features=features, schema=FeatureSchema(tuple(
        Feature(c, FeatureKind.NUMERIC, c) for c in features)), outcome=Outcome.HURDLE,
    propensity=np.full((n, K), 1 / K), propensity_recorded=True,
    round_index=np.zeros(n, dtype=int), cell=np.full(n, -1), cells=())
times = []
from pytyche_engine.bcf.progress import ProgressReporter
advance = ProgressReporter.advance
def note(self, chain, iterations):
    times.append((time.monotonic(), chain, iterations))
    advance(self, chain, iterations)
ProgressReporter.advance = note
settings = Settings(num_warm_up=20, min_draws=5, max_draws=5)
posterior = fit(observations, settings=settings, seed=1)
# Two chains run at once: one chain's iterations from its second report on.
own = [(t, i) for t, c, i in times if c == 0]
seconds = (own[-1][0] - own[1][0]) / sum(i for _, i in own[2:])
posterior.predict(features)
posterior.effects(features)
print(json.dumps({"seconds": seconds, "peak": peak_mib() / 2**10}))
"""


def large() -> list[Figure]:
    """Two million visitors: memory of a short fit with its predictions, and its pace."""
    small, big = (json.loads(last_line(LARGE, str(n))) for n in (100_000, 2_000_000))
    print(small, big, flush=True)
    what = "2,000,000 visitors, 20 features, K = 3"
    return [
        Figure(
            "large-memory",
            f"{what}: peak memory of a fit of 40 iterations, predictions for all included",
            big["peak"],
            12,
            "lower",
            "GiB",
        ),
        Figure(
            "large-pace",
            f"{what}: time a visitor and tree, two chains at once, over 100,000 visitors'",
            (big["seconds"] / 2_000_000) / (small["seconds"] / 100_000),
            2,
            "lower",
            "x",
        ),
        Figure(
            "large-iteration",
            f"{what}: an iteration of both chains",
            big["seconds"],
            None,
            "lower",
            "s",
        ),
    ]


PARTS = {
    "step": step,
    "profile": profile,
    "start-up": start_up,
    "tutorial": tutorial,
    "large": large,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    measure("sampler", PARTS)
