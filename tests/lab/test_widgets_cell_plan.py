"""The cell plan editor: messages become edits of the draft, refusals stay with their field."""

import json
import threading

import pytest
from declared import fits

import pytyche_lab as pt
from pytyche_engine.experiment import SequentialExperiment
from pytyche_lab.widgets import CellPlan
from pytyche_lab.widgets.schema.cell_plan import PlanSetup, PlanView

EVIL = "<img src=x onerror=alert(1)>"
ARMS = ["control", "low_promo", EVIL]


def experiment() -> SequentialExperiment:
    """Before its first round: no fit is needed to plan it."""
    return pt.sequential_experiment(schedule=[2000, 4000], treatments=ARMS, name="promo")


@pytest.fixture
def editor() -> CellPlan:
    return CellPlan(experiment())


def say(editor: CellPlan, **content: object) -> None:
    """A message as the browser sends it."""
    editor._handle_custom_msg(json.loads(json.dumps(content)), [])


def weight(editor: CellPlan, cell: str, text: str, **more: object) -> None:
    say(editor, kind="weight", field=f"weight/{cell}", cell=cell, text=text, **more)


def held(editor: CellPlan) -> dict[str, float]:
    return {cell["id"]: cell["weight"] for cell in editor.plan["cells"]}


def test_an_edit_is_a_message_and_the_answer_a_snapshot(editor: CellPlan):
    weight(editor, "control", "30")
    assert held(editor) == {"control": 0.3, "explore": 0.7}
    assert editor.plan["revision"] == 2
    assert editor.plan["can_undo"]
    say(editor, kind="undo")
    assert held(editor) == {"control": 0.5, "explore": 0.5}
    say(editor, kind="redo")
    assert editor.draft.plan.cells[0].weight == 0.3
    say(editor, kind="reset")
    assert editor.plan["changes"] == "As recommended"


def test_a_value_under_the_floor_stays_visible_and_accept_is_refused(editor: CellPlan):
    weight(editor, "explore", "3")
    (refused,) = editor.plan["refused"]
    assert refused["text"] == "3"
    assert refused["strong"] == "Explore has a floor of 5%."
    assert refused["rest"].startswith("3% was not applied; the plan still holds 50%.")
    assert held(editor)["explore"] == 0.5
    say(editor, kind="accept")
    assert "fix first: explore" in editor.plan["message"]
    assert editor.plan["accepted_at"] == ""
    weight(editor, "explore", "6")
    assert editor.plan["refused"] == []
    say(editor, kind="accept")
    assert editor.plan["accepted_at"]
    assert editor._experiment.plan.cells[1].weight == pytest.approx(0.06)


def test_dismissing_a_refusal_shows_what_holds(editor: CellPlan):
    weight(editor, "explore", "three")
    assert editor.plan["refused"][0]["strong"] == "'three' is not a percentage."
    say(editor, kind="dismiss", field="weight/explore", cell="explore")
    assert editor.plan["refused"] == []


def test_two_editors_of_one_experiment_show_the_same(editor: CellPlan):
    other = CellPlan(editor._experiment)
    weight(editor, "explore", "3")
    weight(editor, "control", "40")
    assert other.plan == editor.plan
    say(other, kind="undo")
    assert held(editor) == {"control": 0.5, "explore": 0.5}
    other.close()
    other.close()
    weight(editor, "control", "45")
    assert held(editor)["control"] == 0.45


def test_edits_from_many_threads_end_in_one_state(editor: CellPlan):
    other = CellPlan(editor._experiment)

    def work(i: int) -> None:
        for step in range(10):
            weight(editor if i % 2 else other, "control", str(20 + i + step))
            other.refresh()
            if step == 5:
                say(editor, kind="accept")

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads), "two locks waited for each other"
    expected = editor.draft.plan.cells[0].weight
    assert held(editor)["control"] == held(other)["control"] == expected


def test_a_hypothesis_cell_is_added_named_mixed_and_removed(editor: CellPlan):
    say(editor, kind="add")
    assert held(editor)["Hypothesis"] == 0.05
    say(editor, kind="rename", field="name/Hypothesis", cell="Hypothesis", text=EVIL)
    say(editor, kind="rename", field=f"name/{EVIL}", cell=EVIL, text="explore")
    assert editor.plan["refused"][0]["text"] == "explore"
    say(editor, kind="share", field="s", cell=EVIL, segment=None, arm="control", text="50")
    (cell,) = [c for c in editor.plan["cells"] if c["id"] == EVIL]
    assert cell["hypothesis"]["shares"] == pytest.approx([0.5, 0.25, 0.25])
    say(editor, kind="duplicate", cell=EVIL)
    assert f"{EVIL} copy" in held(editor)
    say(editor, kind="remove", cell=EVIL)
    assert list(held(editor)) == ["control", "explore", f"{EVIL} copy"]
    assert EVIL not in editor.summary_html()
    assert "&lt;img" in editor.summary_html()


def test_what_the_browser_says_is_not_believed(editor: CellPlan):
    before = editor.draft.plan
    for content in (
        {"kind": "weight", "field": "w", "cell": "nobody", "text": "5"},
        {"kind": "weight", "field": "w", "cell": "explore", "text": "1e400"},
        {"kind": "weight", "field": "w", "cell": "explore"},
        {
            "kind": "share",
            "field": "w",
            "cell": "control",
            "segment": None,
            "arm": "x",
            "text": "5",
        },
        {"kind": "rename", "field": "w", "cell": "control", "text": "x"},
        {"kind": "remove", "cell": "explore"},
    ):
        say(editor, **content)
        assert editor.plan["refused"] or editor.plan["message"]
        assert editor.draft.plan == before
        say(editor, kind="dismiss", field="w", cell="explore")
    with pytest.raises(ValueError, match="does not know"):
        editor._on_message(editor, {"kind": "no such"}, [])


@pytest.mark.parametrize(
    "clause",
    [
        {"kind": "threshold", "cut": "abc", "levels": []},
        {"kind": "threshold", "cut": "nan", "levels": []},
        {"kind": "levels", "cut": 0, "levels": []},
    ],
)
def test_half_a_condition_is_refused(editor: CellPlan, clause: dict[str, object]):
    say(editor, kind="add")
    asked = {"feature": "depth", "side": ">", "includes_missing": False, **clause}
    say(editor, kind="rule", field="rule/0", cell="Hypothesis", text="abc", clauses=[asked])
    assert [r["field"] for r in editor.plan["refused"]] == ["rule/0"]
    assert editor.plan["cells"][2]["hypothesis"]["clauses"] == []


def test_conditions_become_the_rule(editor: CellPlan):
    say(editor, kind="add")
    depth = {"feature": "depth", "kind": "threshold", "side": "<=", "cut": "1,5", "levels": []}
    channel = {"feature": "channel", "kind": "levels", "side": ">", "cut": 0, "levels": ["a", "b"]}
    clauses = [{**depth, "includes_missing": True}, {**channel, "includes_missing": False}]
    say(editor, kind="rule", field="rule/0", cell="Hypothesis", text="", clauses=clauses)
    (cell,) = [c for c in editor.draft.plan.cells if c.id == "Hypothesis"]
    assert str(cell.policy.rules[0]) == "depth <= 1.5 or missing AND channel in {a, b}"
    shown = editor.plan["cells"][2]["hypothesis"]["clauses"]
    assert shown == [{**clauses[0], "cut": 1.5}, clauses[1]]


@pytest.mark.filterwarnings("ignore::pytyche_engine.contracts.DataNotice")
def test_the_others_in_a_cell_get_the_control_arm_by_its_name():
    arms = ["No e-mail", "E-mail"]
    editor = CellPlan(pt.sequential_experiment(schedule=[100], treatments=arms))
    say(editor, kind="add")
    assert editor.plan["cells"][2]["hypothesis"]["otherwise"] == "No e-mail"
    editor.draft.add(pt.hypothesis_cell("m", "x > 1", "E-mail", 0.1, otherwise=arms))
    assert editor.plan["cells"][3]["hypothesis"]["otherwise"] == "No e-mail 50%, E-mail 50%"


def test_a_drag_is_one_step_of_undo(editor: CellPlan):
    for percent in (40, 35, 30):
        weight(editor, "control", str(percent), gesture="one")
    say(editor, kind="undo")
    assert held(editor)["control"] == 0.5


def test_the_copied_code_makes_the_plan():
    exp = experiment()
    editor = CellPlan(exp)
    say(editor, kind="add")
    say(editor, kind="rename", field="n", cell="Hypothesis", text="mine 'n' \"yours\"")
    weight(editor, "mine 'n' \"yours\"", "12.5")
    wanted = editor.draft.plan
    exec(editor.plan["code"], {"pt": pt, "exp": exp})  # noqa: S102 - what the code is for
    assert exp.plan == wanted


def test_an_experiment_that_moved_on_is_said_and_followed(monkeypatch: pytest.MonkeyPatch):
    exp = experiment()
    editor = CellPlan(exp)
    later = pt.contracts.Plan(1, exp.plan.arms, exp.plan.cells, 4000)
    monkeypatch.setattr(SequentialExperiment, "next_recommendation", property(lambda _: later))
    say(editor, kind="accept")
    assert "Take a new one" in editor.plan["message"]
    assert not editor.plan["current"]
    say(editor, kind="refresh")
    assert editor.plan["current"]
    assert editor.draft is exp.draft


def test_snapshots_have_the_declared_shape_and_are_json(editor: CellPlan):
    say(editor, kind="add")
    weight(editor, "explore", "3")
    for kind, view in ((PlanSetup, editor.setup), (PlanView, editor.plan)):
        assert fits(view, kind)
        assert json.loads(json.dumps(view, allow_nan=False)) == view


def test_without_a_browser_the_plan_is_a_table(editor: CellPlan):
    bundle, _ = editor._repr_mimebundle_()
    assert "explore" in bundle["text/plain"]
    assert '<table class="pytyche">' in bundle["text/html"]
    assert repr(editor) == bundle["text/plain"]
    assert "As recommended" in bundle["text/html"]


def test_a_selection_may_be_none(editor: CellPlan):
    assert editor.selected_segment is None
    editor.set_state({"selected_segment": "S1"})
    assert editor.selected_segment == "S1"
    editor.set_state({"selected_segment": None})
    assert editor.selected_segment is None


@pytest.mark.parametrize(
    ("decimal", "text", "either"),
    [(".", "1,234", "1234 or 1.234"), (",", "1.234", "1234 or 1,234")],
)
def test_a_cut_that_could_be_two_numbers_is_refused_beside_it(
    editor: CellPlan, decimal: str, text: str, either: str
):
    say(editor, kind="add")
    asked = {"feature": "depth", "kind": "threshold", "side": ">", "cut": 1.5, "levels": []}
    asked |= {"includes_missing": False}
    message = {"kind": "rule", "field": "rule/0", "cell": "Hypothesis", "decimal": decimal}
    say(editor, **message, text="", clauses=[asked])
    say(editor, **message, text=text, clauses=[{**asked, "cut": text}])
    (refused,) = editor.plan["refused"]
    assert refused["text"] == text
    assert refused["strong"] == f"'{text}' could be {either}."
    assert editor.plan["cells"][2]["hypothesis"]["clauses"][0]["cut"] == 1.5
    # What a condition had before is a number, whatever the reader's marks.
    say(editor, **message, text="", clauses=[{**asked, "cut": 1.234}])
    assert editor.plan["refused"] == []
    assert editor.plan["cells"][2]["hypothesis"]["clauses"][0]["cut"] == 1.234
