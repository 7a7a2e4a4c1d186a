"""The extension's application and its handlers. Every handler needs the server's token."""

from importlib.metadata import version

import tornado.web
from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.extension.handler import ExtensionHandlerMixin


class VersionHandler(ExtensionHandlerMixin, APIHandler):
    """``GET /pytyche-lab/version``: which pytyche-lab the server runs."""

    @tornado.web.authenticated
    def get(self) -> None:
        """Answer ``{"version": "..."}``; 403 without the server's token."""
        self.finish({"version": version("pytyche-lab")})


class PytycheLabExtension(ExtensionApp):
    """Serves the routes under ``/pytyche-lab/``."""

    name = "pytyche_lab"

    def initialize_handlers(self) -> None:
        """Add the routes; called by the server."""
        self.handlers.append((r"/pytyche-lab/version", VersionHandler))
