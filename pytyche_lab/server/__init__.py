"""The Jupyter Server extension: what the server, not a kernel, answers for pytyche-lab.

Installed and enabled by ``jupyter-config/jupyter_server_config.d/pytyche_lab.json``.
"""


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    # Kernels use `routes` too, and have no need of the server's modules.
    from pytyche_lab.server.extension import PytycheLabExtension

    return [{"module": "pytyche_lab.server", "app": PytycheLabExtension}]
