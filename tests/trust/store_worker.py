"""A process to be killed while it writes: plans, decisions, rounds, artifacts, the registry.

``python store_worker.py FOLDER``: for each line that it is sent it makes a child, says its pid,
and the child writes until it is killed, a line in ``done`` after each write that was finished.
A child costs nothing to start, as everything is imported and no thread runs.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from calibration_cases import artifact
from experiment_cases import experiment, quietly, simulated

from pytyche_engine.allocation import Floors, edit
from pytyche_engine.calibration import CalibrationArtifact
from pytyche_engine.contracts.actions import Action, NameSegment
from pytyche_engine.contracts.served import Served
from pytyche_engine.experiment.intake import fetch, read_served
from pytyche_engine.store.folder import ExperimentFolder, SavedRound
from pytyche_engine.store.records import ExperimentDraft, VariantDraft
from pytyche_engine.store.registry import Registry


class Draws:
    """Stands for a posterior: something of size that is written with a round."""

    def save(self, folder: Path) -> None:
        (folder / "posterior.npz").write_bytes(os.urandom(300_000))


def weight_of(n: int) -> float:
    """What the n-th plan gives Explore."""
    return 0.1 + (n % 500) / 1000


def prepared() -> tuple[Served, CalibrationArtifact]:
    """What is written."""
    spec = experiment()._spec
    plan = spec.design.first_plan
    return (
        quietly(read_served, fetch(simulated(), plan, "promo"), plan, spec, ()),
        artifact(),
    )


def write(root: Path, begin: int, served: Served, made: CalibrationArtifact) -> None:
    """Write for ever, counting up."""
    folder, plan = ExperimentFolder(root / "promo"), served.plan
    registry = Registry(f"sqlite:///{root}/registry.sqlite", root)
    log = os.open(root / "done", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    floors = Floors(0.05, 0.05)
    n = begin
    while True:
        n += 1
        os.write(log, f"start {n}\n".encode())
        folder.write_plan(edit.with_weight(plan, "explore", weight_of(n), floors))
        os.write(log, f"plan {n}\n".encode())
        actions: list[Action] = [NameSegment(0, "S0", f"n{i}") for i in range(n)]
        folder.write_actions(actions)
        os.write(log, f"actions {n}\n".encode())
        later = replace(served, plan=replace(plan, round_index=n))
        folder.begin_round(later)
        os.write(log, f"begun {n}\n".encode())
        folder.add_round(SavedRound(later, Draws(), 1.0, 0))  # type: ignore[arg-type]
        os.write(log, f"round {n}\n".encode())
        results = made.results.iloc[: 100 + n]
        replace(made, name=f"artifact {n}", results=results).save(root / "artifact")
        os.write(log, f"artifact {n}\n".encode())
        two = (VariantDraft("control", 0.5), VariantDraft("badge", 0.5))
        one = registry.create(ExperimentDraft(f"e{n}", variants=two), "worker")
        registry.launch(one.id, "worker")
        os.write(log, f"launched {n}\n".encode())


def main() -> None:
    root = Path(sys.argv[1])
    served, made = prepared()
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            write(root, int(line), served, made)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()
