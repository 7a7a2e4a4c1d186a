"""What a calibration sweep simulates: a deployment, and scenarios of what may be true there."""

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pytyche_engine.allocation import cold_start
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.contracts.door import read_round
from pytyche_engine.contracts.errors import DesignError, PytycheWarning
from pytyche_engine.contracts.given import MOST_ARMS, count
from pytyche_engine.contracts.observations import Observations
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.revenue import check_metric
from pytyche_engine.contracts.truth import GroundTruth
from pytyche_engine.sources import SimulatedSource, simulated_experiment_generator
from pytyche_engine.sources.templates import SURFACES, TEMPLATES, ChannelMode


@dataclass(frozen=True, eq=False)
class SweepDesign:
    """The deployment that intervals have to be honest in.

    Attributes:
        n_visitors: visitors that are fitted.
        n_arms: K, control included.
        metric: ``"revenue_per_visitor"`` or ``"conversion_rate"``.
        conversion_rate: control's, where a scenario does not change it.
        order_value: control's mean order, money.
        order_sigma: standard deviation of log order values, likewise.
        n_nuisance: features without any effect, where `features` is None.
        features: visitors to draw from; None for the templates' own.
        max_segment_depth, min_segment_share: as for an experiment.
        settings: sampler settings.
    """

    n_visitors: int
    n_arms: int = 2
    metric: str = "revenue_per_visitor"
    conversion_rate: float = 0.05
    order_value: float = 50.0
    order_sigma: float = 0.5
    n_nuisance: int = 5
    features: pd.DataFrame | None = None
    max_segment_depth: int = 3
    min_segment_share: float = 0.10
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        check_metric(self.metric)
        n_arms = count("n_arms", self.n_arms, 2, MOST_ARMS)
        if count("n_visitors", self.n_visitors) < 10 * n_arms:
            raise DesignError(
                f"A sweep of {self.n_visitors} visitors and {self.n_arms} arms: use at least 10 "
                "visitors an arm."
            )

    @property
    def arms(self) -> tuple[str, ...]:
        """Arm names, control first."""
        return ("control", *(f"treatment_{t}" for t in range(1, self.n_arms)))

    @property
    def plan(self) -> Plan:
        """What is served: the first round of an experiment."""
        return cold_start(self.arms, self.n_visitors)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, equal for equal designs; features by their fingerprint."""
        value = {k: v for k, v in self.__dict__.items() if k not in ("features", "settings")}
        return {
            **value,
            "features": None if self.features is None else _fingerprint(self.features),
            "settings": json.loads(json.dumps(asdict(self.settings))),
        }


@dataclass(frozen=True)
class Scenario:
    """One thing that may be true.

    Attributes:
        template: a name in `TEMPLATES`.
        effect_scale: multiplies the template's effects; 0 plants none.
        channel_mode: which channels have effects.
        rate_factor: control's conversion over the design's.
        sigma_factor: spread of log orders over the design's.
        prognostic: whether visitors also differ under control.
    """

    template: str
    effect_scale: float
    channel_mode: ChannelMode = "mirror"
    rate_factor: float = 1.0
    sigma_factor: float = 1.0
    prognostic: bool = False

    @property
    def key(self) -> str:
        """The scenario in words."""
        mark = " prognostic" if self.prognostic else ""
        return (
            f"{self.template} es={self.effect_scale:g} {self.channel_mode} "
            f"rate x{self.rate_factor:g} sigma x{self.sigma_factor:g}{mark}"
        )

    def source(self, design: SweepDesign, seed: int) -> SimulatedSource:
        """A source of rounds of this scenario in a deployment."""
        return simulated_experiment_generator(
            template=self.template,
            metric=design.metric,
            effect_scale=self.effect_scale,
            K=design.n_arms,
            seed=seed,
            treatment_names=design.arms,
            baseline_rate=design.conversion_rate * self.rate_factor,
            baseline_severity=design.order_value,
            severity_sigma=design.order_sigma * self.sigma_factor,
            n_nuisance=design.n_nuisance,
            channel_mode=self.channel_mode,
            prognostic=self.prognostic,
            features=design.features,
        )


EFFECT_SCALES = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5)
"""Effect scales of the standard scenarios; the first plants nothing."""

_MODES: tuple[ChannelMode, ...] = ("mirror", "conversion_only", "mirror", "opposing", "mirror")
_RATES = (1.0, 0.5, 1.0, 2.0)
_SIGMAS = (1.0, 1.0, 2.0)


def standard_scenarios(
    design: SweepDesign, *, effect_scales: Sequence[float] = EFFECT_SCALES
) -> tuple[Scenario, ...]:
    """Every template with every effect scale; the rest changes from one to the next.

    Channels, conversion, spread of orders and prognosis take turns with periods that have no
    common factor, so that none goes with another or with a template. A design with a frame of
    features has the templates whose effects can be planted on one.
    """
    names = TEMPLATES if design.features is None else SURFACES
    grid = [(name, scale) for scale in effect_scales for name in names]
    return tuple(
        Scenario(
            template=name,
            effect_scale=float(scale),
            channel_mode=_MODES[i % len(_MODES)],
            rate_factor=_RATES[i // 2 % len(_RATES)],
            sigma_factor=_SIGMAS[(i + i // len(names)) % len(_SIGMAS)],
            prognostic=(i // 7) % 2 == 1,
        )
        for i, (name, scale) in enumerate(grid)
    )


def simulate(
    design: SweepDesign, scenario: Scenario, seed: int
) -> tuple[Observations, GroundTruth]:
    """The visitors of a first round, read as any round's are, and what was planted for them."""
    frame, truth = scenario.source(design, seed)(0, design.plan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PytycheWarning)  # the door's notices, hundreds of times
        observations = read_round(
            frame,
            columns=scenario.source(design, seed).columns,
            arms=design.arms,
            plan=design.plan,
            metric=design.metric,
        )
    return observations, truth


def sim_seeds(seed: int, scenario: Scenario, sim: int) -> tuple[int, int]:
    """Seeds of a simulation's data and of its fit: scenarios do not share their luck."""
    words = list(hashlib.sha256(scenario.key.encode()).digest()[:16])
    data, fitting = np.random.SeedSequence([seed, sim, *words]).generate_state(2)
    return int(data), int(fitting)


def _fingerprint(frame: pd.DataFrame) -> dict[str, Any]:
    rows = pd.util.hash_pandas_object(frame.reset_index(drop=True), index=False)
    return {
        "columns": [str(c) for c in frame.columns],
        "rows": len(frame),
        "sha256": hashlib.sha256(rows.to_numpy().tobytes()).hexdigest(),
    }
