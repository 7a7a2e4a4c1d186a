"""Finds a Chromium for the browser tests, or installs one and says which; starts it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

VARIABLE = "PYTYCHE_CHROMIUM"
SYSTEM = Path("/usr/bin/chromium")


def find() -> tuple[Path, str]:
    """The browser's path, and where it came from.

    Tried in this order: the variable PYTYCHE_CHROMIUM, /usr/bin/chromium, apt-get where this
    user may use it, Playwright's own download.
    """
    if named := os.environ.get(VARIABLE):
        path = Path(named)
        if not path.is_file():
            raise FileNotFoundError(f"{VARIABLE} names {named}, which does not exist.")
        return path, f"named by {VARIABLE}"
    if SYSTEM.is_file():
        return SYSTEM, "installed on this system"
    if _apt_get_chromium() and SYSTEM.is_file():
        return SYSTEM, "just installed with apt-get"
    return _playwright(), "Playwright's own"


def launch(playwright: Playwright) -> Browser:
    """A headless browser that asks the network for nothing by itself."""
    path, _ = find()
    # As root Chromium refuses its sandbox; the pages are these tests' own.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
    return playwright.chromium.launch(
        executable_path=path, args=[*sandbox, "--disable-gpu", "--no-first-run", *quiet]
    )


def _apt_get_chromium() -> bool:
    if shutil.which("apt-get") is None:
        return False
    sudo: tuple[str, ...] = ()
    if os.geteuid() != 0:
        sudo = ("sudo", "-n")
        allowed = shutil.which("sudo") and subprocess.run([*sudo, "true"], capture_output=True)
        if not allowed or allowed.returncode != 0:
            return False
    wanted = ("chromium", "fonts-dejavu-core")
    commands = (("update", "-qq"), ("install", "-qq", "-y", "--no-install-recommends", *wanted))
    return all(
        subprocess.run([*sudo, "apt-get", *command], stdout=sys.stderr).returncode == 0
        for command in commands
    )


def _playwright() -> Path:
    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    if not path.is_file():
        command = [sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"]
        if os.geteuid() != 0:
            command.remove("--with-deps")
        subprocess.run(command, check=True, stdout=sys.stderr)
    return path


if __name__ == "__main__":
    print("Chromium: {} ({})".format(*find()))
