"""A fit's chains on disk, so that a fit goes on where its process was killed."""

import hashlib
import json
import platform
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

from pytyche_engine.bcf.chain import Chain
from pytyche_engine.bcf.draws import Draws
from pytyche_engine.contracts.errors import PytycheWarning
from pytyche_engine.contracts.reading import read_arrays
from pytyche_engine.contracts.warn import warn
from pytyche_engine.contracts.writing import replacing

SCHEMA = 1
"""Version of a checkpoint's content."""

KEEP_SECONDS = 20.0
"""At most this, and a chunk, of a chain's work is lost with its process."""

_UNREADABLE = (OSError, ValueError, LookupError, TypeError, RecursionError, OverflowError)


class Checkpoints:
    """A folder with one file a chain, each replaced in one step.

    A chain's future follows from its state and key alone, so chains may be kept at different
    iterations, and a fit that goes on from here makes the draws that it would have made. What
    cannot be read, or belongs to other data, is not used: the chain starts again.

    Args:
        folder: made with the first checkpoint.
        seconds: between two checkpoints of a chain.
    """

    def __init__(self, folder: Path, seconds: float = KEEP_SECONDS) -> None:
        self.folder = folder
        self.seconds = seconds
        self._fingerprint = ""
        self._last: dict[int, float] = {}
        self._broken = threading.Event()

    def begin(self, fingerprint: str, chains: Sequence[Chain]) -> list[Chain]:
        """The chains of the fit with this fingerprint as they were kept last, or as given."""
        self._fingerprint = fingerprint
        self._last = {chain.index: time.monotonic() for chain in chains}
        return [self._read(chain) for chain in chains]

    def keep(self, chain: Chain, *, at_once: bool = False) -> None:
        """Keep a chain if it is time to, or at once. A folder that cannot be written is no error.

        May be called from the threads of several chains.
        """
        due = time.monotonic() - self._last[chain.index] >= self.seconds
        if not (due or at_once) or self._broken.is_set():
            return
        try:
            self._write(chain)
        except OSError as error:
            self._broken.set()
            warn(
                f"The fit's progress cannot be kept in '{self.folder}': {error}. It goes on, but "
                "would start again if this process ended.",
                PytycheWarning,
            )
        self._last[chain.index] = time.monotonic()

    def _file(self, index: int) -> Path:
        return self.folder / f"chain-{index}.npz"

    def _write(self, chain: Chain) -> None:
        meta = {
            "schema": SCHEMA,
            "fingerprint": self._fingerprint,
            "iterations": chain.iterations,
        }
        arrays = {"meta": np.array(json.dumps(meta))}
        for i, leaf in enumerate(jax.tree.leaves(chain.state)):
            arrays[f"state_{i}"] = np.asarray(leaf)
        if chain.kept:
            for f in fields(Draws):
                parts = [getattr(part, f.name) for part in chain.kept]
                arrays[f"draws_{f.name}"] = np.concatenate(parts)
            arrays["lifts"] = np.concatenate(chain.lifts)
        file = self._file(chain.index)
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            np.savez(stream, allow_pickle=False, **arrays)

    def _read(self, fresh: Chain) -> Chain:
        file = self._file(fresh.index)
        if not file.exists():
            return fresh
        try:
            arrays = read_arrays(file)
            meta = json.loads(str(arrays["meta"]))
            if (meta["schema"], meta["fingerprint"]) != (SCHEMA, self._fingerprint):
                return fresh
            return _restored(fresh, int(meta["iterations"]), arrays)
        except _UNREADABLE as error:
            warn(
                f"'{file}' cannot be read ({type(error).__name__}: {error}); chain "
                f"{fresh.index + 1} starts again. Its draws will be the same.",
                PytycheWarning,
            )
            return fresh


def _restored(fresh: Chain, iterations: int, arrays: Mapping[str, np.ndarray]) -> Chain:
    """A chain as it was kept; the fresh one says what its state looks like."""
    leaves, shape = jax.tree.flatten(fresh.state)
    kept = [arrays[f"state_{i}"] for i in range(len(leaves))]
    for mine, its in zip(leaves, kept, strict=True):
        if (mine.shape, mine.dtype) != (its.shape, its.dtype):
            raise ValueError(f"an array of shape {its.shape} where {mine.shape} belongs")
    # An array that was put on a device by name is another type to the compiler: only where the
    # fresh one was, or a fit that goes on compiles everything again.
    places = [mine.sharding if mine.committed else None for mine in leaves]
    state = jax.tree.unflatten(shape, jax.device_put(kept, places))
    chain = replace(fresh, state=state, iterations=iterations)
    if "lifts" not in arrays:
        return chain
    draws = Draws(**{f.name: arrays[f"draws_{f.name}"] for f in fields(Draws)})
    return replace(chain, kept=(draws,), lifts=(arrays["lifts"],))


def fingerprint(*parts: object) -> str:
    """A digest of everything that decides a fit's draws, versions and machine included.

    Args:
        parts: numpy arrays, and things whose ``repr`` says all about them.
    """
    digest = hashlib.sha256()
    libraries = [version(name) for name in ("pytyche-lab", "jax", "jaxlib", "bartz", "numpy")]
    for part in (libraries, platform.machine(), jax.default_backend(), *parts):
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()
