"""The console's API over HTTP, as a platform and a browser use it."""

import http.client
import io
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from running_server import Server

import pytyche_lab as pt
from pytyche_engine.contracts.errors import (
    DataError,
    DesignError,
    UnknownExperimentError,
    WrongStateError,
)
from pytyche_lab.client import ServerError
from pytyche_lab.server.routes import ROUTES
from pytyche_lab.server.shapes import PARQUET

HOSTILE = "'; DROP TABLE experiments; --<script>alert(1)</script>"
NOWHERE = "0" * 32


def send(
    server: Server,
    method: str,
    path: str,
    body: object = None,
    *,
    token: bool = True,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    place = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    sent = {"Authorization": f"token {server.token}"} if token else {}
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
    connection.request(method, place.path + path, content, sent | dict(headers or {}))
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


def create(server: Server, **changes: Any) -> str:
    body = {"name": "Badge copy", "project_id": "shop", **changes}
    body.setdefault(
        "variants",
        [{"name": "control", "traffic_weight": 0.5}, {"name": "badge", "traffic_weight": 0.5}],
    )
    status, detail = send(server, "POST", "/v1/admin/experiments", body)
    assert status == 201, detail
    return str(detail["id"])


def test_the_documents_calls_in_its_order(server: Server) -> None:
    root = "/v1/admin/experiments"
    body = {"name": "Checkout", "hypothesis": "...", "bandit_enabled": False, "project_id": "seed"}
    status, made = send(server, "POST", root, body)
    assert status == 201
    one = f"{root}/{made['id']}"
    for name in ("Variant A", "Variant B"):
        body = {"name": name, "traffic_weight": 0.5}
        assert send(server, "POST", f"{one}/variants", body)[0] == 201
    assert send(server, "POST", f"{one}/launch")[1]["status"] == "running"
    counts = {"Variant A": {"exposures": 4000, "conversions": 200}}
    counts["Variant B"] = {"exposures": 4000, "conversions": 300}
    assert send(server, "POST", f"{one}/observations", {"counts": counts})[0] == 201
    status, analysis = send(server, "POST", f"{one}/analyze")
    assert status == 200
    result = analysis["result"]
    assert result["verdict"]["winner"] == "Variant B"
    assert {"split", "variants", "comparisons", "cuped", "log_lr_limit"} <= set(result)
    assert send(server, "GET", f"{one}/results")[1]["results"] == [analysis]
    assert send(server, "POST", f"{one}/stop")[1]["status"] == "stopped"
    status, page = send(server, "GET", f"{root}?project_id=seed")
    assert status == 200
    assert [e["name"] for e in page["experiments"]] == ["Checkout"]
    assert page["totals"]["winners"] == 1
    (variant,) = [v for v in send(server, "GET", one)[1]["variants"] if v["is_winner"]]
    assert (variant["name"], variant["alpha"], variant["beta"]) == ("Variant B", 301, 3701)


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_no_credentials_no_answer(server: Server, route: Any) -> None:
    one = create(server)
    path = route.path.replace("{id}", one)
    status, body = send(server, route.method, path, {"name": "x"}, token=False)
    assert status == 403
    assert one not in json.dumps(body)
    assert send(server, "GET", f"/v1/admin/experiments/{one}")[1]["status"] == "draft"


def test_a_cookie_needs_the_xsrf_token_too(server: Server) -> None:
    place = urllib.parse.urlsplit(server.url)
    cookies: list[str] = []
    for page in ("/login", f"/login?token={server.token}"):
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
        connection.request("GET", place.path + page)
        answer = connection.getresponse()
        answer.read()
        cookies += [c.split(";")[0] for c in answer.headers.get_all("Set-Cookie") or []]
        connection.close()
    headers = {"Cookie": "; ".join(cookies)}
    assert send(server, "GET", "/v1/admin/experiments", token=False, headers=headers)[0] == 200
    post = ("POST", "/v1/admin/experiments", {"name": "x", "project_id": "cookie"})
    assert send(server, *post, token=False, headers=headers)[0] == 403
    xsrf = next(c.partition("=")[2] for c in cookies if c.startswith("_xsrf="))
    with_token = headers | {"X-XSRFToken": xsrf}
    assert send(server, *post, token=False, headers=with_token)[0] == 201
    page = send(server, "GET", "/v1/admin/experiments?project_id=cookie")[1]
    assert page["n_found"] == 1


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if "{id}" in r.path], ids=lambda r: f"{r.method} {r.path}"
)
def test_another_projects_experiment_is_not_there(server: Server, route: Any) -> None:
    one = create(server)
    counts = {"control": {"exposures": 1, "conversions": 0}}
    body = {"counts": counts} if route.takes == "Observations" else {"name": "x"}
    for path in (
        route.path.replace("{id}", one) + "?project_id=other",
        route.path.replace("{id}", NOWHERE),
        route.path.replace("{id}", "..%2f..%2fetc"),
    ):
        assert send(server, route.method, path, body)[0] == 404
    assert send(server, "GET", f"/v1/admin/experiments/{one}?project_id=shop")[0] == 200


def test_names_stay_text(server: Server) -> None:
    one = create(server, name=HOSTILE, hypothesis=HOSTILE)
    status, page = send(
        server, "GET", f"/v1/admin/experiments?search={urllib.parse.quote(HOSTILE)}"
    )
    assert status == 200
    assert [(e["id"], e["name"]) for e in page["experiments"]] == [(one, HOSTILE)]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "", b"{", 400),
        ("POST", "", b"[]", 400),
        ("POST", "", b'{"name": NaN}', 400),
        ("POST", "", b"\xff", 400),
        ("POST", "", b"[" * 100_000, 400),
        ("POST", "", {"name": ""}, 422),
        ("POST", "", {"name": "x", "color": "red"}, 422),
        ("POST", "", {"name": "x", "bandit_enabled": "yes"}, 422),
        ("POST", "", {"name": "\ud800"}, 422),
        ("POST", "", {"name": "x", "alpha": 10**400}, 422),
        ("GET", "?limit=1000", None, 400),
        ("GET", "?offset=-1", None, 400),
        ("GET", "?status=gone", None, 400),
        ("PATCH", "/{id}", {}, 422),
        ("POST", "/{id}/stop", None, 409),
        ("POST", "/{id}/analyze", None, 409),
        ("GET", "/{id}/plan", None, 409),
        ("PUT", "/{id}", {}, 405),
        ("POST", "/{id}", {}, 405),
        ("GET", "/{id}/nothing", None, 404),
    ],
)
def test_what_is_wrong_is_said(
    server: Server, method: str, path: str, body: object, status: int
) -> None:
    one = create(server)
    found, answer = send(server, method, "/v1/admin/experiments" + path.replace("{id}", one), body)
    assert found == status, answer
    assert set(answer) >= {"message", "reason"}
    assert answer["message"]


def test_drafts_are_changed_and_deleted(server: Server) -> None:
    one = f"/v1/admin/experiments/{create(server)}"
    variants = [{"name": "a", "traffic_weight": 0.7}, {"name": "b", "traffic_weight": 0.3}]
    changes = {"bandit_enabled": True, "variants": variants, "planned_visitors": 5000}
    status, detail = send(server, "PATCH", one, changes)
    assert status == 200
    assert (detail["type"], detail["planned_visitors"]) == ("bandit", 5000)
    assert [v["name"] for v in detail["variants"]] == ["a", "b"]
    assert send(server, "DELETE", one) == (204, None)
    assert send(server, "GET", one)[0] == 404


def test_rows_as_json_and_parquet_and_a_repeated_key(server: Server) -> None:
    one = f"/v1/admin/experiments/{create(server, metric='revenue')}"
    send(server, "POST", f"{one}/launch")
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {"variant": rng.choice(["control", "badge"], 400), "value": rng.exponential(5, 400)}
    )
    headers = {"Content-Type": PARQUET, "Idempotency-Key": "first"}
    file = frame.to_parquet(index=False)
    status, receipt = send(server, "POST", f"{one}/observations", file, headers=headers)
    assert (status, receipt["repeated"], receipt["exposures"]) == (201, False, 400)
    assert send(server, "POST", f"{one}/observations", file, headers=headers)[1]["repeated"]
    rows = [{"variant": "badge", "value": 2.5, "visitor_id": "a"}]
    assert send(server, "POST", f"{one}/observations", {"rows": rows})[0] == 201
    other = send(server, "POST", f"{one}/observations", {"rows": rows}, headers=headers)
    assert other[0] == 422, "JSON under the name of Parquet"
    key = {"Idempotency-Key": "first"}
    assert send(server, "POST", f"{one}/observations", {"rows": rows}, headers=key)[0] == 409
    variants = send(server, "GET", one)[1]["variants"]
    assert sum(v["exposures"] for v in variants) == 401
    bad = send(server, "POST", f"{one}/observations", b"no", headers={"Content-Type": PARQUET})
    assert bad[0] == 422


def test_the_client_is_the_same_api(server: Server) -> None:
    client = pt.Client(server.url, server.token, project_id="client")
    assert server.token not in repr(client)
    one = client.create("Badge", variants={"control": 0.5, "badge": 0.5}, planned_visitors=100)
    with pytest.raises(WrongStateError, match="draft"):
        one.stop()
    one.launch()
    with pytest.raises(DesignError, match="'other'"):
        one.observe(counts={"other": (1, 0)})
    with pytest.raises(DesignError, match=r"'badge' are \(10,\); give \(exposures"):
        one.observe(counts={"control": (10, 1), "badge": (10,)})
    with pytest.raises(DataError, match="cannot be sent as Parquet"):
        one.observe(pd.DataFrame({"variant": ["control"] * 2, "value": [1, "one"]}))
    one.observe(counts={"control": (1000, 100), "badge": (1000, 190)}, key="a")
    statistics = {"exposures": 10, "conversions": 1, "total": 1.0, "total_squares": 1.0}
    one.observe(statistics={"badge": statistics})
    one.observe(pd.DataFrame({"variant": ["control"] * 10, "value": [0.0] * 10}))
    assert one.analyze()["result"]["verdict"]["kind"] == "winner"
    assert "badge beats control" in repr(one)
    assert client.experiments()["totals"]["total"] == 1
    with pytest.raises(UnknownExperimentError):
        client.experiment(NOWHERE)
    with pytest.raises(ServerError, match="Forbidden") as refused:
        pt.Client(server.url, "another").experiments()
    assert refused.value.status == 403
    with pytest.raises(ServerError, match="cannot be reached"):
        pt.Client("http://127.0.0.1:9", "x").experiments()


def test_a_schedule_of_weights_is_polled(server: Server) -> None:
    one = f"/v1/admin/experiments/{create(server, bandit_enabled=True)}"
    send(server, "POST", f"{one}/launch")
    before = send(server, "GET", f"{one}/plan")[1]
    assert before["weights"] == {"control": 0.5, "badge": 0.5}
    counts = {
        "control": {"exposures": 500, "conversions": 20},
        "badge": {"exposures": 500, "conversions": 90},
    }
    send(server, "POST", f"{one}/observations", {"counts": counts})
    after = send(server, "GET", f"{one}/plan")[1]
    assert after["weights"] == pytest.approx({"control": 0.05, "badge": 0.95})
    assert len(send(server, "GET", f"{one}/weights")[1]["periods"]) == 2
    who = {line["who"] for line in send(server, "GET", f"{one}/audit")[1]["lines"]}
    assert who
    assert "" not in who


def test_the_registry_lies_in_jupyters_data_folder(server: Server) -> None:
    create(server)
    file = server.home / "data" / "pytyche_lab" / "registry.sqlite3"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_million_rows_are_accepted(server: Server) -> None:
    """At a smaller size; benchmarks/bench_console.py measures the real one."""
    one = f"/v1/admin/experiments/{create(server)}"
    send(server, "POST", f"{one}/launch")
    buffer = io.BytesIO()
    rng = np.random.default_rng(1)
    n = 100_000
    pd.DataFrame(
        {"variant": rng.choice(["control", "badge"], n), "value": rng.random(n) < 0.1}
    ).to_parquet(buffer, index=False)
    headers = {"Content-Type": PARQUET}
    status, receipt = send(
        server, "POST", f"{one}/observations", buffer.getvalue(), headers=headers
    )
    assert (status, receipt["exposures"]) == (201, n)
