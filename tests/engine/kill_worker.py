"""A process to be killed: makes or opens an experiment, and runs it to its end.

``python kill_worker.py FOLDER [new]`` prints "open", and at its end every round's digest as JSON.
"""

import functools
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from experiment_cases import SETTINGS, digest, experiment, quietly, simulated

from pytyche_engine.bcf.checkpoint import Checkpoints
from pytyche_engine.experiment import open_experiment
from pytyche_engine.store import folder as folder_module

LONGER = replace(SETTINGS, min_draws=300, max_draws=300)

# Twenty seconds are longer than these fits.
folder_module.Checkpoints = functools.partial(Checkpoints, seconds=0.05)


def main() -> None:
    path = Path(sys.argv[1])
    if "new" in sys.argv:
        shutil.rmtree(path, ignore_errors=True)
        exp = experiment(path=path, settings=LONGER)
    else:
        exp = quietly(open_experiment, path, simulated())
    print("open", flush=True)
    if "unfinished" in repr(exp):
        quietly(exp.resume)
    for finished in range(exp.current_round_idx, 4):
        if finished > 0 and exp.segments["S0"].name != f"all {finished}":
            exp.segments.rename("S0", f"all {finished}")
        exp.accept(exp.next_recommendation.cells)
        if finished < 3:
            quietly(next, exp)
    print(json.dumps([digest(done) for done in exp.history]))


if __name__ == "__main__":
    main()
