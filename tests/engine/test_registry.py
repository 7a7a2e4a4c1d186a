"""What is put into the registry is what comes out, on SQLite and on PostgreSQL alike."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from databases import postgresql

from pytyche_engine.contracts.errors import (
    DataError,
    DesignError,
    StoreError,
    UnknownExperimentError,
    WrongStateError,
)
from pytyche_engine.store import tables
from pytyche_engine.store.adaptive import (
    Progress,
    RoundSummary,
    plans_of,
    record_progress,
    rounds_of,
)
from pytyche_engine.store.analysing import analyse, results
from pytyche_engine.store.database import Database
from pytyche_engine.store.deliveries import deliver_rows, deliver_sums
from pytyche_engine.store.records import Experiment, ExperimentDraft, Sums, VariantDraft
from pytyche_engine.store.registry import Registry
from pytyche_engine.store.reweighing import serve_plan
from pytyche_engine.store.visitor_rows import path_of, read_json_rows, read_parquet

TWO = (VariantDraft("control", 0.5), VariantDraft("badge", 0.5))
HOSTILE = "Robert'); DROP TABLE experiments; --<img src=x onerror=alert(1)>%_\\"
_numbers = count()


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/registry.sqlite3"
    template: str = request.getfixturevalue("cluster")
    name = f"registry{next(_numbers)}"
    admin = sqlalchemy.create_engine(
        template.format(name="postgres").replace("postgresql:", "postgresql+psycopg:"),
        isolation_level="AUTOCOMMIT",
    )
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    admin.dispose()
    return template.format(name=name)


@pytest.fixture
def registry(url: str, tmp_path: Path) -> Iterator[Registry]:
    opened = Registry(url, tmp_path / "files")
    yield opened
    opened.close()


def counted(exposures: int, conversions: int) -> Sums:
    return Sums(exposures, conversions, conversions, conversions)


def running(registry: Registry, **changes: Any) -> Experiment:
    draft = ExperimentDraft(**{"name": "Badge copy", "variants": TWO, **changes})
    return registry.launch(registry.create(draft, "ann").id, "ann")


def test_a_life_from_draft_to_stopped(registry: Registry) -> None:
    draft = registry.create(ExperimentDraft("Badge", "A badge helps."), "ann")
    assert (draft.status, draft.variants, draft.created_by) == ("draft", (), "ann")
    registry.add_variant(draft.id, VariantDraft("control", 0.5, "as it is"), "ann")
    registry.add_variant(draft.id, VariantDraft("badge", 0.5), "bob")
    registry.edit(draft.id, {"name": "Badge copy", "planned_visitors": 5000}, "bob")
    launched = registry.launch(draft.id, "bob")
    assert [v.name for v in launched.variants] == ["control", "badge"]
    assert launched.launched_at is not None
    assert launched.launched_at >= launched.created_at
    stopped = registry.stop(draft.id, "ann")
    assert stopped.status == "stopped"
    assert (stopped.name, stopped.planned_visitors) == ("Badge copy", 5000)
    log = [(line["who"], line["action"]) for line in registry.audit(draft.id)]
    assert log == [
        ("ann", "create"),
        ("ann", "add variant"),
        ("bob", "add variant"),
        ("bob", "edit"),
        ("bob", "launch"),
        ("ann", "stop"),
    ]


@pytest.mark.parametrize(
    ("status", "what"),
    [
        ("draft", lambda r, i: r.stop(i, "ann")),
        ("draft", lambda r, i: analyse(r, i, "ann")),
        ("draft", lambda r, i: deliver_sums(r, i, {"control": counted(1, 0)}, "ann")),
        ("draft", lambda r, i: serve_plan(r, i, None)),
        ("running", lambda r, i: r.launch(i, "ann")),
        ("running", lambda r, i: r.edit(i, {"name": "x"}, "ann")),
        ("running", lambda r, i: r.add_variant(i, VariantDraft("c", 0.1), "ann")),
        ("running", lambda r, i: r.delete(i, "ann")),
        ("stopped", lambda r, i: r.launch(i, "ann")),
        ("stopped", lambda r, i: r.stop(i, "ann")),
        ("stopped", lambda r, i: deliver_sums(r, i, {"control": counted(1, 0)}, "ann")),
    ],
)
def test_a_wrong_state_changes_nothing(
    registry: Registry, status: str, what: Callable[[Registry, str], object]
) -> None:
    one = registry.create(ExperimentDraft("Badge", variants=TWO), "ann")
    if status != "draft":
        registry.launch(one.id, "ann")
    if status == "stopped":
        registry.stop(one.id, "ann")
    before, log = registry.get(one.id), registry.audit(one.id)
    with pytest.raises(WrongStateError):
        what(registry, one.id)
    assert registry.get(one.id) == before
    assert registry.audit(one.id) == log


@pytest.mark.parametrize(
    ("variants", "words"),
    [
        ((), "two variants"),
        (TWO[:1], "two variants"),
        ((VariantDraft("a", 0.5), VariantDraft("b", 0.45)), "add up to 95%"),
        ((VariantDraft("a", 1.0), VariantDraft("b", 0.0)), "no traffic"),
    ],
)
def test_what_is_not_complete_is_not_launched(
    registry: Registry, variants: tuple[VariantDraft, ...], words: str
) -> None:
    one = registry.create(ExperimentDraft("Badge", variants=variants), "ann")
    with pytest.raises(DesignError, match=words):
        registry.launch(one.id, "ann")
    assert registry.get(one.id).status == "draft"


def test_rounded_thirds_are_made_whole(registry: Registry) -> None:
    thirds = tuple(VariantDraft(name, 0.3333) for name in "abc")
    one = running(registry, variants=thirds)
    assert sum(variant.weight for variant in one.variants) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": " "},
        {"name": "x" * 201},
        {"name": "a\x00b"},
        {"name": "\ud800"},
        {"alpha": 0.0},
        {"alpha": float("nan")},
        {"expected_lift": float("inf")},
        {"type": "other"},
        {"metric": "other"},
        {"variants": (VariantDraft("a", 0.5), VariantDraft("a", 0.5))},
        {"variants": (VariantDraft("a", float("nan")),)},
    ],
)
def test_what_cannot_be_is_refused(registry: Registry, changes: dict[str, Any]) -> None:
    with pytest.raises(DesignError):
        registry.create(ExperimentDraft(**{"name": "Badge", **changes}), "ann")
    assert registry.page().n_found == 0


def test_names_stay_text(registry: Registry) -> None:
    one = registry.create(
        ExperimentDraft(HOSTILE, HOSTILE, variants=(VariantDraft(HOSTILE, 1.0, HOSTILE),)), HOSTILE
    )
    registry.create(ExperimentDraft("another"), "ann")
    found = registry.get(one.id)
    assert (found.name, found.hypothesis, found.created_by) == (HOSTILE, HOSTILE, HOSTILE)
    assert found.variants[0].note == HOSTILE
    # Its own % and _ are letters to look for, not patterns.
    assert [e.id for e in registry.page(search="%_\\").experiments] == [one.id]
    assert registry.named(HOSTILE).id == one.id


def test_projects_do_not_see_each_other(registry: Registry) -> None:
    mine = registry.create(ExperimentDraft("Badge", project_id="mine"), "ann")
    registry.create(ExperimentDraft("Badge", project_id="yours"), "bob")
    assert [e.id for e in registry.page("mine").experiments] == [mine.id]
    assert registry.page("mine").totals.total == 1
    assert registry.page().totals.total == 2
    with pytest.raises(UnknownExperimentError):
        registry.get(mine.id, "yours")
    with pytest.raises(UnknownExperimentError):
        registry.named("Badge", "nobody's")
    assert registry.named("Badge", "mine").id == mine.id


def test_pages_hold_every_experiment_once(registry: Registry) -> None:
    made = [registry.create(ExperimentDraft(f"number {i}"), "ann").id for i in range(7)]
    pages = [registry.page(limit=3, offset=offset) for offset in (0, 3, 6)]
    assert [e.id for page in pages for e in page.experiments] == made[::-1]
    assert {page.n_found for page in pages} == {7}
    registry.edit(made[0], {"variants": TWO}, "ann")
    registry.launch(made[0], "ann")
    assert [e.id for e in registry.page(status="running").experiments] == [made[0]]
    found = registry.page(search="NUMBER 6")
    assert (found.n_found, found.experiments[0].id) == (1, made[6])


def test_deleting_a_draft_leaves_its_log(registry: Registry) -> None:
    one = registry.create(ExperimentDraft("Badge", variants=TWO), "ann")
    registry.delete(one.id, "bob")
    with pytest.raises(UnknownExperimentError):
        registry.get(one.id)
    assert [line["action"] for line in registry.audit(one.id)] == ["create", "delete"]


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit"])
def test_the_audit_log_only_grows(registry: Registry, statement: str) -> None:
    one = registry.create(ExperimentDraft("Badge"), "ann")
    with (
        pytest.raises(sqlalchemy.exc.DatabaseError, match="append-only"),
        registry.database.write() as connection,
    ):
        connection.exec_driver_sql(statement)
    assert [line["who"] for line in registry.audit(one.id)] == ["ann"]


def test_a_transaction_that_fails_leaves_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = registry.create(ExperimentDraft("Badge", variants=TWO), "ann")

    def broken(*_args: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("pytyche_engine.store.registry.note", broken)
    with pytest.raises(RuntimeError):
        registry.launch(one.id, "ann")
    assert registry.get(one.id).status == "draft"
    assert registry.weight_history(one.id) == ()


def test_the_migrations_make_the_tables(registry: Registry) -> None:
    with registry.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_opening_twice_and_by_another_version(registry: Registry, url: str) -> None:
    one = registry.create(ExperimentDraft("Badge"), "ann")
    again = Registry(url, registry.folder)
    assert again.get(one.id) == registry.get(one.id)
    again.close()
    with registry.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer version"):
        Database(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "not a database URL"),
        ("mysql://x@y/z", "cannot be kept in 'mysql'"),
        ("sqlite://", "name a file"),
        ("sqlite:////proc/nowhere/registry.sqlite3", "cannot be kept"),
        ("postgresql://tester:secret@/x?host=/nowhere", "cannot be used"),
    ],
)
def test_a_database_that_cannot_be_opened(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words) as raised:
        Database(url)
    assert "secret" not in str(raised.value)


# Observations


def test_deliveries_add_up(registry: Registry) -> None:
    one = running(registry)
    deliver_sums(registry, one.id, {"control": counted(100, 10)}, "shop")
    deliver_sums(registry, one.id, {"control": counted(50, 3), "badge": counted(60, 9)}, "shop")
    control, badge = registry.get(one.id).variants
    assert (control.exposures, control.conversions) == (150, 13)
    assert (control.alpha, control.beta) == (14, 138)
    assert (badge.exposures, badge.conversions) == (60, 9)


def test_a_repeated_delivery_counts_once(registry: Registry) -> None:
    one = running(registry)
    content = {"control": counted(100, 10)}
    first = deliver_sums(registry, one.id, content, "shop", key="monday")
    again = deliver_sums(registry, one.id, content, "shop", key="monday")
    assert (first.repeated, again.repeated, again.id) == (False, True, first.id)
    with pytest.raises(WrongStateError, match="monday"):
        deliver_sums(registry, one.id, {"control": counted(101, 10)}, "shop", key="monday")
    another = running(registry, name="another")
    assert not deliver_sums(registry, another.id, content, "shop", key="monday").repeated
    assert registry.get(one.id).variants[0].exposures == 100


@pytest.mark.parametrize(
    "sums",
    [
        {},
        {"control": counted(10, 11)},
        {"control": counted(-1, 0)},
        {"control": Sums(10, 2, 3.0, 2.0)},
        {"control": Sums(10, 2, 2, 2, pre_exposures=11)},
        {"control": Sums(10, 2, 2, 2, 10, pre_total=5.0, pre_squares=1.0)},
        {"control": Sums(10, 2, 2, 2, 10, 5.0, float("nan"))},
    ],
)
def test_sums_that_cannot_be_are_refused(registry: Registry, sums: dict[str, Sums]) -> None:
    one = running(registry)
    with pytest.raises(DataError):
        deliver_sums(registry, one.id, sums, "shop")
    assert registry.get(one.id).variants[0].exposures == 0


def test_unknown_variants_are_named(registry: Registry) -> None:
    one = running(registry)
    with pytest.raises(DesignError, match=r"'other'.*'control', 'badge'"):
        deliver_sums(registry, one.id, {"other": counted(1, 0)}, "shop")


def frame(n: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    before = rng.gamma(2.0, 10.0, n)
    spent = np.where(rng.random(n) < 0.4, before + rng.gamma(2.0, 4.0, n), 0.0)
    return pd.DataFrame(
        {
            "variant": rng.choice(["control", "badge"], n),
            "value": spent,
            "pre_value": before,
            "visitor_id": [f"v{seed}-{i}" for i in range(n)],
            "note": "left out",
        }
    )


def test_rows_are_summed_and_kept(registry: Registry, tmp_path: Path) -> None:
    one = running(registry, metric="revenue")
    rows = frame(500)
    rows.to_parquet(tmp_path / "rows.parquet")
    visitors = read_parquet((tmp_path / "rows.parquet").read_bytes())
    receipt = deliver_rows(registry, one.id, visitors, "shop", key="k")
    assert deliver_rows(registry, one.id, visitors, "shop", key="k").repeated
    kept = pd.read_parquet(path_of(receipt.digest, registry.folder))
    pd.testing.assert_frame_equal(
        kept, rows.drop(columns="note"), check_dtype=False, check_column_type=False
    )
    with registry.database.read() as connection:
        query = sqlalchemy.select(tables.period_sums).where(
            tables.period_sums.c.variant_id == one.variants[1].id
        )
        row = connection.execute(query).mappings().one()
    badge = rows[rows["variant"] == "badge"]
    assert row["exposures"] == row["pre_exposures"] == len(badge)
    assert row["conversions"] == (badge["value"] > 0).sum()
    assert row["total"] == pytest.approx(badge["value"].sum())
    assert row["total_squares"] == pytest.approx((badge["value"] ** 2).sum())
    assert row["pre_cross"] == pytest.approx((badge["value"] * badge["pre_value"]).sum())


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no rows|missing"),
        ([{"value": 1}], "'variant' is missing"),
        ([{"variant": "control"}], "'value' is missing"),
        ([{"variant": "control", "value": 0.5}], "neither 0 nor 1.*First rows: 0"),
        ([{"variant": "control", "value": "much"}], "'value' cannot be read"),
        ([{"variant": "other", "value": 1}], "'other'.*control, badge"),
        ([{"variant": "control", "value": 1, "visitor_id": "a"}] * 2, "1 rows are of a visitor"),
        ([{"variant": "control", "value": None}], "'value' is missing"),
    ],
)
def test_rows_that_cannot_be_are_refused(
    registry: Registry, rows: list[dict[str, Any]], words: str
) -> None:
    one = running(registry)
    with pytest.raises(DataError, match=words):
        deliver_rows(registry, one.id, read_json_rows(rows), "shop")
    assert registry.get(one.id).variants[0].exposures == 0


@pytest.mark.parametrize("content", [b"", b"PAR1nonsensePAR1", b"variant,value\ncontrol,1"])
def test_files_that_are_no_parquet(content: bytes) -> None:
    with pytest.raises(DataError, match="Parquet"):
        read_parquet(content)


# Bandits


def test_a_bandit_follows_what_it_sees_above_its_floor(registry: Registry) -> None:
    one = running(registry, type="bandit", floor=0.1)
    deliver_sums(registry, one.id, {"control": counted(99, 5), "badge": counted(101, 30)}, "shop")
    assert len(registry.weight_history(one.id)) == 1, "too few visitors of control"
    deliver_sums(registry, one.id, {"control": counted(20, 1), "badge": counted(20, 6)}, "shop")
    first, second = registry.weight_history(one.id)
    assert first.weights == (0.5, 0.5)
    assert second.weights == pytest.approx((0.1, 0.9))
    assert second.best is not None
    assert second.best[1] > 0.99
    assert [v.weight for v in serve_plan(registry, one.id, None).variants] == pytest.approx(
        [0.1, 0.9]
    )
    deliver_sums(registry, one.id, {"control": counted(50, 40), "badge": counted(50, 1)}, "shop")
    assert len(registry.weight_history(one.id)) == 2, "the period has too few visitors"


def test_a_schedule_keeps_a_bandits_weights(registry: Registry) -> None:
    one = running(registry, type="bandit", update_seconds=3600)
    deliver_sums(registry, one.id, {"control": counted(500, 5), "badge": counted(500, 90)}, "shop")
    assert len(registry.weight_history(one.id)) == 1
    with registry.database.write() as connection:
        w = tables.weight_changes
        hour_ago = one.created_at - pd.Timedelta(hours=1)
        connection.execute(w.update().values(since=hour_ago))
    served = serve_plan(registry, one.id, None)  # a platform that polls makes it due
    assert served.variants[1].weight == pytest.approx(0.95)


def test_a_floor_that_does_not_fit(registry: Registry) -> None:
    draft = ExperimentDraft("Badge", type="bandit", floor=0.6, variants=TWO)
    one = registry.create(draft, "ann")
    with pytest.raises(DesignError, match="floor"):
        registry.launch(one.id, "ann")


# Analyses


def test_a_decision_stays(registry: Registry) -> None:
    one = running(registry)
    content = {"control": counted(10_000, 1000), "badge": counted(10_000, 1250)}
    deliver_sums(registry, one.id, content, "shop")
    first = analyse(registry, one.id, "ann")
    assert first.result["verdict"]["winner"] == "badge"
    assert registry.get(one.id).winner == one.variants[1].id
    assert registry.page().totals.winners == 1
    tau = registry.get(one.id).tau
    worse = {"control": counted(10_000, 1250), "badge": counted(10_000, 1000)}
    deliver_sums(registry, one.id, worse, "shop")
    second = analyse(registry, one.id, "ann")
    assert second.result["comparisons"][0]["p_always"] == first.result["comparisons"][0]["p_always"]
    assert registry.get(one.id).tau == tau
    assert [a.id for a in results(registry, one.id)] == [second.id, first.id]


def test_a_split_that_is_off_comes_first(registry: Registry) -> None:
    one = running(registry)
    content = {"control": counted(10_000, 1000), "badge": counted(9_000, 1250)}
    deliver_sums(registry, one.id, content, "shop")
    result = analyse(registry, one.id, "ann").result
    assert result["verdict"]["kind"] == "split"
    assert result["verdict"]["winner"] is None
    assert registry.get(one.id).winner is None
    assert registry.page().totals.attention == 1


# Adaptive experiments


def test_progress_is_recorded_once(registry: Registry) -> None:
    one = registry.create(ExperimentDraft("Promo", type="adaptive", variants=TWO), "ann")
    done = RoundSummary(0, 2000, "CONTINUE", "badge", 0.2, -0.1, 0.5, "uncalibrated")
    first = Progress((), {"cells": [1]}, (), "/somewhere")
    for step in (first, first, Progress((), {"cells": [2]}, ({"kind": "name"},), "/somewhere")):
        record_progress(registry, one.id, step, "ann")
    after = Progress((done,), {"cells": [3]}, ({"kind": "name"},), "/somewhere")
    found = record_progress(registry, one.id, after, "ann")
    record_progress(registry, one.id, after, "ann")
    assert (found.status, found.n_rounds, found.folder) == ("running", 1, "/somewhere")
    assert [
        (p["round_index"], p["revision"], p["plan"]["cells"]) for p in plans_of(registry, one.id)
    ] == [
        (0, 1, [1]),
        (0, 2, [2]),
        (1, 1, [3]),
    ]
    assert [r["verdict"] for r in rounds_of(registry, one.id)] == ["CONTINUE"]
    actions = [line["action"] for line in registry.audit(one.id)]
    assert actions == ["create", "plan", "plan", "decide", "finish round", "plan"]
    ended = record_progress(registry, one.id, Progress((done,), None, (), None), "ann")
    assert ended.status == "stopped"
    with pytest.raises(WrongStateError, match=r"pt\.open\('Promo'\)"):
        registry.stop(one.id, "ann")


# Several at once

WRITER = """
import sys
from pytyche_engine.store.deliveries import deliver_sums
from pytyche_engine.store.records import Sums
from pytyche_engine.store.registry import Registry
url, folder, one, who, n = sys.argv[1:]
registry = Registry(url, folder)
print("ready", flush=True)
for i in range(int(n)):
    deliver_sums(registry, one, {"control": Sums(1, 1, 1, 1)}, who, key=f"{who}-{i}")
print("done", flush=True)
"""


def deliveries(registry: Registry) -> int | None:
    with registry.database.read() as connection:
        query = sqlalchemy.select(sqlalchemy.func.count(tables.batches.c.id))
        return connection.scalar(query)


def writer(
    url: str, registry: Registry, one: Experiment, who: str, n: int
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, url, str(registry.folder), one.id, who, str(n)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_lose_nothing(registry: Registry, url: str) -> None:
    one = running(registry)
    writers = [writer(url, registry, one, who, 500) for who in ("ann", "bob")]
    for process in writers:
        out, _ = process.communicate(timeout=120)
        assert out.split() == ["ready", "done"]
    control = registry.get(one.id).variants[0]
    assert (control.exposures, control.conversions) == (1000, 1000)
    assert deliveries(registry) == 1000


def test_threads_of_a_process_launch_once(registry: Registry) -> None:
    one = registry.create(ExperimentDraft("Badge", variants=TWO), "ann")
    outcomes: list[str] = []

    def launch() -> None:
        try:
            registry.launch(one.id, "ann")
            outcomes.append("launched")
        except WrongStateError:
            outcomes.append("refused")

    threads = [threading.Thread(target=launch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["launched"] + ["refused"] * 5


def test_a_killed_writer_leaves_a_readable_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/registry.sqlite3"
    registry = Registry(url, tmp_path)
    one = running(registry)
    process = writer(url, registry, one, "ann", 100_000)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    while registry.get(one.id).variants[0].exposures < 50:
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    seen = registry.get(one.id).variants[0].exposures
    assert deliveries(registry) == seen
    with sqlite3.connect(tmp_path / "registry.sqlite3") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    deliver_sums(registry, one.id, {"control": counted(1, 1)}, "bob")
    assert registry.get(one.id).variants[0].exposures == seen + 1


def test_rows_arrive_typed() -> None:
    table = read_json_rows([{"variant": "a", "value": True}, {"variant": "b", "value": 2}])
    assert table.schema.field("value").type == pa.float64()
