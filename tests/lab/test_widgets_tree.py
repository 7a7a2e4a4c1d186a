"""The tree's snapshot, what it asks of the experiment, and one selection for all views."""

import json
from types import SimpleNamespace

import pytest
from declared import fits
from rounds import ARMS, finished_round, routed, with_rounds

from pytyche_engine.contracts import DesignError, Rule
from pytyche_engine.contracts.actions import RegisterSegment
from pytyche_engine.experiment import sequential_experiment
from pytyche_lab.experiments import LabExperiment
from pytyche_lab.experiments import sequential_experiment as lab_experiment
from pytyche_lab.widgets import RoundDashboard, SegmentTree
from pytyche_lab.widgets.schema.segment_tree import SegmentDetailView, TreeView
from pytyche_lab.widgets.tree_snapshot import detail_view, tree_view
from pytyche_lab.widgets.views import Views

EVIL = "<img src=x onerror=alert(1)>"


def test_the_tree_has_a_leaf_for_each_segment_and_shares_that_add_up():
    done = finished_round()
    view = tree_view(done, "promo", routed(done))
    leaves = {n["segment"]: n for n in view["nodes"] if n["segment"]}
    assert set(leaves) == {"S1", "S2"}
    assert leaves["S1"]["shares"] == [0.1, 0.7, 0.2]
    root = view["nodes"][0]
    assert root["feature"] == "browse_depth"
    assert root["shares"] == pytest.approx([0.63 * 0.1 + 0.37, 0.63 * 0.7, 0.63 * 0.2])
    assert root["n_visitors"] == 2000
    json.dumps(view, allow_nan=False)


def test_the_detail_follows_a_segment_over_the_rounds():
    first, second = finished_round(0), finished_round(1)
    found = detail_view("S1", [first, second])
    assert found is not None
    assert [r["number"] for r in found["rounds"]] == [1, 2]
    assert found["sql"] == first.analysis.segments[0].rule.to_sql()
    json.dumps(found, allow_nan=False)
    assert detail_view("S9", [first]) is None


def test_names_are_escaped_where_widgets_cannot_run():
    tree = SegmentTree([finished_round(arms=("control", EVIL, "free_ship"))])
    assert "<img" not in tree.summary_html()
    assert EVIL in tree.summary()


def test_without_a_round_it_says_so():
    tree = SegmentTree([])
    assert tree.tree is None
    assert "No round is finished" in tree.summary()


class Book:
    followed = ()

    def __init__(self):
        self.calls = []

    def rename(self, *asked):
        self.calls.append(("rename", *asked))

    def register(self, *_asked):
        raise DesignError("A registered segment needs a name.")

    def retire(self, *asked):
        self.calls.append(("retire", *asked))


def test_messages_reach_the_experiment_and_refusals_come_back(monkeypatch):
    book = Book()
    tree = SegmentTree([finished_round()], experiment=SimpleNamespace(segments=book))
    answers = []
    monkeypatch.setattr(tree, "send", answers.append)
    for content in (
        {"kind": "rename", "segment": "S1", "name": "Core", "ask": "a-1"},
        {"kind": "register", "segment": "S1", "name": "", "ask": "a-2"},
        {"kind": "retire", "segment": "R1", "ask": "a-3"},
    ):
        tree._on_message(tree, content, [])
    assert book.calls == [("rename", "S1", "Core"), ("retire", "R1")]
    assert answers == [
        {"answer": "a-1", "error": None},
        {"answer": "a-2", "error": "A registered segment needs a name."},
        {"answer": "a-3", "error": None},
    ]


def test_an_error_that_nobody_foresaw_is_answered_too(monkeypatch):
    def full(*_asked):
        raise OSError("No space left on device")

    book = SimpleNamespace(rename=full, followed=())
    tree = SegmentTree([finished_round()], experiment=SimpleNamespace(segments=book))
    answers = []
    monkeypatch.setattr(tree, "send", answers.append)
    with pytest.raises(OSError, match="No space"):
        tree._on_message(tree, {"kind": "rename", "segment": "S1", "name": "x", "ask": "a-1"}, [])
    assert answers == [{"answer": "a-1", "error": "OSError: No space left on device"}]


def test_one_selection_for_all_views():
    exp = with_rounds(finished_round(0), finished_round(1))
    assert isinstance(exp, LabExperiment)
    tree, latest, first = exp.tree(), exp.dashboard(), exp.dashboard(1)
    latest.selected_segment = "S1"
    assert tree.selected_segment == first.selected_segment == exp.views.selected_segment == "S1"
    assert tree.detail["id"] == "S1"
    exp.views.selected_segment = None
    assert latest.selected_segment is None
    assert tree.detail is None
    exp.views.selected_segment = "S2"
    assert exp.tree().selected_segment == "S2"
    assert first.round["number"] == 1


def test_selections_of_two_experiments_are_apart():
    one, other = with_rounds(finished_round()), with_rounds(finished_round())
    one.views.selected_segment = "S1"
    assert other.views.selected_segment is None
    assert isinstance(one.views, Views)


def test_a_name_shows_in_every_open_view():
    exp = with_rounds(finished_round())
    tree, dashboard = exp.tree(), exp.dashboard()
    exp.segments.rename("S1", EVIL)
    assert tree.names == dashboard.names == {"S1": EVIL}
    followed = RegisterSegment(1, "R1", "Deep", Rule.parse("browse_depth > 2"))
    exp._state = exp._state.with_actions((*exp._state.actions, followed))
    exp.views.refresh()
    assert tree.names == {"S1": EVIL, "R1": "Deep"}
    assert tree.tree["followed"] == [{"id": "R1", "rule": "browse_depth > 2"}]


def test_a_new_name_sends_nothing_but_names(monkeypatch):
    exp = with_rounds(finished_round(0), finished_round(1))
    tree, dashboard, lab = exp.tree(), exp.dashboard(), exp.lab()
    sent = []
    for widget in (tree, dashboard, lab):
        monkeypatch.setattr(widget, "_send", lambda m, **_: sent.append(m["state"]))
    exp.segments.rename("S1", "Core")
    assert sent == [{"names": {"S1": "Core"}}] * 2


def test_a_broken_view_does_not_undo_what_was_done():
    exp = sequential_experiment(schedule=(2000, 4000), treatments=ARMS)

    def broken():
        raise RuntimeError("the browser is gone")

    exp.subscribe(broken)
    with pytest.warns(match="could not follow"):
        exp.accept(exp.plan.cells)


def test_there_is_no_dashboard_of_a_round_that_is_not_there():
    exp = with_rounds(finished_round())
    with pytest.raises(DesignError, match="rounds 1 to 1"):
        exp.dashboard(2)
    new = lab_experiment(schedule=(2000,), treatments=ARMS, progress=False)
    with pytest.raises(DesignError, match="no finished round"):
        new.dashboard()
    assert isinstance(new.tree(), SegmentTree)
    assert RoundDashboard(finished_round()).selected_segment is None


def test_what_is_sent_has_the_declared_shape():
    done = finished_round()
    assert fits(tree_view(done, "promo", routed(done)), TreeView)
    assert fits(detail_view("S1", [done]), SegmentDetailView)
