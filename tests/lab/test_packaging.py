"""What a wheel holds, and what its build says when it cannot be made."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WIDGETS = (
    "cell_plan",
    "cockpit",
    "console",
    "fit_progress",
    "round_dashboard",
    "segment_chart",
    "segment_tree",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that a build reads, without what was built from them."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "hatch_build.py"):
        shutil.copy(ROOT / name, copy)
    for name in ("pytyche_lab", "engine", "jupyter-config", "js"):
        unwanted = shutil.ignore_patterns("static", "labextension", "node_modules", "__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=unwanted)
    return copy


def build(checkout: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"],
        cwd=checkout,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


def files(checkout: Path) -> set[str]:
    (wheel,) = (checkout / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_a_wheel_holds_engine_lab_widgets_and_configuration(checkout: Path) -> None:
    # Beside the sources, so that only the build itself is done here.
    (checkout / "js" / "node_modules").symlink_to(ROOT / "js" / "node_modules")
    tools = checkout / "tools"
    tools.mkdir()
    npm = tools / "npm"
    npm.write_text('#!/bin/sh\n[ "$1" = ci ] || exec node build.mjs\n')
    npm.chmod(0o755)
    artifact = checkout / "engine/pytyche_engine/calibration/artifacts/k9"
    artifact.mkdir(parents=True)
    for name in ("artifact.json", "results.parquet"):
        (artifact / name).write_bytes(b"")
    page = checkout / "pytyche_lab/static/docs/concepts/model.html"
    page.parent.mkdir(parents=True)
    page.write_bytes(b"")
    built = build(checkout, PATH=f"{tools}{os.pathsep}{os.environ['PATH']}", PYTYCHE_SKIP_JS="0")
    assert built.returncode == 0, built.stdout + built.stderr
    names = files(checkout)
    data = f"pytyche_lab-{version('pytyche-lab')}.data/data"
    expected = {
        *(f"pytyche_lab/static/{widget}.{kind}" for widget in WIDGETS for kind in ("js", "css")),
        "pytyche_lab/static/docs/concepts/model.html",
        "pytyche_lab/py.typed",
        "pytyche_lab/magics.py",
        "pytyche_engine/py.typed",
        "pytyche_engine/contracts/plans.py",
        "pytyche_engine/calibration/artifacts/k9/artifact.json",
        "pytyche_engine/calibration/artifacts/k9/results.parquet",
        "pytyche_engine/store/migrations/env.py",
        "pytyche_engine/store/migrations/versions/r0001_first_tables.py",
        f"{data}/etc/jupyter/jupyter_server_config.d/pytyche_lab.json",
        f"{data}/share/jupyter/labextensions/pytyche-lab/package.json",
    }
    assert expected <= names
    tile = json.loads((checkout / "pytyche_lab/labextension/package.json").read_text())
    script = tile["jupyterlab"]["_build"]["load"]
    assert f"{data}/share/jupyter/labextensions/pytyche-lab/{script}" in names
    assert not [name for name in names if name.startswith(("tests", "js", "notebooks", "engine"))]
    (wheel,) = (checkout / "dist").glob("*.whl")
    assert wheel.stat().st_size < 2_000_000


def test_without_npm_the_build_says_what_to_do(checkout: Path, tmp_path: Path) -> None:
    built = build(checkout, PATH=str(tmp_path), PYTYCHE_SKIP_JS="0")
    assert built.returncode != 0
    assert "npm was not found" in built.stdout + built.stderr
    assert "PYTYCHE_SKIP_JS=1" in built.stdout + built.stderr


def test_widgets_can_be_left_out(checkout: Path, tmp_path: Path) -> None:
    built = build(checkout, PATH=str(tmp_path), PYTYCHE_SKIP_JS="1")
    assert built.returncode == 0, built.stdout + built.stderr
    assert not [name for name in files(checkout) if "static" in name]
