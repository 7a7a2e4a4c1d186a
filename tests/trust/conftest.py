import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parents[1] / "benchmarks")]

# The same examples in every run; PYTYCHE_EXAMPLES=5000 looks further, with other luck each time.
EXAMPLES = int(os.environ.get("PYTYCHE_EXAMPLES", "0"))
settings.register_profile(
    "trust",
    max_examples=EXAMPLES or 30,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("trust")


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not write to the registry of whoever runs them."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.delenv("PYTYCHE_REGISTRY", raising=False)
