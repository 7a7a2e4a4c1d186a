"""A draft of the next plan: steps, refusals, acceptance by every route."""

import pytest
from experiment_cases import ARMS, experiment

from pytyche_engine.contracts import (
    BaselinePolicy,
    Cell,
    DesignError,
    UniformPolicy,
    hypothesis_cell,
)
from pytyche_engine.experiment import open_experiment
from pytyche_engine.experiment.draft import Refused
from pytyche_engine.experiment.steps import Steps


def weights(plan):
    return {cell.id: round(cell.weight, 6) for cell in plan.cells}


def test_an_experiment_has_one_draft_for_everyone():
    exp = experiment()
    draft = exp.draft
    assert draft is exp.draft
    assert draft.plan == exp.plan
    draft.set_weight("control", 0.3)
    assert weights(exp.draft.plan) == {"control": 0.3, "explore": 0.7}
    assert weights(exp.plan) == {"control": 0.5, "explore": 0.5}


def test_undo_and_redo_walk_the_steps_and_a_gesture_is_one():
    draft = experiment().draft
    draft.set_weight("control", 0.4)
    for weight in (0.41, 0.42, 0.43):
        draft.set_weight("control", weight, gesture="drag")
    draft.add(hypothesis_cell("mine", "everyone", "free_ship", 0.1))
    assert draft.revision == 6
    seen = []
    while draft.can_undo:
        seen.append(weights(draft.plan).get("control"))
        draft.undo()
    assert weights(draft.plan)["control"] == 0.5
    assert len(seen) == 3
    for _ in range(3):
        draft.redo()
    assert not draft.can_redo
    assert "mine" in weights(draft.plan)
    draft.undo()
    draft.set_weight("explore", 0.2)
    assert not draft.can_redo
    draft.reset()
    assert draft.plan == draft.recommended
    draft.undo()
    assert weights(draft.plan)["explore"] == 0.2


def test_a_gesture_after_undo_leaves_nothing_to_redo():
    draft = experiment().draft
    draft.set_weight("control", 0.4, gesture="drag")
    draft.set_weight("control", 0.3)
    draft.undo()
    draft.set_weight("control", 0.35, gesture="drag")
    assert not draft.can_redo
    assert weights(draft.plan)["control"] == 0.35
    draft.undo()
    assert draft.plan == draft.recommended


def test_what_is_refused_changes_nothing():
    draft = experiment().draft
    before = (draft.plan, draft.revision)
    wrong = (
        lambda: draft.set_weight("explore", 0.03),
        lambda: draft.add(hypothesis_cell("mine", "everyone", "no such arm", 0.1)),
        lambda: draft.add(hypothesis_cell("mine", "everyone", "free_ship", 0.95)),
        lambda: draft.remove("explore"),
        lambda: draft.rename("control", "x"),
        lambda: draft.set_share("control", "free_ship", 0.5),
        lambda: draft.set_rule("explore", "everyone"),
    )
    for edit in wrong:
        with pytest.raises(DesignError):
            edit()
    assert (draft.plan, draft.revision) == before
    assert not draft.can_undo


def test_cells_of_ones_own_are_added_changed_and_removed():
    draft = experiment().draft
    name = draft.add_hypothesis()
    assert weights(draft.plan)[name] == 0.05
    draft.rename(name, "mine")
    draft.set_share("mine", "free_ship", 0.5)
    assert dict(draft.shares("mine")) == pytest.approx(
        {"control": 0.25, "low_promo": 0.25, "free_ship": 0.5}
    )
    assert draft.duplicate("mine") == "mine copy"
    draft.remove("mine")
    assert list(weights(draft.plan)) == ["control", "explore", "mine copy"]
    assert draft.changes() == "1 cell added, Control 2.5 points lower, Explore 2.5 points lower"


def test_accept_hands_the_plan_to_the_experiment_and_begins_anew(tmp_path):
    exp = experiment(path=tmp_path / "exp")
    draft = exp.draft
    draft.add(hypothesis_cell("mine", "everyone", "free_ship", 0.1))
    accepted = draft.accept()
    assert exp.plan == accepted == draft.plan
    assert draft.accepted is not None
    assert draft.accepted.revision == 2
    assert not draft.can_undo
    assert open_experiment(tmp_path / "exp").draft.plan == accepted
    draft.reopen()
    assert draft.accepted is None
    draft.set_weight("mine", 0.2)
    assert weights(exp.plan)["mine"] == 0.1
    draft.undo()
    assert weights(draft.plan)["mine"] == 0.1


def test_a_plan_that_breaks_a_floor_is_accepted_by_no_route():
    exp = experiment()
    draft = exp.draft
    cells = (Cell("control", BaselinePolicy(), 0.97), Cell("explore", UniformPolicy(ARMS), 0.03))
    with pytest.raises(DesignError, match="floor"):
        exp.accept(cells)
    with pytest.raises(DesignError, match="floor"):
        draft.set_weight("explore", 0.03)
    # Even one that got into the draft by force meets the experiment's own check.
    draft._steps = Steps(type(draft.plan)(0, ARMS, cells, 32))
    with pytest.raises(DesignError, match="floor"):
        draft.accept()
    assert weights(exp.plan) == {"control": 0.5, "explore": 0.5}
    assert draft.accepted is None


def test_a_plan_accepted_in_code_shows_in_the_draft():
    exp = experiment()
    draft = exp.draft
    exp.accept((Cell("control", BaselinePolicy(), 0.2), Cell("explore", UniformPolicy(ARMS), 0.8)))
    assert weights(draft.plan) == {"control": 0.2, "explore": 0.8}
    assert draft.accepted is not None


def test_nothing_is_accepted_while_something_typed_was_refused():
    exp = experiment()
    draft = exp.draft
    draft.refuse("weight/explore", Refused("explore", "3", "Explore has a floor of 5%."))
    with pytest.raises(DesignError, match="fix first: explore"):
        draft.accept()
    draft.dismiss("weight/explore")
    draft.accept()
    name = draft.add_hypothesis()
    draft.refuse(f"share/{name}", Refused(name, "x", "no number"))
    draft.remove(name)
    assert draft.refused == {}


def test_a_draft_of_another_recommendation_is_not_accepted():
    exp = experiment()
    old = exp.draft
    later = type(exp.plan)(1, ARMS, exp.plan.cells, 16)
    old._recommendation = lambda: later
    assert not old.is_current
    with pytest.raises(DesignError, match="Take a new one"):
        old.accept()
    assert exp.draft is not old


def test_watchers_hear_of_every_change():
    draft = experiment().draft
    heard = []
    end = draft.watch(lambda: heard.append(weights(draft.plan)["control"]))
    draft.set_weight("control", 0.4)
    draft.undo()
    with pytest.raises(DesignError):
        draft.set_weight("control", 0.01)
    end()
    draft.set_weight("control", 0.3)
    assert heard == [0.4, 0.5]
