"""What the rows of a study say: tables as Markdown, and the figures of coverage."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from figures import Figure
from resumable import Row
from sampler_study import LEVELS

NINETY = LEVELS.index(0.9)


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
    for n in sorted({r["data"]["n"] for r in rows}):
        of_size = [r for r in rows if r["data"]["n"] == n]
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
