"""A JupyterLab of its own and a notebook in a real browser."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page

LAB_SECONDS = 180
ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def jupyter_lab(home: Path) -> Iterator[tuple[str, str, Path]]:
    """Start JupyterLab; gives its address, its token and the folder of its notebooks."""
    token, port, root = secrets.token_hex(16), _free_port(), home / "notebooks"
    root.mkdir()
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    news = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(news))
    # The launcher's tile as it was built, whatever pip has put into the environment.
    extensions = home / "share" / "labextensions"
    extensions.mkdir(parents=True)
    (extensions / "pytyche-lab").symlink_to(ROOT / "pytyche_lab" / "labextension")
    names = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    env = os.environ | {f"JUPYTER_{name}": str(home / name) for name in names}
    env |= {
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_PATH": str(home / "share"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    with (home / "lab.log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
                *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}"),
                "--LabApp.expose_app_in_browser=True",
            ],
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_up(f"http://127.0.0.1:{port}/api?token={token}", process, home / "lab.log")
            yield f"http://127.0.0.1:{port}", token, root
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


class Notebook:
    """A notebook opened in JupyterLab."""

    def __init__(self, page: Page, address: str, token: str, path: Path) -> None:
        self.page = page
        # Without reset the workspace of the last page would open its notebooks again.
        self._address = f"{address}/lab/tree/{path.name}?token={token}&reset"
        self._open()

    def reload(self) -> None:
        """Save the notebook, and load the page anew; the kernel stays."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self._open()

    def _open(self) -> None:
        page = self.page
        page.goto(self._address)
        page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext")
        # A cell that runs before the kernel answers gets a "Select Kernel" dialog.
        page.evaluate(
            """async () => {
                const context = window.jupyterapp.shell.currentWidget.sessionContext;
                await context.ready;
                await context.session.kernel.info;
            }"""
        )

    def start(self, index: int) -> None:
        """Run a cell and do not wait for it."""
        self.page.evaluate(
            """(index) => {
                const panel = window.jupyterapp.shell.currentWidget;
                window.ended ??= {};
                window.ended[index] = false;
                panel.content.activeCellIndex = index;
                panel.content.deselectAll();
                // Not the kernel's status: that says idle while a widget's message is handled.
                window.jupyterapp.commands.execute("notebook:run-cell")
                    .finally(() => { window.ended[index] = true; });
            }""",
            index,
        )

    def has_ended(self, index: int) -> bool:
        """Whether the cell's reply has come."""
        return bool(self.page.evaluate("(index) => window.ended[index]", index))

    def wait(self, index: int, seconds: float = 30) -> None:
        """Wait for a cell's end."""
        self.page.wait_for_function(
            "(index) => window.ended[index]", arg=index, timeout=1000 * seconds
        )

    def run(self, index: int, seconds: float = 30) -> str:
        """Run a cell, wait for its end and give its output's text."""
        self.start(index)
        self.wait(index, seconds)
        return self.text(index)

    def output(self, index: int) -> Locator:
        """The output area of a cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-OutputArea")

    def text(self, index: int) -> str:
        """The text that a cell's output shows."""
        return self.output(index).first.inner_text()

    def set_theme(self, name: str) -> None:
        """``"JupyterLab Light"`` or ``"JupyterLab Dark"``."""
        self.page.evaluate(
            """(theme) => window.jupyterapp.commands.execute("apputils:change-theme", {theme})""",
            name,
        )
        light = str(name.endswith("Light")).lower()
        self.page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")
        # Lab covers the page with its splash while a theme loads.
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")


def write_notebook(path: Path, cells: Sequence[str]) -> Path:
    """Write code cells as a notebook for this Python's kernel."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, path)
    return path


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _wait_until_up(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + LAB_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).read()  # noqa: S310
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}")
