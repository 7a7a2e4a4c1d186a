"""Rounds from a simulated population with planted effects."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pandas as pd

from pytyche_engine.contracts.arms import check_arms, propensity_columns
from pytyche_engine.contracts.columns import did_you_mean
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.given import MOST_ARMS, count, numbers, shown
from pytyche_engine.contracts.observations import ColumnMapping
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.revenue import LARGEST, check_metric
from pytyche_engine.contracts.truth import GroundTruth
from pytyche_engine.sources.serving import planned_visitors, recorded_columns
from pytyche_engine.sources.templates import (
    TEMPLATES,
    ChannelMode,
    Draw,
    Drawn,
    Population,
    on_frame,
    with_prognosis,
)

WIDEST_SIGMA = 10.0
"""Orders that spread wider than this are numbers, but no money."""

LARGEST_EFFECT = 100.0
"""Effects are exponentiated, so that a typing error here would be infinite there."""


class SimulatedSource:
    """A `Source` that draws new visitors for each round and assigns them by the plan.

    A round depends on the seed, the round index and the plan alone, so that asking for it
    again gives the same visitors.

    Attributes:
        arms: arm names, control first.
        columns: what the columns of a round mean.
    """

    def __init__(
        self,
        draw: Draw,
        population: Population,
        arms: tuple[str, ...],
        metric: str,
        severity_sigma: float,
        seed: int,
    ) -> None:
        self.arms = arms
        self.columns = ColumnMapping(propensity=propensity_columns(arms))
        self._draw = draw
        self._population = population
        self._metric = metric
        self._sigma = severity_sigma
        self._seed = seed

    def __call__(self, round_index: int, plan: Plan, /) -> tuple[pd.DataFrame, GroundTruth]:
        """The visitors of a round, and what was planted for them, row for row.

        Revenue is 0 or log-normal with log sd ``severity_sigma`` around the planted mean
        order value; with the metric ``conversion_rate`` it is 0 or 1.

        Raises:
            DesignError: if the plan is for other arms or asks for no visitors.
        """
        n = planned_visitors(plan, self.arms)
        rng = np.random.default_rng(np.random.SeedSequence((self._seed, round_index)))
        drawn = self._draw(n, self._population, rng)
        assignment = plan.assign(drawn.features, rng)
        rows = np.arange(n)
        converted = rng.random(n) < drawn.conversion[rows, assignment.arm]
        noise = np.exp(self._sigma * rng.standard_normal(n) - self._sigma**2 / 2)
        severity = drawn.severity
        if self._metric == "conversion_rate":
            severity, noise = np.ones_like(severity), np.ones(n)
        frame = pd.DataFrame(
            {
                "visitor_id": (f"r{round_index}v" + pd.Series(rows).astype(str)).to_numpy(),
                "arm": np.array(self.arms, dtype=object)[assignment.arm],
                "revenue": converted * severity[rows, assignment.arm] * noise,
                **recorded_columns(plan, assignment),
            }
        )
        truth = GroundTruth(arms=self.arms, conversion=drawn.conversion, severity=severity)
        return pd.concat([frame, drawn.features], axis="columns"), truth


def simulated_experiment_generator(
    *,
    template: str = "clustered_realistic",
    metric: str = "revenue_per_visitor",
    effect_scale: float = 1.0,
    K: int = 3,
    seed: int = 0,
    treatment_names: Sequence[str] | None = None,
    baseline_rate: float = 0.05,
    baseline_severity: float = 50.0,
    severity_sigma: float = 0.5,
    n_nuisance: int = 5,
    channel_mode: ChannelMode = "mirror",
    prognostic: bool = False,
    features: pd.DataFrame | None = None,
) -> SimulatedSource:
    """A source of simulated rounds.

    Args:
        template: a name in `TEMPLATES`.
        metric: ``"revenue_per_visitor"`` or ``"conversion_rate"`` (revenue is then 0 or 1).
        effect_scale: multiplies every planted effect; 0 plants none.
        K: arms, control included.
        seed: same seed, same rounds.
        treatment_names: K arm names, control first; None makes them up.
        baseline_rate: control's conversion probability.
        baseline_severity: control's mean order value, money.
        severity_sigma: standard deviation of log order values.
        n_nuisance: features without any effect.
        channel_mode: ``"mirror"`` as the template has it, ``"opposing"`` severity effects of
            the other sign, ``"conversion_only"`` or ``"severity_only"``.
        prognostic: whether visitors also differ under control.
        features: visitors to draw from, in place of the template's own; see
            `templates.on_frame`.

    Raises:
        DesignError: for unknown names and impossible settings.
    """
    if not isinstance(template, str) or template not in TEMPLATES:
        raise DesignError(
            f"Unknown template {shown(template)}. {did_you_mean(str(template), list(TEMPLATES))}"
            f"Known templates: {', '.join(TEMPLATES)}."
        )
    check_metric(metric)
    K, n_nuisance = count("K", K, 0, MOST_ARMS), count("n_nuisance", n_nuisance, 0, 10_000)
    seed = count("The seed", seed, most=2**128)
    effect_scale, baseline_rate, baseline_severity, severity_sigma = numbers(
        effect_scale=effect_scale,
        baseline_rate=baseline_rate,
        baseline_severity=baseline_severity,
        severity_sigma=severity_sigma,
    )
    if K < 2:
        raise DesignError(f"K is {K}; an experiment needs control and at least one treatment.")
    if treatment_names is None:
        treatment_names = ("control", *(f"treatment_{t}" for t in range(1, K)))
    arms = check_arms(treatment_names)
    if len(arms) != K:
        raise DesignError(
            f"K is {K} but there are {len(arms)} names, {list(arms)}; name control and {K - 1} "
            "treatment(s)."
        )
    if channel_mode not in get_args(ChannelMode):
        raise DesignError(
            f"Unknown channel mode '{channel_mode}'; use one of {list(get_args(ChannelMode))}."
        )
    if not 0 < baseline_rate < 1:
        raise DesignError(f"The baseline rate is {baseline_rate}; use a share between 0 and 1.")
    if not (0 < baseline_severity <= LARGEST and 0 <= severity_sigma <= WIDEST_SIGMA):
        raise DesignError(
            f"Use a baseline severity above 0 and up to {LARGEST:g}, and a severity sigma from 0 "
            f"to {WIDEST_SIGMA:g}; they are {baseline_severity} and {severity_sigma}."
        )
    if abs(effect_scale) > LARGEST_EFFECT:
        raise DesignError(
            f"The effect scale is {effect_scale}; use one up to {LARGEST_EFFECT:g}. 1 plants a "
            "template's effects as they are."
        )
    population = Population(
        effect_scale=float(effect_scale),
        n_arms=K,
        baseline_rate=float(baseline_rate),
        baseline_severity=float(baseline_severity),
        channel_mode=channel_mode,
        n_nuisance=n_nuisance,
    )
    draw = TEMPLATES[template] if features is None else on_frame(features, template)
    return SimulatedSource(
        _prognostic(draw) if prognostic else draw,
        population,
        arms,
        metric,
        float(severity_sigma),
        seed,
    )


def _prognostic(draw: Draw) -> Draw:
    def also(n: int, population: Population, rng: np.random.Generator) -> Drawn:
        return with_prognosis(draw(n, population, rng))

    return also
