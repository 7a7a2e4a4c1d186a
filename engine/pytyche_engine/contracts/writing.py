"""Writing files that are whole or not there, whenever the process or the machine ends."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(place: Path) -> Iterator[BinaryIO]:
    """A stream whose content becomes the file in one step, once all of it is on the disk.

    It is written beside its place under a name of its own, so that writers at the same time do
    not meet; the last one stays. After an error the file is what it was.

    Raises:
        OSError: if it cannot be written.
    """
    draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}.draft")
    try:
        with draft.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, place)
    finally:
        draft.unlink(missing_ok=True)


def replace_file(place: Path, content: bytes) -> None:
    """Write or replace a file in one step; see `replacing`."""
    with replacing(place) as stream:
        stream.write(content)
