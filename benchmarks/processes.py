"""Python code in a process of its own, with compiled code or without."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def nothing_compiled() -> Iterator[dict[str, str]]:
    """An environment whose cache of compiled code is empty; its processes fill it."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        yield environment


def last_line(code: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What a process prints last; the modules of this folder are there for its imports.

    Raises:
        subprocess.CalledProcessError: if it fails; what it says of it is on the terminal.
    """
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=Path(__file__).parent,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    return lines[-1] if lines else ""
