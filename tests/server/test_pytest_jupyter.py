"""The extension in a server of pytest-jupyter's, in this process: its own configuration counts."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ("pytest_jupyter.jupyter_server",)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What the build leaves in the package, here a page of documentation."""
    page = tmp_path / "built" / "docs" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<h1>Documentation</h1>")
    return tmp_path / "built"


@pytest.fixture
def jp_server_config(tmp_path: Path, built: Path) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"pytyche_lab.server": True}},
        "PytycheLabExtension": {
            "registry_url": f"sqlite:///{tmp_path}/elsewhere.sqlite3",
            "static_paths": [str(built)],
        },
    }


async def test_the_registry_is_where_the_configuration_says(jp_fetch: Any, tmp_path: Path) -> None:
    body = json.dumps({"name": "Badge"})
    made = await jp_fetch("v1", "admin", "experiments", method="POST", body=body)
    assert made.code == 201
    listed = await jp_fetch("v1", "admin", "experiments")
    assert json.loads(listed.body)["totals"]["draft"] == 1
    assert (tmp_path / "elsewhere.sqlite3").exists()


async def test_pages_are_told_where_the_documentation_is(jp_serverapp: Any, jp_fetch: Any) -> None:
    place = jp_serverapp.web_app.settings["page_config_data"]["pytycheLabDocs"]
    assert place.startswith(jp_serverapp.base_url)
    read = await jp_fetch(*place.removeprefix(jp_serverapp.base_url).split("/"), "index.html")
    assert read.body == b"<h1>Documentation</h1>"


class TestWithoutDocumentation:
    @pytest.fixture
    def built(self, tmp_path: Path) -> Path:
        return tmp_path

    async def test_pages_are_told_of_none(self, jp_serverapp: Any) -> None:
        assert "pytycheLabDocs" not in jp_serverapp.web_app.settings.get("page_config_data", {})
