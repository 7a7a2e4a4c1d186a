"""The registry's databases for tests: a SQLite file, and a PostgreSQL cluster of their own."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest


def _binaries() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    # Debian keeps them apart by version.
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


def install() -> str:
    """Install PostgreSQL with apt-get where this user may; says what is there."""
    if _binaries() is None and shutil.which("apt-get"):
        sudo: tuple[str, ...] = () if os.geteuid() == 0 else ("sudo", "-n")
        if not sudo or shutil.which("sudo"):
            wanted = ("install", "-qq", "-y", "--no-install-recommends", "postgresql")
            for command in (("update", "-qq"), wanted):
                subprocess.run([*sudo, "apt-get", *command], stdout=sys.stderr, check=False)
    found = _binaries()
    return f"PostgreSQL: {found}" if found else "PostgreSQL: none, so its tests are skipped"


@contextmanager
def postgresql() -> Iterator[str]:
    """A cluster in a temporary folder, reached by a socket alone; gives the URL without a name."""
    binaries = _binaries()
    if binaries is None:
        message = "PostgreSQL is not installed: its half of the registry's tests does not run."
        warnings.warn(message, stacklevel=2)
        pytest.skip(message)
    # PostgreSQL refuses to be root. The path of a socket must be short.
    home = Path(tempfile.mkdtemp(prefix="pg"))
    run: dict[str, object] = {"cwd": home, "stdout": subprocess.DEVNULL}
    if os.geteuid() == 0:
        user = "postgres" if _exists("postgres") else "nobody"
        shutil.chown(home, user)
        run["user"] = user
    data = home / "data"
    asked = ["-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
    subprocess.run([binaries / "initdb", "-D", data, *asked], check=True, **run)
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-k", home, "-c", "listen_addresses=", "-F"],
        stderr=subprocess.DEVNULL,
        **run,
    )
    try:
        _wait_until_up(f"host={home} user=tester dbname=postgres")
        yield f"postgresql://tester@/{{name}}?host={home}"
    finally:
        server.send_signal(signal.SIGINT)  # SIGTERM would wait for clients
        server.wait(20)
        shutil.rmtree(home, ignore_errors=True)


def _wait_until_up(address: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(address).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


if __name__ == "__main__":
    print(install())
