"""What was kept is what comes back, or an error says what is wrong with the folder."""

import hashlib
import io
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from experiment_cases import (
    ARMS,
    SIZES,
    Counting,
    digest,
    experiment,
    finished,
    quietly,
    simulated,
    visitors,
    with_outcomes,
)

from pytyche_engine.allocation import FixedSchedule, GeometricSchedule
from pytyche_engine.contracts import (
    BaselinePolicy,
    Cell,
    ColumnMapping,
    DecisionThresholds,
    Levels,
    MixPolicy,
    Plan,
    Route,
    Rule,
    StoreError,
    Threshold,
    TreePolicy,
    UniformPolicy,
)
from pytyche_engine.contracts.door import read_round
from pytyche_engine.contracts.plans import plan_from_dict, plan_to_dict
from pytyche_engine.decisions import ExpectedLossRule
from pytyche_engine.experiment import open_experiment
from pytyche_engine.jobs import Stage
from pytyche_engine.store.files import UNREADABLE, read_sealed, sha256
from pytyche_engine.store.folder import ExperimentFolder
from pytyche_engine.store.observations_file import read_observations, write_observations

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A saved experiment, to be copied and not changed."""
    path = tmp_path_factory.mktemp("store") / "promo"
    finished().save(path)
    # The shared experiment must not go on writing here.
    finished()._folder = None
    return path


@pytest.fixture
def folder(kept, tmp_path):
    return Path(shutil.copytree(kept, tmp_path / "promo"))


# Round trips


POLICIES = (
    BaselinePolicy(),
    UniformPolicy(ARMS),
    MixPolicy({"low_promo": 0.25, "free_ship": 0.75}),
    MixPolicy(
        {"low_promo": 1.0},
        Rule((Threshold("age", "<=", 1 / 3, True), Levels("city", ("Köln", "<b>"), True))),
    ),
    TreePolicy(
        (
            Route("S1", Rule((Threshold("age", ">", 0.1),)), {"control": 0.5, "low_promo": 0.5}),
            Route("S2", Rule(), {"free_ship": 1.0}),
        ),
        {"control": 1.0},
    ),
)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("n_visitors", [2000, None])
def test_a_plan_comes_back_through_json(policy, n_visitors):
    plan = Plan(3, ARMS, (Cell("a", policy, 1 / 3), Cell("b", BaselinePolicy(), 2 / 3)), n_visitors)
    assert plan_from_dict(json.loads(json.dumps(plan_to_dict(plan)))) == plan


def odd_frame(n=40):
    rng = np.random.default_rng(5)
    some = np.arange(n)
    number = rng.normal(size=n)
    number[3] = np.nan
    return pd.DataFrame(
        {
            "visitor_id": [f"é{i}" for i in some],
            "arm": np.array(ARMS)[some % 3],
            "revenue": np.where(some % 4 == 0, 12.5, 0.0),
            "cell": np.where(some % 3 == 0, "control", "explore"),
            "seen": pd.Timestamp("2026-01-31 23:59:59.123456", tz="Europe/Paris")
            + pd.to_timedelta(some, unit="h"),
            "arm ": number,  # a name that nearly clashes
            "revenue_": pd.array([None, *rng.integers(0, 9, n - 1)], dtype="Int64"),
            "city": pd.Categorical(
                [None, *np.array(["Köln", "a<b>", "z"])[some[1:] % 3]],
                ["z", "Köln", "a<b>", "never"],
            ),
            "yes": pd.array([None, *(some[1:] % 2 == 0)], dtype="boolean"),
            "born": pd.Timestamp("1990-01-01") + pd.to_timedelta(some * 40, unit="D"),
        }
    )


def test_observations_come_back_as_they_were(tmp_path):
    columns = ColumnMapping(timestamp="seen")
    seen = quietly(read_round, odd_frame(), columns=columns, arms=ARMS)
    assert {f.kind.value for f in seen.schema.features} == {"numeric", "categorical", "boolean"}
    write_observations(seen, tmp_path)
    back = read_observations(tmp_path)
    # The dtype of category labels (str or object) is pandas' business.
    pd.testing.assert_frame_equal(
        back.features, seen.features, check_column_type=False, check_categorical=False
    )
    kinds = [[column.dtype.kind for _, column in f.items()] for f in (back.features, seen.features)]
    assert kinds[0] == kinds[1]
    assert list(back.features["city"].cat.categories) == list(seen.features["city"].cat.categories)
    pd.testing.assert_series_equal(back.timestamp, seen.timestamp, check_names=False)
    for name in ("visitor_id", "arm", "revenue", "propensity", "round_index", "cell"):
        left, right = getattr(back, name), getattr(seen, name)
        assert left.dtype == right.dtype, name
        np.testing.assert_array_equal(left, right)
    for name in ("arms", "schema", "outcome", "propensity_recorded", "cells", "notices"):
        assert getattr(back, name) == getattr(seen, name), name
    assert repr(back) == repr(seen)


def test_observations_without_features_or_times_come_back(tmp_path):
    frame = odd_frame()[["visitor_id", "arm", "revenue"]]
    seen = quietly(read_round, frame, columns=ColumnMapping(), arms=ARMS)
    write_observations(seen, tmp_path)
    back = read_observations(tmp_path)
    assert back.features.shape == (40, 0)
    assert back.timestamp is None
    assert (back.cell == -1).all()


def test_a_finished_experiment_comes_back_with_the_same_conclusions(kept):
    back = open_experiment(kept, simulated())
    assert repr(back) == repr(finished())
    assert list(map(digest, back.history)) == list(map(digest, finished().history))
    assert [r.fit_seconds for r in back.history] == [r.fit_seconds for r in finished().history]
    assert back.plan == finished().plan
    assert back.summary == finished().summary
    assert back.seen_visitors == finished().seen_visitors
    for left, right in zip(back._state.served, finished()._state.served, strict=True):
        np.testing.assert_array_equal(left.truth.conversion, right.truth.conversion)
        np.testing.assert_array_equal(left.truth.severity, right.truth.severity)
    with pytest.raises(StopIteration):
        next(back)


def test_everything_that_is_fixed_comes_back(tmp_path):
    settings = {
        "schedule": GeometricSchedule(np.int64(32), 1.5, 4),
        "treatments": ("base", *ARMS[1:]),
        "generator": None,
        "columns": {"arm": "variant", "propensity": ["p0", "p1", "p2"], "ignore": ["note"]},
        "cells": [
            Cell("control", BaselinePolicy(), 0.2),
            Cell("explore", UniformPolicy(("base", *ARMS[1:])), 0.3),
            Cell("mine", MixPolicy({"low_promo": np.float64(1.0)}), 0.5),
        ],
        "min_control_weight": np.float64(0.1),
        "min_segment_share": 0.25,
        "graduation_rule": ExpectedLossRule(sustained_rounds=3),
        "thresholds": DecisionThresholds(practical_effect=0.02),
        "seed": np.int64(7),
        "name": "Prämie <b>",
        "currency": "EUR",
        "refunds": "net",
    }
    exp = quietly(experiment, path=tmp_path / "new" / "folder", **settings)
    back = open_experiment(tmp_path / "new" / "folder")
    assert back._spec == exp._spec
    assert back.plan == exp.plan
    assert back.labels.currency == "EUR"


def test_each_finished_round_is_added(tmp_path):
    source = Counting()
    exp = experiment(path=tmp_path / "promo", generator=source)
    quietly(next, exp)
    back = open_experiment(tmp_path / "promo", source)
    assert digest(back.latest) == digest(finished().history[0])
    assert digest(quietly(next, back)) == digest(finished().history[1])
    assert source.calls == 2
    assert open_experiment(tmp_path / "promo").current_round_idx == 2


def test_the_operators_plan_waits_in_the_folder_for_its_round(tmp_path):
    path = tmp_path / "promo"
    exp = experiment(path=path, generator=None)
    half = [replace(exp.plan.cells[0], weight=0.25), replace(exp.plan.cells[1], weight=0.75)]
    exp.accept(half)
    back = open_experiment(path)
    assert [c.weight for c in back.plan.cells] == [0.25, 0.75]
    done = quietly(back.observe, with_outcomes(back.assign(visitors(0)), 0))
    assert done.plan == back.history[0].plan == exp.plan
    # Once served it is spent.
    again = open_experiment(path)
    assert again.plan == again.next_recommendation == done.next_recommendation
    assert again.history[0].plan == done.plan


def test_a_save_keeps_the_operators_plan(tmp_path):
    exp = experiment(generator=None)
    exp.accept([replace(exp.plan.cells[0], weight=0.25), replace(exp.plan.cells[1], weight=0.75)])
    exp.save(tmp_path / "late")
    assert open_experiment(tmp_path / "late").plan == exp.plan


# What must not happen


def test_an_experiment_is_never_written_over(folder):
    before = sorted(p.read_bytes() for p in folder.rglob("*.json"))
    with pytest.raises(StoreError, match=r"already holds an experiment. Open it with"):
        experiment(path=folder)
    with pytest.raises(StoreError, match="already holds an experiment"):
        finished().save(folder)
    assert sorted(p.read_bytes() for p in folder.rglob("*.json")) == before


def test_rounds_without_an_experiment_are_left_alone(folder):
    (folder / "experiment.json").unlink()
    with pytest.raises(StoreError, match=r"has 'rounds' but no 'experiment.json'"):
        experiment(path=folder)
    with pytest.raises(StoreError, match="There is no experiment in the folder"):
        open_experiment(folder)


def test_a_path_that_cannot_be_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="cannot be written"):
        experiment(path=tmp_path / "file" / "promo")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_schedule_of_ones_own_is_refused_before_anything_is_written(tmp_path):
    class Mine:
        n_rounds = None

        def next_round_size(self, round_index):
            return 32 + round_index

    exp = experiment(schedule=Mine())
    with pytest.raises(StoreError, match="type Mine cannot be saved"):
        exp.save(tmp_path / "promo")
    assert not (tmp_path / "promo").exists()


def fail(*_args, **_kwargs):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("method", ["rename", "mkdir"])
def test_a_round_whose_data_cannot_be_kept_is_not_begun(tmp_path, monkeypatch, method):
    exp = experiment(path=tmp_path / "promo")
    with monkeypatch.context() as patch:
        patch.setattr(Path, method, fail)
        with pytest.raises(StoreError, match=r"data of round 1 cannot be kept.*was not begun"):
            quietly(next, exp)
    assert exp.history == open_experiment(tmp_path / "promo").history == ()
    assert digest(quietly(next, exp)) == digest(finished().history[0])


@pytest.mark.parametrize("method", ["rename", "mkdir"])
def test_a_crash_while_a_round_is_added_leaves_no_half_round(tmp_path, monkeypatch, method):
    source = Counting()
    exp = experiment(path=tmp_path / "promo", generator=source)
    with monkeypatch.context() as patch:
        exp.watch = lambda job: job.subscribe(
            lambda event: event.stage is Stage.PLAN and patch.setattr(Path, method, fail)
        )
        with pytest.raises(
            StoreError, match=r"Round 1 cannot be added.*No space.*Nothing was added"
        ):
            quietly(next, exp)
    exp.watch = None
    assert (exp.history, exp.plan) == ((), exp.design.first_plan)
    assert quietly(open_experiment, tmp_path / "promo").history == ()
    # With room again, the same data are used.
    assert digest(quietly(next, exp)) == digest(finished().history[0])
    assert source.calls == 1
    assert digest(open_experiment(tmp_path / "promo").latest) == digest(exp.latest)
    assert [p.name for p in (tmp_path / "promo" / "rounds").iterdir()] == ["000"]


def test_a_crash_while_saving_leaves_no_experiment(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(StoreError, match="No space"):
            finished().save(tmp_path / "promo")
    with pytest.raises(StoreError, match="There is no experiment"):
        open_experiment(tmp_path / "promo")


def test_a_round_that_somebody_else_added_is_told_before_the_fit(tmp_path):
    path = tmp_path / "promo"
    mine, theirs = experiment(path=path), open_experiment(path, simulated())
    quietly(next, theirs)
    with pytest.raises(StoreError, match="already holds round 1: another process has added it"):
        quietly(next, mine)
    assert mine.job is None
    with pytest.raises(StoreError, match="Round 1 cannot be added"):
        ExperimentFolder(path).add_round(ExperimentFolder(path).read().rounds[0])
    assert digest(open_experiment(path).latest) == digest(theirs.latest)


def test_a_folder_that_has_gone_is_told_before_the_fit(tmp_path):
    exp = experiment(path=tmp_path / "promo")
    shutil.rmtree(tmp_path / "promo")
    with pytest.raises(StoreError, match="does not hold the experiment any more"):
        quietly(next, exp)
    exp.save(tmp_path / "other")
    assert quietly(next, exp).round_idx == 0


# Damage


def test_what_is_not_an_experiment_is_refused(tmp_path):
    with pytest.raises(StoreError, match="There is no experiment in the folder"):
        open_experiment(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="There is no experiment in the folder"):
        open_experiment(tmp_path)
    for text in (
        "",
        "{",
        "[]",
        '"text"',
        "{}",
        "null",
        '{"schema": 1}',
        '{"schema": 1, "content": 3}',
    ):
        (tmp_path / "experiment.json").write_text(text)
        with pytest.raises(StoreError, match=r"experiment\.json"):
            open_experiment(tmp_path)
    (tmp_path / "experiment.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StoreError, match=r"experiment\.json' cannot be read"):
        open_experiment(tmp_path)


@pytest.mark.parametrize("name", ["experiment.json", "rounds/001/round.json"])
def test_another_version_is_refused(folder, name):
    meta = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**meta, "schema": 2}))
    with pytest.raises(StoreError, match=r"written by a newer version .*this one reads 1.*Update"):
        open_experiment(folder)


@pytest.mark.parametrize("name", ["experiment.json", "rounds/001/round.json"])
def test_a_changed_word_is_noticed(folder, name):
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("low_promo", "low_price"))
    with pytest.raises(StoreError, match=r"was changed or damaged. Restore the folder from a copy"):
        open_experiment(folder)


FILES = (
    "round.json",
    "observations.json",
    "observations.parquet",
    "posterior.json",
    "posterior.npz",
    "truth.npz",
)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / "rounds" / "001" / name).unlink()
    with pytest.raises(StoreError, match=name):
        open_experiment(folder)


@pytest.mark.parametrize("name", [name for name in FILES if name != "round.json"])
@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_a_flipped_byte_is_noticed(folder, name, where):
    file = folder / "rounds" / "001" / name
    content = bytearray(file.read_bytes())
    content[int(where * len(content))] ^= 0x01
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"rounds.*001"):
        open_experiment(folder)


def test_no_flipped_byte_changes_what_is_read_of_a_rounds_record(folder):
    file = folder / "rounds" / "001" / "round.json"
    content, whole = read_sealed(file), file.read_bytes()
    noticed = []
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 0x01
        file.write_bytes(flipped)
        try:
            # The last digit of 0.36666666666666664 may be another of the same number.
            assert read_sealed(file) == content
        except (StoreError, *UNREADABLE):
            noticed.append(position)
    assert len(noticed) > 0.95 * len(whole)
    file.write_bytes(whole.replace(b'"control"', b'"coNtrol"', 1))
    with pytest.raises(StoreError, match=r"rounds.*001"):
        open_experiment(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_noticed(folder, name):
    file = folder / "rounds" / "001" / name
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StoreError, match=r"rounds.*001"):
        open_experiment(folder)


def test_a_gap_between_rounds_is_noticed(folder):
    shutil.rmtree(folder / "rounds" / "001")
    with pytest.raises(StoreError, match=r"Round 001 .* is missing, but later ones are there"):
        open_experiment(folder)


def test_a_round_of_another_place_is_noticed(folder):
    shutil.rmtree(folder / "rounds" / "001")
    shutil.copytree(folder / "rounds" / "000", folder / "rounds" / "001")
    with pytest.raises(StoreError, match="is a round of another experiment"):
        open_experiment(folder)


def test_what_an_interrupted_write_left_is_ignored(folder):
    shutil.copytree(folder / "rounds" / "000", folder / "rounds" / ".003.draft")
    (folder / ".plan.json.draft").write_text("{")
    assert len(ExperimentFolder(folder).read().rounds) == len(SIZES)


def test_a_damaged_plan_is_not_taken_for_none(folder):
    (folder / "plan.json").write_text("{")
    with pytest.raises(StoreError, match=r"plan\.json' cannot be read"):
        open_experiment(folder)


class Attack:
    ran = False

    def __reduce__(self):
        return (exec, ("import test_store; test_store.Attack.ran = True",))


@pytest.mark.parametrize("name", ["truth.npz", "posterior.npz"])
def test_nothing_in_a_folder_is_executed(folder, name):
    """Also not when somebody computed the checksums anew."""
    place = folder / "rounds" / "000"
    with np.load(place / name, allow_pickle=False) as arrays:
        names = list(arrays)
    evil = np.empty(1, dtype=object)
    evil[0] = Attack()
    stream = io.BytesIO()
    np.savez(stream, **dict.fromkeys(names, evil))
    (place / name).write_bytes(stream.getvalue())
    meta = json.loads((place / "round.json").read_text())
    meta["content"]["files"][name] = sha256(place / name)
    text = json.dumps(meta["content"])
    meta["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (place / "round.json").write_text(json.dumps(meta))
    with pytest.raises(StoreError, match="does not hold what it says it does"):
        open_experiment(folder)
    assert not Attack.ran


def test_settings_are_all_in_the_file(kept):
    content = json.loads((kept / "experiment.json").read_text())["content"]
    assert content["settings"] == json.loads(json.dumps(asdict(finished()._spec.settings)))
    assert content["design"]["schedule"] == {"kind": "explicit", "sizes": list(SIZES)}
    assert FixedSchedule(3) != GeometricSchedule(3)
