"""The fast part of the suite on other versions of what this package depends on.

``python tests/versions.py lowest newest ipykernel-7.3 ipykernel-7.4 [--python 3.13] [--keep]``

Each makes a virtual environment of its own in build/versions, installs the package as a user
would, and runs `FAST`. ``lowest`` takes the lower bound of every dependency in pyproject.toml.
A Python that is not installed is left out, and said so.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "build" / "versions"

FAST = (
    "tests/engine/test_door.py",
    "tests/engine/test_bad_inputs.py",
    "tests/engine/test_features.py",
    "tests/engine/test_encoding.py",
    "tests/engine/test_rules.py",
    "tests/engine/test_rules_parse.py",
    "tests/engine/test_plans.py",
    "tests/engine/test_plan_edit.py",
    "tests/engine/test_export.py",
    "tests/engine/test_store.py",
    "tests/engine/test_registry.py",
    "tests/engine/test_checkpoint.py",
    "tests/engine/test_bcf_parts.py",
    "tests/engine/test_jobs.py",
    "tests/engine/test_classic_analysis.py",
    "tests/engine/test_running.py",
    "tests/engine/test_calibration_artifact.py",
    "tests/lab/test_magics.py",
    "tests/lab/test_viz_rounds.py",
    "tests/lab/test_widgets_cell_plan.py",
    "tests/lab/test_widgets_dashboard.py",
    "tests/server",
)
"""No long fits: what breaks with a version is an interface, which these use."""

TOOLS = (
    "hypothesis",
    "pytest",
    "pytest-jupyter[server]",
    "pytest-timeout",
    "schemathesis",
    "psycopg[binary]",
    "ruff",
)


def lowest(names: tuple[str, ...] = ("dependencies", "lab", "dask", "matplotlib")) -> list[str]:
    """``name==lower bound`` of every dependency."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"]]
    asked += [one for name in names[1:] for one in project["optional-dependencies"][name]]
    found = [re.match(r"([\w.-]+)[^>]*>=([\w.]+)", one) for one in asked]
    return [f"{one[1]}=={one[2]}" for one in found if one]


def pins(what: str) -> list[str]:
    """What a set of versions fixes."""
    if what == "lowest":
        return lowest()
    if what == "newest":
        return []
    name, _, version = what.rpartition("-")
    return [f"{name}=={version}.*"]


def run(what: str, python: str, *, keep: bool) -> bool | None:
    """Whether the fast part passes with these versions; None where there is no such Python."""
    interpreter = shutil.which(f"python{python}")
    # A name on the PATH may stand for one that is not chosen, as pyenv's do.
    if interpreter is None or subprocess.run([interpreter, "-V"], check=False).returncode:
        print(f"versions: Python {python} is not installed here; {what} was NOT run on it")
        return None
    place = PLACE / f"{what}-{python}"
    began = time.monotonic()
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([interpreter, "-m", "venv", place], check=True)
        pip = [place / "bin/python", "-m", "pip", "install", "--quiet",
               "--disable-pip-version-check"]  # fmt: skip
        # Together, so that no tool moves what was pinned.
        wanted = ["-e", f"{ROOT}[lab,dask,matplotlib]", *pins(what), *TOOLS]
        installed = subprocess.run(
            [*pip, *wanted], env=os.environ | {"PYTYCHE_SKIP_JS": "1"}, check=False
        )
        if installed.returncode:
            print(f"versions: {what} on Python {python} cannot be installed")
            return False
        (place / "done").touch()
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'engine'}:{ROOT}", "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [place / "bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *FAST],
        cwd=ROOT, env=env, check=False,
    )  # fmt: skip
    said = "passed" if done.returncode == 0 else "FAILED"
    print(f"versions: {what} on Python {python} {said} in {time.monotonic() - began:.0f} s")
    if not keep and done.returncode == 0:
        shutil.rmtree(place)
    return done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="+")
    parser.add_argument("--python", action="append")
    parser.add_argument("--keep", action="store_true", help="keep the environments")
    asked = parser.parse_args()
    pythons = asked.python or [f"{sys.version_info[0]}.{sys.version_info[1]}"]
    outcomes = [run(what, python, keep=asked.keep) for python in pythons for what in asked.what]
    sys.exit(False in outcomes)


if __name__ == "__main__":
    main()
