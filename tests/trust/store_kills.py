"""Kills of a process that writes plans, decisions, rounds, artifacts and registry rows."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from experiment_cases import experiment
from store_worker import weight_of

from pytyche_engine.calibration import CalibrationArtifact
from pytyche_engine.contracts.actions import NameSegment
from pytyche_engine.contracts.plans import plan_from_dict
from pytyche_engine.store.files import read_sealed
from pytyche_engine.store.folder import ExperimentFolder
from pytyche_engine.store.registry import Registry
from pytyche_engine.store.served_files import check_files, read_served

WORKER = Path(__file__).with_name("store_worker.py")


def finished_writes(root: Path) -> dict[str, str]:
    """The newest finished write of each kind, as the process said."""
    lines = (root / "done").read_text().splitlines() if (root / "done").exists() else []
    return dict(line.split(" ", 1) for line in lines)


def check(root: Path) -> None:
    """Everything that was finished is there, and nothing is there by half."""
    said = {kind: int(n) for kind, n in finished_writes(root).items()}
    promo, most = root / "promo", said["start"]
    if "plan" in said:
        plan = plan_from_dict(read_sealed(promo / "plan.json"))
        weight = next(c.weight for c in plan.cells if c.id == "explore")
        may_be = [weight_of(n) for n in range(said["plan"], most + 1)]
        assert min(abs(weight - one) for one in may_be) < 1e-6, (weight, said)
    if "actions" in said:
        actions = ExperimentFolder(promo)._read_actions()
        assert said["actions"] <= len(actions) <= most, (len(actions), said)
        assert all(isinstance(action, NameSegment) for action in actions)
    rounds = sorted(int(p.name) for p in (promo / "rounds").glob("[0-9]*"))
    for index in rounds[-2:]:
        place = promo / "rounds" / f"{index:03d}"
        meta = read_sealed(place / "round.json")
        check_files(place, meta["files"])
        read_served(place, plan_from_dict(meta["plan"]))
    if "round" in said:
        assert said["round"] <= rounds[-1] <= most, (rounds[-1], said)
    if (promo / "unfinished" / "round.json").exists():
        check_files(promo / "unfinished", read_sealed(promo / "unfinished" / "round.json")["files"])
    if "artifact" in said:
        n = int(CalibrationArtifact.load(root / "artifact").name.split()[1])
        assert said["artifact"] <= n <= most, (n, said)
    if "launched" in said:
        registry = Registry(f"sqlite:///{root}/registry.sqlite", root)
        page = registry.page(None, limit=3, offset=0)
        newest = max(int(one.name[1:]) for one in page.experiments)
        assert said["launched"] <= newest <= most, (newest, said)
        assert registry.named(f"e{said['launched']}", None).status == "running"
        registry.database.close()


def kill(n: int, root: Path, seed: int = 8) -> int:
    """Kill a writing process n times, and check what is there each time; gives what was lost."""
    experiment(path=root / "promo")
    luck, lost = np.random.default_rng(seed), 0
    worker = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(WORKER), str(root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        assert worker.stdout.readline() == "ready\n"
        for _ in range(n):
            rounds = [int(p.name) for p in (root / "promo/rounds").glob("[0-9]*")]
            begin = max([*rounds, int(finished_writes(root).get("start", 0))])
            before = len((root / "done").read_text()) if (root / "done").exists() else 0
            worker.stdin.write(f"{begin}\n")
            worker.stdin.flush()
            pid = int(worker.stdout.readline())
            deadline = time.monotonic() + 60
            # Into the writing, not into its preparation.
            while time.monotonic() < deadline and (
                not (root / "done").exists() or len((root / "done").read_text()) == before
            ):
                time.sleep(0.005)
            time.sleep(float(luck.uniform(0, 0.5)))
            os.kill(pid, signal.SIGKILL)
            assert worker.stdout.readline() == "gone\n"
            try:
                check(root)
            except Exception as error:  # noqa: BLE001 - whatever it is, something was lost
                lost += 1
                print(f"lost: {type(error).__name__}: {error}")
    finally:
        worker.stdin.close()
        worker.wait()
    return lost
