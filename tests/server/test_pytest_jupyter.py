"""The extension in a server of pytest-jupyter's, in this process: its own configuration counts."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ("pytest_jupyter.jupyter_server",)


@pytest.fixture
def jp_server_config(tmp_path: Path) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"pytyche_lab.server": True}},
        "PytycheLabExtension": {"registry_url": f"sqlite:///{tmp_path}/elsewhere.sqlite3"},
    }


async def test_the_registry_is_where_the_configuration_says(jp_fetch: Any, tmp_path: Path) -> None:
    body = json.dumps({"name": "Badge"})
    made = await jp_fetch("v1", "admin", "experiments", method="POST", body=body)
    assert made.code == 201
    listed = await jp_fetch("v1", "admin", "experiments")
    assert json.loads(listed.body)["totals"]["draft"] == 1
    assert (tmp_path / "elsewhere.sqlite3").exists()
