"""Whole experiments, real and simulated: ``python benchmarks/bench_trials.py [part ...]``.

Parts: karlan, aa, tutorial. Without a name all run, in this order. ``--minutes M`` does a piece of
the part: every experiment is a row of ``benchmarks/results/runs/trials-PART.jsonl``, and a run that
was ended goes on where it was. Another state of the code needs another ``--tag``. ``--record``
appends the figures of complete parts to ``benchmarks/results/decisions.json``.
"""

import argparse
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from figures import RESULTS, record, show
from karlan import KARLAN_SEEDS, karlan_case, karlan_figures
from permuted_arms import AA_TRIALS, N_PERMUTATIONS, aa_case, aa_figures
from resumable import Row, run_missing
from tutorial_trials import N_TUTORIALS, tutorial_case, tutorial_figures

CASES: Mapping[str, Mapping[str, Callable[[], Row]]] = {
    "karlan": {f"order {i}": partial(karlan_case, i) for i in range(KARLAN_SEEDS)},
    "aa": {
        f"{trial} {i}": partial(aa_case, trial, i)
        for i in range(N_PERMUTATIONS)
        for trial in AA_TRIALS
    },
    "tutorial": {f"seed {i}": partial(tutorial_case, i) for i in range(N_TUTORIALS)},
}
FIGURES = {"karlan": karlan_figures, "aa": aa_figures, "tutorial": tutorial_figures}


def rows_of(part: str, tag: str) -> Path:
    """Where the rows of a part are."""
    return RESULTS / "runs" / f"trials-{part}{'-' + tag if tag else ''}.jsonl"


def main() -> None:
    """Parse the command line, run what is missing, print, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help="karlan, aa, tutorial")
    parser.add_argument("--minutes", type=float, default=9.0, help="for each part")
    parser.add_argument("--tag", default="", help="which state of the code")
    parser.add_argument("--record", action="store_true", help="append figures of complete parts")
    given = parser.parse_args()
    for part in given.parts or CASES:
        print(f"== {part}", flush=True)
        rows = run_missing(CASES[part], rows_of(part, given.tag), given.minutes)
        if not rows:
            continue
        figures = FIGURES[part](rows)
        show(figures)
        if given.record and len(rows) == len(CASES[part]):
            record("decisions", figures)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
