"""Charts: what they draw, what they say in words, and that they can be saved."""

import json
import re
from pathlib import Path

import pytest
from rounds import ARMS, plan, segments

from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.policies import MixPolicy
from pytyche_lab.viz import palette, plot_cells, plot_segment_intervals
from pytyche_lab.viz.figure import Figure

TOKENS = Path(__file__).parents[2] / "js" / "src" / "shared" / "tokens.css"
HOSTILE = "<img src=x onerror=alert(1)>"


def charts() -> list[Figure]:
    return [plot_cells(plan().cells), plot_segment_intervals(segments())]


def test_cells_are_bars_in_the_plans_order() -> None:
    hypothesis = Cell(HOSTILE, MixPolicy({"low_promo": 1.0}), 0.2)
    cells = (plan().cells[0], Cell("explore", plan().cells[1].policy, 0.75), hypothesis)
    chart = plot_cells(cells)
    assert list(chart.data["cell"]) == ["control", "explore", HOSTILE]
    assert list(chart.data["weight"]) == [0.05, 0.75, 0.2]
    assert list(chart.data["role"]) == ["control", "explore", "hypothesis"]
    assert chart.to_dict()["layer"][0]["encoding"]["x"]["title"].endswith("%")


def test_segment_intervals_are_those_of_the_segments() -> None:
    chart = plot_segment_intervals(segments())
    for row, segment in zip(chart.data.itertuples(), segments(), strict=True):
        assert (row.low, row.high) == segment.gate_ci
        assert row.gate == segment.gate_estimate
        assert row.arm == segment.gate_arm
    encoding = chart.to_dict()["layer"][2]["encoding"]
    assert encoding["x"]["title"] == "GATE: lift in revenue per visitor against control, $"
    assert encoding["color"]["scale"]["domain"] == list(ARMS)


def test_only_recalibrated_intervals_are_solid() -> None:
    def dash(calibrated: bool) -> list[int]:
        chart = plot_segment_intervals(segments(), calibrated=calibrated)
        return chart.to_dict()["layer"][2]["mark"]["strokeDash"]

    assert dash(True) == [1, 0]
    assert dash(False) != [1, 0]


@pytest.mark.parametrize("chart", charts(), ids=["cells", "segments"])
def test_every_number_can_be_read_as_text(chart: Figure) -> None:
    words = chart.to_dict()["description"]
    assert repr(chart) == words
    for name in chart.data.iloc[:, 0]:
        assert name in words
    assert "0x" not in repr(chart)


@pytest.mark.parametrize("chart", charts(), ids=["cells", "segments"])
def test_every_mark_has_a_tooltip(chart: Figure) -> None:
    assert any("tooltip" in layer.get("encoding", {}) for layer in chart.to_dict()["layer"])


@pytest.mark.parametrize("chart", charts(), ids=["cells", "segments"])
def test_a_notebook_shows_it_without_a_network(chart: Figure) -> None:
    bundle = chart.picture()
    assert bundle["application/vnd.vegalite.v5+json"]["$schema"].endswith("/v5.json")
    json.dumps(bundle["application/vnd.vegalite.v5+json"])
    assert "text/html" not in bundle
    assert bundle["image/svg+xml"].startswith("<svg")


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_it_can_be_saved(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"chart.{suffix}"
    plot_segment_intervals(segments()).save(path)
    assert path.stat().st_size > 1000


def test_names_never_become_markup() -> None:
    chart = plot_cells((Cell(HOSTILE, MixPolicy({"low_promo": 1.0}), 1.0),))
    assert "<img" not in chart.picture()["image/svg+xml"]


def test_colours_are_those_of_the_widgets() -> None:
    light = TOKENS.read_text().split("data-theme")[0]
    found = dict(re.findall(r"--pt-arm-(\d): (#[0-9a-f]{6})", light))
    assert tuple(found[str(i)] for i in range(len(found))) == palette.ARM_COLOURS
    assert f"--pt-accent: {palette.ACCENT}" in light


def test_grey_belongs_to_control_alone() -> None:
    assert [palette.arm_colour(i) for i in range(12)].count(palette.ARM_COLOURS[0]) == 1
