"""A frame as a table of SQLite, to run exported SQL."""

import sqlite3
from contextlib import closing

import pandas as pd

from pytyche_engine.contracts.sql import sql_name


def run(frame: pd.DataFrame, statement: str) -> list[tuple[object, ...]]:
    """What a statement gives on a frame as the table ``visitors``; missing is NULL."""
    rows = [
        tuple(
            None if pd.isna(value) else getattr(value, "item", lambda v=value: v)() for value in row
        )
        for row in frame.astype(object).itertuples(index=False, name=None)
    ]
    columns = ", ".join(sql_name(str(name)) for name in frame)
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"CREATE TABLE visitors ({columns})")
        marks = ", ".join("?" * frame.shape[1])
        database.executemany(f"INSERT INTO visitors VALUES ({marks})", rows)  # noqa: S608
        return database.execute(statement).fetchall()
