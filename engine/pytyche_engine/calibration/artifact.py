"""A calibration artifact: corrections, what they were learned on, and how they did elsewhere."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pytyche_engine.calibration.design import Scenario
from pytyche_engine.calibration.errors import CalibrationError
from pytyche_engine.calibration.scope import (
    Applicability,
    HasScope,
    Scope,
    compare,
    scope_from_dict,
    scope_to_dict,
)
from pytyche_engine.calibration.scorecard import scorecard
from pytyche_engine.calibration.sweep import SweepResult
from pytyche_engine.calibration.validation import (
    coverage_table,
    fit_corrections,
    held_out,
)
from pytyche_engine.contracts.reading import check_name, read_frame, read_json
from pytyche_engine.contracts.recalibration import Correction, Recalibration
from pytyche_engine.contracts.writing import replace_file

SCHEMA = 1
"""Version of the files that `CalibrationArtifact.save` writes."""

_KIND = "pytyche-lab calibration artifact"
_KEPT = ("quantity", "scenario", "sim", "arm", "group", "truth", "mean", "sd", "control",
         "pit_before", "pit_after")  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class CalibrationArtifact:
    """What a sweep taught about intervals, for experiments like the swept one.

    Attributes:
        name: what it is called.
        scope: arms, metric, visitors and sampler settings that it was made for.
        design: the swept deployment, as plain values.
        scenarios: what was simulated there, as plain values.
        conversion_rates: lowest and highest share of converters that was simulated.
        n_sims: simulations of each scenario.
        n_fits, n_failed: fits that it was learned on, and fits that failed.
        seed: of the sweep.
        versions: of what made it.
        date: when.
        corrections: by quantity, learned on all scenarios.
        coverage: by quantity and level on held-out scenarios, see `validation.coverage_table`.
            In each of five parts, intervals are those of corrections that the other scenarios
            taught.
        scores: accuracy and decisions on held-out scenarios, see `scorecard.scorecard`.
        results: a row a held-out interval: quantity, scenario, sim, arm, group, truth, mean,
            sd, control, pit_before, pit_after. None where an experiment's folder keeps only
            what it needs.
    """

    name: str
    scope: Scope
    design: Mapping[str, Any]
    scenarios: tuple[Mapping[str, Any], ...]
    conversion_rates: tuple[float, float]
    n_sims: int
    n_fits: int
    n_failed: int
    seed: int
    versions: Mapping[str, str]
    date: str
    corrections: Mapping[str, Correction]
    coverage: pd.DataFrame
    scores: pd.DataFrame
    results: pd.DataFrame | None

    @property
    def recalibration(self) -> Recalibration:
        """What it does to a round's draws."""
        c = self.corrections
        return Recalibration(self.name, c["ate"], c["gate"], c.get("value"))

    @property
    def digest(self) -> str:
        """What identifies its content: equal for sweeps that came to the same, whenever."""
        value = {k: v for k, v in self.to_dict().items() if k != "date"}
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]

    def applies_to(self, experiment: HasScope | Scope) -> Applicability:
        """Whether it holds for an experiment as it stands.

        Compares arms, metric, visitors (within a factor), conversion rate, sampler settings and
        versions.

        Returns:
            Truthy if it holds; with the reasons, and warnings about what is a little different.
        """
        asked = experiment if isinstance(experiment, Scope) else experiment.scope
        return compare(self.scope, self.conversion_rates, self.versions, asked)

    def coverage_at(self, *levels: float) -> pd.DataFrame:
        """Rows of `coverage` at some levels, 80 and 90 % by default."""
        wanted = levels or (0.8, 0.9)
        near = self.coverage["level"].map(lambda v: any(math.isclose(v, w) for w in wanted))
        return self.coverage[near].reset_index(drop=True)

    def coverage_by(self, what: str, level: float = 0.9, quantity: str = "ate") -> pd.DataFrame:
        """Coverage of one quantity apart for each value of a scenario's attribute.

        A correction makes coverage right over all scenarios together. This says how far apart
        they lie: strong effects and none are never equally well covered.

        Args:
            what: e.g. ``"effect_scale"`` or ``"template"``.
            level: nominal level.
            quantity: as in `coverage`.

        Raises:
            CalibrationError: if scenarios have no such attribute, or there are no results.
        """
        if self.results is None or what not in self.scenarios[0]:
            raise CalibrationError(
                f"Coverage by '{what}' is not known: scenarios have {list(self.scenarios[0])}, "
                "and the artifact needs its results."
            )
        value = {Scenario(**s).key: s[what] for s in self.scenarios}
        mine = self.results[self.results["quantity"] == quantity]
        inside = {
            when: (2 * mine[f"pit_{when}"] - 1).abs() <= level for when in ("before", "after")
        }
        table = pd.DataFrame({what: mine["scenario"].map(value), **inside})
        found = table.groupby(what)[["before", "after"]].mean()
        return found.assign(n_intervals=table.groupby(what).size()).reset_index()

    @property
    def line(self) -> str:
        """In one line: for what, and how a 90 % interval of an average effect did."""
        row = self.coverage_at(0.9).set_index("quantity").loc["ate"]
        return (
            f"{self.name}: K = {self.scope.n_arms}, {self.scope.n_visitors:,} visitors, "
            f"{self.n_fits} fits; 90% intervals of average effects held the truth "
            f"{row['before']:.0%} of the time before, {row['after']:.0%} after"
        )

    def __repr__(self) -> str:
        table = self.coverage_at().round(3).to_string(index=False)
        return f"CalibrationArtifact {self.line}\n\n{table}"

    def _repr_html_(self) -> str:
        import html

        return f"<p>{html.escape(self.line)}</p>" + self.coverage_at().round(3).to_html(index=False)

    # Keeping it

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, without `results`."""
        return {
            "name": self.name,
            "scope": scope_to_dict(self.scope),
            "design": dict(self.design),
            "scenarios": [dict(s) for s in self.scenarios],
            "conversion_rates": list(self.conversion_rates),
            "n_sims": self.n_sims,
            "n_fits": self.n_fits,
            "n_failed": self.n_failed,
            "seed": self.seed,
            "versions": dict(self.versions),
            "date": self.date,
            "corrections": {q: c.to_dict() for q, c in self.corrections.items()},
            "coverage": _records(self.coverage),
            "scores": _records(self.scores),
        }

    def save(self, path: str | Path) -> Path:
        """Write ``artifact.json`` and ``results.parquet`` to a folder, which is made.

        Raises:
            CalibrationError: if it cannot be written, or has no results.
        """
        folder = Path(path)
        if self.results is None:
            raise CalibrationError(
                "This artifact came from an experiment's folder, without its results; save "
                "the original."
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            table = self.results.to_parquet(index=False)
            digest = hashlib.sha256(table).hexdigest()
            # Another artifact in this folder stays whole until this one is.
            name = "results.parquet"
            if (folder / "artifact.json").exists():
                name = f"results-{digest[:12]}.parquet"
            replace_file(folder / name, table)
            content = {
                "kind": _KIND,
                "schema": SCHEMA,
                "results": name,
                "results_sha256": digest,
                "digest": self.digest,
                "artifact": self.to_dict(),
            }
            text = json.dumps(content, indent=1, allow_nan=False) + "\n"
            replace_file(folder / "artifact.json", text.encode())
            for other in folder.glob("results*.parquet"):
                if other.name != name:
                    other.unlink()
        except OSError as error:
            raise CalibrationError(f"The folder '{folder}' cannot be written: {error}.") from error
        return folder

    @classmethod
    def load(cls, path: str | Path) -> "CalibrationArtifact":
        """Read an artifact's folder.

        Raises:
            CalibrationError: if it is none, of another version, changed or damaged.
        """
        folder = Path(path)
        file = folder / "artifact.json"
        if not file.exists():
            raise CalibrationError(f"There is no calibration artifact in '{folder}'.")
        try:
            content = read_json(file)
            if not isinstance(content, dict) or content.get("kind") != _KIND:
                raise CalibrationError(f"'{file}' is not a calibration artifact.")
            if content["schema"] != SCHEMA:
                raise CalibrationError(
                    f"'{file}' has schema {content['schema']}; this version reads {SCHEMA}. "
                    "Make the artifact anew, or use the version that made it."
                )
            results = folder / check_name(content.get("results", "results.parquet"))
            if _sha256(results) != content["results_sha256"]:
                raise CalibrationError(
                    f"'{results}' was changed or damaged. Restore it from a copy."
                )
            artifact = artifact_from_dict(content["artifact"], read_frame(results))
            if artifact.digest != content["digest"]:
                raise CalibrationError(f"'{file}' was changed or damaged. Restore it from a copy.")
        except (
            OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError,
            RecursionError, AssertionError,
        ) as error:  # fmt: skip
            raise CalibrationError(
                f"'{folder}' cannot be read: {error!r}. Restore it from a copy."
            ) from error
        return artifact


def artifact_from_dict(
    value: Mapping[str, Any], results: pd.DataFrame | None = None
) -> CalibrationArtifact:
    """The inverse of `CalibrationArtifact.to_dict`."""
    low, high = value["conversion_rates"]
    same = ("name", "design", "n_sims", "n_fits", "n_failed", "seed", "versions", "date")
    return CalibrationArtifact(
        **{k: value[k] for k in same},
        scope=scope_from_dict(value["scope"]),
        scenarios=tuple(value["scenarios"]),
        conversion_rates=(low, high),
        corrections={q: Correction.from_dict(c) for q, c in value["corrections"].items()},
        coverage=pd.DataFrame(value["coverage"]),
        scores=pd.DataFrame(value["scores"]),
        results=results,
    )


def calibrate(result: SweepResult, name: str | None = None) -> CalibrationArtifact:
    """Make an artifact of a sweep.

    Corrections are learned on all scenarios. What is said of their coverage comes from
    scenarios that were held out: in each of five parts of the scenarios, corrections are those
    that the other four taught.

    Args:
        result: of `sweep`.
        name: what to call it; by default from arms and visitors.

    Raises:
        CalibrationError: if there are too few scenarios or fits.
    """
    design, rows = result.design, result.rows
    validated = held_out(rows, [s.key for s in result.scenarios])
    rates = rows.groupby(["scenario", "sim"])["conversion_rate"].first()
    return CalibrationArtifact(
        name=name or f"k{design.n_arms}-n{design.n_visitors}",
        scope=Scope(design.n_arms, design.metric, design.n_visitors, None, design.settings),
        design=design.to_dict(),
        scenarios=tuple(asdict(s) for s in result.scenarios),
        conversion_rates=(float(rates.min()), float(rates.max())),
        n_sims=result.n_sims,
        n_fits=result.n_fits,
        n_failed=len(result.failed),
        seed=result.seed,
        versions=result.versions,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        corrections=fit_corrections(rows),
        coverage=coverage_table(validated),
        scores=scorecard(validated),
        results=validated[list(_KEPT)].reset_index(drop=True),
    )


def choose(
    artifacts: Sequence[CalibrationArtifact], scope: Scope
) -> tuple[CalibrationArtifact | None, tuple[str, ...]]:
    """The artifact that was made nearest to a scope, of those that hold for it.

    Returns:
        The artifact, with what is a little different; or None, with why each does not hold.
    """
    answers = [(a, a.applies_to(scope)) for a in artifacts]
    holding = [(a, found) for a, found in answers if found]
    if not holding:
        return None, tuple(f"'{a.name}': {'; '.join(f.refusals)}" for a, f in answers)
    n = scope.n_visitors or 1

    def distance(pair: tuple[CalibrationArtifact, Applicability]) -> tuple[int, float]:
        return len(pair[1].warnings), abs(math.log((pair[0].scope.n_visitors or 1) / n))

    artifact, found = min(holding, key=distance)
    return artifact, tuple(f"'{artifact.name}': {w}" for w in found.warnings)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON values; what is not a number is None."""
    clean = frame.astype(object).where(frame.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in clean.to_dict("records")]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
