"""Coverage, mixing and time of the sampler, measured on simulated data sets.

``python benchmarks/bench_coverage.py STUDY [--tag TAG] [--minutes M]`` fits what is missing of a
study and prints its tables as Markdown. Studies: baseline, why, coverage, options. Every fit is
a row of ``benchmarks/results/runs/STUDY-TAG.jsonl``: a run that was ended, or ran out of its
minutes, goes on where it was. A row is found by its data set and option alone, so that another
state of the sampler needs another tag. ``--tables`` fits nothing; ``--record`` appends the
figures of ``coverage`` to ``benchmarks/results/sampler.json``.

Run one study at a time: a fit uses all cores.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from figures import RESULTS, commit, record
from resumable import Row, run_missing
from sampler_study import Option, from_stumps, measure, without_deviations_of_control
from simulated_trials import CONSTANT_EFFECTS, POPULATIONS, Allocation, DataSet
from study_tables import (
    accuracy_table,
    circumstance,
    coverage_figures,
    error_table,
    level_table,
    scenario,
    time_table,
)

DEFAULT = Option("default")


@dataclass(frozen=True)
class Study:
    """Fits that are done one after the other, in this order.

    Attributes:
        cases: data sets and options.
        tables: prints what the rows say.
        timed: whether compilation is kept out of the times, by a brief fit before each.
    """

    cases: Callable[[], Iterator[tuple[DataSet, Option]]]
    tables: Callable[[Sequence[Row]], str]
    timed: bool = False


# --- what is fitted -----------------------------------------------------------------------


def baseline_cases() -> Iterator[tuple[DataSet, Option]]:
    """A first look at a sampler in half an hour: collapse, strong and weak heterogeneity."""
    plan = [
        (DataSet("clustered_realistic", 0.5, 5_000, prognostic=True), 6),
        (DataSet(CONSTANT_EFFECTS, 0, 20_000), 4),
        (DataSet("clustered_realistic", 0.5, 30_000, prognostic=True), 3),
        (DataSet("nonlinear", 0.5, 5_000, prognostic=True), 2),
        (DataSet("interaction_only", 0.5, 5_000, prognostic=True), 2),
        (DataSet("reversal", 0.5, 5_000, prognostic=True), 2),
        (DataSet("clustered_realistic", 0.1, 5_000, prognostic=True), 4),
    ]
    for data, count in plan:
        for seed in range(count):
            yield replace(data, seed=seed), DEFAULT


def why_cases() -> Iterator[tuple[DataSet, Option]]:
    """One setting changed at a time, on the same three data sets of strong effects."""
    options = [
        DEFAULT,
        Option("tau_scale 1", {"tau_scale": 1.0}),
        Option("tau_split .95, 2", {"tau_split": (0.95, 2.0)}),
        Option("both", {"tau_scale": 1.0, "tau_split": (0.95, 2.0)}),
        Option("mu_scale 1", {"mu_scale": 1.0}),
        Option("2000+2000 iterations", {"num_warm_up": 2000, "min_draws": 500, "max_draws": 500}),
        Option("50 tau trees", {"num_trees_tau": 50}),
        Option("200 mu trees", {"num_trees_mu": 200}),
        Option("tau_scale 3", {"tau_scale": 3.0}),
        Option("tau_scale 1, mu_scale .1", {"tau_scale": 1.0, "mu_scale": 0.1}),
        Option(
            "both, 50 tau trees",
            {"tau_scale": 1.0, "tau_split": (0.95, 2.0), "num_trees_tau": 50},
        ),
    ]
    sets = [
        DataSet(template, 0.5, 5_000, prognostic=True)
        for template in ("interaction_only", "nonlinear", "clustered_realistic")
    ]
    for option in options:
        for data in sets:
            yield data, option
    for option in options[:2]:
        for data in sets:
            yield replace(data, allocation="balanced"), option


EFFECT_SCALES = (0.0, 0.1, 0.5)
REPLICATIONS = {5_000: 10, 30_000: 6}
CIRCUMSTANCES: list[tuple[Allocation, bool]] = [
    ("round3", True),
    ("balanced", False),
    ("round3", False),
    ("balanced", True),
]
"""Allocation and prognosis, by the seed's turn."""


def coverage_cases() -> Iterator[tuple[DataSet, Option]]:
    """288 data sets over all templates with K = 3; all scenarios come before a second seed."""
    for seed in range(max(REPLICATIONS.values())):
        allocation, prognostic = CIRCUMSTANCES[seed % len(CIRCUMSTANCES)]
        for n, count in REPLICATIONS.items():
            for template in POPULATIONS if seed < count else ():
                for effect_scale in EFFECT_SCALES:
                    yield (
                        DataSet(template, effect_scale, n, 3, allocation, prognostic, seed),
                        DEFAULT,
                    )


OPTIONS = [
    DEFAULT,
    Option("warm, from a fit of the first half", share_before=0.5),
    Option("4 chains, 75 draws each at least", {"num_chains": 4, "min_draws": 75}),
    Option("control has no deviation", state=without_deviations_of_control),
    Option("cold from stumps", start=from_stumps),
    Option("half-normal scales", {"multiplier_df": 30.0}),
    Option("one multiplier of mu", {"loading_scale": 1e-4}),
    Option("200 mu trees", {"num_trees_mu": 200}),
]
"""What the table of options compares: four of them where a fit takes minutes."""
OPTION_REPLICATIONS: list[tuple[int, Allocation, int, list[Option]]] = [
    (5_000, "round3", 3, OPTIONS),
    (5_000, "balanced", 3, OPTIONS),
    (30_000, "round3", 1, OPTIONS),
    (30_000, "balanced", 1, OPTIONS),
    (200_000, "round3", 1, OPTIONS[:4]),
    (200_000, "balanced", 1, OPTIONS[:4]),
]


def option_cases() -> Iterator[tuple[DataSet, Option]]:
    """Every option on the same data sets, the options interleaved."""
    for n, allocation, count, options in OPTION_REPLICATIONS:
        for seed in range(count):
            for option in options:
                yield DataSet("clustered_realistic", 0.5, n, 3, allocation, True, seed), option


# --- running ------------------------------------------------------------------------------


def _both(by: Callable[[Row], str]) -> Callable[[Sequence[Row]], str]:
    return lambda rows: accuracy_table(rows, by) + "\n\n" + error_table(rows, by)


STUDIES = {
    "baseline": Study(baseline_cases, _both(scenario)),
    "why": Study(
        why_cases,
        lambda rows: "\n\n".join(
            table(rows, lambda row: f"{row['option']}, {row['data']['allocation']}")
            for table in (accuracy_table, error_table)
        ),
    ),
    "coverage": Study(
        coverage_cases,
        lambda rows: "\n\n".join(
            (
                level_table(rows),
                accuracy_table(rows, circumstance),
                accuracy_table(rows, scenario),
            )
        ),
    ),
    "options": Study(option_cases, time_table, timed=True),
}


def key_of(data: DataSet, option: Option) -> str:
    """What a row is found by."""
    return f"{data.key} | {option.name}"


def run(study: Study, path: Path, minutes: float) -> list[Row]:
    """Fit what is missing; the rows of the study's cases, in the order of the cases."""

    def case(data: DataSet, option: Option) -> Callable[[], Row]:
        return lambda: {"commit": commit(), **measure(data, option, timed=study.timed)}

    cases = {key_of(data, option): case(data, option) for data, option in study.cases()}
    return run_missing(cases, path, minutes)


def main() -> None:
    """Parse the command line and run a study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--tag", default="current", help="which state of the sampler")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--tables", action="store_true", help="print the tables only")
    parser.add_argument("--record", action="store_true", help="append the figures of coverage")
    given = parser.parse_args()
    study = STUDIES[given.study]
    path = RESULTS / "runs" / f"{given.study}-{given.tag}.jsonl"
    rows = run(study, path, -1.0 if given.tables else given.minutes)
    if not rows:
        return
    print(study.tables(rows))
    if given.study == "coverage":
        figures = coverage_figures(rows)
        if given.record:
            record("sampler", figures)


if __name__ == "__main__":
    main()
