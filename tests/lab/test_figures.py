"""The figures' file format, and what falls short comes first."""

import json
import platform
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from figures import Figure, newest, record, table

FAST = Figure("first-round", "first round of 2,000 visitors", 12.5, 30.0, "lower", "s")
WRONG = Figure("mens", "Mens ships or continues", False, True, "true")
KEYS = "id what value bar better unit command commit date machine"


def test_a_row_has_what_the_format_asks_for(tmp_path: Path) -> None:
    record("main-job", [FAST], tmp_path)
    record("main-job", [WRONG], tmp_path)
    rows = json.loads((tmp_path / "main-job.json").read_text())
    assert [set(row) for row in rows] == [set(KEYS.split())] * 2
    assert rows[0]["value"] == 12.5
    assert platform.node() not in rows[0]["machine"]
    assert "cores" in rows[0]["machine"]
    assert str(Path.home()) not in json.dumps(rows)


def test_the_newest_row_counts_and_what_falls_short_comes_first(tmp_path: Path) -> None:
    slow = Figure("first-round", FAST.what, 70.0, 30.0, "lower", "s")
    record("main-job", [slow, FAST], tmp_path)
    record("others", [WRONG], tmp_path)
    rows = newest(tmp_path)
    assert [(part, figure.id) for part, figure, _ in rows] == [
        ("others", "mens"),
        ("main-job", "first-round"),
    ]
    lines = table(rows).splitlines()
    assert lines[1].startswith("SHORT")
    assert "<= 30 s" in lines[2]


@pytest.mark.parametrize(
    ("value", "bar", "better", "holds"),
    [
        (1.0, 2.0, "lower", True),
        (3.0, 2.0, "lower", False),
        (3.0, 2.0, "higher", True),
        (1.0, 2.0, "higher", False),
        (True, True, "true", True),
        (False, True, "true", False),
        (9.0, None, "lower", True),
        (float("nan"), 2.0, "lower", False),
        (float("nan"), 2.0, "higher", False),
    ],
)
def test_a_bar_holds_or_not(value: float, bar: float | None, better: str, holds: bool) -> None:
    assert Figure("x", "x", value, bar, better).holds is holds  # type: ignore[arg-type]
