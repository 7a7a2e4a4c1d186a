"""Builds the widgets' JavaScript into the wheel when it is not there yet.

The tile in JupyterLab's launcher is installed where JupyterLab looks for extensions, also with
``pip install -e``.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SKIP = "PYTYCHE_SKIP_JS"
TILE = "pytyche_lab/labextension"
NO_NPM = (
    "The widgets of pytyche-lab are not built and npm was not found. Install Node 20 or newer "
    f"and try again, or set {SKIP}=1 to install without widgets."
)


class WidgetBuild(BuildHookInterface):  # type: ignore[type-arg]  # generic in its stubs alone
    """Runs ``npm ci && npm run build`` in js/ unless that was done before.

    Bundles that are there are taken as they are: ``make setup`` knows when they are out of date.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Called by hatchling before the files of a wheel are collected."""
        root = Path(self.root)
        if os.environ.get(SKIP) != "1" and not _is_built(root):
            self._build(root)
        # A wheel without widgets has no tile either; an sdist has no shared data.
        if (root / TILE).is_dir() and "shared_data" in build_data:
            build_data["shared_data"][TILE] = "share/jupyter/labextensions/pytyche-lab"

    def _build(self, root: Path) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError(NO_NPM)
        for command in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            subprocess.run([npm, *command], cwd=root / "js", check=True)  # noqa: S603
        if not _is_built(root):
            raise RuntimeError("npm run build ended well but left no bundle in pytyche_lab.")


def _is_built(root: Path) -> bool:
    return any((root / "pytyche_lab" / "static").glob("*.js")) and (root / TILE).is_dir()
