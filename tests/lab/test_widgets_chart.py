"""Charts of segments as widgets: what they show, whom they follow, and what is left without one."""

import re
from dataclasses import replace

import pytest
from rounds import finished_round, segments, with_rounds
from test_viz_rounds import CHARTS, DONE

import pytyche_lab as pt
from pytyche_engine.contracts import DesignError, Rule
from pytyche_lab.viz import palette
from pytyche_lab.widgets import SegmentChart

WIDGET = "application/vnd.jupyter.widget-view+json"
WITH_SEGMENTS = {
    "intervals": lambda: pt.viz.plot_segment_intervals(DONE.analysis.segments),
    "tree": CHARTS["tree"],
    "evolution": CHARTS["evolution"],
}


def strips(svg: str) -> list[str]:
    return re.findall(r'<path aria-label="([^"]*)"[^>]*aria-roledescription="segment"', svg)


@pytest.mark.parametrize("name", WITH_SEGMENTS)
def test_each_segment_has_a_strip_and_words(name):
    widget = SegmentChart(WITH_SEGMENTS[name]())
    # The evolution has a panel a round; the rounds before a tree was shipped have none.
    assert set(strips(widget.svg)) == {"S1", "S2"} == set(widget.segments)
    for id_, words in widget.segments.items():
        assert id_ in words
        assert "browse_depth" in words


@pytest.mark.parametrize("name", WITH_SEGMENTS)
def test_colours_follow_the_theme(name):
    svg = SegmentChart(WITH_SEGMENTS[name]()).svg
    found = set(re.findall(r'(?:fill|stroke)="([^"]*)"', svg))
    # What is left of fixed colours is the tint of the Explore cell.
    assert found - {"none", "#a9aeb6"} == {c for c in found if c.startswith("var(--pt-")}
    assert {"var(--pt-surface)", "var(--pt-text)", "var(--pt-arm-1)"} <= found


def test_names_are_data_in_the_picture_too():
    evil = "<script>alert(1)</script>"
    done = finished_round(arms=("control", evil, "free_ship"))
    widget = SegmentChart(pt.viz.plot_segment_intervals(done.analysis.segments))
    assert "<script" not in widget.svg
    assert evil in widget.segments["S1"]


def test_an_arm_may_be_called_like_a_colour():
    done = finished_round(arms=("control", palette.TEXT, "free_ship"))
    svg = SegmentChart(pt.viz.plot_segment_intervals(done.analysis.segments)).svg
    assert f">{palette.TEXT}</text>" in svg


def test_a_chart_and_the_views_select_in_each_other():
    exp = with_rounds(DONE)
    dashboard = exp.dashboard()
    chart = exp.chart(pt.viz.plot_segment_intervals(exp.latest.analysis.segments))
    chart.selected_segment = "S2"
    assert dashboard.selected_segment == exp.views.selected_segment == "S2"
    dashboard.selected_segment = "S1"
    assert chart.selected_segment == "S1"


def test_a_chart_shown_beside_a_view_follows_it_by_itself():
    # Rules of its own: views of other tests may be alive.
    found = tuple(
        replace(s, id=f"B{s.id}", rule=Rule.parse(f"browse_depth {sign} 77"))
        for s, sign in zip(DONE.analysis.segments, ("<=", ">"), strict=True)
    )
    search = replace(DONE.analysis.search, segments=found)
    done = replace(DONE, analysis=replace(DONE.analysis, search=search))
    exp = with_rounds(done)
    chart = pt.viz.plot_segment_intervals(found)
    assert WIDGET not in chart._repr_mimebundle_()
    dashboard = exp.dashboard()
    data, _ = chart._repr_mimebundle_()
    dashboard.selected_segment = "BS2"
    assert WIDGET in data
    assert [w.selected_segment for w in exp.views._open if isinstance(w, SegmentChart)] == ["BS2"]
    foreign = pt.viz.plot_segment_intervals([replace(found[0], id="BS3"), found[1]])
    assert WIDGET not in foreign._repr_mimebundle_()


def test_without_a_kernel_it_is_what_the_chart_is():
    chart = pt.viz.plot_segment_intervals(segments())
    data, _ = SegmentChart(chart)._repr_mimebundle_()
    assert chart.picture().items() <= data.items()
    assert "text/html" not in data
    assert data["text/plain"] == repr(chart)


def test_a_chart_without_segments_is_refused_in_words():
    chart = pt.viz.plot_cells(DONE.plan.cells)
    assert chart.segments == []
    with pytest.raises(DesignError, match="'Cells of the round' shows no segments"):
        with_rounds(DONE).chart(chart)


def test_a_chart_that_was_changed_still_knows_its_segments():
    chart = pt.viz.plot_segment_intervals(segments()).properties(width=600)
    assert [s["id"] for s in chart.segments] == ["S1", "S2"]
