"""How many visitors an experiment needs, and what it can find."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from pytyche_engine.classic.contrast import ArmEstimate
from pytyche_engine.classic.relative import delta_contrast
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.given import LARGEST_COUNT, number, numbers


@dataclass(frozen=True)
class PowerPlan:
    """A two-sided comparison of two means, planned. Make one with `plan_means` or `plan_rates`.

    Attributes:
        sd_control, sd_treatment: standard deviation of one visitor, after adjustment.
        sd_null: of both, were there no difference; what the test uses where it pools.
        alpha: probability of a false positive.
        treatment_share: of the two arms' visitors.
    """

    sd_control: float
    sd_treatment: float
    sd_null: float
    alpha: float = 0.05
    treatment_share: float = 0.5

    def __post_init__(self) -> None:
        _between("alpha", self.alpha)
        _between("treatment_share", self.treatment_share)
        for sd in (self.sd_control, self.sd_treatment, self.sd_null):
            if not number("The standard deviation", sd) > 0:
                raise DesignError(f"The standard deviation is {sd}; it has to be above 0.")

    def power(self, effect: float, visitors: float) -> float:
        """Probability of finding an effect with so many visitors in both arms together.

        Raises:
            DesignError: if there are no visitors, or the effect is no number.
        """
        null, alternative = self._sds()
        if not number("The number of visitors", visitors) > 0:
            raise DesignError(f"There are {visitors} visitors; use a number above 0.")
        away = abs(number("The effect", effect)) * np.sqrt(visitors)
        limit = -ndtri(self.alpha / 2) * null
        return float(ndtr((away - limit) / alternative) + ndtr((-away - limit) / alternative))

    def visitors(self, effect: float, power: float = 0.8) -> float:
        """Visitors, both arms together, for an effect to be found with a probability.

        ``((z_alpha sd_null + z_power sd_alternative) / effect)^2`` with the standard deviations
        of a difference from one visitor; the wrong side's tail is left out, as is usual.

        Raises:
            DesignError: if there is no effect, or the power is none.
        """
        _between("power", power)
        if number("The effect", effect) == 0:
            raise DesignError(f"The effect is {effect}; an effect of 0 cannot be found.")
        null, alternative = self._sds()
        needed = (-ndtri(self.alpha / 2) * null + ndtri(power) * alternative) / effect
        with np.errstate(over="ignore"):
            n = float(np.square(needed))
        if not n <= LARGEST_COUNT:
            raise DesignError(
                f"An effect of {effect:.3g} would take more than {LARGEST_COUNT:g} visitors; "
                "check its unit."
            )
        return n

    def mde(self, visitors: float, power: float = 0.8) -> float:
        """The smallest effect that so many visitors find with a probability.

        Raises:
            DesignError: if there are no visitors, or the power is none.
        """
        _between("power", power)
        if not number("The number of visitors", visitors) > 0:
            raise DesignError(f"There are {visitors} visitors; use a number above 0.")
        null, alternative = self._sds()
        reach = -ndtri(self.alpha / 2) * null + ndtri(power) * alternative
        return float(reach / np.sqrt(visitors))

    def _sds(self) -> tuple[float, float]:
        """Standard deviations of the difference, from one visitor shared out over the arms."""
        q = self.treatment_share
        null = self.sd_null * np.sqrt(1 / (1 - q) + 1 / q)
        return float(null), float(np.sqrt(self.sd_control**2 / (1 - q) + self.sd_treatment**2 / q))


def plan_means(
    sd: float,
    *,
    sd_treatment: float | None = None,
    correlation: float = 0.0,
    alpha: float = 0.05,
    treatment_share: float = 0.5,
) -> PowerPlan:
    """Plan a comparison of means, with CUPED if there is a pre-period.

    Args:
        sd: standard deviation of one visitor in control.
        sd_treatment: in treatment, if it differs.
        correlation: with the pre-period column; it takes ``correlation^2`` of the variance.
        alpha: probability of a false positive.
        treatment_share: of the two arms' visitors.

    Raises:
        DesignError: if an argument is out of range.
    """
    sd = _sd(sd)
    sd_treatment = sd if sd_treatment is None else _sd(sd_treatment)
    _between("alpha", alpha)
    _between("treatment_share", treatment_share)
    if not -1 < number("The correlation", correlation) < 1:
        raise DesignError(f"The correlation is {correlation}; use a number between -1 and 1.")
    left = np.sqrt(1 - correlation**2)
    c, t = sd * left, sd_treatment * left
    q = treatment_share
    # Welch's test does not pool: its standard error is the same under either.
    null = np.sqrt((c**2 / (1 - q) + t**2 / q) / (1 / (1 - q) + 1 / q))
    return PowerPlan(c, t, float(null), alpha, treatment_share)


def plan_rates(
    baseline: float, effect: float, *, alpha: float = 0.05, treatment_share: float = 0.5
) -> PowerPlan:
    """Plan a comparison of proportions: pooled under no difference, each its own otherwise.

    Args:
        baseline: control's rate.
        effect: the difference to be found, in rates (not relative).
        alpha: probability of a false positive.
        treatment_share: of the two arms' visitors.

    Raises:
        DesignError: if a rate is not between 0 and 1.

    Examples:
        >>> round(plan_rates(0.05, 0.01).visitors(effect=0.01, power=0.8))
        16315
    """
    _between("baseline", baseline)
    _between("baseline + effect", baseline + number("The effect", effect))
    _between("treatment_share", treatment_share)
    c, t, q = baseline, baseline + effect, treatment_share
    pooled = (1 - q) * c + q * t
    sd_c, sd_t, sd_null = (float(np.sqrt(p * (1 - p))) for p in (c, t, pooled))
    return PowerPlan(sd_c, sd_t, sd_null, alpha, treatment_share)


def detectable_rise(
    baseline: float,
    visitors: float,
    weights: Sequence[float],
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float | None:
    """The smallest rise of a rate that a test of several variants finds with a probability.

    It is that of the treatment with the fewest visitors. alpha is shared by the treatments
    (Bonferroni; Holm finds at least as much).

    Args:
        baseline: control's rate.
        visitors: of all variants together.
        weights: the variants' shares of visitors, control first; their sum does not matter.
        alpha: probability of a false positive in any comparison.
        power: the probability.

    Returns:
        The difference in rates; None where not even a rate of 1 would be found.

    Raises:
        DesignError: if an argument is out of range.
    """
    _between("baseline", baseline)
    _between("alpha", alpha)
    if len(weights) < 2 or not all(np.isfinite(w) and w > 0 for w in weights) or not visitors > 0:
        raise DesignError("Give two variants or more, weights above 0, and visitors above 0.")
    treatment, total = min(weights[1:]), sum(weights)
    both = visitors * (weights[0] + treatment) / total
    share, each = treatment / (weights[0] + treatment), alpha / (len(weights) - 1)

    def lacking(effect: float) -> float:
        plan = plan_rates(baseline, effect, alpha=each, treatment_share=share)
        return effect - plan.mde(both, power)

    most = (1 - 1e-9) * (1 - baseline)
    return None if lacking(most) < 0 else float(brentq(lacking, 0.0, most))


def duration_days(
    visitors: float, daily_visitors: float, *, traffic_share: float = 1.0, whole_weeks: bool = True
) -> int:
    """Days until so many visitors have come.

    Args:
        visitors: of all arms together.
        daily_visitors: how many come a day.
        traffic_share: share of them that takes part.
        whole_weeks: round up to whole weeks, as days of a week differ.

    Raises:
        DesignError: if nobody comes.
    """
    visitors, daily_visitors, traffic_share = numbers(
        visitors=visitors, daily_visitors=daily_visitors, traffic_share=traffic_share
    )
    if not (daily_visitors > 0 and 0 < traffic_share <= 1 and visitors >= 0):
        raise DesignError(
            f"{daily_visitors} visitors a day and a share of {traffic_share}: nobody takes part."
        )
    days = int(np.ceil(visitors / (daily_visitors * traffic_share) - 1e-9))
    return -(-days // 7) * 7 if whole_weeks else days


@dataclass(frozen=True)
class StillNeeded:
    """What a running experiment lacks.

    Attributes:
        power_now: probability that it finds the effect with the visitors that it has.
        factor: further visitors as a multiple of those; 0 where they are enough.
        visitors: further visitors, both arms together.
    """

    power_now: float
    factor: float
    visitors: float


def visitors_still_needed(
    control: ArmEstimate,
    treatment: ArmEstimate,
    relative_mde: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> StillNeeded:
    """Further visitors until a relative effect would be found with a probability.

    From the variance that was seen (delta method), not from the effect that was seen: power
    for that is the p-value once more.

    Args:
        control: control so far.
        treatment: the treatment so far.
        relative_mde: the effect to find, as a share of control's mean.
        alpha: probability of a false positive.
        power: probability to find it.

    Raises:
        DesignError: if there is no effect to find, or nothing varies.
    """
    _between("power", power)
    if not relative_mde:
        raise DesignError("The relative effect to find is 0; use one that matters.")
    se = delta_contrast(control, treatment).std_error if control.mean else np.nan
    if not se > 0:
        raise DesignError(
            "Values do not vary, or control's mean is 0: there is nothing to plan by."
        )
    n, limit = control.n + treatment.n, -ndtri(alpha / 2)
    away = abs(relative_mde) / se
    now = float(ndtr(away - limit) + ndtr(-away - limit))
    factor = max(((limit + ndtri(power)) / away) ** 2 - 1, 0.0) if now < power else 0.0
    return StillNeeded(now, float(factor), float(factor * n))


def _between(name: str, value: float) -> None:
    if not 0 < number(name, value) < 1:
        raise DesignError(f"{name} is {value}; use a number between 0 and 1.")


def _sd(value: float) -> float:
    """A standard deviation whose square is a number too."""
    sd = number("The standard deviation", value)
    if not 1e-150 < sd < 1e150:
        raise DesignError(f"The standard deviation is {sd}; use one between 1e-150 and 1e150.")
    return sd
