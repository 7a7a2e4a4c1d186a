"""The OpenAPI document is true: requests made from it never break the server."""

import itertools
import json
import urllib.request
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from running_server import Server
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import pytyche_lab as pt
from pytyche_lab.server.openapi import document


@pytest.fixture(scope="module")
def ids(server: Server) -> Iterator[str]:
    """Experiments in every state, so that requests are not all answered with 404."""
    client = pt.Client(server.url, server.token)
    made = [client.create(f"case {i}", variants={"control": 0.5, "b": 0.5}) for i in range(3)]
    made[1].launch()
    made[2].launch()
    made[2].stop()
    return itertools.cycle([one.id for one in made])


schema = schemathesis.openapi.from_dict(document())


@schema.parametrize()
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_breaks_the_server(
    case: schemathesis.Case, server: Server, ids: Iterator[str]
) -> None:
    if "id" in (case.path_parameters or {}):
        case.path_parameters["id"] = next(ids)
    answer = case.call(base_url=server.url, headers={"Authorization": f"token {server.token}"})
    assert answer.status_code < 500, answer.text
    case.validate_response(
        answer,
        checks=[status_code_conformance, content_type_conformance, response_schema_conformance],
    )


def test_the_document_is_served(server: Server) -> None:
    request = urllib.request.Request(  # noqa: S310
        f"{server.url}/v1/admin/openapi.json", headers={"Authorization": f"token {server.token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        assert json.load(answer) == document()
