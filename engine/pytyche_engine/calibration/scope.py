"""What an artifact was made for, and whether that is what an experiment is."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np

from pytyche_engine.bcf.settings import Settings
from pytyche_engine.contracts.observations import Observations

N_FACTOR = 2.0
"""An artifact holds for visitors up to this factor away without a word, and with a warning up to
`N_FACTOR_LIMIT`."""

N_FACTOR_LIMIT = 4.0

RATE_MARGIN = 1.25
"""How far outside of the simulated conversion rates an experiment's may lie without a word, and
with a warning up to `RATE_MARGIN_LIMIT`; both are factors."""

RATE_MARGIN_LIMIT = 2.5

_LENGTH = ("num_chains", "num_warm_up", "num_warm_up_warm", "min_draws", "max_draws", "thin")
"""Settings that say how long is sampled. The others say what is sampled."""


@dataclass(frozen=True)
class Scope:
    """What coverage depends on.

    Attributes:
        n_arms: K, control included.
        metric: what is measured.
        n_visitors: visitors that are fitted; None before there are any.
        conversion_rate: share of them who spent anything; None before there are any.
        settings: of the sampler.
    """

    n_arms: int
    metric: str
    n_visitors: int | None
    conversion_rate: float | None
    settings: Settings


class HasScope(Protocol):
    """An experiment, as far as calibration is concerned."""

    @property
    def scope(self) -> Scope:
        """What its next conclusions rest on."""
        ...


@dataclass(frozen=True)
class Applicability:
    """Whether an artifact holds for an experiment.

    Attributes:
        refusals: why not; empty if it holds.
        warnings: what is a little different.
    """

    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.refusals

    def __repr__(self) -> str:
        lines = [
            *(f"refused: {r}" for r in self.refusals),
            *(f"warning: {w}" for w in self.warnings),
        ]
        return "\n".join(lines or ["applies"])


def scope_of(rounds: Sequence[Observations], metric: str, settings: Settings) -> Scope:
    """The scope of visitors that are fitted together."""
    n = sum(map(len, rounds))
    converted = sum(int(np.count_nonzero(r.converted)) for r in rounds)
    return Scope(rounds[0].n_arms, metric, n, converted / n, settings)


def compare(
    made_for: Scope,
    rates: tuple[float, float],
    versions: Mapping[str, str],
    asked: Scope,
) -> Applicability:
    """Whether what was made for one scope holds for another.

    Args:
        made_for: the sweep's.
        rates: lowest and highest conversion rate that it simulated.
        versions: of what made it.
        asked: the experiment's.
    """
    refusals: list[str] = []
    warnings: list[str] = []
    if made_for.n_arms != asked.n_arms:
        refusals.append(f"it is for {made_for.n_arms} arms, the experiment has {asked.n_arms}")
    if made_for.metric != asked.metric:
        refusals.append(f"it is for '{made_for.metric}', the experiment is about '{asked.metric}'")
    if asked.n_visitors is not None and made_for.n_visitors is not None:
        apart = max(asked.n_visitors / made_for.n_visitors, made_for.n_visitors / asked.n_visitors)
        said = (
            f"it is for {made_for.n_visitors:,} visitors, and {asked.n_visitors:,} are fitted, "
            f"{apart:.1f} times apart"
        )
        if apart > N_FACTOR:
            (refusals if apart > N_FACTOR_LIMIT else warnings).append(said)
    if asked.conversion_rate is not None:
        low, high = rates
        rate = asked.conversion_rate
        apart = max(low / rate if rate > 0 else np.inf, rate / high)
        said = f"it simulated conversion rates from {low:.1%} to {high:.1%}, here it is {rate:.1%}"
        if apart > RATE_MARGIN:
            (refusals if apart > RATE_MARGIN_LIMIT else warnings).append(said)
    changed = changed_settings(made_for.settings, asked.settings)
    if other := [name for name in changed if name not in _LENGTH]:
        refusals.append(f"the sampler's settings differ: {', '.join(other)}")
    if longer := [name for name in changed if name in _LENGTH]:
        warnings.append(f"the sampler runs for another length: {', '.join(longer)} differ")
    for name, then in versions.items():
        if name != "jax" and (now := version(name)) != then:
            warnings.append(f"it was made with {name} {then}, this is {now}")
    return Applicability(tuple(refusals), tuple(warnings))


def changed_settings(one: Settings, other: Settings) -> tuple[str, ...]:
    """Names of the settings that differ."""
    return tuple(f.name for f in fields(Settings) if getattr(one, f.name) != getattr(other, f.name))


def scope_to_dict(scope: Scope) -> dict[str, Any]:
    """A scope as plain JSON values."""
    value = asdict(scope)
    value["settings"] = {
        k: list(v) if isinstance(v, tuple) else v for k, v in value["settings"].items()
    }
    return value


def scope_from_dict(value: Mapping[str, Any]) -> Scope:
    """The inverse of `scope_to_dict`."""
    settings: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in value["settings"].items()
    }
    return Scope(**{**value, "settings": Settings(**settings)})
