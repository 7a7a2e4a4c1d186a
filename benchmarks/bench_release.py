"""What a stranger installs: sizes, import time, what is documented, minutes to the first round.

python benchmarks/bench_release.py [files|start|docstrings|wheel|clone ...]

``wheel`` runs every notebook, small, from the installed wheel. ``clone`` clones this commit, sets
it up and plays the demo, all anew: run it on a machine that does nothing else. Without arguments
everything but these two is measured.
"""

import ast
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, measure

ROOT = Path(__file__).parents[1]
IMPORT = """
import sys, time
start = time.perf_counter()
import pytyche_lab
print(time.perf_counter() - start)
print(sorted({"jax", "scipy", "statsmodels", "sqlalchemy", "pandas"} & set(sys.modules)))
"""
PROCESSES = 15


def files() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, str(ROOT)]
        subprocess.run(build, check=True, capture_output=True)
        (wheel,) = Path(folder).glob("*.whl")
        (sdist,) = Path(folder).glob("*.tar.gz")
        sizes = {file: file.stat().st_size / 1e6 for file in (wheel, sdist)}
    return [
        Figure("wheel-size", "size of the wheel, built widgets included", sizes[wheel], 2.0,
               "lower", "MB"),
        Figure("sdist-size", "size of the source distribution", sizes[sdist], None, "lower", "MB"),
    ]  # fmt: skip


def start() -> list[Figure]:
    seconds, loaded = [], ""
    for _ in range(PROCESSES):
        done = subprocess.run(
            [sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True, cwd=ROOT
        )
        took, loaded = done.stdout.splitlines()
        seconds.append(float(took))
    what = f"import pytyche_lab in a new process (median of {PROCESSES})"
    return [
        Figure("import-seconds", what, statistics.median(seconds), 0.3, "lower", "s"),
        Figure(
            "import-lazy",
            "it imports no JAX, scipy, statsmodels, SQLAlchemy or pandas",
            loaded == "[]",
            True,
            "true",
        ),
    ]


def docstrings() -> list[Figure]:
    documented = [
        ast.get_docstring(node) is not None
        for package in ("engine/pytyche_engine", "pytyche_lab")
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in _public(ast.parse(path.read_text()))
    ]
    share = sum(documented) / len(documented)
    what = f"of {len(documented):,} public modules, classes and functions, share with a docstring"
    return [Figure("docstrings", what, share, 1.0, "higher")]


def _public(node: ast.AST) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef]:
    """A module and what is public in it; what functions hold inside is their own affair."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        yield node
    if isinstance(node, ast.Module | ast.ClassDef):
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef) and child.name[0] != "_":
                yield from _public(child)


def wheel() -> list[Figure]:
    names = [path.name for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    ran = 0
    command = [sys.executable, "-u", str(ROOT / "tests/wheel/try_wheel.py"), *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            ran += ": ran in " in line
    what = "notebooks that run from the installed wheel, outside the checkout, without Node"
    return [Figure("wheel-notebooks", what, ran, len(names), "higher")]


def clone() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "pytyche-lab"
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTYCHE", "JAX"))}
        begin = time.monotonic()
        subprocess.run(["git", "clone", "-q", str(ROOT), str(place)], check=True)
        subprocess.run(["make", "setup"], cwd=place, env=env, check=True)
        ready = time.monotonic()
        subprocess.run(["make", "demo"], cwd=place, env=env, check=True, stdout=subprocess.DEVNULL)
        played = time.monotonic()
    return [
        Figure("setup-minutes", "git clone and make setup, nothing installed before",
               (ready - begin) / 60, None, "lower", "min"),
        Figure("clone-to-rounds", "the same, then make demo: three rounds of 2,000 visitors and up",
               (played - begin) / 60, 10.0, "lower", "min"),
    ]  # fmt: skip


PARTS = {
    "files": files,
    "start": start,
    "docstrings": docstrings,
    "wheel": wheel,
    "clone": clone,
}

if __name__ == "__main__":
    measure("release", PARTS, usual=("files", "start", "docstrings"))
