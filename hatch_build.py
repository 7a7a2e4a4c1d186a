"""Builds the widgets' JavaScript into the wheel when it is not there yet."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SKIP = "PYTYCHE_SKIP_JS"
NO_NPM = (
    "The widgets of pytyche-lab are not built and npm was not found. Install Node 20 or newer "
    f"and try again, or set {SKIP}=1 to install without widgets."
)


class WidgetBuild(BuildHookInterface):  # type: ignore[type-arg]  # generic in its stubs alone
    """Runs ``npm ci && npm run build`` in js/ unless every widget has its bundle."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Called by hatchling before the files of a wheel are collected."""
        root = Path(self.root)
        if os.environ.get(SKIP) == "1" or _is_built(root):
            return
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError(NO_NPM)
        for command in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            subprocess.run([npm, *command], cwd=root / "js", check=True)  # noqa: S603
        if not _is_built(root):
            raise RuntimeError("npm run build ended well but left no bundle in pytyche_lab/static.")


def _is_built(root: Path) -> bool:
    return any((root / "pytyche_lab" / "static").glob("*.js"))
