"""Reading files that may have come from anywhere: bounded, checked, and never executed.

JSON, Parquet and NPZ without pickles hold values only. What they claim to hold is compared with
limits before memory is taken for it, so that a small file cannot fill it.
"""

import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pytyche_engine.contracts.errors import StoreError

MOST_JSON = 64 * 2**20
"""Bytes of a JSON file; a plan has a few thousand, an experiment with artifacts a million."""

ALWAYS_FINE = 64 * 2**20
"""Bytes that any archive or table may unpack to."""

MOST_GROWTH = 200
"""What is larger may unpack to this many times its own size; posteriors do to about 20 times."""

MOST_BYTES = 8 * 2**30
"""Bytes that nothing may unpack to."""


class UnreadableError(StoreError, ValueError):
    """A file is damaged, too large, or not of the kind that it should be."""


def read_json(file: Path) -> Any:
    """The values of a JSON file.

    Raises:
        UnreadableError: if it is too large or no JSON.
        OSError: if it cannot be opened.
    """
    size = file.stat().st_size
    if size > MOST_JSON:
        raise UnreadableError(f"'{file}' has {size:,} bytes; {MOST_JSON:,} are the most")
    try:
        return json.loads(file.read_bytes().decode())
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"'{file}' is no JSON: {error}") from error


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of an NPZ file, every byte of them checked against its CRC.

    Raises:
        UnreadableError: if it is damaged, holds objects, or would unpack to more than it may.
        OSError: if it cannot be opened.
    """
    with file.open("rb") as stream:
        try:
            return _arrays(stream, file)
        except UnreadableError:
            raise
        except (
            ValueError, LookupError, EOFError, TypeError, SyntaxError, RuntimeError,
            OverflowError, MemoryError, OSError, zipfile.BadZipFile,
            zlib.error,
        ) as error:  # fmt: skip
            raise UnreadableError(f"'{file}' is no NPZ file that can be read: {error}") from error


def _arrays(stream: BinaryIO, file: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        check_growth(file, os.fstat(stream.fileno()).st_size, sum(m.file_size for m in members))
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name == member.filename or name in found:
                raise UnreadableError(f"'{file}' holds '{member.filename}', which is no array")
            with archive.open(member) as content:
                # What the array claims to be is taken from memory before it is read.
                version = np.lib.format.read_magic(content)
                if version != (1, 0):
                    raise UnreadableError(f"'{member.filename}' in '{file}' has another format")
                shape, _, dtype = np.lib.format.read_array_header_1_0(content)
                claimed = dtype.itemsize * int(np.prod([int(n) for n in shape], dtype=object))
                if dtype.hasobject or not 0 <= claimed <= member.file_size:
                    raise UnreadableError(
                        f"'{member.filename}' in '{file}' does not hold what it says it does"
                    )
            with archive.open(member) as content:
                found[name] = np.lib.format.read_array(content, allow_pickle=False)
                if content.read(1):
                    raise UnreadableError(f"'{member.filename}' in '{file}' is too long")
    return found


def read_frame(file: Path) -> pd.DataFrame:
    """The table of a Parquet file.

    Raises:
        UnreadableError: if it is damaged, or would unpack to more than it may.
        OSError: if it cannot be opened.
    """
    size = file.stat().st_size
    try:
        with pq.ParquetFile(file) as parquet:
            check_table(file, size, parquet.metadata)
        return pd.read_parquet(file)
    except UnreadableError:
        raise
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError, OverflowError,
            AttributeError) as error:  # fmt: skip
        raise UnreadableError(f"'{file}' is no Parquet file that can be read: {error}") from error


def check_table(what: object, size: int, metadata: pq.FileMetaData) -> None:
    """Whether a Parquet file may be unpacked.

    Raises:
        UnreadableError: if it would be too large.
    """
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    # Repeated values take no place in the file: eight bytes a value is what they take here.
    values = 8 * metadata.num_rows * metadata.num_columns
    check_growth(what, size, max(values, sum(group.total_byte_size for group in groups)))


def check_growth(what: object, size: int, unpacked: int) -> None:
    """Whether something of this size may unpack to so much.

    Raises:
        UnreadableError: if not.
    """
    most = min(max(ALWAYS_FINE, MOST_GROWTH * size), MOST_BYTES)
    if unpacked > most:
        raise UnreadableError(
            f"'{what}' has {size:,} bytes and would unpack to {unpacked:,}; {most:,} are the most"
        )


def check_name(name: object) -> str:
    """The name of a file that lies in the folder itself, and nowhere else.

    Raises:
        UnreadableError: if it leads out of the folder.
    """
    if not isinstance(name, str) or name in ("", ".", "..") or {"/", "\\", "\0"} & set(name):
        raise UnreadableError(f"{name!r} is not the name of a file in the folder")
    return name
