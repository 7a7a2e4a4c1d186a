"""Relative lift, (treatment - control) / |control|, and its intervals."""

import numpy as np

from pytyche_engine.classic.contrast import ArmEstimate, Contrast, welch


def relative_lift(control: ArmEstimate, treatment: ArmEstimate) -> float | None:
    """The lift, None where control's mean is 0. Its sign is that of the difference."""
    if control.mean == 0:
        return None
    return (treatment.mean - control.mean) / abs(control.mean)


def fieller_interval(
    control: ArmEstimate, treatment: ArmEstimate, alpha: float, dof: float = np.inf
) -> tuple[float, float] | None:
    """Interval of the lift by Fieller (1954).

    All ratios r for which ``treatment - r control`` is not significantly different from 0. It
    leaves out 0 exactly when the interval of the difference does, so that it never
    contradicts the p-value, and covers where dividing the interval of the difference by
    control's mean does not.

    Args:
        control: the arm to compare with.
        treatment: the arm to compare.
        alpha: error of the interval.
        dof: degrees of freedom of the critical value.

    Returns:
        None where control's mean is not significantly different from 0: then every large
        lift, or all of them, are possible.
    """
    t = Contrast(0.0, 1.0, dof).critical(alpha / 2)
    v_c, v_t = t**2 * control.variance / control.n, t**2 * treatment.variance / treatment.n
    a = control.mean**2 - v_c
    if a <= 0:
        return None
    product = control.mean * treatment.mean
    root = np.sqrt(max(product**2 - a * (treatment.mean**2 - v_t), 0.0))
    low, high = (product - root) / a - 1, (product + root) / a - 1
    return (float(low), float(high)) if control.mean > 0 else (float(-high), float(-low))


def log_ratio_interval(
    control: ArmEstimate, treatment: ArmEstimate, alpha: float
) -> tuple[float, float] | None:
    """Interval of the lift from Welch's of the logarithm of the ratio (delta method).

    Returns:
        None unless both means are on the same side of 0.
    """
    if control.mean * treatment.mean <= 0:
        return None
    logs = (
        ArmEstimate(arm.n, float(np.log(abs(arm.mean))), arm.variance / arm.mean**2)
        for arm in (control, treatment)
    )
    low, high = (float(np.expm1(end)) for end in welch(*logs).interval(alpha))
    return (low, high) if control.mean > 0 else (-high, -low)


def delta_contrast(control: ArmEstimate, treatment: ArmEstimate) -> Contrast:
    """The lift with the delta method's standard error.

    For tests of the lift itself, one-sided and sequential ones. Its plain interval is
    symmetric, and covers a little less than Fieller's where control's mean is uncertain.
    """
    c, t = control, treatment
    variance = t.variance / t.n / c.mean**2 + c.variance / c.n * t.mean**2 / c.mean**4
    return Contrast((t.mean - c.mean) / abs(c.mean), float(np.sqrt(variance)), welch(c, t).dof)
