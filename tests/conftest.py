import signal

import pytest

# With the compiled shapes that others share: tests of the same shape start after it is there.
FIRST = (
    "test_bcf.py",
    "test_resume.py",
    "test_devices.py",
    "test_extreme_fits.py",
    "test_sequential.py",
    "test_calibration_sweep.py",
    "test_checkpoint.py",
    "test_propensities.py",
    "test_fit_start_later.py",
)
"""Files that take long, longest first, so that no process is left with one at the end."""


def pytest_sessionstart() -> None:
    """Tests interrupt fits; a process of pytest-xdist would ignore that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first; all else stays in its order."""
    place = {name: i for i, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path.name, len(FIRST)))
