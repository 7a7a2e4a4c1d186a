"""What a round served and what came of it, as files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pytyche_engine.contracts.errors import StoreError
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.reading import check_name, read_arrays
from pytyche_engine.contracts.served import Served
from pytyche_engine.contracts.truth import GroundTruth
from pytyche_engine.store.files import sha256
from pytyche_engine.store.observations_file import read_observations, write_observations


def write_served(served: Served, folder: Path) -> None:
    """Write a round's visitors, and the truth where it is known, to a folder."""
    write_observations(served.observations, folder)
    if served.truth is not None:
        np.savez_compressed(
            folder / "truth.npz",
            conversion=served.truth.conversion,
            severity=served.truth.severity,
        )


def read_served(folder: Path, plan: Plan) -> Served:
    """Read what `write_served` wrote; errors are the files' own.

    Raises:
        StoreError: if visitors and plan do not have the same arms.
    """
    observations = read_observations(folder)
    if observations.arms != plan.arms:
        raise StoreError(
            f"The visitors in '{folder}' are of another experiment. Restore the folder from a copy."
        )
    truth = None
    if (folder / "truth.npz").exists():
        arrays = read_arrays(folder / "truth.npz")
        truth = GroundTruth(plan.arms, arrays["conversion"], arrays["severity"])
    return Served(plan, observations, truth)


def check_files(folder: Path, digests: Mapping[str, str]) -> None:
    """Compare files with their checksums.

    Raises:
        StoreError: if one differs.
        OSError: if one is missing.
    """
    for name, digest in digests.items():
        if sha256(folder / check_name(name)) != digest:
            raise StoreError(
                f"'{folder / name}' was changed or damaged. Restore the folder from a copy."
            )
