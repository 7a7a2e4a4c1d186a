"""A plan that is being edited survives its process, as long as it fits."""

import json
import warnings
from dataclasses import replace

import pytest
from experiment_cases import ARMS, experiment, quietly, simulated

from pytyche_engine.contracts import BaselinePolicy, Cell, UniformPolicy, hypothesis_cell
from pytyche_engine.contracts.errors import DataNotice, PytycheWarning
from pytyche_engine.experiment import open_experiment
from pytyche_engine.store.files import read_sealed, write_sealed
from pytyche_engine.store.folder import ExperimentFolder


@pytest.fixture
def edited(tmp_path):
    """An experiment whose next plan was edited and not accepted."""
    exp = experiment(path=tmp_path / "promo")
    exp.draft.set_weight("control", 0.3)
    exp.draft.add(hypothesis_cell("mine", "everyone", "free_ship", 0.1))
    return exp


def opened(exp):
    """The same in another process; any warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", PytycheWarning)
        return open_experiment(exp.folder, simulated())


def opened_without_it(exp, why):
    with pytest.warns(DataNotice, match=why):
        again = open_experiment(exp.folder, simulated())
    assert again.draft.plan == again.plan == exp.plan
    assert not again.draft.can_undo
    return again


def test_a_draft_survives_and_nothing_else_changes(edited):
    again = opened(edited)
    assert again.draft.plan == edited.draft.plan
    assert again.draft.accepted is None
    assert again.plan == edited.plan == again.next_recommendation
    again.draft.undo()
    assert again.draft.plan == again.plan
    assert opened(again).draft.plan == again.plan


def test_a_draft_of_an_accepted_plan_survives_beside_it(edited):
    edited.draft.accept()
    edited.draft.set_weight("mine", 0.2)
    again = opened(edited)
    assert again.plan == edited.plan
    assert again.draft.plan == edited.draft.plan != again.plan


@pytest.mark.parametrize("end", ["accept", "reset", "accept in code"])
def test_it_is_gone_when_it_is_accepted_or_reset(edited, end):
    file = edited.folder / "draft.json"
    assert file.exists()
    match end:
        case "accept":
            edited.draft.accept()
        case "reset":
            edited.draft.reset()
        case _:
            edited.accept(edited.draft.plan.cells)
    assert not file.exists()
    assert opened(edited).draft.plan == edited.plan


def test_what_was_edited_in_memory_goes_with_a_save(tmp_path):
    exp = experiment()
    exp.draft.set_weight("control", 0.3)
    exp.save(tmp_path / "promo")
    assert opened(exp).draft.plan == exp.draft.plan


def test_a_damaged_draft_costs_the_draft_only(edited):
    file = edited.folder / "draft.json"
    whole = file.read_text()
    file.write_text(whole[: len(whole) // 2])
    opened_without_it(edited, r"draft\.json' cannot be read")
    file.write_text(whole.replace("mine", "yours"))
    opened_without_it(edited, "was changed or damaged")
    file.write_text(json.dumps(json.loads(whole) | {"schema": 99}))
    opened_without_it(edited, "newer version")
    write_sealed(file, read_sealed(edited.folder / "experiment.json"))
    again = opened_without_it(edited, "cannot be read")
    again.draft.set_weight("control", 0.2)
    assert opened(again).draft.plan == again.draft.plan


def test_a_draft_that_does_not_fit_is_left_out(edited):
    folder = ExperimentFolder(edited.folder)
    plan, recommended = edited.draft.plan, edited.next_recommendation
    other = replace(recommended, n_visitors=7)
    folder.write_draft(plan, other)
    opened_without_it(edited, "another plan than what is recommended for round 1")
    folder.write_draft(replace(plan, round_index=1), recommended)
    opened_without_it(edited, "for round 2 .*; next is round 1")
    cells = (Cell("control", BaselinePolicy(), 0.97), Cell("explore", UniformPolicy(ARMS), 0.03))
    folder.write_draft(replace(plan, cells=cells), recommended)
    opened_without_it(edited, "has a floor")


def test_a_draft_of_an_earlier_recommendation_is_not_kept(edited):
    old = edited.draft
    (edited.folder / "draft.json").unlink()
    old._recommendation = lambda: replace(edited.plan, round_index=1)
    old.set_weight("control", 0.2)
    assert not (edited.folder / "draft.json").exists()


def test_an_edit_that_cannot_be_kept_is_made_all_the_same(edited, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("pytyche_engine.store.folder.write_sealed", full)
    with pytest.warns(PytycheWarning, match="No space left .* is lost if this process ends"):
        edited.draft.set_weight("control", 0.2)
    assert edited.draft.plan.cells[0].weight == 0.2


@pytest.mark.timeout(300)
def test_a_round_that_is_finished_ends_its_draft(edited):
    quietly(next, edited)
    assert not (edited.folder / "draft.json").exists()
    assert opened(edited).draft.plan == edited.plan
