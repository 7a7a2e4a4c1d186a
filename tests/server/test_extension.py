"""The extension is enabled by its configuration file, and needs the server's token."""

import json
import urllib.error
import urllib.request
from importlib.metadata import version

import pytest
from running_server import Server


def get(url: str, token: str | None) -> tuple[int, bytes]:
    headers = {} if token is None else {"Authorization": f"token {token}"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_version_is_served_with_the_token(server: Server) -> None:
    status, body = get(f"{server.url}/pytyche-lab/version", server.token)
    assert status == 200
    assert json.loads(body) == {"version": version("pytyche-lab")}


@pytest.mark.parametrize("token", [None, "another"])
def test_without_the_token_nothing_is_served(server: Server, token: str | None) -> None:
    status, body = get(f"{server.url}/pytyche-lab/version", token)
    assert status == 403
    assert version("pytyche-lab").encode() not in body
