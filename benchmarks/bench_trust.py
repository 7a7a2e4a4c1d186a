"""What is survived: kills, files of a fuzzer, writes at once, cancelled fits.

``python benchmarks/bench_trust.py [kills fuzz writes fits] [--kills 30] [--minutes 2] [--fits 50]
[--record]``; without names all four, which takes about ten minutes.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import Figure, record, show

ROOT = Path(__file__).parents[1]
TRUST = ROOT / "tests" / "trust"
sys.path[:0] = [str(TRUST), str(ROOT / "tests" / "engine")]

WRITERS = 4
EACH = 50
WRITES = """
import sys
from pathlib import Path
from pytyche_engine.store.records import ExperimentDraft
from pytyche_engine.store.registry import Registry
root = Path(sys.argv[1])
registry = Registry(f"sqlite:///{root}/registry.sqlite", root)
for i in range(int(sys.argv[3])):
    registry.create(ExperimentDraft(f"{sys.argv[2]}-{i}"), "writer")
"""


def kills(n: int) -> list[Figure]:
    from store_kills import kill

    with tempfile.TemporaryDirectory() as folder:
        lost = kill(n, Path(folder), seed=n)
    return [
        Figure("store-kills", "kills of a process that writes plans, decisions, rounds, artifacts "
               "and the registry", n, None, "higher", "kills"),
        Figure("store-kills-lost", "kills after which something finished was gone, or something "
               "was there by half", lost, 0, "lower", "losses"),
    ]  # fmt: skip


def fuzz(minutes: float) -> list[Figure]:
    command = [sys.executable, str(TRUST / "fuzz.py"), "--minutes", str(minutes)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    print(said)
    found = re.search(r"^fuzz: ([\d,]+) inputs, (\d+) crashes$", said, re.MULTILINE)
    if found is None:
        raise SystemExit("the fuzzer did not end")
    return [
        Figure("fuzz-inputs", "inputs that a coverage-guided fuzzer gave to eight readers of "
               "files", int(found[1].replace(",", "")), None, "higher", "inputs"),
        Figure("fuzz-crashes", "different crashes among them: neither read nor refused in words",
               int(found[2]), 0, "lower", "crashes"),
    ]  # fmt: skip


def writes() -> list[Figure]:
    from pytyche_engine.store.registry import Registry

    with tempfile.TemporaryDirectory() as folder:
        running = [
            subprocess.Popen([sys.executable, "-c", WRITES, folder, str(k), str(EACH)])
            for k in range(WRITERS)
        ]
        failed = sum(process.wait() != 0 for process in running)
        registry = Registry(f"sqlite:///{folder}/registry.sqlite", Path(folder))
        there = registry.page(None, limit=1, offset=0).n_found
        registry.database.close()
    if failed:
        print(f"{failed} writers failed")
    asked = WRITERS * EACH
    return [
        Figure("concurrent-writes", f"writes of {WRITERS} processes to one SQLite registry at "
               "once", asked, None, "higher", "writes"),
        Figure("concurrent-writes-lost", "writes among them that are not there afterwards",
               asked - there, 0, "lower", "writes"),
    ]  # fmt: skip


def fits(n: int) -> list[Figure]:
    from stress import stress

    found = stress(n)
    print(found)
    grown = (found.after - found.before) / 2**20
    return [
        Figure("fits-at-random", f"fits started, paused, resumed and cancelled at random in one "
               f"process ({found.cancelled} cancelled, {found.finished} finished)", n, None,
               "higher", "fits"),
        Figure("fits-stuck", "fits among them that did not end", found.stuck, 0, "lower", "fits"),
        Figure("threads-left", "threads left behind by them", found.threads_left, 0, "lower",
               "threads"),
        Figure("memory-before-fits", "resident memory after one whole fit, before them",
               round(found.before / 2**20, 1), None, "lower", "MiB"),
        Figure("memory-grown-by-fits", "resident memory after them, less that before",
               round(grown, 1), 300.0, "lower", "MiB"),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["kills", "fuzz", "writes", "fits"])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--fits", type=int, default=50)
    parser.add_argument("--record", action="store_true")
    asked = parser.parse_args()
    run = {
        "kills": lambda: kills(asked.kills),
        "fuzz": lambda: fuzz(asked.minutes),
        "writes": writes,
        "fits": lambda: fits(asked.fits),
    }
    for part in asked.parts:
        figures = run[part]()
        show(figures)
        if asked.record:
            record("trust", figures)


if __name__ == "__main__":
    main()
