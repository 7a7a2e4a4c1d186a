"""A round by classical tests, so that a sceptic can check the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from pytyche_engine.classic.bandit import Periods, stratified_contrast
from pytyche_engine.classic.contrast import Contrast
from pytyche_engine.classic.corrections import adjusted_p_values
from pytyche_engine.classic.metrics import MeanMetric, Metric, ProportionMetric
from pytyche_engine.classic.result import AnalysisResult
from pytyche_engine.classic.run import check_alpha, run_analysis
from pytyche_engine.classic.sequential import MixtureTest
from pytyche_engine.classic.setup import setup
from pytyche_engine.contracts.classic_check import ClassicCheck, ClassicRow
from pytyche_engine.contracts.decisions import Comparison
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.given import is_number, shown
from pytyche_engine.contracts.observations import Observations, Outcome
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.decisions.drift import RANDOMISED, in_randomised_cells
from pytyche_engine.experiment.round import Round

REVENUE, CONVERSION = "revenue per visitor", "conversion"
SHORTEST_AT = 4
"""The always-valid interval is shortest at this many times the first round's information.

Rounds that double get there between the second and the third.
"""


def classic_check(
    rounds: Sequence[Round],
    round_number: int | None = None,
    *,
    alpha: float = 0.05,
    relative_mde: float | None = None,
) -> ClassicCheck:
    """Analyse a finished round with classical tests, and all remembered rounds up to it.

    Of the round: Welch's test of every treatment against control, corrected by Holm. Over rounds:
    differences within each round, weighted by what the plan's shares promise, with an
    always-valid p-value, as rounds are looked at one after another. Visitors are those of the
    Control and Explore cells (where no cells were recorded: everyone, as long as all of a round
    had the same probabilities).

    Args:
        rounds: the finished rounds, oldest first.
        round_number: which one, as they are printed, from 1; the latest if left out.
        alpha: significance level.
        relative_mde: the effect that the always-valid test is made for, as a share of control's
            mean in the first remembered round. If left out, the test is made for the spread of
            that round (`SHORTEST_AT`).

    Raises:
        DesignError: if there is no such round, an argument is out of range, or the round has no
            visitors that can be compared.
    """
    check_alpha(alpha)
    if relative_mde is not None and not (is_number(relative_mde) and relative_mde > 0):
        raise DesignError(
            f"relative_mde is {shown(relative_mde)}; use a share above 0, such as 0.10."
        )
    asked = len(rounds) if round_number is None else round_number
    if not is_number(asked) or asked not in range(1, len(rounds) + 1):
        raise DesignError(
            f"There is no finished round {shown(asked)}; finished rounds: {len(rounds)}."
        )
    number = int(asked)
    latest = rounds[number - 1]
    first = latest.remembered_from
    seen = [_Randomised.of(r.plan, r.observations) for r in rounds[first:number]]
    here, control = seen[-1].observations, latest.observations.arms[0]
    visitors = np.bincount(here.arm, minlength=here.n_arms)
    compared = [arm for arm, n in zip(here.arms[1:], visitors[1:], strict=True) if n > 1]
    if visitors[0] < 2 or not compared:
        raise DesignError(
            f"Round {number} has {visitors[0]} visitors of '{control}' in its Control and Explore "
            "cells, and no treatment with two or more to compare."
        )
    metrics = _metrics(here.outcome)
    frame = pd.DataFrame(
        {"arm": np.asarray(here.arms)[here.arm], **{m.name: _values(here, m.name) for m in metrics}}
    )
    rows = []
    # One family for all comparisons of the round: Holm over treatments and metrics together.
    found = [
        (arm, run_analysis(setup(frame, "arm").add_metrics(metrics), control, arm, alpha))
        for arm in compared
    ]
    adjusted = _holm(found)
    comparisons = {c.treatment: c for c in latest.analysis.comparisons}
    for arm, result in found:
        for row in result.raw_results:
            name = row["metric_name"]
            path = _over_rounds(seen, name, here.arms.index(arm))
            interval = row["ci_lower"], row["ci_upper"]
            rows.append(
                ClassicRow(
                    metric=name,
                    treatment=arm,
                    control_n=row["control_n"],
                    treatment_n=row["treatment_n"],
                    lift=_estimate(row["absolute_difference"], row["std_error"], interval, alpha),
                    relative_lift=row["relative_lift"],
                    p_value=row["p_value"],
                    p_value_adjusted=adjusted[arm, name],
                    over_rounds=_known(path[-1], alpha) if path else None,
                    p_always_valid=_always_valid(path, seen, name, relative_mde, alpha),
                    aipw=_aipw(comparisons[arm], alpha) if name == REVENUE else None,
                    model=_model(comparisons[arm], name, here.outcome),
                )
            )
    return ClassicCheck(
        round_index=latest.round_idx,
        first_round=first,
        control=control,
        alpha=alpha,
        rows=tuple(rows),
        traffic=latest.health.traffic,
        traffic_over_rounds=latest.health.traffic_over_rounds,
        model_label=latest.analysis.label,
        left_out=tuple(arm for arm in here.arms[1:] if arm not in compared),
    )


@dataclass(frozen=True, eq=False)
class _Randomised:
    """A round's visitors whose arms do not depend on who they are.

    Attributes:
        observations: these visitors.
        shares: (K,) probabilities that they had of each arm.
    """

    observations: Observations
    shares: Float[np.ndarray, " arms"]

    @classmethod
    def of(cls, plan: Plan, observations: Observations) -> "_Randomised":
        if (observations.cell < 0).any() or not len(observations):
            same = observations.propensity[:1]
            if not np.allclose(observations.propensity, same):
                raise DesignError(
                    f"Round {plan.round_index + 1} recorded no cells, and its visitors had "
                    "different probabilities; plain comparisons would be unfair. Record the cells."
                )
            return cls(observations, same[0] if len(same) else np.zeros(observations.n_arms))
        shares = np.zeros(observations.n_arms)
        for cell in plan.cells:
            if cell.id in RANDOMISED:
                of_cell = cell.policy.arm_shares(observations.features[:1], plan.arms)
                shares += cell.weight * of_cell[0]
        return cls(observations.take(in_randomised_cells(observations)), shares / shares.sum())


def _metrics(outcome: Outcome) -> list[Metric]:
    revenue: Metric = MeanMetric(REVENUE, REVENUE)
    conversion: Metric = ProportionMetric(CONVERSION, CONVERSION)
    match outcome:
        case Outcome.BINARY:
            return [conversion]
        case Outcome.CONTINUOUS:
            return [revenue]
        case _:
            return [revenue, conversion]


def _values(observations: Observations, metric: str) -> Float[np.ndarray, " n"]:
    return observations.revenue if metric == REVENUE else observations.converted.astype(float)


def _holm(found: Sequence[tuple[str, AnalysisResult]]) -> dict[tuple[str, str], float | None]:
    keys = [(arm, row["metric_name"]) for arm, result in found for row in result.raw_results]
    p = [row["p_value"] for _, result in found for row in result.raw_results]
    return dict(zip(keys, adjusted_p_values(p, "holm"), strict=True))


def _over_rounds(seen: Sequence[_Randomised], metric: str, arm: int) -> list[Contrast]:
    """The difference after each round, from the first one that can be compared."""
    per_round = []
    for one in seen:
        o, y = one.observations, _values(one.observations, metric)
        sums = [np.bincount(o.arm, w, minlength=o.n_arms) for w in (np.ones(len(o)), y, y**2)]
        if min(sums[0][0], sums[0][arm]) >= 2 and min(one.shares[0], one.shares[arm]) > 0:
            per_round.append((one.shares, *sums))
    path = []
    for end in range(1, len(per_round) + 1):
        shares, n, total, squares = (np.stack(x) for x in zip(*per_round[:end], strict=True))
        path.append(stratified_contrast(Periods(shares, n, total, squares), arm))
    return path


def _always_valid(
    path: Sequence[Contrast],
    seen: Sequence[_Randomised],
    metric: str,
    relative_mde: float | None,
    alpha: float,
) -> float | None:
    if not path or not path[0].std_error > 0:
        return None
    if relative_mde is None:
        test = MixtureTest.tightest_at(SHORTEST_AT, path[0], 1, alpha)
    else:
        first = seen[0].observations
        baseline = float(_values(first, metric)[first.arm == 0].mean())
        if baseline == 0:
            return None
        test = MixtureTest.for_mde(baseline, relative_mde, alpha)
    return float(test.watch(path).p_values[-1])


def _estimate(
    mean: float, sd: float, interval: tuple[float | None, float | None], alpha: float
) -> Estimate:
    low, high = (mean if end is None else end for end in interval)
    return Estimate(mean, low, high, sd, 1 - alpha)


def _known(contrast: Contrast, alpha: float) -> Estimate:
    return _estimate(contrast.estimate, contrast.std_error, contrast.interval(alpha), alpha)


def _aipw(comparison: Comparison, alpha: float) -> Estimate:
    return _known(Contrast(comparison.aipw_lift, comparison.aipw_se), alpha)


def _model(comparison: Comparison, metric: str, outcome: Outcome) -> Estimate:
    if metric == CONVERSION and outcome is Outcome.HURDLE:
        return comparison.conversion_lift
    return comparison.lift
