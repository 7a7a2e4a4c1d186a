"""What the console shows first. What it asks for later is in `server.shapes`."""

from typing import TypedDict

from pytyche_lab.server.shapes import PageView


class ConsoleTraits(TypedDict):
    """Synced traits of `Console`: the first page. Everything else is asked for."""

    page: PageView
    project_id: str | None
