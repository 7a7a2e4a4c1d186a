"""An experiment written down as plain values, in YAML or TOML."""

import re
import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

import pytyche_lab as pt
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.observations import ColumnMapping

if TYPE_CHECKING:
    from pytyche_lab.experiments import LabExperiment

SETTINGS = (
    "allocation",
    "calibration",
    "currency",
    "max_segment_depth",
    "metric",
    "min_control_weight",
    "min_explore_weight",
    "min_segment_share",
    "refunds",
    "seed",
    "visitors_per_year",
)
"""What a recipe may say beside treatments, schedule, source and columns; each is the argument
of `pytyche_lab.sequential_experiment` of the same name."""

MOST_TEXT = 100_000
"""Characters of a recipe; long ones have a few hundred."""

_REPLAY = ("arm", "revenue", "visitor", "ignore", "logged_propensity", "seed")
_EXAMPLE = "for example {initial: 2000, growth: 2, rounds: 3}"
_KEYS = ("treatments", "schedule", "source", "columns", *SETTINGS)


class _PlainLoader(yaml.SafeLoader):
    """YAML's safe values without references, which let a few lines stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # untyped
            raise yaml.composer.ComposerError(
                None, None, "references (*name) are not used here", event.start_mark
            )
        return super().compose_node(parent, index)


def read(text: str) -> dict[str, Any]:
    """Read a recipe's text.

    Raises:
        DesignError: if it is neither YAML nor TOML, or not a list of settings; with the line.
    """
    if len(text) > MOST_TEXT:
        raise DesignError(
            f"The settings have {len(text):,} characters; {MOST_TEXT:,} are the most."
        )
    # Which of the two was meant shows in how settings are written.
    if re.search(r"^\s*[\w.-]+\s*=", text, re.MULTILINE):
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise DesignError(f"The settings cannot be read as TOML: {error}.") from None
    try:
        value = _PlainLoader(text).get_single_data()
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DesignError(f"The settings cannot be read as YAML: {error}.") from None
    if not isinstance(value, dict):
        raise DesignError(
            "The settings must be lines such as 'treatments: [control, promo]' (YAML) or "
            '\'treatments = ["control", "promo"]\' (TOML).'
        )
    return value


def make(recipe: Mapping[str, Any], name: str) -> "LabExperiment":
    """Make the experiment of a recipe.

    Args:
        recipe: ``treatments`` (arm names, control first), ``schedule`` (round sizes as a list,
            or ``initial``, ``growth`` and ``rounds``, or ``per_round`` and ``rounds``),
            ``source`` (``template`` and ``effect_scale`` of a simulation; or ``file``, a logged
            trial in CSV or Parquet to replay, and its columns ``arm``, ``revenue``, ...; without
            a source every round's data are brought with ``--data``), ``columns`` (which columns
            of data so brought mean what) and `SETTINGS`.
        name: the experiment's name.

    Raises:
        DesignError: if the recipe has a wrong or missing setting.
    """
    _check_keys(recipe, _KEYS, "setting")
    treatments = recipe.get("treatments")
    if not isinstance(treatments, list) or not all(isinstance(a, str) for a in treatments):
        raise DesignError("'treatments' must be a list of arm names, control first.")
    if "schedule" not in recipe:
        raise DesignError(f"'schedule' is missing; give it {_EXAMPLE}.")
    settings = {key: recipe[key] for key in SETTINGS if key in recipe}
    return pt.sequential_experiment(
        generator=_source(recipe, treatments),
        schedule=_schedule(recipe["schedule"]),
        treatments=treatments,
        columns=_columns(recipe.get("columns")),
        name=name,
        **settings,
    )


def _schedule(value: Any) -> Any:
    if isinstance(value, list):
        return pt.ExplicitSchedule(tuple(value))
    if not isinstance(value, Mapping):
        raise DesignError(f"'schedule' must be a list of round sizes, or {_EXAMPLE}.")
    if "per_round" in value:
        _check_keys(value, ("per_round", "rounds"), "setting of 'schedule'")
        return pt.FixedSchedule(value["per_round"], value.get("rounds"))
    _check_keys(value, ("initial", "growth", "rounds"), "setting of 'schedule'")
    if "initial" not in value:
        raise DesignError("'schedule' needs 'initial' or 'per_round', a number of visitors.")
    return pt.GeometricSchedule(value["initial"], value.get("growth", 2.0), value.get("rounds"))


def _columns(value: Any) -> ColumnMapping | None:
    if value is None:
        return None
    known = tuple(ColumnMapping.__dataclass_fields__)
    if not isinstance(value, Mapping):
        raise DesignError(f"'columns' must name columns for some of {', '.join(known)}.")
    _check_keys(value, known, "entry of 'columns'")
    entries: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
    return ColumnMapping(**entries)


def _source(recipe: Mapping[str, Any], treatments: list[str]) -> Any:
    value = recipe.get("source")
    if value is None:
        return None
    if not isinstance(value, Mapping) or ("template" in value) == ("file" in value):
        raise DesignError("'source' needs either 'template' (simulated) or 'file' (replayed).")
    seed = value.get("seed", recipe.get("seed", 0))
    if "file" in value:
        _check_keys(value, ("file", *_REPLAY), "setting of a replayed 'source'")
        settings = {"arm": "arm", "revenue": "revenue", **value, "seed": seed}
        return pt.replay(read_frame(settings.pop("file")), arms=treatments, **settings)
    _check_keys(value, ("template", "effect_scale", "seed"), "setting of a simulated 'source'")
    return pt.simulated_experiment_generator(
        template=value["template"],
        metric=recipe.get("metric", "revenue_per_visitor"),
        effect_scale=value.get("effect_scale", 0.5),
        K=len(treatments),
        seed=seed,
        treatment_names=treatments,
    )


def read_frame(path: str) -> pd.DataFrame:
    """Read a CSV (also compressed) or Parquet file.

    Raises:
        DesignError: if there is no such file or it is of neither kind.
    """
    if not isinstance(path, str):
        raise DesignError(f"'file' is the path of a CSV or Parquet file; {path!r} is not.")
    kind = re.search(r"\.(parquet|csv)(\.\w+)?$", path)
    if kind is None:
        raise DesignError(f"'{path}' must be a .csv (also .csv.gz) or a .parquet file.")
    try:
        return pd.read_parquet(path) if kind[1] == "parquet" else pd.read_csv(path)
    except OSError as error:
        raise DesignError(f"'{path}' cannot be read: {error.strerror or error}.") from None
    except ValueError as error:  # also of the parsers of pandas and Arrow
        raise DesignError(f"'{path}' is no {kind[1]} file that can be read: {error}.") from None


def _check_keys(value: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    if unknown := [str(key) for key in value if key not in known]:
        raise DesignError(f"Unknown {what}: {', '.join(unknown)}. Known: {', '.join(known)}.")
