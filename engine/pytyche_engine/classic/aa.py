"""A/A check: whether the analysis keeps its promise on data without an effect."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pytyche_engine.classic.adjusted import adjusted_arms
from pytyche_engine.classic.contrast import welch
from pytyche_engine.classic.experiment import Experiment, column_groups
from pytyche_engine.classic.moments import moments_by_arm
from pytyche_engine.classic.run import check_alpha
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.tables import Table


@dataclass(frozen=True, eq=False, repr=False)
class AACheck:
    """P-values of comparisons in which nothing differs.

    Attributes:
        alpha: significance level.
        p_values: for each metric the (splits,) p-values.
    """

    alpha: float
    p_values: Mapping[str, Float[np.ndarray, " splits"]]

    def false_positive_rate(self, metric: str) -> float:
        """Share of splits in which a metric was called significant."""
        return float((self.p_values[metric] <= self.alpha).mean())

    def uniform_p(self, metric: str) -> float:
        """Kolmogorov-Smirnov test of the p-values against what they should be, uniform."""
        from scipy.stats import kstest

        return float(kstest(self.p_values[metric], "uniform").pvalue)

    def off(self, metric: str) -> bool:
        """Whether a metric has more false positives than alpha allows, beyond chance (0.1 %)."""
        from scipy.stats import binomtest

        p = self.p_values[metric]
        wrong = int((p <= self.alpha).sum())
        return bool(binomtest(wrong, len(p), self.alpha, "greater").pvalue < 0.001)

    def table(self) -> Table:
        """Each metric: false positives, uniformity, verdict."""
        rows = [
            (
                name,
                f"{self.false_positive_rate(name):.1%}",
                f"{self.uniform_p(name):.3f}",
                "too many false positives" if self.off(name) else "as promised",
            )
            for name in self.p_values
        ]
        splits = len(next(iter(self.p_values.values())))
        head = f"false positives at {100 * self.alpha:.10g} %"
        return Table(
            ("metric", head, "p (uniform)", "verdict"), rows, f"{splits:,} random halves of one arm"
        )

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


def aa_check(
    experiment: Experiment,
    arm: str = "control",
    *,
    splits: int = 200,
    alpha: float = 0.05,
    seed: int = 0,
) -> AACheck:
    """Split one arm's visitors at random, many times, and analyse the halves as if they were arms.

    Every metric goes through the same adjustment and test as in `run_analysis`. What shows are
    metrics with too few visitors for their tail. The phase of the experiment stays.

    Args:
        experiment: a designed experiment with metrics, from rows.
        arm: whose visitors are split.
        splits: how often.
        alpha: significance level.
        seed: of the splits.

    Raises:
        DesignError: if there are no rows, no metrics, no such arm, or too few visitors in it.
    """
    check_alpha(alpha)
    rows = experiment.rows
    if arm not in rows.arms:
        raise DesignError(f"The arm '{arm}' is not in the data, which have {', '.join(rows.arms)}.")
    if not experiment.targets:
        raise DesignError("No metric is registered; use experiment.add_metrics(...).")
    mine = np.flatnonzero(rows.arm == rows.arms.index(arm))
    if len(mine) < 8 or splits < 1:
        raise DesignError(f"{len(mine)} visitors and {splits} splits are too few to check.")
    named = experiment.covariate_columns(experiment.covariates)
    shared = [column for columns in named.values() for column in columns]
    groups = column_groups(experiment.targets, named)
    raw = {c.source: rows.raw(c.source)[mine] for group in groups for c in group}
    rng = np.random.default_rng(seed)
    half = np.zeros(len(mine), dtype=np.int64)
    half[: len(mine) // 2] = 1
    found: dict[str, list[float]] = {target.metric.name: [] for target in experiment.targets}
    for _ in range(splits):
        first, second = moments_by_arm(rng.permutation(half), 2, groups, raw)
        for target in experiment.targets:
            covariates = tuple(dict.fromkeys((*target.before, *shared)))
            arms = adjusted_arms(target.metric, target.outcome, covariates, first, second)
            p = welch(arms.control, arms.treatment).p_value()
            found[target.metric.name].append(1.0 if p is None else p)
    return AACheck(alpha, {name: np.array(p) for name, p in found.items()})
