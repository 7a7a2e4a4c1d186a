"""Several comparisons at once: adjusted p-values, and intervals that agree with them."""

from collections.abc import Sequence

import numpy as np

from pytyche_engine.contracts.errors import DesignError

CORRECTIONS = {
    "bonferroni": "Bonferroni",
    "holm": "Holm",
    "hochberg": "Hochberg",
    "fdr_bh": "Benjamini-Hochberg",
    "fdr_by": "Benjamini-Yekutieli",
}
"""The corrections by name, and as they are printed."""

_STATSMODELS = {"hochberg": "simes-hochberg"}


def check_correction(method: str | None) -> None:
    """Refuse a correction that is not known.

    Raises:
        DesignError: which ones are.
    """
    if method is not None and method not in CORRECTIONS:
        raise DesignError(
            f"The correction {method!r} is not known; use one of {', '.join(CORRECTIONS)}, or None."
        )


def adjusted_p_values(p_values: Sequence[float | None], method: str) -> list[float | None]:
    """P-values adjusted for their number; those that are None stay so and do not count.

    Args:
        p_values: of all comparisons that are read together.
        method: a name of `CORRECTIONS`, or any other that statsmodels' ``multipletests`` has.
    """
    from statsmodels.stats.multitest import multipletests

    known = [i for i, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    if known:
        found = multipletests([p_values[i] for i in known], method=_STATSMODELS.get(method, method))
        for i, p in zip(known, found[1], strict=True):
            adjusted[i] = float(p)
    return adjusted


def interval_alphas(
    p_values: Sequence[float | None],
    adjusted: Sequence[float | None],
    method: str | None,
    alpha: float,
) -> list[float]:
    """The error that each comparison's interval may spend, so that it says what the test says.

    An interval leaves out 0 exactly when the adjusted p-value is at most alpha.

    - Bonferroni: ``alpha / m``.
    - Holm and Hochberg: ``alpha / m`` too, which makes them simultaneous. Where the procedure
      rejects but so wide an interval would not, the smallest of ``alpha / (m - 1)``,
      ``alpha / (m - 2)``, ... that does: there it is the level of the step that rejected.
    - BH and BY: with R rejections ``R alpha / m``, which bounds the expected share of intervals
      of rejected comparisons that miss (Benjamini and Yekutieli 2005); BY divides it by
      ``1 + 1/2 + ... + 1/m``.

    Args:
        p_values: of each comparison alone.
        adjusted: adjusted by the method.
        method: a name of `CORRECTIONS`, or None.
        alpha: error of all together.
    """
    if method is None:
        return [alpha] * len(p_values)
    rejected = [p is not None and p <= alpha for p in adjusted]
    m = max(sum(p is not None for p in p_values), 1)
    if method in ("fdr_bh", "fdr_by"):
        share = 1.0 if method == "fdr_bh" else float(np.sum(1 / np.arange(1, m + 1)))
        return [alpha * max(sum(rejected), 1) / m / share] * len(p_values)
    if method == "bonferroni":
        return [alpha / m] * len(p_values)
    steps = [alpha / (m - j) for j in range(m)]
    return [
        next((step for step in steps if p <= step), alpha) if reject and p is not None else steps[0]
        for p, reject in zip(p_values, rejected, strict=True)
    ]
