from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tests do not write to the registry of whoever runs them."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.delenv("PYTYCHE_REGISTRY", raising=False)
    return tmp_path / "jupyter" / "pytyche_lab"
