"""The console's widget: what it asks, and what a reader without a kernel sees."""

import time
from typing import Any

import pytest

import pytyche_lab as pt
from pytyche_lab.client import LocalClient
from pytyche_lab.widgets import Console

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(Console, "send", lambda _self, content, **_: found.append(content))
    return found


def ask(console: Console, sent: list[dict[str, Any]], content: dict[str, Any]) -> dict[str, Any]:
    console._on_message(None, content, [])
    return sent[-1]


def test_it_answers_by_the_apis_routes(sent: list[dict[str, Any]]) -> None:
    console = pt.console(project_id="shop")
    assert console.page["totals"]["total"] == 0
    body = {"name": EVIL, "project_id": "shop", "variants": []}
    request = {"id": 7, "method": "POST", "path": "/experiments", "query": {}, "body": body}
    made = ask(console, sent, request)
    assert (made["id"], made["status"], made["content"]["name"]) == (7, 201, EVIL)
    path = f"/experiments/{made['content']['id']}/launch"
    refused = ask(
        console, sent, {"id": 8, "method": "POST", "path": path, "query": {}, "body": None}
    )
    assert refused["status"] == 422
    assert "two variants" in refused["content"]["message"]
    query = {"project_id": "shop", "limit": "20"}
    page = ask(console, sent, {"id": 9, "method": "GET", "path": "/experiments", "query": query})
    assert page["content"]["totals"]["draft"] == 1


@pytest.mark.parametrize("content", [{}, {"id": 1}, {"id": 1, "method": "GET", "path": 3}])
def test_what_makes_no_sense_is_answered_too(
    sent: list[dict[str, Any]], content: dict[str, Any]
) -> None:
    answer = ask(pt.console(), sent, content)
    assert answer["id"] == content.get("id")
    assert answer["status"] >= 400


def test_without_a_kernel_it_is_a_table() -> None:
    assert repr(pt.console()) == "No experiments yet."
    LocalClient().create(EVIL, variants={"control": 0.5, "b": 0.5}, bandit_enabled=True)
    console = pt.console()
    assert EVIL in repr(console)
    assert "Thompson sampling" in repr(console)
    data, _ = console._repr_mimebundle_()
    assert "<img" not in data["text/html"]
    assert "&lt;img" in data["text/html"]


def opened(console: Console, sent: list[dict[str, Any]], experiment_id: str) -> dict[str, Any]:
    path = f"/experiments/{experiment_id}"
    console._on_message(None, {"id": 3, "method": "OPEN", "path": path}, [])
    deadline = time.monotonic() + 60
    while not sent and time.monotonic() < deadline:
        time.sleep(0.01)
    return sent.pop()


def test_an_adaptive_experiment_opens_in_its_cockpit(sent: list[dict[str, Any]]) -> None:
    pt.sequential_experiment(schedule=[600], treatments=["control", "b"], name="promo")
    console = pt.console()
    one = console.page["experiments"][0]["id"]
    first = opened(console, sent, one)
    assert first["status"] == 200
    assert first["content"]["reference"].startswith("anywidget:")
    assert opened(console, sent, one)["content"] == first["content"]


def test_what_has_no_cockpit_says_so(sent: list[dict[str, Any]]) -> None:
    LocalClient().create("a test", variants={"control": 0.5, "b": 0.5})
    console = pt.console()
    said = opened(console, sent, console.page["experiments"][0]["id"])
    assert said["status"] == 409
    assert "no cockpit" in said["content"]["message"]
    assert opened(console, sent, "f" * 32)["status"] == 409
