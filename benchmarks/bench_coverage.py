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
import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from figures import RESULTS, Figure, record
from sampler_study import (
    CONSTANT_EFFECTS,
    LEVELS,
    Allocation,
    DataSet,
    Option,
    from_stumps,
    measure,
    without_deviations_of_control,
)

from pytyche_engine.sources.templates import TEMPLATES

Row = dict[str, Any]
DEFAULT = Option("default")
NINETY = LEVELS.index(0.9)


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
            for template in TEMPLATES if seed < count else ():
                for effect_scale in EFFECT_SCALES:
                    yield (
                        DataSet(template, effect_scale, n, 3, allocation, prognostic, seed),
                        DEFAULT,
                    )


CHEAP_OPTIONS = [
    DEFAULT,
    Option("warm, from a fit of the first half", share_before=0.5),
    Option("4 chains, 75 draws each at least", {"num_chains": 4, "min_draws": 75}),
    Option("control has no deviation", state=without_deviations_of_control),
]
OPTIONS = [
    *CHEAP_OPTIONS,
    Option("cold from stumps", start=from_stumps),
    Option("half-normal scales", {"multiplier_df": 30.0}),
    Option("one multiplier of mu", {"loading_scale": 1e-4}),
    Option("200 mu trees", {"num_trees_mu": 200}),
]
"""What the table of options compares: less where a fit takes minutes."""
OPTION_REPLICATIONS = {5_000: (3, OPTIONS), 30_000: (1, OPTIONS), 200_000: (1, CHEAP_OPTIONS)}


def option_cases() -> Iterator[tuple[DataSet, Option]]:
    """Every option on the same data sets, the options interleaved."""
    for n, (count, options) in OPTION_REPLICATIONS.items():
        for seed in range(count):
            for allocation in ("round3", "balanced"):
                for option in options:
                    yield (
                        DataSet("clustered_realistic", 0.5, n, 3, allocation, True, seed),
                        option,
                    )


# --- what the rows say --------------------------------------------------------------------


def accuracy_table(rows: Sequence[Row], by: Callable[[Row], str]) -> str:
    """Coverage, bias, errors and mixing; one line a group of rows."""
    head = (
        "scenario",
        "sets",
        "ATE cov",
        "ATE width",
        "segment cov",
        "segment width",
        "RPV cov",
        "CATE cov",
        "CATE width",
        "ATE bias",
        "ATE RMSE",
        "CATE RMSE",
        "of constant",
        "CATE sd, est.",
        "true",
        "policy",
        "best single",
        "oracle",
        "ESS ATE",
        "ESS seg med/min",
        "R-hat ATE/seg",
    )
    lines = []
    for name, group in _grouped(rows, by):
        lines.append(
            (
                name,
                len(group),
                f"{coverage(group, 'ate'):.2f}",
                f"{_mean(group, 'ate', 'width90'):.2f}",
                f"{coverage(group, 'segment_lift'):.2f}",
                f"{_mean(group, 'segment_lift', 'width90'):.2f}",
                f"{coverage(group, 'segment_rpv'):.2f}",
                f"{coverage(group, 'cate'):.2f}",
                f"{_mean(group, 'cate', 'width90'):.2f}",
                f"{_mean(group, 'ate', 'bias'):+.2f}",
                f"{_rms(group, 'ate', 'rmse'):.2f}",
                f"{_rms(group, 'cate', 'rmse'):.2f}",
                f"{_rms(group, 'cate_rmse_constant'):.2f}",
                _numbers(np.mean([r["cate_spread"] for r in group], axis=0)),
                _numbers(np.mean([r["cate_spread_truth"] for r in group], axis=0)),
                *(f"{_mean(group, k):.2f}" for k in ("policy", "best_single", "oracle")),
                f"{_mean(group, 'ess_ate'):.0f}",
                f"{_mean(group, 'ess_segment_median'):.0f} / {_mean(group, 'ess_segment_min'):.0f}",
                f"{_mean(group, 'r_hat_ate'):.2f} / {_mean(group, 'r_hat_segment'):.2f}",
            )
        )
    return markdown(head, lines)


def time_table(rows: Sequence[Row]) -> str:
    """Time and mixing by option, size and allocation."""
    head = (
        "n",
        "allocation",
        "option",
        "sets",
        "wall s",
        "CPU s",
        "iterations",
        "ESS ATE",
        "ESS seg med/min",
        "ESS ATE per CPU s",
        "R-hat ATE/seg",
        "ATE cov",
        "segment cov",
        "CATE RMSE",
    )
    lines = []

    def place(row: Row) -> str:
        return f"{row['data']['n']}|{row['data']['allocation']}|{row['option']}"

    for name, group in _grouped(rows, place):
        per_second = np.mean([r["ess_ate"] / r["cpu"] for r in group])
        lines.append(
            (
                *name.split("|"),
                len(group),
                f"{_mean(group, 'wall'):.1f}",
                f"{_mean(group, 'cpu'):.1f}",
                f"{_mean(group, 'iterations'):.0f}",
                f"{_mean(group, 'ess_ate'):.0f}",
                f"{_mean(group, 'ess_segment_median'):.0f} / {_mean(group, 'ess_segment_min'):.0f}",
                f"{per_second:.1f}",
                f"{_mean(group, 'r_hat_ate'):.2f} / {_mean(group, 'r_hat_segment'):.2f}",
                f"{coverage(group, 'ate'):.2f}",
                f"{coverage(group, 'segment_lift'):.2f}",
                f"{_rms(group, 'cate', 'rmse'):.2f}",
            )
        )
    return markdown(head, lines)


def error_table(rows: Sequence[Row], by: Callable[[Row], str]) -> str:
    """Where segments' lifts go wrong: shrinkage, channels, and errors in posterior sds.

    A slope is that of the estimate on the truth over segments and data sets: below 1, effects
    are shrunk. z is the error of a segment's lift over its posterior sd; its mean square is 1
    if intervals are right. "Control" is the error of a segment's RPV under control.
    """
    head = (
        "scenario",
        "treatment",
        "slope",
        "slope conversion",
        "slope severity",
        "error",
        "conversion",
        "severity",
        "control RPV error",
        "mean z",
        "mean z²",
        "posterior sd",
    )
    lines = []
    for name, group in _grouped(rows, by):
        for k in range(len(group[0]["ate_truth"])):
            parts = [
                (
                    _segments(group, f"segment{part}_truth", k),
                    _segments(group, f"segment{part}_mean", k),
                )
                for part in ("", "_conversion", "_severity")
            ]
            control = _segments(group, "segment_rpv_mean", 0) - _segments(
                group, "segment_rpv_truth", 0
            )
            errors = [*(mean - truth for truth, mean in parts), control]
            sd = _segments(group, "segment_sd", k)
            z = errors[0] / sd
            lines.append(
                (
                    name,
                    k + 1,
                    *(f"{slope(truth, mean):.2f}" for truth, mean in parts),
                    *(f"{e.mean():+.2f} ({np.sqrt((e**2).mean()):.2f})" for e in errors),
                    f"{z.mean():+.2f}",
                    f"{(z**2).mean():.1f}",
                    f"{sd.mean():.2f}",
                )
            )
    return markdown(head, lines)


def _segments(rows: Iterable[Row], field: str, column: int) -> np.ndarray:
    """One column of a field that has a line a segment, all rows one after the other."""
    return np.concatenate([np.array(row[field])[:, column] for row in rows])


def slope(truth: np.ndarray, estimate: np.ndarray) -> float:
    """Least-squares slope of estimates on truths; nan where all truths are the same."""
    centred = truth - truth.mean()
    spread = float(centred @ centred)
    return float(centred @ estimate) / spread if spread > 1e-12 * len(truth) else float("nan")


def coverage(rows: Iterable[Row], what: str, level: int = NINETY) -> float:
    """Share of intervals that hold the truth."""
    scores = [row[what] for row in rows]
    return sum(s["covered"][level] for s in scores) / sum(s["count"] for s in scores)


def coverage_figures(rows: Sequence[Row]) -> list[Figure]:
    """The bars of the sampler's coverage, for each size."""
    figures = []
    for n in REPLICATIONS:
        of_size = [r for r in rows if r["data"]["n"] == n]
        if not of_size:
            continue
        what = f"90 % intervals, {n:,} visitors, {len(of_size)} simulated data sets"
        ate = coverage(of_size, "ate")
        worst, least = min(
            (
                (name, coverage(group, "segment_lift"))
                for name, group in _grouped(of_size, scenario)
            ),
            key=lambda item: item[1],
        )
        figures += [
            Figure(f"coverage-ate-{n}", f"ATE, {what}", ate, 0.86, "higher"),
            Figure(f"coverage-ate-{n}-most", f"ATE, {what}", ate, 0.94, "lower"),
            Figure(
                f"coverage-segments-{n}",
                f"fixed segment means in the least scenario, {what}",
                least,
                0.80,
                "higher",
            ),
            Figure(
                f"coverage-cate-{n}", f"single visitors' CATE, {what}",
                coverage(of_size, "cate"), None, "higher",
            ),
        ]  # fmt: skip
        print(f"least segment coverage at n = {n:,}: {worst}, {least:.2f}")
    return figures


def level_table(rows: Sequence[Row]) -> str:
    """Coverage at every level, over all scenarios of a size."""
    lines = []
    for n, group in _grouped(rows, lambda row: f"{row['data']['n']}"):
        for what in ("ate", "segment_lift", "segment_rpv", "cate"):
            shares = (f"{coverage(group, what, i):.2f}" for i in range(len(LEVELS)))
            lines.append((n, what.replace("_", " "), *shares))
    return markdown(("n", "of", *(f"{level:.0%}" for level in LEVELS)), lines)


def scenario(row: Row) -> str:
    """Template, effect scale and size."""
    data = row["data"]
    return f"{data['template']} es={data['effect_scale']:g} n={data['n']}"


def circumstance(row: Row) -> str:
    """Size, effect scale, allocation and prognosis."""
    data = row["data"]
    mark = "prognostic" if data["prognostic"] else "no prognosis"
    return f"n={data['n']} es={data['effect_scale']:g} {data['allocation']} {mark}"


def _grouped(rows: Iterable[Row], by: Callable[[Row], str]) -> list[tuple[str, list[Row]]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[by(row)].append(row)
    return list(groups.items())


def _values(rows: Iterable[Row], *path: str) -> np.ndarray:
    values = []
    for row in rows:
        value: Any = row
        for key in path:
            value = value[key]
        values.append(value)
    return np.array(values, dtype=float)


def _mean(rows: Iterable[Row], *path: str) -> float:
    return float(_values(rows, *path).mean())


def _rms(rows: Iterable[Row], *path: str) -> float:
    return float(np.sqrt((_values(rows, *path) ** 2).mean()))


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{v:.2f}" for v in values)


def markdown(head: Sequence[object], lines: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in (head, rule, *lines))


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


def read_rows(path: Path) -> dict[str, Row]:
    """Finished rows by their key."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["key"]: row for row in map(json.loads, lines)}


def run(study: Study, path: Path, minutes: float) -> list[Row]:
    """Fit what is missing, as long as another fit like the longest so far fits in the time.

    Returns:
        The rows of the study's cases, in the order of the cases.
    """
    done = read_rows(path)
    cases = list(study.cases())
    end, longest = time.monotonic() + 60 * minutes, 0.0
    for data, option in cases:
        key = key_of(data, option)
        if key in done:
            continue
        start = time.monotonic()
        if start + longest > end:
            break
        row = {"key": key, "commit": _commit(), **measure(data, option, timed=study.timed)}
        longest = max(longest, time.monotonic() - start)
        done[key] = row
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(
            f"{key}: {time.monotonic() - start:.0f} s, "
            f"segments {row['segment_lift']['covered'][NINETY]}/{row['segment_lift']['count']}, "
            f"ATE {row['ate']['covered'][NINETY]}/{row['ate']['count']}",
            flush=True,
        )
    found = [done[key] for data, option in cases if (key := key_of(data, option)) in done]
    print(f"{len(found)} of {len(cases)} fits done\n", flush=True)
    return found


def _commit() -> str:
    command = ["git", "-C", str(RESULTS.parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


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
