"""Files that say when they were changed or damaged, replaced in one step."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pytyche_engine.contracts import reading
from pytyche_engine.contracts.errors import StoreError
from pytyche_engine.contracts.writing import replace_file

SCHEMA = 1
"""Version of the layout of an experiment's folder."""

UNREADABLE = (
    OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip
"""What reading a damaged file may raise."""


def damaged(what: Path, error: Exception) -> StoreError:
    """The error to raise for a file or folder that cannot be read."""
    return StoreError(
        f"'{what}' cannot be read: {type(error).__name__}: {error}. Restore the folder from a copy."
    )


def write_sealed(file: Path, content: dict[str, Any]) -> None:
    """Write or replace a JSON file in one step, with its version and a checksum."""
    text = json.dumps(content, default=_number)
    envelope = {
        "schema": SCHEMA,
        "version": version("pytyche-lab"),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "content": json.loads(text),
    }
    replace_file(file, json.dumps(envelope, indent=1).encode())


def read_sealed(file: Path) -> dict[str, Any]:
    """The content of a file that `write_sealed` wrote.

    Raises:
        StoreError: if it is of another version, or its checksum is wrong.
    """
    envelope = reading.read_json(file)
    if not isinstance(envelope, dict) or envelope.get("schema") != SCHEMA:
        schema = envelope.get("schema") if isinstance(envelope, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise StoreError(
                f"'{file}' was written by a newer version of pytyche-lab "
                f"({str(envelope.get('version'))[:20]}, schema {schema}; this one reads {SCHEMA}). "
                "Update pytyche-lab; nothing was changed."
            )
        raise StoreError(
            f"'{file}' is not of a version of pytyche-lab that can be read (schema {SCHEMA})."
        )
    content: dict[str, Any] = envelope["content"]
    if hashlib.sha256(json.dumps(content).encode()).hexdigest() != envelope["sha256"]:
        raise StoreError(f"'{file}' was changed or damaged. Restore the folder from a copy.")
    return content


def _number(value: object) -> int | float:
    """Numbers of numpy, which JSON does not know."""
    if isinstance(value, np.generic):
        number: int | float = value.item()
        return number
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def sha256(file: Path) -> str:
    """Checksum of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
