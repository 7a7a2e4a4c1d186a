"""The console of all experiments: list, new experiment, detail, launch, stop, analyze."""

import json
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import traitlets as t

from pytyche_engine.contracts import DesignError, PytycheError
from pytyche_engine.contracts.tables import Table
from pytyche_lab.client import RegisteredExperiment
from pytyche_lab.registry import open_registry, user_name
from pytyche_lab.server.routes import ROOT, Answer, Request, answer
from pytyche_lab.widgets.lab_widget import LabWidget

if TYPE_CHECKING:
    from pytyche_lab.experiments import LabExperiment


class Console(LabWidget, bundle="console"):
    """Shows the experiments of this user's registry.

    The browser asks for what it shows by the routes of the REST API, over the widget's own
    channel; so the console does what the API does, and needs no address and no token.
    An adaptive experiment opens in its cockpit, here in the kernel.

    Args:
        project_id: show and make experiments of this project; None for every project.

    Raises:
        StoreError: if the registry cannot be opened.
    """

    page = t.Dict().tag(sync=True)
    project_id = t.Unicode(None, allow_none=True).tag(sync=True)

    def __init__(self, project_id: str | None = None) -> None:
        self._registry = open_registry()
        # Kept: a second click shows the same cockpit.
        self._experiments: dict[str, LabExperiment] = {}
        query = {} if project_id is None else {"project_id": project_id}
        first = self._ask("GET", "/experiments", query)
        super().__init__(page=first.content, project_id=project_id)

    def summary(self) -> str:
        """The first page as text."""
        return _table(self.page).text() if self.page["experiments"] else "No experiments yet."

    def summary_html(self) -> str:
        """The first page as a table."""
        return _table(self.page).html()

    def _ask(self, method: str, path: str, query: Mapping[str, str], body: object = None) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        return answer(self._registry, Request(method, ROOT + path, user_name(), query, content))

    def _on_message(self, _widget: object, content: Any, _buffers: object) -> None:
        """Answer ``{id, method, path, query, body}`` with ``{id, status, content}``."""
        if content.get("method") == "OPEN":
            # Conclusions are drawn again from saved posteriors, which may take a while.
            threading.Thread(
                target=self._open, args=(content,), name="pytyche-open", daemon=True
            ).start()
            return
        try:
            query = {str(k): str(v) for k, v in (content.get("query") or {}).items()}
            asked = (str(content["method"]), str(content["path"]), query, content.get("body"))
            given = self._ask(*asked)
        except Exception as error:  # noqa: BLE001 - the browser waits for an answer
            given = Answer(500, {"message": f"The registry failed: {error}", "reason": "failed"})
        self.send({"id": content.get("id"), "status": given.status, "content": given.content})

    def _open(self, content: Mapping[str, Any]) -> None:
        """Answer with a reference to the cockpit of the experiment whose id ends the path."""
        from pytyche_lab.experiments import open as open_by_name

        key = str(content.get("path")).rpartition("/")[2]
        try:
            if key not in self._experiments:
                found = open_by_name(key, project_id=self.project_id)
                if isinstance(found, RegisteredExperiment):
                    raise DesignError("It has no rounds, and so no cockpit.")
                self._experiments[key] = found
            shown = self._experiments[key].lab()
            given = Answer(200, {"reference": f"anywidget:{shown.model_id}"})
        except PytycheError as error:
            given = Answer(409, {"message": str(error), "reason": "cannot_open"})
        except Exception as error:  # noqa: BLE001 - the browser waits for an answer
            said = f"{type(error).__name__}: {error}"
            given = Answer(500, {"message": said, "reason": "failed"})
        with self._lock:
            self.send({"id": content.get("id"), "status": given.status, "content": given.content})


def _table(page: Mapping[str, Any]) -> Table:
    columns = ("name", "status", "variants", "bandit mode", "created", "")
    return Table(columns, [_row(one) for one in page["experiments"]])


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    mode = {"fixed": "off", "bandit": "Thompson sampling"}
    adaptive = f"adaptive, {one['n_rounds']} round(s)"
    note = f"winner: {one['winner']}" if one["winner"] else ""
    if one["split_alarm"]:
        note = "traffic split is off"
    return (
        one["name"],
        one["status"],
        str(one["n_variants"]),
        mode.get(one["type"], adaptive),
        one["created_at"][:10],
        note,
    )
