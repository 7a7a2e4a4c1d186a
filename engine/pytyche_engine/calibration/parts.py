"""A sweep's folder: what it is, and a Parquet file for every finished fit.

    sweep.json        design, scenarios, seed
    parts/*.parquet   one finished fit each

A file is written beside its place and moved there, so that a sweep that was killed leaves
whole fits only, and goes on with what is missing.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from pytyche_engine.calibration.errors import CalibrationError
from pytyche_engine.contracts.reading import read_frame, read_json
from pytyche_engine.contracts.writing import replace_file

SCHEMA = 1
"""Version of the folder's layout and of the columns."""

Key = tuple[str, int]
"""A scenario's key and which of its simulations."""


class SweepFolder:
    """Reads and writes one sweep's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, identity: Mapping[str, Any]) -> None:
        """Make the folder, or check that it belongs to this sweep.

        Args:
            identity: what makes fits exchangeable: design, seed, versions. Scenarios and the
                number of simulations may be extended later, so they are no part of it.

        Raises:
            CalibrationError: if it holds another sweep, or cannot be written.
        """
        file = self.path / "sweep.json"
        wanted = json.loads(json.dumps({"schema": SCHEMA, **identity}))
        try:
            (self.path / "parts").mkdir(parents=True, exist_ok=True)
            if not file.exists():
                replace_file(file, json.dumps(wanted, indent=1).encode())
            there = read_json(file)
        except (OSError, ValueError) as error:
            raise CalibrationError(
                f"The sweep's folder '{self.path}' cannot be used: {error}."
            ) from error
        if there != wanted:
            apart = sorted(k for k in {*there, *wanted} if there.get(k) != wanted.get(k))
            raise CalibrationError(
                f"The folder '{self.path}' holds fits of another sweep; they differ in "
                f"{', '.join(apart)}. Choose another folder, or delete it."
            )

    def done(self, keys: Iterable[Key]) -> list[Key]:
        """Which of these fits are there."""
        return [key for key in keys if self._place(key).exists()]

    def add(self, key: Key, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep a finished fit."""
        replace_file(self._place(key), pd.DataFrame(rows).to_parquet(index=False))

    def read(self, keys: Sequence[Key]) -> pd.DataFrame:
        """The rows of finished fits, in the order of the keys.

        Raises:
            CalibrationError: if a file is damaged.
        """
        frames = []
        for key in keys:
            place = self._place(key)
            try:
                frames.append(read_frame(place))
            except (OSError, ValueError) as error:
                raise CalibrationError(
                    f"'{place}' is damaged: {error}. Delete it, and run the sweep again; the "
                    "other fits are kept."
                ) from error
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def _place(self, key: Key) -> Path:
        name = hashlib.sha256(key[0].encode()).hexdigest()[:12]
        return self.path / "parts" / f"{name}-{key[1]:04d}.parquet"


@contextmanager
def kept_in(path: str | Path | None) -> Iterator[SweepFolder]:
    """A sweep's folder; without a path one that is gone afterwards."""
    with tempfile.TemporaryDirectory() as scratch:
        yield SweepFolder(Path(scratch if path is None else path))
