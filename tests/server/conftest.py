"""A real Jupyter Server, started as a user starts it."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_server import Server

CONFIG = Path(__file__).parents[2] / "jupyter-config"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("jupyter")
    port, token = free_port(), "token-of-a-test"
    # The configuration is the file of the checkout, so an edit is tested without a reinstall.
    env = os.environ | {
        "JUPYTER_CONFIG_PATH": str(CONFIG),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }
    log = (home / "log").open("w")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
            *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
            *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={home}"),
            "--ServerApp.base_url=/user/ann/",
        ],
        env=env,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}/user/ann"
    try:
        for _ in range(600):
            if process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{url}/api?token={token}", timeout=5).read()  # noqa: S310
                break
            except OSError:
                time.sleep(0.1)
        assert process.poll() is None, (home / "log").read_text()
        yield Server(url, token, home)
    finally:
        process.terminate()
        process.wait(20)
        log.close()
