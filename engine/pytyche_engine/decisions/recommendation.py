"""SHIP, CONTINUE or STOP: one verdict, its evidence, and what would change it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pytyche_engine.contracts.decisions import Decision, Recommendation
from pytyche_engine.contracts.effects import GroupDraws
from pytyche_engine.contracts.errors import DesignError, FitError
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.money import money, percent, probability, probability_is
from pytyche_engine.contracts.thresholds import DecisionThresholds, in_money


def recommend(
    draws: GroupDraws,
    group: int,
    thresholds: DecisionThresholds,
    *,
    n_so_far: int,
    next_size: int | None,
    converged: bool,
    treatment: str | None = None,
    currency: str = "$",
) -> Recommendation:
    """Judge a treatment of a group: the most promising one, or a named one.

    With rpv_a the group's RPV under arm a, and limits that are shares taken of rpv_0 averaged
    over the draws, the verdict on treatment t is

    - SHIP if E[max_a rpv_a - rpv_t] <= loss tolerance, P(lift > 0) > `p_positive` and
      P(lift > practical effect) > `p_better`. The regret is against all arms, so a better
      sibling blocks shipping, while an equal one does not.
    - STOP if P(lift < -practical effect) > `harm` or P(lift > practical effect) <
      `futility`.
    - CONTINUE otherwise, and always if the fit did not converge: neither answer can rest
      on such draws.

    Args:
        draws: posterior draws of group means.
        group: index of the group in `draws`.
        thresholds: when evidence is enough.
        n_so_far: visitors behind the posterior.
        next_size: visitors of the schedule's next round, None when there is none.
        converged: whether the sampler met its limits for what is reported.
        treatment: the treatment to judge; None takes the most promising one.
        currency: symbol for money in the reason.

    Raises:
        DesignError: if `treatment` is not a treatment.
        FitError: if the group's draws are not finite, or give control no revenue.
    """
    rpv = _finite_rpv(draws, group)
    lift = rpv - rpv[:, :1]
    control = float(rpv[:, 0].mean())
    practical = in_money(thresholds.practical_effect, control)
    best = rpv.max(axis=1)
    better, harmful = _chances(lift, practical)
    if treatment is None:
        treatment = most_promising(draws, group, thresholds)
    if treatment not in draws.arms[1:]:
        raise DesignError(
            f"'{treatment}' is not a treatment; the treatments are {list(draws.arms[1:])}."
        )
    k = draws.arms.index(treatment)
    evidence = _Evidence(
        treatment=draws.arms[k],
        lift=Estimate.from_draws(lift[:, k]),
        relative=float((lift[:, k] / rpv[:, 0]).mean()),
        practical=practical,
        tolerance=in_money(thresholds.loss_tolerance, control),
        positive=float((lift[:, k] > 0).mean()),
        better=float(better[k]),
        harmful=float(harmful[k]),
        loss=float((best - rpv[:, k]).mean()),
        is_open=bool(better[k] >= thresholds.futility and harmful[k] <= thresholds.harm),
        value_of_round=value_of_one_more_round(rpv, n_so_far=n_so_far, next_size=next_size),
    )
    decision, reason = _verdict(evidence, thresholds, next_size, converged, currency)
    return Recommendation(
        treatment=evidence.treatment,
        decision=decision,
        lift=evidence.lift,
        probability_positive=evidence.positive,
        probability_better=evidence.better,
        probability_harmful=evidence.harmful,
        probability_best=float((rpv.argmax(axis=1) == k).mean()),
        expected_loss_if_shipped=evidence.loss,
        expected_loss_if_kept=float((best - rpv[:, 0]).mean()),
        expected_value_of_one_more_round=evidence.value_of_round,
        thresholds=thresholds,
        reason=reason,
    )


def most_promising(draws: GroupDraws, group: int, thresholds: DecisionThresholds) -> str:
    """The treatment with the highest mean RPV of those that deserve no STOP, or else of all.

    Args:
        draws: posterior draws of group means.
        group: index of the group in `draws`.
        thresholds: when evidence is enough.

    Raises:
        FitError: if the group's draws are not finite, or give control no revenue.
    """
    rpv = _finite_rpv(draws, group)
    practical = in_money(thresholds.practical_effect, float(rpv[:, 0].mean()))
    better, harmful = _chances(rpv - rpv[:, :1], practical)
    is_open = (better >= thresholds.futility) & (harmful <= thresholds.harm)
    mean = np.where(is_open | ~is_open[1:].any(), rpv.mean(axis=0), -np.inf)
    return draws.arms[1 + int(np.argmax(mean[1:]))]


def _chances(
    lift: Float[np.ndarray, "draws arms"], practical: float
) -> tuple[Float[np.ndarray, " arms"], Float[np.ndarray, " arms"]]:
    """P(lift > practical effect) and P(lift < -practical effect) of each arm."""
    return (lift > practical).mean(axis=0), (lift < -practical).mean(axis=0)


def value_of_one_more_round(
    rpv: Float[np.ndarray, "draws arms"], *, n_so_far: int, next_size: int | None
) -> float:
    """Expected cut in regret per visitor from seeing one more round before choosing an arm.

    The expected value of sample information over all K arms, E[max_a M_a] - max_a m_a,
    where m is the posterior mean now and M the posterior mean after the round. In a normal
    model with n visitors behind a posterior of variance V, V shrinks to V n / (n + n_next),
    and by the law of total variance M then varies with V n_next / (n + n_next). So M is
    taken to be m + sqrt(n_next / (n + n_next)) (draw - m), over the joint draws: for
    normal posteriors exact, otherwise the shape is kept and only the spread is scaled
    (moment matching: Heath, Manolopoulou and Baio 2018, Medical Decision Making 38:163).
    Assumes that the next round is allocated as the rounds so far were. Never negative.

    Args:
        rpv: (S, K) draws of each arm's RPV, jointly, money per visitor.
        n_so_far: visitors behind these draws.
        next_size: visitors of the next round, None when there is none: the value is 0.
    """
    if next_size is None:
        return 0.0
    mean = rpv.mean(axis=0)
    shrink = np.sqrt(next_size / (n_so_far + next_size))
    later = mean + shrink * (rpv - mean)
    return max(0.0, float(later.max(axis=1).mean() - mean.max()))


@dataclass(frozen=True)
class _Evidence:
    """What a verdict rests on; money per visitor. `is_open`: neither futile nor harmful yet."""

    treatment: str
    lift: Estimate
    relative: float
    practical: float
    tolerance: float
    positive: float
    better: float
    harmful: float
    loss: float
    is_open: bool
    value_of_round: float


def _verdict(
    e: _Evidence,
    thresholds: DecisionThresholds,
    next_size: int | None,
    converged: bool,
    currency: str,
) -> tuple[Decision, str]:
    """The decision, and the reason that belongs to it."""

    def price(value: float) -> str:
        return money(value, currency)

    practical = price(e.practical)
    unmet = []
    if not e.positive > thresholds.p_positive:
        p, limit = _beside(e.positive, thresholds.p_positive)
        unmet.append(f"P(lift > 0) is {p} and must be above {limit}")
    if not e.better > thresholds.p_better:
        p, limit = _beside(e.better, thresholds.p_better)
        unmet.append(f"P(lift > {practical}) is {p} and must be above {limit}")
    if not e.loss <= e.tolerance:
        loss, limit = _money_beside(e.loss, e.tolerance, currency)
        unmet.append(f"its expected loss is {loss} per visitor and may be at most {limit}")

    if not converged:
        return Decision.CONTINUE, (
            "The fit has not converged, so its numbers support no verdict on "
            f"'{e.treatment}' yet. A longer fit of the same data can change this."
        )
    if not unmet:
        loss, limit = _money_beside(e.loss, e.tolerance, currency)
        return Decision.SHIP, (
            f"'{e.treatment}' is estimated to lift RPV by {price(e.lift.mean)} per visitor "
            f"({percent(e.relative)}) with P(lift > 0) {probability_is(e.positive)} and "
            f"P(lift > {practical}) {probability_is(e.better)}, and shipping it has an expected "
            f"loss of {loss} per visitor, within the {limit} allowed. It would change if new data "
            "took any of these past its limit."
        )
    if not e.is_open:
        if e.harmful > thresholds.harm:
            p, limit = _beside(e.harmful, thresholds.harm)
            why = (
                f"'{e.treatment}' is likely to do harm: P(lift < {price(-e.practical)}) is {p}, "
                f"above {limit}"
            )
            change = "Only new data against this, or another treatment, would change it."
        else:
            p, limit = _beside(e.better, thresholds.futility)
            why = (
                f"'{e.treatment}' is unlikely to be worth having: P(lift > {practical}) is {p}, "
                f"below {limit}"
            )
            change = "A smaller practical effect, or another treatment, would change this."
        return Decision.STOP, f"{why}. {change}"
    return Decision.CONTINUE, (
        f"Not enough evidence to ship '{e.treatment}': {'; '.join(unmet)}. "
        + _next_step(e, next_size, price(e.value_of_round))
    )


def _next_step(e: _Evidence, next_size: int | None, value: str) -> str:
    """What would change a CONTINUE."""
    if next_size is None:
        return "More visitors can change this, but the schedule has no next round: extend it."
    if e.value_of_round < 0.00005:  # would print as nothing
        return (
            f"The next {next_size:,} visitors are hardly expected to change which arm is best; "
            "they can still settle how much it is worth."
        )
    return (
        f"The next {next_size:,} visitors can change this; seeing them first is worth {value} "
        "per visitor."
    )


def _finite_rpv(draws: GroupDraws, group: int) -> Float[np.ndarray, "draws arms"]:
    rpv = draws.rpv[:, group].astype(np.float64)
    if not (np.isfinite(rpv).all() and rpv[:, 0].mean() > 0):
        raise FitError(
            f"The posterior RPV of '{draws.groups[group]}' is not finite, or zero under control, "
            "so nothing can be decided on it. Check that the group has visitors and that anybody "
            "spent anything under control, and look at the convergence of the fit."
        )
    return rpv


def _beside(value: float, limit: float) -> tuple[str, str]:
    """A probability and its limit, with enough digits to tell them apart."""
    text = probability(value)
    if text[0] in "<>" and 0.01 <= limit <= 0.99:
        return text, f"{limit:.2f}"
    for digits in range(2, 6):
        texts = f"{value:.{digits}f}", f"{limit:.{digits}f}"
        if texts[0] != texts[1]:
            break
    return texts


def _money_beside(value: float, limit: float, currency: str) -> tuple[str, str]:
    """An amount and its limit, with enough digits to tell them apart."""
    for digits in range(4, 9):
        texts = money(value, currency, digits), money(limit, currency, digits)
        if texts[0] != texts[1]:
            break
    return texts
