"""The console's API for scripts: over HTTP to a Jupyter Server, or to this user's registry."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytyche_engine.contracts.errors import (
    DataError,
    DesignError,
    PytycheError,
    UnknownExperimentError,
    WrongStateError,
)
from pytyche_engine.contracts.tables import Table
from pytyche_lab.server.shapes import PARQUET, ROOT

if TYPE_CHECKING:
    import pandas as pd

_ERRORS: Mapping[int, type[PytycheError]] = {
    404: UnknownExperimentError,
    409: WrongStateError,
    422: DesignError,
}


class ServerError(PytycheError):
    """A server could not be reached, or did not accept what was sent.

    Attributes:
        status: of HTTP; None where no answer came.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class Client:
    """Experiments of a Jupyter Server that has pytyche-lab, from anywhere.

    ``pt.Client("http://localhost:8888", token).create("Badge", variants={"control": 0.5, ...})``.
    Answers are the API's JSON as dictionaries; what it refuses raises the error that the same
    mistake raises in a notebook.

    Args:
        url: of the server, with its base URL.
        token: of the server.
        project_id: of experiments that are created or listed; None lists every project.
        timeout: seconds to wait for an answer.
    """

    def __init__(
        self, url: str, token: str, *, project_id: str | None = None, timeout: float = 60
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise DesignError(f"'{url}' is no address of a server; write http://host:port.")
        self._url = url.rstrip("/")
        self._token = token
        self._timeout = timeout
        self.project_id = project_id

    def __repr__(self) -> str:
        return f"Client('{self._url}')"  # the token is nobody's business

    def experiments(
        self,
        *,
        status: str | None = None,
        search: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> dict[str, Any]:
        """A page of experiments, newest first, with totals."""
        asked = {"project_id": self.project_id, "status": status, "search": search}
        return self.send("GET", "/experiments", {**asked, "limit": limit, "offset": offset})

    def create(
        self,
        name: str,
        *,
        variants: Mapping[str, float] | None = None,
        hypothesis: str = "",
        bandit_enabled: bool = False,
        **settings: Any,
    ) -> "RegisteredExperiment":
        """Create a draft.

        Args:
            name: what people call it.
            variants: weights by name, control first.
            hypothesis: what is expected, and why.
            bandit_enabled: whether weights follow what is observed.
            settings: ``metric``, ``alpha``, ``expected_lift``, ``planned_visitors``, ``floor``,
                ``update_seconds``.
        """
        body = {"name": name, "hypothesis": hypothesis, "bandit_enabled": bandit_enabled}
        body |= {"project_id": self.project_id or "default", **settings}
        given = (variants or {}).items()
        body["variants"] = [{"name": n, "traffic_weight": w} for n, w in given]
        return RegisteredExperiment(self, self.send("POST", "/experiments", body=body)["id"])

    def experiment(self, experiment_id: str) -> "RegisteredExperiment":
        """One experiment, by its id."""
        found = RegisteredExperiment(self, experiment_id)
        found.detail()
        return found

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | bytes | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        """Send a request to a route below ``/v1/admin`` and return the answer's JSON.

        Raises:
            UnknownExperimentError, WrongStateError, DesignError: for 404, 409 and 422.
            ServerError: for anything else that is not a good answer.
        """
        known = {k: str(v) for k, v in (query or {}).items() if v is not None}
        content_type = PARQUET if isinstance(body, bytes) else "application/json"
        content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        status, text = self._exchange(method, ROOT + path, known, content, content_type, key)
        if 200 <= status < 300:
            return json.loads(text) if text else {}
        try:
            message = str(json.loads(text)["message"])
        except (ValueError, LookupError, TypeError):
            message = f"The answer is {status}, without a reason."
        if status in _ERRORS:
            raise _ERRORS[status](message)
        raise ServerError(message, status)

    def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        content: bytes,
        content_type: str,
        key: str | None,
    ) -> tuple[int, bytes]:
        parameters = f"?{urllib.parse.urlencode(query)}" if query else ""
        headers = {"Authorization": f"token {self._token}", "Content-Type": content_type}
        if key is not None:
            headers["Idempotency-Key"] = key
        request = urllib.request.Request(  # noqa: S310 - the address was checked
            self._url + path + parameters,
            data=None if method == "GET" else content,
            headers=headers,
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310  # nosec B310
                return int(answer.status), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError as error:
            raise ServerError(f"{self._url} cannot be reached: {error}.") from error


class LocalClient(Client):
    """The same for the registry of this user, without a server."""

    def __init__(self, *, project_id: str | None = None) -> None:
        self.project_id = project_id

    def __repr__(self) -> str:
        return "LocalClient()"

    def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        content: bytes,
        content_type: str,
        key: str | None,
    ) -> tuple[int, bytes]:
        from pytyche_lab.registry import open_registry, user_name
        from pytyche_lab.server.routes import Request, answer

        asked = Request(method, path, user_name(), query, content, content_type, key)
        given = answer(open_registry(), asked)
        return given.status, b"" if given.content is None else json.dumps(given.content).encode()


class RegisteredExperiment:
    """An A/B test or a bandit of the registry, and what can be done with it.

    Attributes:
        id: its id.
    """

    def __init__(self, client: Client, experiment_id: str) -> None:
        self.id = experiment_id
        self._client = client
        self._path = f"/experiments/{urllib.parse.quote(experiment_id, safe='')}"

    def detail(self) -> dict[str, Any]:
        """All that there is to show, as it is now."""
        return self._client.send("GET", self._path)

    def edit(self, **changes: Any) -> dict[str, Any]:
        """Change a draft."""
        return self._client.send("PATCH", self._path, body=changes)

    def delete(self) -> None:
        """Delete a draft."""
        self._client.send("DELETE", self._path)

    def add_variant(self, name: str, traffic_weight: float, note: str = "") -> dict[str, Any]:
        """Add a variant to a draft; the first one is control."""
        body = {"name": name, "traffic_weight": traffic_weight, "note": note}
        return self._client.send("POST", f"{self._path}/variants", body=body)

    def launch(self) -> dict[str, Any]:
        """Begin."""
        return self._client.send("POST", f"{self._path}/launch")

    def stop(self) -> dict[str, Any]:
        """End."""
        return self._client.send("POST", f"{self._path}/stop")

    def analyze(self) -> dict[str, Any]:
        """Analyse what came in so far."""
        return self._client.send("POST", f"{self._path}/analyze")

    def results(self, *, limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
        """Analyses, newest first."""
        window = {"limit": limit, "offset": offset}
        found: list[dict[str, Any]] = self._client.send("GET", f"{self._path}/results", window)[
            "results"
        ]
        return found

    def plan(self) -> dict[str, Any]:
        """What is to be served now."""
        return self._client.send("GET", f"{self._path}/plan")

    def weights(self) -> list[dict[str, Any]]:
        """The weight history, oldest first."""
        found: list[dict[str, Any]] = self._client.send("GET", f"{self._path}/weights")["periods"]
        return found

    def observe(
        self,
        frame: "pd.DataFrame | None" = None,
        *,
        counts: Mapping[str, Sequence[int]] | None = None,
        statistics: Mapping[str, Mapping[str, float]] | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        """Add visitors who were not counted yet.

        Args:
            frame: a row a visitor: ``variant``, ``value``, and optionally ``pre_value`` and
                ``visitor_id``.
            counts: ``{"control": (exposures, conversions), ...}``.
            statistics: ``{"control": {"exposures": ..., "conversions": ..., "total": ...,
                "total_squares": ...}, ...}``, also with ``pre_total``, ``pre_squares`` and
                ``pre_cross``.
            key: repeating a delivery with its key adds nothing.

        Raises:
            DesignError: if it is not one of these, or counts are no pairs.
            DataError: if a frame's columns hold what Parquet cannot.
        """
        if sum(given is not None for given in (frame, counts, statistics)) != 1:
            raise DesignError("Give one of these: a frame, counts, or statistics.")
        body: dict[str, Any] | bytes
        if frame is not None:
            try:
                body = frame.to_parquet(index=False)
            except (ValueError, TypeError, NotImplementedError) as error:  # also pyarrow's
                raise DataError(
                    f"The frame cannot be sent as Parquet: {error}",
                    mend="Send the columns variant, value, pre_value and visitor_id alone.",
                ) from error
        elif counts is not None:
            if wrong := [k for k, v in counts.items() if len(v) != 2]:
                raise DesignError(
                    f"The counts of '{wrong[0]}' are {tuple(counts[wrong[0]])}; give "
                    "(exposures, conversions)."
                )
            body = {
                "counts": {k: {"exposures": v[0], "conversions": v[1]} for k, v in counts.items()}
            }
        else:
            body = {"statistics": {k: dict(v) for k, v in (statistics or {}).items()}}
        return self._client.send("POST", f"{self._path}/observations", body=body, key=key)

    def __repr__(self) -> str:
        try:
            detail = self.detail()
        except PytycheError as error:  # deleted, or its server is gone: what shows it goes on
            return f"Experiment {self.id}: {error}"
        lines = [
            f"{detail['name']} ({detail['type']}, {detail['status']})",
            _variants(detail).text(),
        ]
        if analysis := detail["analysis"]:
            verdict = analysis["result"]["verdict"]
            lines += [verdict["headline"], verdict["reason"]]
        return "\n".join(lines)


def _variants(detail: Mapping[str, Any]) -> Table:
    """The variants as a table."""
    rows = []
    for v in detail["variants"]:
        rate = f"{v['conversions'] / v['exposures']:.2%}" if v["exposures"] else "—"
        counts = (f"{v['conversions']:,}", f"{v['exposures']:,}", rate)
        rows.append((v["name"], f"{v['traffic_weight']:.1%}", *counts))
    return Table(("variant", "weight", "conversions", "exposures", "rate"), rows)
