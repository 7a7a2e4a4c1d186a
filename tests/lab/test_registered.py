"""Experiments register themselves, and come back by their name."""

import warnings
from pathlib import Path

import pytest

import pytyche_lab as pt
from pytyche_engine.contracts.errors import (
    PytycheWarning,
    StoreError,
    UnknownExperimentError,
    WrongStateError,
)
from pytyche_engine.experiment import SequentialExperiment
from pytyche_engine.store.adaptive import plans_of
from pytyche_lab.client import LocalClient
from pytyche_lab.registry import open_registry

ARMS = ["control", "<b>promo</b>"]


def adaptive(**changes: object) -> SequentialExperiment:
    asked = {"schedule": [500, 500], "treatments": ARMS, "name": "promo test", "progress": False}
    return pt.sequential_experiment(**{**asked, **changes})


def own_cells(exp: SequentialExperiment) -> list[pt.Cell]:
    return [
        pt.Cell("control", pt.BaselinePolicy(), 0.3),
        pt.Cell("explore", pt.UniformPolicy(tuple(exp.design.arms)), 0.7),
    ]


def test_a_named_experiment_comes_back_in_any_process(own_registry: Path) -> None:
    exp = adaptive(hypothesis="It sells.", project_id="shop")
    exp.accept(own_cells(exp))
    registered = open_registry().named("promo test")
    assert (registered.type, registered.status) == ("adaptive", "draft")
    assert (registered.hypothesis, registered.project_id) == ("It sells.", "shop")
    assert [v.name for v in registered.variants] == ARMS
    assert [plan["revision"] for plan in plans_of(open_registry(), registered.id)] == [1, 2]
    assert exp.folder == own_registry / "experiments" / registered.id
    again = pt.open("promo test", progress=False)
    assert isinstance(again, SequentialExperiment)
    assert again.plan == exp.plan
    again.accept(own_cells(again))
    assert len(plans_of(open_registry(), registered.id)) == 2, "the same plan is no revision"


def test_the_newest_of_a_name_is_opened() -> None:
    adaptive()
    second = adaptive()
    found = pt.open("promo test", progress=False)
    assert isinstance(found, SequentialExperiment)
    assert found.folder == second.folder


def test_an_experiment_without_a_name_is_not_kept(own_registry: Path) -> None:
    pt.sequential_experiment(schedule=[500], treatments=ARMS, progress=False)
    assert not own_registry.exists()


def test_the_users_own_folder_is_kept(tmp_path: Path) -> None:
    exp = adaptive(path=tmp_path / "mine")
    assert open_registry().named("promo test").folder == str(exp.folder)
    moved = tmp_path / "moved"
    exp.save(moved)
    assert open_registry().named("promo test").folder == str(moved)


def test_a_registry_that_fails_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTYCHE_REGISTRY", "postgresql://nobody@/none?host=/nowhere")
    with pytest.warns(PytycheWarning, match="not in the registry.*kept in memory only"):
        exp = adaptive()
    exp.accept(own_cells(exp))
    assert exp.plan.cells[0].weight == 0.3


def test_what_the_registry_missed_is_made_good(monkeypatch: pytest.MonkeyPatch) -> None:
    exp = adaptive()
    registered = open_registry().named("promo test")

    def full(*_args: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("pytyche_engine.store.adaptive.record_progress", full)
        with pytest.warns(PytycheWarning, match="no space left"):
            exp.accept(own_cells(exp))
    assert len(plans_of(open_registry(), registered.id)) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exp.save(exp.folder.with_name("copy"))  # type: ignore[union-attr]  # it has one
    assert len(plans_of(open_registry(), registered.id)) == 2


def test_rounds_that_are_not_on_disk(own_registry: Path) -> None:
    adaptive()
    registered = open_registry().named("promo test")
    for file in (own_registry / "experiments" / registered.id).rglob("*.json"):
        file.unlink()
    with pytest.raises(StoreError, match="no experiment in the folder"):
        pt.open("promo test")
    with pytest.raises(UnknownExperimentError, match=r"pt\.console"):
        pt.open("another")


def test_one_that_is_gone_says_so_where_it_is_shown() -> None:
    one = LocalClient().create("Badge", variants={"control": 0.5, "badge": 0.5})
    assert repr(one).startswith("Badge (fixed, draft)")
    one.delete()
    assert repr(one).startswith(f"Experiment {one.id}: There is no such experiment")


def test_an_ab_test_comes_back_with_what_can_be_done() -> None:
    LocalClient().create("badge", variants={"control": 0.5, "badge": 0.5}).launch()
    one = pt.open("badge")
    assert not isinstance(one, SequentialExperiment)
    one.observe(counts={"control": (2000, 100), "badge": (2000, 180)})
    assert one.analyze()["result"]["verdict"]["winner"] == "badge"
    assert "badge beats control" in repr(one)
    assert one.stop()["status"] == "stopped"
    with pytest.raises(WrongStateError):
        one.launch()
