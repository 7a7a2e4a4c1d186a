"""Where a classical analysis begins."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pytyche_engine.classic.experiment import Experiment, ExperimentState, Totals
from pytyche_engine.classic.metrics import ProportionMetric
from pytyche_engine.classic.moments import Column, Moments
from pytyche_engine.classic.rows import read_rows
from pytyche_engine.contracts.errors import DataError, DesignError
from pytyche_engine.contracts.given import count


def setup(
    data: pd.DataFrame,
    treatment_col: str,
    id_col: str | None = None,
    covariates: Sequence[str] | None = None,
    *,
    shares: Mapping[str, float] | None = None,
) -> Experiment:
    """Check an experiment's data and leave it DESIGNED: metrics can be registered now.

    The data are kept as they are, not copied, and nothing is added to them.

    Args:
        data: a row a visitor.
        treatment_col: the column of arm labels.
        id_col: the column of visitor ids; an id that comes twice is refused.
        covariates: columns known before assignment. Arms are compared in them, and every
            metric is adjusted for them.
        shares: planned shares of the arms, for the check of the split (SRM); without them
            nothing can be checked.

    Raises:
        DataError: if the data cannot be used: what, where, and what to do.
        DesignError: if the shares are not about the arms.
    """
    if isinstance(covariates, str):
        raise DesignError(f"The covariates are the text {covariates!r}; give a list of columns.")
    names = tuple(dict.fromkeys(covariates or ()))
    rows = read_rows(data, treatment_col, id_col, names)
    return _designed(Experiment(rows, treatment_col, id_col, names, shares))


def setup_moments(
    moments: Mapping[str, Moments], *, shares: Mapping[str, float] | None = None
) -> Experiment:
    """The same from sufficient statistics by arm, added up elsewhere (`Moments.from_sums`).

    Args:
        moments: of each arm, by its label.
        shares: the shares that the arms should have had; with them the split is checked.

    Raises:
        DataError: if there is no arm.
        DesignError: if the shares are not about the arms.
    """
    if not moments:
        raise DataError("There are no totals of any arm", mend="Give those of two arms or more.")
    return _designed(Experiment(Totals(dict(moments)), shares=shares))


def setup_counts(
    visitors: Mapping[str, int],
    successes: Mapping[str, Mapping[str, int]],
    *,
    shares: Mapping[str, float] | None = None,
) -> Experiment:
    """The same from counts, with a proportion registered for each.

    Args:
        visitors: visitors of each arm.
        successes: for each proportion how many visitors of each arm had it, e.g.
            ``{"converted": {"control": 1200, "treatment": 1298}}``.
        shares: planned shares of the arms.

    Raises:
        DataError: if a count is missing or above the visitors.
        DesignError: if a count is no whole number, or the shares are none.
    """
    columns = tuple(Column(name) for name in successes)
    moments = {}
    for arm, asked in visitors.items():
        n = count(f"The number of visitors of '{arm}'", asked, 1)
        rate = np.empty(len(columns))
        for j, (name, by_arm) in enumerate(successes.items()):
            if arm not in by_arm:
                raise DataError(f"'{name}' has no count for arm '{arm}'", column=name)
            found = count(f"The number of '{name}' in '{arm}'", by_arm[arm])
            if found > n:
                raise DataError(
                    f"'{name}' counts {found:,} of {n:,} visitors in '{arm}'", column=name
                )
            rate[j] = found / n
        # How proportions go together is not known, and not needed.
        cross = np.full((len(columns), len(columns)), np.nan)
        np.fill_diagonal(cross, n * rate * (1 - rate))
        moments[arm] = Moments(int(n), columns, rate, cross)
    experiment = setup_moments(moments, shares=shares)
    return experiment.add_metrics([ProportionMetric(name, name) for name in successes])


def _designed(experiment: Experiment) -> Experiment:
    shares = experiment.shares
    if shares is not None:
        unknown = sorted(set(experiment.arms) ^ set(shares))
        if unknown:
            raise DesignError(
                f"The shares are about {sorted(shares)}, the data have the arms "
                f"{sorted(experiment.arms)}; they differ in {unknown}."
            )
        experiment.traffic()  # refuses shares that are none
    experiment.transition_to(ExperimentState.DESIGNED)
    return experiment
