"""Files of a newer version are refused in words; those of earlier ones open."""

import json
import sqlite3

import numpy as np
import pytest
from calibration_cases import artifact
from experiment_cases import experiment, simulated

from pytyche_engine.bcf.posterior import Posterior
from pytyche_engine.calibration import CalibrationArtifact, CalibrationError
from pytyche_engine.contracts.errors import StoreError
from pytyche_engine.experiment import open_experiment
from pytyche_engine.store.files import read_sealed, write_sealed
from pytyche_engine.store.records import ExperimentDraft
from pytyche_engine.store.registry import Registry


def as_schema(file, schema):
    envelope = json.loads(file.read_text())
    file.write_text(json.dumps(envelope | {"schema": schema}))


@pytest.mark.parametrize("name", ["experiment.json", "plan.json"])
def test_an_experiment_of_a_newer_version_is_refused(name, tmp_path):
    exp = experiment(path=tmp_path / "promo")
    write_sealed(tmp_path / "promo" / "plan.json", {})
    as_schema(tmp_path / "promo" / name, 99)
    with pytest.raises(StoreError, match=r"newer version of pytyche-lab .*schema 99.*Update"):
        open_experiment(exp.folder)


def test_an_experiment_from_before_there_were_artifacts_and_allocations_opens(tmp_path):
    exp = experiment(path=tmp_path / "promo")
    file = exp.folder / "experiment.json"
    content = read_sealed(file)
    del content["calibration"], content["design"]["allocation"]
    write_sealed(file, content)
    again = open_experiment(exp.folder, simulated())
    assert again.calibration == ()
    assert again.design.allocation == "thompson"
    assert again.plan == exp.plan


def test_an_artifact_of_another_version_is_refused_and_of_the_first_form_opens(tmp_path):
    artifact().save(tmp_path)
    file = tmp_path / "artifact.json"
    content = json.loads(file.read_text())
    del content["results"]  # the first form had one name for them
    file.write_text(json.dumps(content))
    assert CalibrationArtifact.load(tmp_path).name == artifact().name
    as_schema(file, 99)
    with pytest.raises(CalibrationError, match="has schema 99; this version reads"):
        CalibrationArtifact.load(tmp_path)


def test_a_posterior_of_another_version_is_refused(tmp_path):
    (tmp_path / "posterior.json").write_text(json.dumps({"schema": 99}))
    np.savez(tmp_path / "posterior.npz", a=np.zeros(1))
    with pytest.raises(StoreError, match="has schema 99; this version reads"):
        Posterior.load(tmp_path)


def test_a_registry_of_a_newer_version_is_refused_and_unchanged(tmp_path):
    url = f"sqlite:///{tmp_path}/registry.sqlite"
    registry = Registry(url, tmp_path)
    registry.create(ExperimentDraft("first"), "me")
    registry.database.close()
    with sqlite3.connect(tmp_path / "registry.sqlite") as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        connection.execute("UPDATE alembic_version SET version_num = 'r9999'")
    with pytest.raises(StoreError, match="newer version of pytyche-lab"):
        Registry(url, tmp_path)
    with sqlite3.connect(tmp_path / "registry.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    assert Registry(url, tmp_path).named("first", None).name == "first"
