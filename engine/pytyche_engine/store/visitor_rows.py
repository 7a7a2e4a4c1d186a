"""Observations that come as rows, one a visitor: checked, summed up and kept.

Columns: ``variant`` (name), ``value`` (0 or 1, or revenue), and optionally ``pre_value`` (the
same quantity before the experiment, for CUPED) and ``visitor_id``. Others are left out.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pytyche_engine.contracts.errors import DataError
from pytyche_engine.contracts.reading import check_table
from pytyche_engine.contracts.writing import replace_file
from pytyche_engine.store.records import Experiment, Sums

MAX_ROWS = 20_000_000
_TYPES = {
    "variant": pa.string(),
    "value": pa.float64(),
    "pre_value": pa.float64(),
    "visitor_id": pa.string(),
}
_REQUIRED = ("variant", "value")


def read_parquet(content: bytes) -> pa.Table:
    """Visitors from the bytes of a Parquet file.

    Raises:
        DataError: if it is none, too large, or has not the columns.
    """
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        if file.metadata.num_rows > MAX_ROWS:
            raise DataError(
                f"The file has {file.metadata.num_rows:,} rows; {MAX_ROWS:,} are the most",
                mend="Send it in parts.",
            )
        check_table("The file", len(content), file.metadata)
        wanted = [name for name in _TYPES if name in file.schema_arrow.names]
        table = file.read(columns=wanted)
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError,
            OverflowError) as error:  # fmt: skip
        raise DataError(f"The file cannot be read as Parquet: {error}") from error
    return _typed({name: table.column(name) for name in table.column_names})


def read_json_rows(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Visitors from a list of objects.

    Raises:
        DataError: if the objects have not the columns.
    """
    names = [name for name in _TYPES if any(name in row for row in rows)]
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        try:
            if _TYPES[name] == pa.float64():
                values = [None if v is None else float(v) for v in values]
            columns[name] = pa.array(values, type=_TYPES[name])
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"'{name}' cannot be read: {error}", column=name) from error
    return _typed(columns)


def sums_of(table: pa.Table, experiment: Experiment) -> dict[str, Sums]:
    """What visitors add up to, by variant id.

    Raises:
        DataError: if a variant is unknown, a visitor comes twice, or a value cannot be one.
    """
    if table.num_rows == 0:
        raise DataError("There are no rows")
    for name in _REQUIRED:
        _refuse(pc.is_null(table[name]), name, "is missing")
    labels = table["variant"].combine_chunks().dictionary_encode()
    names = labels.dictionary.to_pylist()
    known = {variant.name: variant.id for variant in experiment.variants}
    for code, name in enumerate(names):
        if name not in known:
            _refuse(
                pc.equal(labels.indices, code),
                "variant",
                f"is '{name}', which '{experiment.name}' has not",
                f"Its variants: {', '.join(known)}.",
            )
    if "visitor_id" in table.column_names:
        _refuse(pc.is_null(table["visitor_id"]), "visitor_id", "is missing")
        twice = table.num_rows - pc.count_distinct(table["visitor_id"]).as_py()
        if twice:
            raise DataError(
                f"{twice:,} rows are of a visitor who has one already",
                column="visitor_id",
                mend="Send one row a visitor, with the sum of what the visitor spent.",
            )
    code = labels.indices.to_numpy(zero_copy_only=False)
    value = table["value"].to_numpy()
    if experiment.metric == "conversion":
        bad, what = (value != 0) & (value != 1), "is neither 0 nor 1"
    else:
        bad, what = ~np.isfinite(value) | (value < 0), "is negative or not finite"
    _refuse(bad, "value", what)
    k = len(names)

    def total(weights: np.ndarray) -> np.ndarray:
        return np.bincount(code, weights, minlength=k)

    exposures, conversions = np.bincount(code, minlength=k), total(value > 0)
    pre_sums = np.zeros((4, k))
    if "pre_value" in table.column_names:
        pre = table["pre_value"].to_numpy()  # missing ones are NaN
        _refuse(np.isinf(pre), "pre_value", "is not finite")
        there = ~np.isnan(pre)
        pre = np.where(there, pre, 0.0)
        pre_sums = np.array([total(there), total(pre), total(pre * pre), total(pre * value)])
    spent, squares = total(value), total(value * value)
    return {
        known[name]: Sums(
            exposures=int(exposures[i]),
            conversions=int(conversions[i]),
            total=float(spent[i]),
            total_squares=float(squares[i]),
            pre_exposures=int(pre_sums[0, i]),
            pre_total=float(pre_sums[1, i]),
            pre_squares=float(pre_sums[2, i]),
            pre_cross=float(pre_sums[3, i]),
        )
        for i, name in enumerate(names)
    }


def keep_rows(table: pa.Table, folder: Path) -> str:
    """Write visitors to a file that is named by its content; gives its SHA-256.

    The same rows are the same file. It is whole when it has its name.
    """
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    content = sink.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    path = path_of(digest, folder)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    return digest


def path_of(digest: str, folder: Path) -> Path:
    """Where rows with a digest lie."""
    return folder / "observations" / digest[:2] / f"{digest}.parquet"


def _typed(columns: Mapping[str, Any]) -> pa.Table:
    for name in _REQUIRED:
        if name not in columns:
            raise DataError(
                f"The column '{name}' is missing",
                column=name,
                mend=f"Rows need {' and '.join(_REQUIRED)}.",
            )
    typed = {}
    for name, column in columns.items():
        try:
            typed[name] = column.cast(_TYPES[name])
        except pa.ArrowException as error:
            raise DataError(f"'{name}' cannot be read: {error}", column=name) from error
    return pa.table(typed)


def _refuse(bad: Any, column: str, what: str, mend: str = "") -> None:
    rows = np.flatnonzero(np.asarray(bad))
    if len(rows):
        raise DataError(
            f"'{column}' {what} in {len(rows):,} row(s)",
            column=column,
            rows=[int(row) for row in rows[:5]],
            mend=mend,
        )
