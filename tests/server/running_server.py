"""Where the tests' Jupyter Server is."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Server:
    """Where it is, and what it asks for. Its base URL is not the root."""

    url: str
    token: str
    home: Path
