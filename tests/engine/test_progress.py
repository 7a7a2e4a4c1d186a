"""A real experiment's rounds as the registry keeps them."""

from pathlib import Path

from experiment_cases import experiment, finished, quietly

from pytyche_engine.experiment.progress import progress_of
from pytyche_engine.store.adaptive import plans_of, record_progress, rounds_of
from pytyche_engine.store.records import ExperimentDraft
from pytyche_engine.store.registry import Registry


def test_what_rounds_concluded_is_in_the_registry(tmp_path: Path) -> None:
    exp = finished()
    registry = Registry(f"sqlite:///{tmp_path}/registry.sqlite3", tmp_path)
    one = registry.create(ExperimentDraft(exp.name, type="adaptive"), "ann")
    found = record_progress(registry, one.id, progress_of(exp), "ann")
    assert (found.status, found.n_rounds) == ("stopped", 3)
    for row, done in zip(rounds_of(registry, one.id), exp.history, strict=True):
        verdict = done.analysis.recommendation
        assert (row["verdict"], row["treatment"]) == (str(verdict.decision), verdict.treatment)
        assert (row["lift"], row["n_visitors"]) == (verdict.lift.mean, len(done.observations))


def test_whoever_keeps_a_record_is_told_of_every_round(tmp_path: Path) -> None:
    exp = experiment()
    registry = Registry(f"sqlite:///{tmp_path}/registry.sqlite3", tmp_path)
    one = registry.create(ExperimentDraft(exp.name, type="adaptive"), "ann")
    exp.subscribe(lambda: record_progress(registry, one.id, progress_of(exp), "ann"))
    quietly(next, exp)
    assert registry.get(one.id).status == "running"
    assert [r["round_index"] for r in rounds_of(registry, one.id)] == [0]
    assert [p["round_index"] for p in plans_of(registry, one.id)] == [1]

    def broken() -> None:
        raise RuntimeError("no registry")

    exp.subscribe(broken)
    quietly(next, exp)
    assert len(exp.history) == 2, "a round is not lost with its record"
