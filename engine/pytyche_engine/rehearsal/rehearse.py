"""Rehearsals: many whole experiments, to see what a design finds, and what it costs."""

import hashlib
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pytyche_engine.allocation import check_design
from pytyche_engine.calibration.cluster import Tally, run_missing
from pytyche_engine.calibration.parts import kept_in
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.given import count
from pytyche_engine.jobs import Control, Job
from pytyche_engine.rehearsal.play import SourceOf, play, simulated

POWER = 0.8
"""Chance to find what is planted that a design is asked for."""


@dataclass(frozen=True, eq=False, repr=False)
class Rehearsal:
    """What the runs of one or more designs came to.

    Attributes:
        runs: a row a design, run and round: design, run, round, n_cumulative, found (whether the
            segments given to an arm overlap by half or more with those whom it truly serves best),
            n_segments, graduated (a candidate whose true lift is positive), false_graduation (one
            whose is not), ship, false_ship, stop, missed_win, decided, converged, earned,
            gain_over_ab, regret_best_arm, regret_oracle (money of all visitors so far),
            policy_gain (of the learned policy over the best single arm, money per visitor),
            seconds.
        n_runs: runs of each design that were asked for.
        failed: the error of every run that failed, by design and run.
    """

    runs: pd.DataFrame
    n_runs: int
    failed: dict[tuple[str, int], str]

    @property
    def table(self) -> pd.DataFrame:
        """A row a design and round.

        ``power``: share of runs that found the planted segment; ``graduated``,
        ``false_graduation``, ``false_ship`` and ``missed_win``: share of runs in which it happened
        in this round or before; ``gain_over_ab`` and ``regret_best_arm``: mean money per visitor
        so far, against arms served evenly and against the best arm for everyone;
        ``visitors_saved``: mean visitors of the schedule left over once the main verdict was no
        longer CONTINUE. ``power_error`` is a standard error.
        """
        ever = ["graduated", "false_graduation", "false_ship", "missed_win", "decided"]
        runs = self.runs.sort_values(["design", "run", "round"], kind="stable").copy()
        runs[ever] = runs.groupby(["design", "run"], sort=False)[ever].cummax()
        n = runs.groupby(["design", "run"], sort=False)["n_cumulative"]
        runs["total"] = n.transform("max")
        rows = []
        for (design, number), mine in runs.groupby(["design", "round"], sort=False):
            found = mine["found"].mean()
            rows.append(
                {
                    "design": design,
                    "round": number,
                    "n_cumulative": int(mine["n_cumulative"].iloc[0]),
                    "runs": len(mine),
                    "power": found,
                    "power_error": float(np.sqrt(found * (1 - found) / len(mine))),
                    **{name: mine[name].mean() for name in ever[:-1]},
                    "gain_over_ab": (mine["gain_over_ab"] / mine["n_cumulative"]).mean(),
                    "regret_best_arm": (mine["regret_best_arm"] / mine["n_cumulative"]).mean(),
                    "visitors_saved": (
                        (mine["total"] - mine["n_cumulative"]) * mine["decided"]
                    ).mean(),
                }
            )
        return pd.DataFrame(rows)

    def answer(self, power: float = POWER) -> str:
        """How many rounds of what size find the planted segment, in a sentence."""
        table = self.table
        enough = table[table["power"] >= power]
        if enough.empty:
            best = table.iloc[int(table["power"].argmax())]
            return (
                f"No rehearsed design finds the planted segment with power {power:.0%}. The best "
                f"is '{best['design']}' after round {best['round']}, {best['n_cumulative']:,} "
                f"visitors: {best['power']:.0%} of {best['runs']} runs. Rehearse larger rounds."
            )
        least = enough.iloc[int(enough["n_cumulative"].argmin())]
        return (
            f"'{least['design']}' finds the planted segment with power {least['power']:.0%} "
            f"(standard error {least['power_error']:.0%}, {least['runs']} runs) after round "
            f"{least['round']}, with {least['n_cumulative']:,} visitors; "
            f"{least['false_graduation']:.0%} of the runs had a false graduation by then."
        )

    def __repr__(self) -> str:
        failed = f"\n{len(self.failed)} run(s) failed." if self.failed else ""
        return f"{self.answer()}\n\n{self.table.round(3).to_string(index=False)}{failed}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.answer())}</p>" + self.table.round(3).to_html(index=False)


_CHECKED = (
    "cells",
    "min_control_weight",
    "min_explore_weight",
    "max_segment_depth",
    "min_segment_share",
    "allocation",
)
"""What else of a design `check_design` looks at."""

Designs = Mapping[str, Any]
"""Arguments of `sequential_experiment`, or several such mappings by a name."""


def rehearse(
    design: Designs,
    source: SourceOf | Mapping[str, Any],
    n_runs: int = 20,
    *,
    path: str | Path | None = None,
    seed: int = 0,
    cluster: Any = None,
    n_workers: int | None = None,
) -> Rehearsal:
    """Play whole experiments against a simulated source, on Dask.

    Args:
        design: arguments of `sequential_experiment` (schedule, floors, allocation, settings,
            calibration, ...), without generator and seed; or several such mappings by a name, to
            compare schedules and floors on the same visitors.
        source: arguments of `simulated_experiment_generator`, or a function that gives a source
            with ground truth by its seed.
        n_runs: runs of each design. Runs of the same number see the same populations.
        path: a folder that keeps every finished run, so that it goes on where it was. A source
            that is a function is known there by its name alone.
        seed: of everything random.
        cluster: as for `calibration.sweep`.
        n_workers: as for `calibration.sweep`.

    Raises:
        CalibrationError: if Dask is missing, the folder holds something else, or no run succeeded.
        DesignError: if a design contradicts itself or has no end.
        FitCancelled: on an interrupt; finished runs stay in the folder.
    """
    return start_rehearsal(
        design, source, n_runs, path=path, seed=seed, cluster=cluster, n_workers=n_workers
    ).result()


def start_rehearsal(
    design: Designs,
    source: SourceOf | Mapping[str, Any],
    n_runs: int = 20,
    *,
    path: str | Path | None = None,
    seed: int = 0,
    cluster: Any = None,
    n_workers: int | None = None,
) -> Job[Rehearsal]:
    """`rehearse` in the background: a job that can be watched, paused and cancelled."""
    designs = {"design": design} if "schedule" in design else dict(design)
    n_runs = count("n_runs", n_runs, 1)
    if not designs:
        raise DesignError("A rehearsal needs at least one design.")
    arms = getattr(simulated(source, 0) if isinstance(source, Mapping) else source(0), "arms", None)
    n_visitors = max(_visitors(name, one, arms) for name, one in designs.items())

    def work(control: Control) -> Rehearsal:
        with kept_in(path) as folder:
            folder.open({"source": _name(source), "seed": seed, "version": version("pytyche-lab")})
            calls = {
                (_key(name, one), run): (one, source, run, seed)
                for run in range(n_runs)
                for name, one in designs.items()
            }
            before = folder.done(calls)
            tally = Tally(control, len(calls), n_visitors, len(arms or ()), done=len(before))
            run_missing(folder, play, calls, tally, cluster=cluster, n_workers=n_workers)
            parts = []
            for name, one in designs.items():
                mine = [key for key in calls if key[0] == _key(name, one)]
                parts.append(folder.read(folder.done(mine)).assign(design=name))
        tally.settle("runs")
        runs = pd.concat(parts, ignore_index=True)
        return Rehearsal(runs, n_runs, tally.failed)

    return Job(work, "rehearsal").start()


def _visitors(name: str, design: Mapping[str, Any], arms: tuple[str, ...] | None) -> int:
    """Visitors of a design's schedule. Refuses what no run could play: better now than later."""
    if not isinstance(design, Mapping) or "schedule" not in design:
        raise DesignError(
            f"The design '{name}' needs a schedule, e.g. {{'schedule': [5000, 10000]}}."
        )
    if taken := sorted({"generator", "seed", "path"} & set(design)):
        raise DesignError(f"The design '{name}' has {taken}; a rehearsal chooses these itself.")
    checked = check_design(
        treatments=design.get("treatments", arms or ()),
        schedule_or_sizes=design["schedule"],
        **{name: design[name] for name in _CHECKED if name in design},
    )
    schedule = checked.schedule
    if schedule.n_rounds is None:
        raise DesignError(f"The schedule of '{name}' has no end: give it n_rounds.")
    return sum(schedule.next_round_size(i) or 0 for i in range(schedule.n_rounds))


def _key(name: str, design: Mapping[str, Any]) -> str:
    words = json.dumps({k: repr(v) for k, v in design.items()}, sort_keys=True)
    return f"{name} {hashlib.sha256(words.encode()).hexdigest()[:12]}"


def _name(source: SourceOf | Mapping[str, Any]) -> Any:
    if isinstance(source, Mapping):
        return {k: repr(v) for k, v in source.items() if k != "seed"}
    return getattr(source, "__qualname__", type(source).__qualname__)
