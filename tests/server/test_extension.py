"""A real Jupyter Server, started as a user starts it, answers for the extension."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

TOKEN = "token-of-a-test"  # noqa: S105
CONFIG = Path(__file__).parents[2] / "jupyter-config"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("jupyter")
    port = free_port()
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
            *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={home}"),
        ],
        env=env,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            if process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{url}/api?token={TOKEN}", timeout=5).read()  # noqa: S310
                break
            except OSError:
                time.sleep(0.1)
        assert process.poll() is None, (home / "log").read_text()
        yield url
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def get(url: str, token: str | None) -> tuple[int, bytes]:
    headers = {} if token is None else {"Authorization": f"token {token}"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_version_is_served_with_the_token(server: str) -> None:
    status, body = get(f"{server}/pytyche-lab/version", TOKEN)
    assert status == 200
    assert json.loads(body) == {"version": version("pytyche-lab")}


@pytest.mark.parametrize("token", [None, "another"])
def test_without_the_token_nothing_is_served(server: str, token: str | None) -> None:
    status, body = get(f"{server}/pytyche-lab/version", token)
    assert status == 403
    assert version("pytyche-lab").encode() not in body
