"""The OpenAPI document, made from the routes and the shapes."""

from importlib.metadata import version
from typing import Any

from pytyche_lab.server import shapes
from pytyche_lab.server.routes import MAX_LIMIT, ROUTES, Route
from pytyche_lab.server.shapes import PARQUET

_WORDS = {
    400: "The request cannot be understood",
    401: "The credentials are of no use",
    403: "No credentials, or no XSRF token beside a cookie",
    404: "No such experiment in this project",
    409: "The experiment's state does not allow it",
    422: "What was sent contradicts itself or the experiment",
}
_ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_QUERY: dict[str, dict[str, Any]] = {
    "project_id": {"type": "string", "minLength": 1, "maxLength": 100},
    "status": {"type": "string", "enum": ["draft", "running", "stopped"]},
    "search": {"type": "string", "maxLength": 200},
    "baseline": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "visitors": {"type": "integer", "minimum": 1, "maximum": 10**15},
    "weights": {"type": "string", "maxLength": 1000, "examples": ["0.5,0.5"]},
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50},
    "offset": {"type": "integer", "minimum": 0, "maximum": 10**9, "default": 0},
}


def document() -> dict[str, Any]:
    """The API as an OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Experiments console of pytyche-lab",
            "version": version("pytyche-lab"),
            "description": "A/B tests, bandits and adaptive experiments in one registry.",
        },
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": {**shapes.component_schemas(), **shapes.REQUESTS},
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "The Jupyter Server's token: `token <value>`",
                }
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "schema": _QUERY[name]}
        for name in ("project_id", *route.query)
        if not route.path.endswith("openapi.json")
    ]
    if "{id}" in route.path:
        parameters.insert(0, {"name": "id", "in": "path", "required": True, "schema": _ID})
    if route.takes == "Observations":
        key = {"type": "string", "minLength": 1, "maxLength": 200}
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": key})
    errors = {401, 403, *route.errors, *((404,) if "{id}" in route.path else ())}
    good: dict[str, Any] = {"description": route.does}
    if route.gives is not None:
        good["content"] = {"application/json": {"schema": shapes.json_schema(route.gives)}}
    operation: dict[str, Any] = {
        "operationId": route.run.__name__.strip("_"),
        "summary": route.does,
        "parameters": parameters,
        "responses": {
            str(route.status): good,
            **{str(status): _error(status) for status in sorted(errors)},
        },
    }
    if route.takes is not None:
        schema = {"$ref": f"#/components/schemas/{route.takes}"}
        content: dict[str, Any] = {"application/json": {"schema": schema}}
        if route.takes == "Observations":
            content[PARQUET] = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _error(status: int) -> dict[str, Any]:
    schema = shapes.json_schema(shapes.ErrorView)
    return {"description": _WORDS[status], "content": {"application/json": {"schema": schema}}}
