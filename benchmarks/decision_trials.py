"""Simulated experiments whose drift, or whose adaptive allocation, is known.

Shared by ``bench_decisions.py`` and the tests.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from pytyche_engine.allocation import thompson_shares
from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.door import read_round
from pytyche_engine.contracts.effects import GroupDraws, VisitorEffects
from pytyche_engine.contracts.observations import Observations, concat
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.policies import (
    BaselinePolicy,
    Policy,
    Route,
    TreePolicy,
    UniformPolicy,
)
from pytyche_engine.contracts.rules import Rule, Threshold
from pytyche_engine.sources.simulated import SimulatedSource
from pytyche_engine.sources.templates import TEMPLATES, Draw, Drawn, Population

ARMS = ("control", "a", "b")


def _serve(
    draw: Draw,
    population: Population,
    sigma: float,
    seed: int,
    plan: Plan,
    first: Observations | None,
) -> Observations:
    """The visitors of one round, through the door."""
    source = SimulatedSource(draw, population, ARMS, "revenue_per_visitor", sigma, seed)
    frame, _ = source(plan.round_index, plan)
    return read_round(
        frame,
        columns=source.columns,
        arms=ARMS,
        round_index=plan.round_index,
        schema=None if first is None else first.schema,
        plan=plan,
    )


def _plan(r: int, control: float, explore: float, optimized: Policy, n: int) -> Plan:
    cells = [
        Cell("control", BaselinePolicy(), control),
        Cell("explore", UniformPolicy(ARMS), explore),
        Cell("optimized", optimized, 1 - control - explore),
    ]
    return Plan(r, ARMS, tuple(cell for cell in cells if cell.weight), n)


# --- drift --------------------------------------------------------------------------------

DEEP = Threshold("browse_depth", ">", 3.0)
SEGMENTS: Mapping[str, Rule] = {
    "deep recent": Rule((DEEP, Threshold("session_recency", ">", 1.0))),
    "deep old": Rule((DEEP, Threshold("session_recency", "<=", 1.0))),
    "shallow": Rule((Threshold("browse_depth", "<=", 3.0),)),
}
REVERSED = "deep recent"


@dataclass(frozen=True)
class DriftTrial:
    """An experiment in rounds, a third of each in Control, Explore and Optimized.

    Attributes:
        explore: expected visitors of the Explore cell in each round.
        reversed_from: the round, from 0, in which every effect on `REVERSED` changes its sign:
            shifts of the log odds of conversion and of mean orders.
        rates: control's conversion probability in each round, repeated as needed.
        effect_scale: of the template ``clustered_realistic``.
        sigma: standard deviation of log orders.
    """

    explore: tuple[int, ...] = (3_000,) * 5
    reversed_from: int | None = None
    rates: tuple[float, ...] = (0.05,)
    effect_scale: float = 0.5
    sigma: float = 0.5

    def run(self, seed: int) -> Iterator[Observations]:
        """All rounds so far, after each round."""
        seen: list[Observations] = []
        for r, explore in enumerate(self.explore):
            flips = self.reversed_from is not None and r >= self.reversed_from
            rate = self.rates[r % len(self.rates)]
            seen.append(
                _serve(
                    _reversed if flips else TEMPLATES["clustered_realistic"],
                    Population(self.effect_scale, len(ARMS), rate, 50.0, "mirror", 0),
                    self.sigma,
                    seed,
                    _plan(r, 1 / 3, 1 / 3, UniformPolicy(("a", "b")), 3 * explore),
                    seen[0] if seen else None,
                )
            )
            yield concat(seen)


def _reversed(n: int, population: Population, rng: np.random.Generator) -> Drawn:
    drawn = TEMPLATES["clustered_realistic"](n, population, rng)
    mine = SEGMENTS[REVERSED].matches(drawn.features)
    base = logit(drawn.conversion[mine, :1])
    drawn.conversion[mine] = expit(2 * base - logit(drawn.conversion[mine]))
    drawn.severity[mine] = np.maximum(
        2 * drawn.severity[mine, :1] - drawn.severity[mine], 0.01 * population.baseline_severity
    )
    return drawn


# --- adaptive allocation ------------------------------------------------------------------

_EDGES = (0.4, 0.75)
_X = "x"
_RATES = np.array([[0.030, 0.036, 0.024], [0.050, 0.042, 0.060], [0.080, 0.080, 0.088]])
_ORDER = 50.0
PARTS: Mapping[str, Rule] = {
    "low": Rule((Threshold(_X, "<=", _EDGES[0]),)),
    "middle": Rule((Threshold(_X, ">", _EDGES[0]), Threshold(_X, "<=", _EDGES[1]))),
    "high": Rule((Threshold(_X, ">", _EDGES[1]),)),
}
ARM_RPV = np.diff([0.0, *_EDGES, 1.0]) @ _RATES * _ORDER
"""(K,) planted mean revenue per visitor if everyone got the arm."""


def _three_parts(n: int, _: Population, rng: np.random.Generator) -> Drawn:
    x = rng.random(n)
    conversion = _RATES[np.searchsorted(_EDGES, x)]
    return Drawn(pd.DataFrame({_X: x}), conversion, np.full(conversion.shape, _ORDER))


def adaptive_trial(
    seed: int, sizes: tuple[int, ...] = (6_000,) * 3, sigma: float = 0.5
) -> tuple[Observations, VisitorEffects, Plan]:
    """Rounds that follow what earlier ones seemed to say; a plain model; the last plan.

    The first round is half Control and half Explore. Later ones keep 5 % of each, and
    Optimized gives each part of the visitors Thompson shares from the means and standard
    errors so far. The model knows for each visitor the mean of the arm in the visitor's part
    over earlier rounds, and nothing in the first round.
    """
    rng = np.random.default_rng([seed, 1])
    population = Population(0.0, len(ARMS), 0.05, _ORDER, "mirror", 0)
    seen: list[Observations] = []
    model: list[np.ndarray] = []
    for r, n in enumerate(sizes):
        if not seen:
            plan = _plan(r, 0.5, 0.5, BaselinePolicy(), n)
            means = {name: np.zeros(len(ARMS)) for name in PARTS}
        else:
            so_far = concat(seen)
            means, routes = {}, []
            for name, rule in PARTS.items():
                mean, se = _arm_means(so_far, rule)
                best = rng.normal(mean, se, (2_000, len(ARMS))).argmax(axis=1)
                shares = thompson_shares(np.bincount(best, minlength=len(ARMS)) / len(best))
                means[name] = mean
                routes.append(Route(name, rule, dict(zip(ARMS, shares.tolist(), strict=True))))
            plan = _plan(r, 0.05, 0.05, TreePolicy(tuple(routes), {"control": 1.0}), n)
        seen.append(_serve(_three_parts, population, sigma, seed, plan, seen[0] if seen else None))
        model.append(
            sum(
                rule.matches(seen[-1].features)[:, None] * means[name]
                for name, rule in PARTS.items()
            )
        )
    rpv = np.concatenate(model)
    none = np.zeros((len(rpv), len(ARMS) - 1))
    return concat(seen), VisitorEffects(ARMS, rpv / _ORDER, rpv, rpv, none, none), plan


def _arm_means(observations: Observations, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    inside = rule.matches(observations.features)
    revenue = [observations.revenue[inside & (observations.arm == k)] for k in range(len(ARMS))]
    return (
        np.array([y.mean() for y in revenue]),
        np.array([y.std() / np.sqrt(len(y)) for y in revenue]),
    )


def posterior_of_means(observations: Observations, by_part: bool, seed: int = 0) -> GroupDraws:
    """Normal draws of everyone's revenue per visitor, from means by arm in each part or in all.

    By part it is right and efficient here; without parts it is the raw mean.
    """
    rules = list(PARTS.values()) if by_part else [Rule()]
    share = np.array([rule.matches(observations.features).mean() for rule in rules])
    mean, se = (
        np.array(x) for x in zip(*(_arm_means(observations, r) for r in rules), strict=True)
    )
    spread = np.sqrt(share**2 @ se**2)
    noise = np.random.default_rng(seed).standard_normal((400, 1, len(ARMS)))
    rpv = share @ mean + spread * (noise - noise.mean(axis=0))
    none = np.zeros_like(rpv)
    size = np.array([float(len(observations))])
    return GroupDraws(ARMS, ("everyone",), size, np.zeros(400, int), none, rpv, none, none)
