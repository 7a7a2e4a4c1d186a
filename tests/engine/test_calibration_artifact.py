import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from calibration_cases import artifact, made_up
from experiment_cases import SETTINGS

from pytyche_engine.calibration import (
    CalibrationArtifact,
    CalibrationError,
    Scope,
    calibrate,
    choose,
    resolve,
    scorecard,
    shipped,
    shipped_names,
)
from pytyche_engine.calibration.validation import held_out


@pytest.fixture(scope="module")
def made():
    return artifact()


@pytest.fixture
def folder(made, tmp_path):
    return made.save(tmp_path / "art")


def test_what_is_saved_is_what_is_loaded(made, folder):
    again = CalibrationArtifact.load(folder)
    assert again.digest == made.digest
    assert again.corrections == made.corrections
    assert again.scope == made.scope
    pd.testing.assert_frame_equal(again.results, made.results)
    pd.testing.assert_frame_equal(again.coverage, made.coverage)
    assert repr(again) == repr(made)
    assert "90% intervals of average effects held the truth" in made.line


def test_equal_sweeps_make_equal_artifacts_whenever_they_ran(made):
    assert calibrate(made_up(), "made-up").digest == made.digest
    assert replace(made, date="1999-01-01").digest == made.digest
    assert calibrate(made_up(seed=1), "made-up").digest != made.digest


def _edit(folder, change):
    file = folder / "artifact.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "artifact.json").unlink(), "no calibration artifact"),
        (lambda f: (f / "artifact.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "artifact.json").write_text("[1]"), "not a calibration artifact"),
        (lambda f: (f / "artifact.json").write_text('{"kind": "else"}'), "not a calibration"),
        (lambda f: _edit(f, lambda c: c.update(schema=99)), "schema 99; this version reads 1"),
        (lambda f: (f / "results.parquet").unlink(), "cannot be read"),
        (lambda f: (f / "results.parquet").write_bytes(b"PAR1"), "changed or damaged"),
        (lambda f: _edit(f, lambda c: c["artifact"].pop("coverage")), "cannot be read"),
        (
            lambda f: _edit(f, lambda c: c["artifact"]["corrections"]["ate"]["needed"].reverse()),
            "cannot be read",
        ),
        (
            lambda f: _edit(f, lambda c: c["artifact"]["corrections"]["ate"].update(n_intervals=1)),
            "changed or damaged",
        ),
    ],
)
def test_a_damaged_or_foreign_folder_is_refused(folder, damage, words):
    damage(folder)
    with pytest.raises(CalibrationError, match=words):
        CalibrationArtifact.load(folder)


def asked(**changes):
    return Scope(
        **{
            "n_arms": 3,
            "metric": "revenue_per_visitor",
            "n_visitors": 40,
            "conversion_rate": 0.5,
            "settings": SETTINGS,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("changes", "refused", "warned"),
    [
        ({}, "", ""),
        ({"n_visitors": 79}, "", ""),
        ({"n_visitors": None, "conversion_rate": None}, "", ""),
        ({"n_arms": 2}, "for 3 arms, the experiment has 2", ""),
        ({"metric": "conversion_rate"}, "about 'conversion_rate'", ""),
        ({"n_visitors": 120}, "", "40 visitors, and 120 are fitted, 3.0 times apart"),
        ({"n_visitors": 161}, "161 are fitted", ""),
        ({"n_visitors": 9}, "4.4 times apart", ""),
        ({"conversion_rate": 0.2}, "", "here it is 20.0%"),
        ({"conversion_rate": 0.05}, "here it is 5.0%", ""),
        ({"conversion_rate": 0.0}, "here it is 0.0%", ""),
        ({"settings": replace(SETTINGS, tau_scale=0.3)}, "settings differ: tau_scale", ""),
        ({"settings": replace(SETTINGS, num_chains=4)}, "", "another length: num_chains"),
    ],
)
def test_an_artifact_says_whether_it_holds(made, changes, refused, warned):
    found = made.applies_to(asked(**changes))
    assert bool(found) is (refused == "")
    assert refused in "; ".join(found.refusals)
    assert warned in "; ".join(found.warnings)
    assert len(found.refusals) == bool(refused)
    assert len(found.warnings) == bool(warned)


def test_another_version_is_told_of(made):
    older = replace(made, versions={"pytyche-lab": "0.0.1"})
    found = older.applies_to(asked())
    assert found
    assert "made with pytyche-lab 0.0.1" in found.warnings[0]


def test_the_nearest_artifact_is_chosen():
    small, large = artifact(name="small"), artifact(name="large", n_visitors=120)
    for n, name in ((40, "small"), (90, "large"), (300, "large")):
        found, _ = choose((small, large), asked(n_visitors=n))
        assert found is not None
        assert found.name == name
    none, why = choose((small, large), asked(n_visitors=10_000))
    assert none is None
    assert len(why) == 2
    assert choose((), asked()) == (None, ())


def test_artifacts_are_named_in_many_ways(made, folder, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", folder.parent)
    assert shipped_names() == ("art",)
    assert resolve(None) == ()
    for given in (made, "art", folder, str(folder), "auto", ["art"], (made,)):
        assert [a.digest for a in resolve(given)] == [made.digest]
    with pytest.raises(CalibrationError, match="Did you mean 'art'"):
        resolve("arts")
    with pytest.raises(CalibrationError, match="'calibration' is int"):
        resolve(3)


def test_what_the_package_ships_can_be_read():
    for name in shipped_names():
        found = CalibrationArtifact.load(shipped.FOLDER / name)
        assert found.name == name


def test_the_scorecard_counts_what_was_planted():
    result = made_up(too_narrow=2.0, n_sims=100)
    rows = held_out(result.rows, [s.key for s in result.scenarios])
    card = scorecard(rows).set_index(["quantity", "calibrated"])
    raw, mended = card.loc[("ate", False)], card.loc[("ate", True)]
    mine = rows[rows["quantity"] == "ate"]
    assert raw["bias"] == pytest.approx((mine["mean"] - mine["truth"]).mean())
    assert raw["rmse"] == mended["rmse"]
    assert raw["coverage_80"] < 0.55 < 0.75 < mended["coverage_80"]
    # P(lift > 0) is far too sure of itself before, so that nothing is shipped by mistake after.
    assert 0.05 < raw["false_ship_rate"] < 0.35
    assert mended["false_ship_rate"] < raw["false_ship_rate"] / 2
    assert mended["missed_win_rate"] < raw["missed_win_rate"]
    assert mended["regret"] < raw["regret"]
    assert np.isnan(card.loc[("rpv", False), "regret"])


def test_coverage_is_told_apart_by_what_scenarios_differ_in(made):
    by = made.coverage_by("effect_scale", level=0.8)
    assert by["effect_scale"].tolist() == [0.0, 0.5]
    overall = made.coverage_at(0.8).set_index("quantity").loc["ate"]
    for when in ("before", "after"):
        mean = np.average(by[when], weights=by["n_intervals"])
        assert mean == pytest.approx(overall[when], abs=0.02)
    with pytest.raises(CalibrationError, match="by 'colour' is not known"):
        made.coverage_by("colour")
