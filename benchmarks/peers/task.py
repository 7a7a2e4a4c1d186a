"""What a sampler is asked to do: a two-arm trial in a file, and a fit's size from the command line.

Needs the standard library and NumPy only.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

EVALUATED = 5_000
"""At most so many visitors stand for all of them in averages."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Visitors of a two-arm experiment, half of them treated.

    Attributes:
        X: (n, p) features, categories as 0/1 columns.
        arm: (n,) 0 control, 1 treatment.
        revenue: (n,) money, 0 for most.
        cate: (n,) planted RPV under treatment less that under control.
    """

    X: np.ndarray
    arm: np.ndarray
    revenue: np.ndarray
    cate: np.ndarray

    def segments(self) -> np.ndarray:
        """(n, 8) 1.0 for members of fixed segments: halves by each of the first four columns.

        Only the first EVALUATED visitors are members (rows are in random order), so that what is
        compared are means over the same people. A half without any is nobody's.
        """
        some = self.X[:EVALUATED]
        upper = some > np.median(some, axis=0)
        columns = np.flatnonzero(upper.any(axis=0))[:4]
        inside = np.concatenate([upper[:, columns], ~upper[:, columns]], axis=1)
        return np.pad(inside.astype(float), ((0, len(self.X) - len(some)), (0, 0)))

    def groups(self) -> np.ndarray:
        """(n, 9) weights in the means of the first EVALUATED visitors, and of `segments`."""
        members = self.segments()
        everyone = np.arange(len(self.X)) < EVALUATED
        members = np.column_stack([everyone, members]).astype(float)
        return members / members.sum(axis=0)

    def save(self, path: Path) -> None:
        np.savez(path, X=self.X, arm=self.arm, revenue=self.revenue, cate=self.cate)

    @classmethod
    def load(cls, path: Path) -> "Trial":
        with np.load(path, allow_pickle=False) as file:
            return cls(**{name: file[name] for name in ("X", "arm", "revenue", "cate")})


@dataclass(frozen=True)
class FitSize:
    """How much one chain does; the same for every sampler.

    Attributes:
        trees_mu: trees of the prognostic forest.
        trees_tau: trees that carry effects, over both arms.
        warm_up: iterations dropped.
        draws: draws kept.
        thin: iterations for each kept draw.
    """

    trees_mu: int = 100
    trees_tau: int = 50
    warm_up: int = 400
    draws: int = 150
    thin: int = 4

    @property
    def iterations(self) -> int:
        """Iterations of the chain, warm-up included."""
        return self.warm_up + self.draws * self.thin

    def as_options(self) -> list[str]:
        """Command-line options that `read_command_line` turns back into this."""
        return [f"--{name.replace('_', '-')}={value}" for name, value in vars(self).items()]


@dataclass(frozen=True)
class Task:
    """One fit to do. ``own_defaults`` leaves the size to the sampler."""

    trial: Trial
    size: FitSize
    seed: int
    own_defaults: bool


def read_command_line() -> Task:
    """``data.npz [--seed N] [--own-defaults] [--trees-mu N ...]``"""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--own-defaults", action="store_true")
    size = FitSize()
    for name, value in vars(size).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    given = parser.parse_args()
    return Task(
        trial=Trial.load(given.data),
        size=FitSize(**{name: getattr(given, name) for name in vars(size)}),
        seed=given.seed,
        own_defaults=given.own_defaults,
    )
