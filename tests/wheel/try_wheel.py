"""Build the sdist and the wheel, and use the wheel as a stranger would: ``make test-wheel``.

A clean virtual environment gets the wheel and nothing of this checkout; Node is not on its PATH.
Jupyter is asked what is installed, the import is timed, and notebooks run in a folder elsewhere.
Arguments are beginnings of notebooks' names; without any, the first notebook runs.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIST = ROOT / "build" / "dist"
MOST_BYTES = 2_000_000
MOST_SECONDS = 0.3
IMPORT = "import time; t = time.process_time(); import pytyche_lab; print(time.process_time() - t)"
"""CPU seconds, which are the same on a busy machine."""
RUN = """
import sys, nbformat
from nbclient import NotebookClient
NotebookClient(nbformat.read(sys.argv[1], 4), timeout=1800, kernel_name="python3").execute()
"""


def main(notebooks: Sequence[str]) -> None:
    """Build, install, ask, time, run; ends with an error at the first thing that is not so."""
    shutil.rmtree(DIST, ignore_errors=True)
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(DIST), str(ROOT)])
    (wheel,) = DIST.glob("*.whl")
    (sdist,) = DIST.glob("*.tar.gz")
    for file in (wheel, sdist):
        print(f"{file.name}: {file.stat().st_size:,} bytes")
    check(wheel.stat().st_size < MOST_BYTES, f"the wheel has {MOST_BYTES:,} bytes or more")
    documented = "pytyche_lab/static/docs/index.html" in zipfile.ZipFile(wheel).namelist()
    check(documented, "the wheel has no documentation: run make docs first")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        python = place / "venv/bin/python"
        run([sys.executable, "-m", "venv", str(place / "venv")])
        tools = ("nbclient", "nbformat")
        run([str(python), "-m", "pip", "install", "-q", f"{wheel}[lab,dask]", *tools])
        env = environment(place)
        check(shutil.which("node", path=env["PATH"]) is None, "Node is on the PATH")
        jupyter = str(place / "venv/bin/jupyter")
        servers = run([jupyter, "server", "extension", "list"], env, place)
        found = re.search(r"pytyche_lab.server\s.*OK", servers)
        check(found is not None, "the server extension is not OK")
        labs = run([jupyter, "labextension", "list"], env, place)
        for name in ("anywidget", "pytyche-lab"):
            found = re.search(rf"{name} \S+.*enabled", labs)
            check(found is not None, f"{name} is not enabled in JupyterLab")
        seconds = [float(run([str(python), "-c", IMPORT], env, place)) for _ in range(5)]
        print(f"import pytyche_lab: {statistics.median(seconds):.3f} s of CPU (median of 5)")
        check(statistics.median(seconds) < MOST_SECONDS, "the import is too slow")
        where = run(
            [str(python), "-c", "import pytyche_lab; print(pytyche_lab.__file__)"], env, place
        )
        check(str(ROOT) not in where, f"the checkout was imported, not the wheel: {where}")
        for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
            if path.name.startswith(tuple(notebooks) or "01"):
                start = time.monotonic()
                copy = shutil.copy(path, place)
                run([str(python), "-c", RUN, copy], env, place)
                print(f"{path.name}: ran in {time.monotonic() - start:.0f} s")


def environment(place: Path) -> dict[str, str]:
    """Variables for a clean environment: its own PATH, home and Jupyter folders."""
    kept = (
        "PYTYCHE_HILLSTROM",
        "PYTYCHE_SOCIAL_PRESSURE",
        "JAX_COMPILATION_CACHE_DIR",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
        "LANG",
    )
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "PATH": str(place / "venv/bin"),
        "HOME": str(place),
        "JUPYTER_DATA_DIR": str(place / "jupyter"),
        "PYTYCHE_INITIAL_VISITORS": "1000",
        "PYTYCHE_SOCIAL_PRESSURE_ROWS": "1000",
    }


def run(command: Sequence[str], env: dict[str, str] | None = None, cwd: Path = ROOT) -> str:
    """What a command printed; its words and an end if it failed."""
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    words = done.stdout + done.stderr
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{words[-4000:]}")
    return words if "extension" in " ".join(command) else done.stdout


def check(holds: bool, otherwise: str) -> None:
    """End with an error unless something holds."""
    if not holds:
        raise SystemExit(f"test-wheel: {otherwise}")


if __name__ == "__main__":
    main(sys.argv[1:])
