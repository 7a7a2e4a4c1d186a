import atexit
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tests do not write to the registry of whoever runs them."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.delenv("PYTYCHE_REGISTRY", raising=False)
    return tmp_path / "jupyter" / "pytyche_lab"


@pytest.fixture
def ipython() -> Iterator[InteractiveShell]:
    """An IPython of the test's own, gone with it: sixty left to the exit take minutes there."""
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    yield shell
    atexit.unregister(shell.atexit_operations)
    InteractiveShell.clear_instance()
