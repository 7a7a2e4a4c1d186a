"""Sweeps that really fit, on worker processes; tiny ones, which share one compiled shape."""

import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from experiment_cases import SETTINGS

from pytyche_engine.calibration import (
    CalibrationError,
    FailedFitsWarning,
    Scenario,
    SweepDesign,
    standard_scenarios,
    start_sweep,
    sweep,
)
from pytyche_engine.calibration import cluster as cluster_module
from pytyche_engine.calibration.cluster import Tally, run_all
from pytyche_engine.calibration.design import sim_seeds, simulate
from pytyche_engine.calibration.parts import SweepFolder
from pytyche_engine.contracts import DesignError
from pytyche_engine.contracts.errors import FitCancelled
from pytyche_engine.jobs import Control
from pytyche_engine.sources.templates import SURFACES, TEMPLATES

SWEEP = import_module("pytyche_engine.calibration.sweep")
"""The module, which its package's function of the same name hides."""

DESIGN = SweepDesign(  # with as many arms as the experiments of other tests: compiled once
    64, 3, conversion_rate=0.4, n_nuisance=1, min_segment_share=0.2, max_segment_depth=1,
    settings=SETTINGS,
)  # fmt: skip
TWO_SCENARIOS = (Scenario("constant", 0.5), Scenario("reversal", 1.0))
MEASURED = ["seconds", "cpu_seconds"]


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        one.drop(columns=MEASURED), other.drop(columns=MEASURED), check_exact=True
    )


RUN = """
import sys
sys.path.insert(0, {here!r})
from test_calibration_sweep import DESIGN, TWO_SCENARIOS, sweep
if __name__ == "__main__":
    sweep(DESIGN, TWO_SCENARIOS, 3, path=sys.argv[1], n_workers=1)
"""


def test_a_killed_sweep_goes_on_and_two_processes_find_the_same_as_one(tmp_path):
    """SIGKILL half way, resumed by two worker processes: as one uninterrupted process has it."""
    script = tmp_path / "run.py"
    script.write_text(RUN.format(here=str(Path(__file__).parent)))
    killed, parts = tmp_path / "killed", tmp_path / "killed" / "parts"
    process = subprocess.Popen([sys.executable, str(script), str(killed)])
    deadline = time.monotonic() + 240
    while len(list(parts.glob("*.parquet"))) < 2 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {f.name: f.stat().st_mtime_ns for f in parts.glob("*.parquet")}
    assert 2 <= len(kept) < 6

    resumed = sweep(DESIGN, TWO_SCENARIOS, 3, path=killed, n_workers=2)
    assert resumed.n_before == len(kept)
    assert resumed.n_fits == 6
    assert {f.name: f.stat().st_mtime_ns for f in parts.glob("*.parquet") if f.name in kept} == kept

    whole = tmp_path / "whole"
    subprocess.run([sys.executable, str(script), str(whole)], check=True)
    uninterrupted = sweep(DESIGN, TWO_SCENARIOS, 3, path=whole)  # which only reads
    assert uninterrupted.n_before == 6
    same(resumed.rows, uninterrupted.rows)
    assert set(resumed.rows["quantity"]) >= {"ate", "rpv", "cate"}


@pytest.fixture(scope="module")
def client():
    """A cluster whose workers are threads: for what is not about processes."""
    from distributed import Client, LocalCluster

    here = "127.0.0.1:0"
    cluster = LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address=here,
        worker_dashboard_address=here,
    )
    with cluster, Client(cluster) as one:
        yield one


def test_a_local_cluster_listens_on_the_loopback_interface_only():
    with cluster_module.connected(n_workers=1) as one:
        everybody = [psutil.Process(), *psutil.Process().children(recursive=True)]
        addresses = {
            c.laddr.ip
            for process in everybody
            for c in process.net_connections(kind="inet")
            if c.status == psutil.CONN_LISTEN
        }
        assert len(one.nthreads()) == 1
    assert addresses == {"127.0.0.1"}


def fake_fit(_, scenario, sim, seed):
    if scenario.effect_scale > 2:
        raise ValueError(f"no fit of {sim}")
    rng = np.random.default_rng(sim_seeds(seed, scenario, sim))
    return [
        {
            "scenario": scenario.key,
            "sim": sim,
            "quantity": "ate",
            "truth": rng.normal(),
            "grid": [0],
        }
    ]


@pytest.fixture
def no_fits(monkeypatch):
    monkeypatch.setattr(SWEEP, "fit_one", fake_fit)


@pytest.mark.usefixtures("no_fits")
def test_a_failed_fit_is_reported_and_tried_again(client, tmp_path, monkeypatch):
    scenarios = (Scenario("constant", 0.5), Scenario("constant", 3.0))
    with pytest.warns(FailedFitsWarning, match=r"2 of 4 fits failed.*ValueError: no fit of 0"):
        found = sweep(DESIGN, scenarios, 2, path=tmp_path, cluster=client)
    assert found.n_fits == 2
    assert sorted(sim for _, sim in found.failed) == [0, 1]
    assert "2 failed" in repr(found)

    def mended(design, _, sim, seed):
        return fake_fit(design, Scenario("constant", 0.1), sim, seed)

    monkeypatch.setattr(SWEEP, "fit_one", mended)
    again = sweep(DESIGN, scenarios, 2, path=tmp_path, cluster=client)
    assert again.n_before == 2
    assert not again.failed


@pytest.mark.usefixtures("no_fits")
def test_a_sweep_in_which_nothing_fits_is_an_error(client):
    with pytest.raises(CalibrationError, match="None of 2 fits succeeded: ValueError"):
        sweep(DESIGN, [Scenario("constant", 3.0)], 2, cluster=client)


@pytest.mark.usefixtures("no_fits")
def test_a_sweep_can_grow_but_not_become_another(client, tmp_path):
    sweep(DESIGN, TWO_SCENARIOS[:1], 1, path=tmp_path, cluster=client)
    grown = sweep(DESIGN, TWO_SCENARIOS, 2, path=tmp_path, cluster=client)
    assert (grown.n_before, grown.n_fits) == (1, 4)
    with pytest.raises(CalibrationError, match="another sweep; they differ in seed"):
        sweep(DESIGN, TWO_SCENARIOS, 2, path=tmp_path, cluster=client, seed=1)
    other = SweepDesign(65, 2, settings=SETTINGS)
    with pytest.raises(CalibrationError, match="differ in design"):
        sweep(other, TWO_SCENARIOS, 2, path=tmp_path, cluster=client)
    (part, *_) = (tmp_path / "parts").glob("*.parquet")
    part.write_bytes(b"PAR1")
    with pytest.raises(CalibrationError, match=r"damaged.*Delete it"):
        sweep(DESIGN, TWO_SCENARIOS, 2, path=tmp_path, cluster=client)


@pytest.mark.usefixtures("no_fits")
def test_events_count_the_fits(client):
    job = start_sweep(DESIGN, TWO_SCENARIOS, 2, cluster=client)
    job.result()
    assert job.latest is not None
    assert (job.latest.iteration, job.latest.total_iterations) == (4, 4)
    assert (job.latest.n_visitors, job.latest.n_arms) == (64, 3)


def wait_and_echo(value):
    time.sleep(0.05)
    return value


def test_a_cancelled_run_keeps_what_is_done(client):
    control, kept = Control(), []

    def keep(_, value):
        kept.append(value)
        if len(kept) == 3:
            control.cancel()

    calls = {i: (i,) for i in range(50)}
    with pytest.raises(FitCancelled):
        run_all(client, wait_and_echo, calls, keep, Tally(control, 50, 1, 1))
    assert 3 <= len(kept) < 10


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(CalibrationError, match=r'pip install "pytyche-lab\[dask\]"'),
        cluster_module.connected(),
    ):
        pass


def test_an_address_where_nobody_is_says_so():
    with (
        pytest.raises(CalibrationError, match="No Dask cluster at 'nowhere'"),
        cluster_module.connected("nowhere"),
    ):
        pass


def test_standard_scenarios_cover_every_template_and_null_effects():
    chosen = standard_scenarios(DESIGN)
    assert {s.template for s in chosen} == set(TEMPLATES)
    assert len({s.key for s in chosen}) == len(chosen) == 6 * len(TEMPLATES)
    assert sum(s.effect_scale == 0 for s in chosen) == len(TEMPLATES)
    for name in ("channel_mode", "rate_factor", "sigma_factor", "prognostic"):
        values = [getattr(s, name) for s in chosen]
        for scale in {s.effect_scale for s in chosen}:
            here = {getattr(s, name) for s in chosen if s.effect_scale == scale}
            assert here == set(values)
    real = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 2)), columns=["a", "b"])
    on_frame = SweepDesign(64, 2, features=real, settings=SETTINGS)
    assert {s.template for s in standard_scenarios(on_frame)} == set(SURFACES)
    seen, truth = simulate(on_frame, standard_scenarios(on_frame)[3], 0)
    assert seen.schema.names == ("a", "b")
    assert len(truth.rpv) == 64


def test_a_cluster_without_workers_is_given_up(monkeypatch):
    # As after a machine slept: Dask would wait for ever.
    monkeypatch.setattr(cluster_module, "NO_WORKERS_SECONDS", 0.5)
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as made,
        distributed.Client(made) as client,
        pytest.raises(CalibrationError, match="no workers"),
    ):
        run_all(client, len, {1: ("a",)}, {}.__setitem__, Tally(Control(), 1, 1, 1))


def test_the_design_is_known_by_its_content():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    one = SweepDesign(64, 2, features=frame, settings=SETTINGS)
    equal = SweepDesign(64, 2, features=frame.copy(), settings=SETTINGS)
    assert one.to_dict() == equal.to_dict()
    assert one.to_dict() != SweepDesign(64, 2, features=frame * 2, settings=SETTINGS).to_dict()
    assert one.to_dict() != SweepDesign(64, 2, features=frame).to_dict()
    with pytest.raises(DesignError, match="n_arms is 1"):
        SweepDesign(64, 1)
    with pytest.raises(DesignError, match="named twice"):
        start_sweep(DESIGN, [TWO_SCENARIOS[0]] * 2)
    with pytest.raises(DesignError, match="at least one scenario"):
        start_sweep(DESIGN, [])
    with pytest.raises(DesignError, match=r"'n_sims' is '4'; use a whole number from 1"):
        start_sweep(DESIGN, TWO_SCENARIOS, "4")  # type: ignore[arg-type]


def test_scenarios_and_simulations_do_not_share_their_luck():
    seeds = {sim_seeds(0, s, i) for s in standard_scenarios(DESIGN) for i in range(5)}
    assert len(seeds) == 5 * 6 * len(TEMPLATES)
    one, _ = simulate(DESIGN, TWO_SCENARIOS[0], 5)
    again, _ = simulate(DESIGN, TWO_SCENARIOS[0], 5)
    np.testing.assert_array_equal(one.revenue, again.revenue)


def test_a_folder_that_cannot_be_used_says_so(tmp_path):
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(CalibrationError, match="cannot be used"):
        SweepFolder(tmp_path).open({"seed": 1})
