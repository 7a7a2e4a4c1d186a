"""The routes of the console's API as functions of plain requests, for HTTP and widgets alike."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, get_args

from jsonschema import Draft202012Validator

from pytyche_engine.contracts.errors import (
    DataError,
    DesignError,
    PytycheError,
    UnknownExperimentError,
    WrongStateError,
)
from pytyche_engine.store.adaptive import plans_of, rounds_of
from pytyche_engine.store.analysing import analyse, results
from pytyche_engine.store.deliveries import MAX_KEY, Kind, deliver_rows, deliver_sums
from pytyche_engine.store.records import Experiment, ExperimentDraft, Sums, VariantDraft
from pytyche_engine.store.registry import Registry
from pytyche_engine.store.reweighing import serve_plan
from pytyche_engine.store.visitor_rows import read_json_rows, read_parquet
from pytyche_lab.server import shapes, views
from pytyche_lab.server.shapes import PARQUET
from pytyche_lab.server.shapes import ROOT as ROOT

MAX_LIMIT = 200


class BadRequestError(PytycheError):
    """A request that cannot be understood, as opposed to one that is understood and wrong."""


@dataclass(frozen=True)
class Request:
    """A request, wherever it came from.

    Attributes:
        method: of HTTP.
        path: below the server's base URL.
        who: sent it.
        query: its parameters.
        body: its content.
        content_type: of the content.
        key: its idempotency key.
    """

    method: str
    path: str
    who: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = "application/json"
    key: str | None = None


@dataclass(frozen=True)
class Answer:
    """What is sent back.

    Attributes:
        status: of HTTP.
        content: JSON values; None for nothing.
    """

    status: int
    content: Any


@dataclass(frozen=True)
class Route:
    """A route, as it is answered and as it is documented.

    Attributes:
        method: of HTTP.
        path: with ``{id}`` for an experiment's id.
        does: what it does, in a line.
        run: gives the content of the answer.
        gives: type of the content; None for nothing.
        takes: name of the request's schema in `shapes.REQUESTS`; None for no body.
        query: names of its parameters beside ``project_id``.
        status: when all is well.
        errors: other statuses that its own rules may give.
    """

    method: str
    path: str
    does: str
    run: Callable[[Registry, Request, str], Any]
    gives: Any = None
    takes: str | None = None
    query: tuple[str, ...] = ()
    status: int = 200
    errors: tuple[int, ...] = ()


def answer(registry: Registry, request: Request) -> Answer:
    """Answer a request; what the sender did wrong is an answer too."""
    path = request.path.rstrip("/")
    matches = [(r, m) for r in ROUTES if (m := _pattern(r.path).fullmatch(path))]
    try:
        for route, match in matches:
            if route.method == request.method:
                experiment_id = match.groupdict().get("id", "")
                project_id = request.query.get("project_id")
                # Another project's experiment is not there, whatever is asked for it. Deliveries
                # are many; without a project they look their experiment up themselves.
                if experiment_id and (project_id is not None or route.takes != "Observations"):
                    registry.project_of(experiment_id, project_id)
                return Answer(route.status, route.run(registry, request, experiment_id))
    except UnknownExperimentError as error:
        return _error(404, error, "not_found")
    except WrongStateError as error:
        return _error(409, error, "wrong_state")
    except DesignError as error:
        return _error(422, error, "invalid")
    except DataError as error:
        return _error(422, error, "invalid_data")
    except BadRequestError as error:
        return _error(400, error, "bad_request")
    if matches:
        known = ", ".join(sorted(r.method for r, _ in matches))
        return Answer(405, {"message": f"This address knows {known}.", "reason": "wrong_method"})
    return Answer(404, {"message": "There is nothing at this address.", "reason": "not_found"})


def _error(status: int, error: Exception, reason: str) -> Answer:
    return Answer(status, {"message": str(error), "reason": reason})


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\{id\}", "(?P<id>[^/]+)"))


# What the routes do


def _list(registry: Registry, request: Request, _id: str) -> shapes.PageView:
    query = request.query
    status = query.get("status")
    if status is not None and status not in get_args(shapes.ExperimentStatus):
        _bad(f"status is '{status}'; use one of {list(get_args(shapes.ExperimentStatus))}.")
    search = query.get("search", "")
    if "\x00" in search or "\x00" in query.get("project_id", ""):
        _bad("A parameter holds a null character.")
    limit, offset = _window(query)
    page = registry.page(
        query.get("project_id"),
        status=status,  # type: ignore[arg-type]  # checked above
        search=search,
        limit=limit,
        offset=offset,
    )
    return views.page_view(page, limit, offset)


def _create(registry: Registry, request: Request, _id: str) -> shapes.ExperimentDetail:
    return _detail(registry, registry.create(_draft(_body(request, "NewExperiment")), request.who))


def _get(registry: Registry, _request: Request, experiment_id: str) -> shapes.ExperimentDetail:
    return _detail(registry, registry.get(experiment_id))


def _edit(registry: Registry, request: Request, experiment_id: str) -> shapes.ExperimentDetail:
    changes = _settings(_body(request, "Changes"))
    return _detail(registry, registry.edit(experiment_id, changes, request.who))


def _delete(registry: Registry, request: Request, experiment_id: str) -> None:
    registry.delete(experiment_id, request.who)


def _add_variant(
    registry: Registry, request: Request, experiment_id: str
) -> shapes.ExperimentDetail:
    draft = _variant(_body(request, "NewVariant"))
    return _detail(registry, registry.add_variant(experiment_id, draft, request.who))


def _launch(registry: Registry, request: Request, experiment_id: str) -> shapes.ExperimentDetail:
    return _detail(registry, registry.launch(experiment_id, request.who))


def _stop(registry: Registry, request: Request, experiment_id: str) -> shapes.ExperimentDetail:
    return _detail(registry, registry.stop(experiment_id, request.who))


def _analyse(registry: Registry, request: Request, experiment_id: str) -> shapes.AnalysisView:
    return views.analysis_view(analyse(registry, experiment_id, request.who))


def _results(registry: Registry, request: Request, experiment_id: str) -> shapes.ResultsView:
    limit, offset = _window(request.query)
    found = results(registry, experiment_id, limit=limit, offset=offset)
    return {
        "results": [views.analysis_view(one) for one in found],
        "limit": limit,
        "offset": offset,
    }


def _observe(registry: Registry, request: Request, experiment_id: str) -> shapes.ReceiptView:
    if request.key is not None and not 0 < len(request.key) <= MAX_KEY:
        _bad(f"The idempotency key has {len(request.key)} characters; use 1 to {MAX_KEY}.")
    who, key = request.who, request.key
    if request.content_type == PARQUET:
        visitors = read_parquet(request.body)
        return views.receipt_view(deliver_rows(registry, experiment_id, visitors, who, key=key))
    if request.content_type != "application/json":
        _bad(f"Send application/json or {PARQUET}, not '{request.content_type}'.")
    body = _body(request, "Observations")
    if "rows" in body:
        visitors = read_json_rows(body["rows"])
        return views.receipt_view(deliver_rows(registry, experiment_id, visitors, who, key=key))
    kind: Kind = "counts" if "counts" in body else "statistics"
    sums = {name: _sums(one) for name, one in body[kind].items()}
    return views.receipt_view(deliver_sums(registry, experiment_id, sums, who, kind=kind, key=key))


def _detectable(_registry: Registry, request: Request, _id: str) -> shapes.DetectableView:
    from pytyche_engine.classic.power import detectable_rise

    query, power = request.query, 0.8
    try:
        baseline, visitors = float(query["baseline"]), int(query["visitors"])
        weights = [float(part) for part in query["weights"].split(",")]
    except (KeyError, ValueError):
        _bad("Give baseline (a rate), visitors (a whole number) and weights (as 0.5,0.5).")
    rise = detectable_rise(baseline, visitors, weights, power=power)
    relative = math.nan if rise is None else rise / baseline
    return {
        "rise": rise,
        "relative": relative if math.isfinite(relative) else None,
        "power": power,
    }


def _plan(registry: Registry, request: Request, experiment_id: str) -> shapes.PlanView:
    experiment = serve_plan(registry, experiment_id, request.query.get("project_id"))
    if experiment.type == "adaptive":
        plan = plans_of(registry, experiment_id)[-1]
        return views.plan_view(experiment, plan["made_at"], plan)
    return views.plan_view(experiment, registry.weight_history(experiment_id)[-1].since, None)


def _weights(registry: Registry, _request: Request, experiment_id: str) -> shapes.WeightHistoryView:
    periods = registry.weight_history(experiment_id)
    return views.weights_view(registry.get(experiment_id), periods)


def _audit(registry: Registry, _request: Request, experiment_id: str) -> shapes.AuditView:
    return views.audit_view(registry.audit(experiment_id))


def _document(_registry: Registry, _request: Request, _id: str) -> dict[str, Any]:
    from pytyche_lab.server.openapi import document

    return document()


_ALL = f"{ROOT}/experiments"
_ONE = f"{_ALL}/{{id}}"
_DETAIL = shapes.ExperimentDetail
ROUTES = (
    Route("GET", f"{ROOT}/detectable", "What a planned test of conversion can find",
          _detectable, shapes.DetectableView, query=("baseline", "visitors", "weights"),
          errors=(400, 422)),
    Route("GET", _ALL, "List experiments, newest first", _list, shapes.PageView,
          query=("status", "search", "limit", "offset"), errors=(400,)),
    Route("POST", _ALL, "Create a draft", _create, _DETAIL, "NewExperiment",
          status=201, errors=(400, 422)),
    Route("GET", _ONE, "An experiment with everything that there is to show", _get, _DETAIL),
    Route("PATCH", _ONE, "Change a draft", _edit, _DETAIL, "Changes", errors=(400, 409, 422)),
    Route("DELETE", _ONE, "Delete a draft", _delete, status=204, errors=(409,)),
    Route("POST", f"{_ONE}/variants", "Add a variant to a draft; the first one is control",
          _add_variant, _DETAIL, "NewVariant", status=201, errors=(400, 409, 422)),
    Route("POST", f"{_ONE}/launch", "Begin a draft", _launch, _DETAIL, errors=(409, 422)),
    Route("POST", f"{_ONE}/stop", "End a running experiment", _stop, _DETAIL, errors=(409,)),
    Route("POST", f"{_ONE}/analyze", "Analyse what came in so far, and keep the result",
          _analyse, shapes.AnalysisView, errors=(409,)),
    Route("GET", f"{_ONE}/results", "Analyses, newest first", _results, shapes.ResultsView,
          query=("limit", "offset"), errors=(400,)),
    Route("POST", f"{_ONE}/observations",
          "Add visitors: counts, sufficient statistics, or rows as JSON or Parquet",
          _observe, shapes.ReceiptView, "Observations", status=201, errors=(400, 409, 422)),
    Route("GET", f"{_ONE}/plan", "What a platform serves now", _plan, shapes.PlanView,
          errors=(409,)),
    Route("GET", f"{_ONE}/weights", "The weight history", _weights, shapes.WeightHistoryView),
    Route("GET", f"{_ONE}/audit", "Who did what", _audit, shapes.AuditView),
    Route("GET", f"{ROOT}/openapi.json", "This document", _document, dict[str, Any]),
)  # fmt: skip
"""Every route of the API."""


# Reading requests


def _body(request: Request, schema: str) -> dict[str, Any]:
    """The JSON of a request, which fits its schema.

    Raises:
        BadRequestError: if it is no JSON object.
        DesignError: if it does not fit.
    """
    try:
        body = json.loads(request.body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"The body is no JSON: {error}.") from None
    if not isinstance(body, dict):
        _bad("The body must be a JSON object.")
    for misfit in _VALIDATORS[schema].iter_errors(body):
        where = ".".join(str(part) for part in misfit.absolute_path)
        what = misfit.message if len(misfit.message) < 300 else f"{misfit.message[:300]} …"
        raise DesignError(f"{where or 'The body'}: {what}")
    return body


_VALIDATORS = {name: Draft202012Validator(schema) for name, schema in shapes.REQUESTS.items()}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _bad(message: str) -> NoReturn:
    raise BadRequestError(message)


def _window(query: Mapping[str, str]) -> tuple[int, int]:
    found = []
    for name, default, least, most in (("limit", 50, 1, MAX_LIMIT), ("offset", 0, 0, 10**9)):
        text = query.get(name, str(default))
        if not re.fullmatch(r"[0-9]{1,10}", text) or not least <= int(text) <= most:
            _bad(f"{name} is '{text}'; use a whole number from {least} to {most:,}.")
        found.append(int(text))
    return found[0], found[1]


def _draft(body: Mapping[str, Any]) -> ExperimentDraft:
    return ExperimentDraft(**{"project_id": body.get("project_id", "default"), **_settings(body)})


def _settings(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a draft that a body names."""
    own = ("project_id", "bandit_enabled", "variants")
    found: dict[str, Any] = {k: v for k, v in body.items() if k not in own}
    for name in ("planned_visitors", "update_seconds"):
        if found.get(name) is not None:
            found[name] = int(found[name])  # JSON's 3.0 is a whole number too
    if "bandit_enabled" in body:
        found["type"] = "bandit" if body["bandit_enabled"] else "fixed"
    if "variants" in body:
        found["variants"] = tuple(_variant(one) for one in body["variants"])
    return found


def _variant(body: Mapping[str, Any]) -> VariantDraft:
    return VariantDraft(body["name"], float(body["traffic_weight"]), body.get("note", ""))


def _sums(one: Mapping[str, Any]) -> Sums:
    exposures, conversions = int(one["exposures"]), int(one["conversions"])
    return Sums(
        exposures=exposures,
        conversions=conversions,
        total=float(one.get("total", conversions)),
        total_squares=float(one.get("total_squares", conversions)),
        pre_exposures=exposures if "pre_total" in one else 0,
        pre_total=float(one.get("pre_total", 0)),
        pre_squares=float(one.get("pre_squares", 0)),
        pre_cross=float(one.get("pre_cross", 0)),
    )


def _detail(registry: Registry, experiment: Experiment) -> shapes.ExperimentDetail:
    if experiment.type == "adaptive":
        return views.detail_view(experiment, None, rounds_of(registry, experiment.id))
    last = results(registry, experiment.id, limit=1)
    return views.detail_view(experiment, last[0] if last else None, [])
