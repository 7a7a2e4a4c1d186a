"""The console of all experiments: list, new experiment, detail, launch, stop, analyze."""

import json
from collections.abc import Mapping
from typing import Any

import traitlets as t

from pytyche_engine.contracts.tables import Table
from pytyche_lab.registry import open_registry, user_name
from pytyche_lab.server.routes import ROOT, Answer, Request, answer
from pytyche_lab.widgets.lab_widget import LabWidget


class Console(LabWidget, bundle="console"):
    """Shows the experiments of this user's registry.

    The browser asks for what it shows by the routes of the REST API, over the widget's own
    channel; so the console does what the API does, and needs no address and no token.

    Args:
        project_id: show and make experiments of this project; None for every project.

    Raises:
        StoreError: if the registry cannot be opened.
    """

    page = t.Dict().tag(sync=True)
    project_id = t.Unicode(None, allow_none=True).tag(sync=True)

    def __init__(self, project_id: str | None = None) -> None:
        self._registry = open_registry()
        query = {} if project_id is None else {"project_id": project_id}
        first = self._ask("GET", "/experiments", query)
        super().__init__(page=first.content, project_id=project_id)
        self.on_msg(self._on_message)

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
        try:
            query = {str(k): str(v) for k, v in (content.get("query") or {}).items()}
            asked = (str(content["method"]), str(content["path"]), query, content.get("body"))
            given = self._ask(*asked)
        except Exception as error:  # noqa: BLE001 - the browser waits for an answer
            given = Answer(500, {"message": f"The registry failed: {error}", "reason": "failed"})
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
