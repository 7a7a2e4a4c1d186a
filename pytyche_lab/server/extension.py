"""The extension's application and its handlers. Every handler needs the server's credentials."""

import asyncio
import html
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import tornado.web
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.extension.handler import ExtensionHandlerMixin
from jupyter_server.utils import url_path_join
from traitlets import Unicode, default

from pytyche_engine.store.registry import Registry
from pytyche_lab.registry import data_folder, registry_url
from pytyche_lab.server.routes import Request, answer
from pytyche_lab.server.shapes import ROOT


class VersionHandler(ExtensionHandlerMixin, APIHandler):
    """``GET /pytyche-lab/version``: which pytyche-lab the server runs."""

    auth_resource = "pytyche_lab"

    @tornado.web.authenticated
    @authorized
    def get(self) -> None:
        """Answer ``{"version": "..."}``; 403 without the server's token."""
        self.finish({"version": version("pytyche-lab")})


class ConsoleHandler(ExtensionHandlerMixin, APIHandler):
    """Everything under ``/v1/admin``, answered by `routes` in a thread.

    Jupyter Server checks credentials and, beside a cookie, the XSRF token.
    """

    auth_resource = "pytyche_lab"

    @tornado.web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer a GET."""
        await self._answer()

    @tornado.web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer a POST."""
        await self._answer()

    @tornado.web.authenticated
    @authorized
    async def patch(self) -> None:
        """Answer a PATCH."""
        await self._answer()

    @tornado.web.authenticated
    @authorized
    async def delete(self) -> None:
        """Answer a DELETE."""
        await self._answer()

    async def _answer(self) -> None:
        app = self.extensionapp
        assert isinstance(app, PytycheLabExtension)  # noqa: S101 - for the type checker
        request = self.request
        query = {name: self.get_query_argument(name) for name in request.query_arguments}
        content_type = request.headers.get("Content-Type", "application/json")
        asked = Request(
            method=request.method or "",
            path="/" + request.path.removeprefix(self.base_url),
            who=self.current_user.username,
            query=query,
            body=request.body,
            content_type=content_type.partition(";")[0].strip().lower(),
            key=request.headers.get("Idempotency-Key"),
        )
        given = await asyncio.to_thread(answer, app.registry, asked)
        self.set_status(given.status)
        await (self.finish() if given.content is None else self.finish(given.content))


class PageHandler(ExtensionHandlerMixin, JupyterHandler):
    """``GET /pytyche-lab/console``: the console as a page, for people who are logged in.

    ``?project_id=`` shows one project.
    """

    auth_resource = "pytyche_lab"

    @property
    def content_security_policy(self) -> str:
        """Only what this server sends may run on the page, and ask only this server."""
        # Bars are as wide as their share: widths are set as styles of elements.
        own = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'"
        return f"{super().content_security_policy}; {own}; connect-src 'self'; base-uri 'none'"

    @tornado.web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer the page; without credentials, the way to log in."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        told = {
            "script": self.static_url("console_page.js"),
            "style": self.static_url("console_page.css"),
            "base": self.base_url,
            "xsrf": self.xsrf_token.decode(),
            "project": self.get_query_argument("project_id", ""),
        }
        await self.finish(_PAGE.format(**{k: html.escape(str(v)) for k, v in told.items()}))


_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Experiments</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="{style}"></head>
<body><main data-base="{base}" data-xsrf="{xsrf}" data-project="{project}">
<noscript>The console needs JavaScript.</noscript></main>
<script type="module" src="{script}"></script></body></html>
"""


class PytycheLabExtension(ExtensionApp):
    """Serves the console, its API and the version."""

    name = "pytyche_lab"

    registry_url = Unicode(
        help="The registry's database, e.g. postgresql://user@host/name. By default what the "
        "variable PYTYCHE_REGISTRY names, else a SQLite file in Jupyter's data folder."
    ).tag(config=True)

    @default("static_paths")
    def _built(self) -> list[str]:
        return [str(Path(__file__).parents[1] / "static")]

    def initialize_settings(self) -> None:
        """Tell pages where the documentation is, if this package has it; called by the server."""
        if self.serverapp and Path(self.static_paths[0], "docs", "index.html").exists():
            page = self.serverapp.web_app.settings.setdefault("page_config_data", {})
            page["pytycheLabDocs"] = url_path_join(self.static_url_prefix, "docs")

    @cached_property
    def registry(self) -> Registry:
        """The registry; opened by the first request that needs it."""
        return Registry(self.registry_url or registry_url(), Path(data_folder()))

    def initialize_handlers(self) -> None:
        """Add the routes; called by the server."""
        self.handlers.append((r"/pytyche-lab/version", VersionHandler))
        self.handlers.append((r"/pytyche-lab/console", PageHandler))
        self.handlers.append((rf"{ROOT}/.*", ConsoleHandler))
