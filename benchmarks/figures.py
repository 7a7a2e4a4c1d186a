"""Measured figures against their bars: appended by benchmarks, printed by ``make figures``.

Every figure is a row of ``benchmarks/results/<part>.json``. The newest row of an id counts; the
older ones stay, so that a figure's history can be read.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

RESULTS = Path(__file__).parent / "results"
Better = Literal["lower", "higher", "true"]


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Attributes:
        id: short name, the same in every run, e.g. ``"first-round-seconds"``.
        what: what was measured, in words that stand alone.
        value: what came out, also when it misses; a bool where ``better`` is "true".
        bar: what it must reach; None where nothing was asked for.
        better: which side of the bar is good.
        unit: of value and bar.
    """

    id: str
    what: str
    value: float | bool
    bar: float | bool | None
    better: Better
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the value reaches its bar; without a bar it does."""
        if self.better == "true":
            return bool(self.value)
        if self.bar is None:
            return True
        return self.value <= self.bar if self.better == "lower" else self.value >= self.bar


def record(part: str, figures: Sequence[Figure], results: Path = RESULTS) -> None:
    """Append figures to ``<part>.json`` with the command, commit, date and kind of machine."""
    path = results / f"{part}.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    run = {
        "command": " ".join(["python", _from_root(sys.argv[0]), *sys.argv[1:]]),
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "machine": _machine(),
    }
    rows.extend(asdict(figure) | run for figure in figures)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


def newest(results: Path = RESULTS) -> list[tuple[str, Figure, str]]:
    """Part, figure and commit of the newest row of every id, what falls short first."""
    found: dict[tuple[str, str], tuple[str, Figure, str]] = {}
    for path in sorted(results.glob("*.json")):
        for row in json.loads(path.read_text()):
            figure = Figure(*(row[k] for k in ("id", "what", "value", "bar", "better", "unit")))
            found[path.stem, figure.id] = (path.stem, figure, cast("str", row["commit"]))
    return sorted(found.values(), key=lambda item: item[1].holds)


def show(figures: Iterable[Figure]) -> None:
    """Print figures as they are measured, and which of them fall short."""
    for figure in figures:
        words = f"{figure.id}: {number(figure.value)} {figure.unit}".rstrip()
        print(words if figure.holds else f"{words}  SHORT", flush=True)


def measure(
    file: str, parts: Mapping[str, Callable[[], Sequence[Figure]]], usual: Iterable[str] = ()
) -> None:
    """Measure what the command line names, show it, and append it to ``<file>.json``.

    Args:
        file: of the figures, without its ending.
        parts: what gives the figures of each part, by its name.
        usual: parts that are measured where none is named; all if left out.
    """
    names = sys.argv[1:] or list(usual) or list(parts)
    if unknown := [name for name in names if name not in parts]:
        raise SystemExit(f"There is no part {', '.join(unknown)}; use some of {', '.join(parts)}.")
    for name in names:
        print(f"== {name}", flush=True)
        figures = parts[name]()
        show(figures)
        record(file, figures)


def table(rows: Iterable[tuple[str, Figure, str]]) -> str:
    """The figures as text."""
    lines = [("", "part", "figure", "value", "bar", "commit")]
    for part, figure, commit in rows:
        sign = {"lower": "<=", "higher": ">=", "true": ""}[figure.better]
        bar = "" if figure.bar is None else f"{sign} {number(figure.bar)} {figure.unit}".strip()
        lines.append(
            (
                "ok" if figure.holds else "SHORT",
                part,
                f"{figure.id}: {figure.what}",
                f"{number(figure.value)} {figure.unit}".strip(),
                bar,
                commit,
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def number(value: float | bool) -> str:
    """A value in a few digits."""
    return str(value).lower() if isinstance(value, bool) else f"{value:.4g}"


def _from_root(path: str) -> str:
    root = RESULTS.parents[1]
    absolute = Path(path).resolve()
    return str(absolute.relative_to(root)) if absolute.is_relative_to(root) else absolute.name


def commit() -> str:
    """The commit that is checked out, and whether files differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(RESULTS.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    changed = "+changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return git("rev-parse", "--short", "HEAD") + changed


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [
            x.split(":")[1].strip() for x in info.read_text().splitlines() if "model name" in x
        ]
        model = names[0] if names else model
    return f"{cores} cores, {model}, Python {platform.python_version()}"


if __name__ == "__main__":
    figures = newest()
    short = sum(not figure.holds for _, figure, _ in figures)
    print(table(figures) if figures else "No figure has been measured yet; run make bench.")
    print(f"\n{len(figures)} figures, {short} fall short")
