"""The extension is enabled by its configuration file, and needs the server's token."""

import html
import json
import re
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


def test_the_console_is_a_page_for_who_is_logged_in(server: Server) -> None:
    url = f"{server.url}/pytyche-lab/console?project_id=%22%3E%3Cimg%20src=x%3E"
    request = urllib.request.Request(url, headers={"Authorization": f"token {server.token}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        policy, page = answer.headers["Content-Security-Policy"], answer.read().decode()
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'self'" in policy
    assert 'data-base="/user/ann/"' in page
    assert "<img" not in page
    script = re.search(r'src="([^"]+)"', page)
    assert script is not None
    origin = server.url.removesuffix("/user/ann")
    assert get(origin + html.unescape(script[1]), None)[0] == 200

    status, without = get(f"{server.url}/pytyche-lab/console", None)
    assert b"data-xsrf" not in without, status
