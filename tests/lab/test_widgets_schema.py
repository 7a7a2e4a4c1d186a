"""Python and TypeScript speak of the same traits and the same fields."""

import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from declared import fits
from rounds import finished_round

from pytyche_engine.jobs import FitEvent, Job, Stage
from pytyche_lab.widgets import (
    CellPlan,
    Cockpit,
    Console,
    FitProgress,
    RoundDashboard,
    SegmentChart,
    SegmentTree,
)
from pytyche_lab.widgets.fit_progress import progress_view
from pytyche_lab.widgets.round_snapshot import history_view, round_view
from pytyche_lab.widgets.schema.cell_plan import CellPlanTraits
from pytyche_lab.widgets.schema.cockpit import CockpitTraits
from pytyche_lab.widgets.schema.console import ConsoleTraits
from pytyche_lab.widgets.schema.fit_progress import FitProgressTraits, Progress
from pytyche_lab.widgets.schema.round_dashboard import (
    HistoryView,
    RoundDashboardTraits,
    RoundView,
)
from pytyche_lab.widgets.schema.segment_chart import SegmentChartTraits
from pytyche_lab.widgets.schema.segment_tree import SegmentTreeTraits
from pytyche_lab.widgets.schema.typescript import files

TYPESCRIPT = Path(__file__).parents[2] / "js/src/shared/schema"


def test_the_typescript_is_generated_from_the_python():
    found = {path.name: path.read_text("utf-8") for path in TYPESCRIPT.iterdir()}
    assert found == files(), "Run: python -m pytyche_lab.widgets.schema.typescript"


@pytest.mark.parametrize(
    ("widget", "traits"),
    [
        (FitProgress, FitProgressTraits),
        (RoundDashboard, RoundDashboardTraits),
        (SegmentTree, SegmentTreeTraits),
        (SegmentChart, SegmentChartTraits),
        (CellPlan, CellPlanTraits),
        (Cockpit, CockpitTraits),
        (Console, ConsoleTraits),
    ],
)
def test_every_synced_trait_is_declared(widget: Any, traits: Any):
    own = set(widget.class_trait_names(sync=True)) - set(widget.__mro__[1].class_trait_names())
    assert own == set(get_type_hints(traits))


def test_snapshots_have_the_declared_shape_and_are_json():
    first, second = finished_round(0), finished_round(1)
    views = {
        RoundView: [
            round_view(second, "A"),
            round_view(finished_round(with_truth=False), "B"),
        ],
        HistoryView: history_view([first], second),
        Progress: [
            progress_view(Job(lambda _: None), 0, 0.0, ()),
            progress_view(
                _job_at(FitEvent(Stage.COMPILE, stage_seconds={"read": 1.0})), 1, 2.0, ()
            ),
        ],
    }
    for kind, found in views.items():
        for view in found:
            assert fits(view, kind)
            assert json.loads(json.dumps(view, allow_nan=False)) == view


def test_the_shape_check_can_fail():
    view = round_view(finished_round(), "A")
    assert not fits({**view, "extra": 1}, RoundView)
    assert not fits({**view, "number": "1"}, RoundView)
    assert not fits({**view, "arms": [{"name": "a"}]}, RoundView)


def _job_at(event: FitEvent) -> Job[None]:
    job: Job[None] = Job(lambda _: None)
    job.control.emit(event)
    return job
