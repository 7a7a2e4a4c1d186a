"""What a plan is expected to do, before anyone is served by it.

Everything is asked of visitors who were seen: the last round's stand for the next one's. The
posterior is evaluated for a sample of them once; after that any cell, rule and arm mix is
a weighted mean over that sample, so that an answer takes milliseconds.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.estimates import INTERVAL_LEVEL, Estimate
from pytyche_engine.contracts.money import amount, signed
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.policies import MixPolicy, Policy, TreePolicy, UniformPolicy
from pytyche_engine.contracts.rules import Rule
from pytyche_engine.contracts.tables import Table

POWER = 0.8
SIGNIFICANCE = 0.05
"""Of the two-sided test that the detectable effect is about."""

FEWEST_BUYERS = 10
"""Visitors who spent anything, below which the spread of revenue is not known well enough."""

BINS = 16
"""Bins of a feature's distribution."""

MOST_KEPT = 1000
"""Rules, and policies, whose answers are kept."""


@dataclass(frozen=True, eq=False)
class SeenVisitors:
    """Visitors who stand for those of the next round.

    Attributes:
        observations: the n visitors.
        sample: (m,) rows of them for whom the posterior was evaluated.
        rpv: (S, m, K) draws of their expected revenue under each arm, money per visitor.
        level: level of the intervals.
    """

    observations: Observations
    sample: Int[np.ndarray, " m"]
    rpv: Float[np.ndarray, "draws m arms"]
    level: float = INTERVAL_LEVEL
    # What was worked out for a rule or a policy holds for as long as this object does. A policy
    # is kept with its draws, as its id would be another one's once it is gone.
    _matches: dict[Rule, Bool[np.ndarray, " n"]] = field(default_factory=dict, repr=False)
    _values: dict[int, tuple[Policy, Float[np.ndarray, " draws"]]] = field(
        default_factory=dict, repr=False
    )

    def matches(self, rule: Rule) -> Bool[np.ndarray, " n"]:
        """Which of the n visitors a rule holds for."""
        known = self._matches.get(rule)
        if known is None:
            known = self._matches[rule] = rule.matches(self.observations.features)
            _forget_oldest(self._matches)
        return known

    def value(self, policy: Policy) -> Float[np.ndarray, " draws"]:
        """(S,) draws of the RPV if every visitor got the policy, money per visitor."""
        known = self._values.get(id(policy))
        if known is None:
            shares = self._shares(policy)
            draws = self.rpv.reshape(len(self.rpv), -1) @ shares.ravel() / len(self.sample)
            known = self._values[id(policy)] = (policy, draws.astype(np.float64))
            _forget_oldest(self._values)
        return known[1]

    def _shares(self, policy: Policy) -> Float[np.ndarray, "m arms"]:
        """What `Policy.arm_shares` says of the sample, with the rules' answers kept."""
        arms = self.observations.arms
        shares = np.zeros((len(self.sample), len(arms)), dtype=self.rpv.dtype)
        left = np.ones(len(self.sample), dtype=bool)
        for route in policy.routing(arms):
            rows = left & self.matches(route.rule)[self.sample]
            shares[rows] = route.arm_shares(arms)
            left &= ~rows
        return shares


@dataclass(frozen=True)
class CellPreview:
    """What is expected of a cell. What cannot be known is None.

    Attributes:
        id: the cell's name.
        n_visitors: expected visitors; None when the schedule is exhausted.
        matching: share of visitors that the rule of a hypothesis cell holds for, in [0, 1].
        n_matching: how many of the visitors looked at that were.
        rpv: revenue per visitor of serving the cell's policy.
        regret: what the cell is expected to cost, money per visitor in it, against the
            recommended plan; negative if it gains.
        regret_in_all: the same for all of the cell's visitors.
        detectable: the smallest lift, money per visitor, that the round would find with
            80 % power at the 5 % level (two-sided).
        detectable_between: what that lift is between.
    """

    id: str
    n_visitors: float | None
    matching: float | None = None
    n_matching: int | None = None
    rpv: Estimate | None = None
    regret: Estimate | None = None
    regret_in_all: float | None = None
    detectable: float | None = None
    detectable_between: str = ""


@dataclass(frozen=True)
class Overlap:
    """How much of a segment a rule covers.

    Attributes:
        segment: the segment's id.
        share: of the segment's visitors, the share that the rule holds for, in [0, 1].
    """

    segment: str
    share: float


@dataclass(frozen=True, repr=False)
class PlanPreview:
    """What is expected of a plan; see `CellPreview`.

    Attributes:
        cells: its cells, in their order.
        rpv: revenue per visitor over all of them.
        regret: RPV of the recommended plan less this one's, money per visitor.
        regret_in_all: the same for all visitors of the round.
    """

    cells: tuple[CellPreview, ...]
    rpv: Estimate | None = None
    regret: Estimate | None = None
    regret_in_all: float | None = None

    def table(self) -> Table:
        """One row a cell, and one for the whole plan. Money is per visitor."""
        rows = [
            (
                c.id,
                _or_dash(c.n_visitors, "{:,.0f}"),
                _with_interval(c.rpv, amount),
                _with_interval(c.regret, signed),
                _or_dash(c.detectable, "{:.4f}"),
                c.detectable_between,
            )
            for c in self.cells
        ]
        n = [c.n_visitors for c in self.cells if c.n_visitors is not None]
        rpv, regret = _with_interval(self.rpv, amount), _with_interval(self.regret, signed)
        rows.append(("all", _or_dash(sum(n) if n else None, "{:,.0f}"), rpv, regret, "", ""))
        level = "80%" if self.rpv is None else f"{self.rpv.level:.0%}"
        return Table(
            (
                "cell",
                "visitors",
                f"expected RPV ({level} CI)",
                f"regret ({level} CI)",
                "detectable lift",
                "between",
            ),
            rows,
        )

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


def _with_interval(estimate: Estimate | None, write: Callable[[float], str]) -> str:
    if estimate is None:
        return "—"
    return estimate.text(write)


def _or_dash(value: float | None, form: str) -> str:
    return "—" if value is None else form.format(value)


def _forget_oldest(kept: dict[Any, Any]) -> None:
    """Hours of editing must not fill the memory."""
    if len(kept) > MOST_KEPT:
        del kept[next(iter(kept))]


def preview(plan: Plan, recommended: Plan, seen: SeenVisitors | None) -> PlanPreview:
    """What is expected of a plan, cell by cell, and against the recommended one.

    Regret is told cell by cell so that the parts add up: weight that a cell has beyond the
    recommended one counts as taken from the recommended Optimized cell, and weight that it
    lacks as given to it. With w, V the cell's weight and RPV, r, R those of the recommended
    cell of the same name and O the RPV of the recommended Optimized cell, a cell costs

        r R - w V + (w - r) O

    per visitor of the round. The detectable effect is (z_{1-a/2} + z_{power}) times the
    standard error of a difference of means, with the variance of revenue as it was seen.

    Args:
        plan: the plan.
        recommended: the plan that was recommended for the same round.
        seen: visitors like those expected; None before any were, and then only their numbers
            are known.
    """
    n = plan.n_visitors
    if seen is None:
        return PlanPreview(
            tuple(CellPreview(c.id, None if n is None else c.weight * n) for c in plan.cells)
        )
    value = {c.id: seen.value(c.policy) for c in plan.cells}
    weight = {c.id: c.weight for c in plan.cells}
    before = {c.id: seen.value(c.policy) for c in recommended.cells}
    share = {c.id: c.weight for c in recommended.cells}
    optimized = next((before[c.id] for c in recommended.cells if c.role == "optimized"), None)
    cost = {}
    if optimized is not None:
        for name in weight:
            r = share.get(name, 0.0)
            spent = (
                r * before.get(name, optimized)
                - weight[name] * value[name]
                + (weight[name] - r) * optimized
            )
            cost[name] = np.round(spent, 12) + 0.0  # rounding errors are no money, nor have a sign
    control = next((c for c in plan.cells if c.role == "control"), None)
    cells = []
    for cell in plan.cells:
        regret = in_all = None
        if cell.id in cost:
            mean = float(cost[cell.id].mean())
            in_all = None if n is None else mean * n
            if cell.weight > 0:
                regret = Estimate.from_draws(cost[cell.id] / cell.weight, seen.level)
        rule = cell.policy.rule if isinstance(cell.policy, MixPolicy) else Rule()
        rows = seen.matches(rule)
        own = bool(rule.clauses)
        detectable, between = _detectable(cell, control, n, rows, seen)
        cells.append(
            CellPreview(
                id=cell.id,
                n_visitors=None if n is None else cell.weight * n,
                matching=float(rows.mean()) if own else None,
                n_matching=int(rows.sum()) if own else None,
                rpv=Estimate.from_draws(value[cell.id], seen.level),
                regret=regret,
                regret_in_all=in_all,
                detectable=detectable,
                detectable_between=between,
            )
        )
    total = _mixed(weight, value)
    lost = _mixed(share, before) - total
    return PlanPreview(
        cells=tuple(cells),
        rpv=Estimate.from_draws(total, seen.level),
        regret=Estimate.from_draws(lost, seen.level),
        regret_in_all=None if n is None else float(lost.mean()) * n,
    )


def _mixed(
    weights: Mapping[str, float], draws: Mapping[str, Float[np.ndarray, " draws"]]
) -> Float[np.ndarray, " draws"]:
    return np.sum([weight * draws[name] for name, weight in weights.items()], axis=0)


def overlaps(rule: Rule, policy: Policy, seen: SeenVisitors) -> tuple[Overlap, ...]:
    """How much of each segment of a policy tree a rule covers; empty segments are left out."""
    if not isinstance(policy, TreePolicy):
        return ()
    held, found = seen.matches(rule), []
    left = np.ones(len(seen.observations), dtype=bool)
    for route in policy.routes:
        members = left & seen.matches(route.rule)
        left &= ~members
        if members.any():
            found.append(Overlap(route.segment, float(held[members].mean())))
    return tuple(found)


@dataclass(frozen=True)
class Distribution:
    """How a numeric feature is distributed, roughly.

    Attributes:
        low, high: nearly all values lie between; what does not is counted at the ends.
        middle: the median.
        counts: visitors in equal bins over `low` to `high`.
    """

    low: float
    high: float
    middle: float
    counts: tuple[int, ...]


def distribution(seen: SeenVisitors, feature: str) -> Distribution | None:
    """The distribution of a numeric feature; None where no visitor has a value."""
    values = seen.observations.features[feature].to_numpy(dtype=float, na_value=np.nan)
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, middle, high = (float(q) for q in np.quantile(values, [0.005, 0.5, 0.995]))
    counts, _ = np.histogram(np.clip(values, low, high), bins=BINS, range=(low, high))
    return Distribution(low, high, middle, tuple(int(c) for c in counts))


def _detectable(
    cell: Cell,
    control: Cell | None,
    n: int | None,
    rows: Bool[np.ndarray, " n"],
    seen: SeenVisitors,
) -> tuple[float | None, str]:
    """The detectable lift of a cell and what it is between.

    Only visitors whom a hypothesis cell's rule holds for differ from control, so they alone
    are compared with their like in the Control cell.
    """
    if cell is control:
        return None, "baseline"
    revenue = seen.observations.revenue[rows]
    share = float(rows.mean())
    if isinstance(cell.policy, UniformPolicy) and len(cell.policy.over) > 1:
        each = cell.weight / len(cell.policy.over)
        groups, between = (each, each), "between arms"
    elif control is not None:
        groups, between = (cell.weight * share, control.weight * share), "vs control"
    else:
        return None, "no control"
    if n is None or min(groups) <= 0 or (revenue > 0).sum() < FEWEST_BUYERS:
        return None, between
    z = NormalDist().inv_cdf(1 - SIGNIFICANCE / 2) + NormalDist().inv_cdf(POWER)
    spread = float(revenue.std(ddof=1))
    return float(z * spread * math.sqrt(sum(1 / (g * n) for g in groups))), between
