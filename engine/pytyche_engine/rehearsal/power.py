"""How many visitors a plain test of the average effect needs, without any fit."""

import math
from dataclasses import dataclass

from scipy.special import ndtri

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.given import LARGEST_COUNT, MOST_ARMS, count, number, numbers


@dataclass(frozen=True, repr=False)
class PowerAnswer:
    """What a fixed test of each treatment against control needs.

    Attributes:
        n_visitors: in all arms together.
        control, treatment: visitors of control, and of each treatment.
        lift: the effect in revenue per visitor that is to be found, money.
        power: chance to find it.
        alpha: chance of a false find, over all treatments, two-sided.
    """

    n_visitors: int
    control: int
    treatment: int
    lift: float
    power: float
    alpha: float

    def __repr__(self) -> str:
        return (
            f"{self.n_visitors:,} visitors ({self.control:,} in control, {self.treatment:,} in "
            f"each treatment) find a lift of {self.lift:+.4f} per visitor with power "
            f"{self.power:.0%} at alpha = {self.alpha:g}, if it is the same for everyone"
        )


def n_for_power(
    conversion_rate: float,
    order_value: float,
    *,
    conversion_lift: float = 0.0,
    order_lift: float = 0.0,
    order_sigma: float = 0.5,
    n_arms: int = 2,
    control_share: float | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
) -> PowerAnswer:
    """Visitors that a fixed test of revenue per visitor needs; an instant answer, no MCMC.

    Revenue is 0 with probability 1 - p and else log-normal with mean m and log-sd s, so that its
    variance is ``p m^2 exp(s^2) - (p m)^2``. A z-test of the difference of means with variances
    v0, v1 and n visitors of whom shares w0, w1 are in the two arms finds a difference d with the
    power asked for at ``n = (z[1 - alpha/2] + z[power])^2 (v0/w0 + v1/w1) / d^2``. With several
    treatments alpha is divided among them (Bonferroni). What segments add is not in it; that is
    what `rehearse` is for.

    Args:
        conversion_rate: control's.
        order_value: control's mean order, money.
        conversion_lift: relative effect on converting, e.g. 0.1.
        order_lift: relative effect on the mean order.
        order_sigma: standard deviation of log order values.
        n_arms: K, control included.
        control_share: control's share of visitors; by default all arms are alike.
        power: chance to find the lift.
        alpha: chance of a false find.

    Raises:
        DesignError: if there is nothing to find, or a share or rate is impossible.

    Examples:
        >>> needed = n_for_power(0.05, 50.0, conversion_lift=0.1)
        >>> needed.n_visitors, round(needed.lift, 2)
        (81188, 0.25)
    """
    p, m, conversion_lift, order_lift, order_sigma, power, alpha = numbers(
        conversion_rate=conversion_rate,
        order_value=order_value,
        conversion_lift=conversion_lift,
        order_lift=order_lift,
        order_sigma=order_sigma,
        power=power,
        alpha=alpha,
    )
    n_arms = count("n_arms", n_arms, 2, MOST_ARMS)
    p1, m1 = p * (1 + conversion_lift), m * (1 + order_lift)
    share = 1 / n_arms if control_share is None else number("control_share", control_share)
    if not (0 < p < 1 and 0 < p1 < 1 and m > 0 and m1 > 0 and order_sigma >= 0):
        raise DesignError(
            "Use conversion rates between 0 and 1, also after the lift, positive order values and "
            "an order_sigma of at least 0."
        )
    if not (0 < share < 1 and 0 < alpha < 1 and alpha < power < 1):
        raise DesignError("Use shares, alpha and power between 0 and 1, and more power than alpha.")
    lift = p1 * m1 - p * m
    if lift == 0:
        raise DesignError("The lifts add up to no effect on revenue, so no test can find one.")
    each = (1 - share) / (n_arms - 1)
    z = float(ndtri(1 - alpha / (2 * (n_arms - 1))) + ndtri(power))
    try:
        spread = _variance(p, m, order_sigma) / share + _variance(p1, m1, order_sigma) / each
        n = z**2 * spread / lift**2
    except ArithmeticError:
        n = math.inf
    if not 0 < n <= LARGEST_COUNT:
        raise DesignError(
            f"A lift of {lift:.3g} per visitor would take more than {LARGEST_COUNT:g} visitors, or "
            "none at all: check the units of rates, order values and order_sigma."
        )
    control, treatment = math.ceil(n * share), math.ceil(n * each)
    return PowerAnswer(
        n_visitors=control + (n_arms - 1) * treatment,
        control=control,
        treatment=treatment,
        lift=lift,
        power=power,
        alpha=alpha,
    )


def _variance(p: float, m: float, sigma: float) -> float:
    return p * m**2 * math.exp(sigma**2) - (p * m) ** 2
