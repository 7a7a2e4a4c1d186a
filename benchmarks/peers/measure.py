"""What every script in this folder reports. Needs the standard library and NumPy only."""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np


class Stopwatch:
    """Wall and CPU seconds (all threads) of stages that follow each other.

    Attributes:
        seconds: ``<stage>_seconds`` and ``<stage>_cpu_seconds`` of every stage so far.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def lap(self, stage: str) -> None:
        """End the stage that began at the lap before, or when the stopwatch was made."""
        wall, cpu = time.monotonic(), time.process_time()
        self.seconds[f"{stage}_seconds"] = wall - self._wall
        self.seconds[f"{stage}_cpu_seconds"] = cpu - self._cpu
        self._wall, self._cpu = wall, cpu


def peak_mib() -> float:
    """Peak resident memory of this process so far, MiB.

    Linux hands the peak of the process that started this one down to `getrusage`, so the
    process's own high-water mark is read where there is one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def accuracy(
    planted: np.ndarray, cate: np.ndarray, weights: np.ndarray, draws: np.ndarray
) -> dict[str, float | bool]:
    """How well the effects of the one treatment were found, money per visitor.

    Args:
        planted: (n,) true CATEs.
        cate: (n,) posterior means of the same visitors.
        weights: (n, G) each visitor's weight in each group's mean; group 0 is everyone.
        draws: (S, G) posterior draws of the groups' average effects.
    """
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    truth = planted @ weights
    covered = (low <= truth) & (truth <= high)
    return {
        "cate_rmse": float(np.sqrt(np.mean((cate - planted) ** 2))),
        "cate_rmse_constant": float(planted.std()),
        "ate": float(draws[:, 0].mean()),
        "ate_low": float(low[0]),
        "ate_high": float(high[0]),
        "ate_true": float(truth[0]),
        "ate_covered": bool(covered[0]),
        "segments_covered": float(covered[1:].mean()),
    }


def report(**values: object) -> None:
    """Print one line of JSON: the values and the peak memory. The last thing a script does."""
    print(json.dumps({**values, "peak_mib": peak_mib()}), flush=True)
