"""The registry's database: how it is opened, brought up to date, read and written."""

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
)

from pytyche_engine.contracts.errors import StoreError

WAIT_SECONDS = 30
"""How long a write waits for another process's write."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_WRITES = "pytyche_writes"
_MIGRATION_LOCK = 7_092_311_201
"""Number of the PostgreSQL advisory lock that migrations hold."""


class Database:
    """A database with the registry's tables, brought up to date when it is opened.

    SQLite is used in WAL mode: readers never wait, and writers wait for each other, also
    between processes. A write takes its lock when it begins, so it cannot fail half way
    because somebody else wrote in between.
    """

    def __init__(self, url: str) -> None:
        """Open the database.

        Args:
            url: ``"sqlite:///path"`` or ``"postgresql://user@host/name"``.

        Raises:
            StoreError: if it cannot be opened, or a newer version of pytyche-lab made it.
        """
        parsed = _parsed(url)
        self.engine = _sqlite(parsed) if _is_sqlite(parsed) else create_engine(parsed)
        self.dialect = self.engine.dialect.name
        # Threads of one process wait in line here; SQLite's own waiting is by polling.
        self._writing: AbstractContextManager[Any] = (
            threading.Lock() if self.dialect == "sqlite" else nullcontext()
        )
        try:
            self._upgrade()
        except StoreError:
            self.engine.dispose()
            raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        with self._told(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is kept whole when the block ends, and not at all if it raises."""
        with self._told(), self._writing, self.engine.connect() as connection:
            connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the database cannot do (locked, full, read-only, gone), in words."""
        try:
            yield
        except (OperationalError, DatabaseError) as error:
            if isinstance(error, IntegrityError | ProgrammingError | DataError):
                raise  # a mistake of ours
            why = " ".join(str(error.orig).split())
            raise StoreError(
                f"The registry's database {self.engine.url.render_as_string()} cannot be used: "
                f"{why} Nothing was changed. {_mend(why)}"
            ) from error

    def close(self) -> None:
        """Give up all connections."""
        self.engine.dispose()

    def _upgrade(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        scripts = ScriptDirectory.from_config(config)
        with self.read() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        if current == scripts.get_current_head():
            return
        if current is not None and current not in {s.revision for s in scripts.walk_revisions()}:
            raise StoreError(
                "The registry's database was made by a newer version of pytyche-lab "
                f"(revision {current}). Update pytyche-lab, or name another database."
            )
        with self.write() as connection:
            if self.dialect == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _mend(why: str) -> str:
    """What can be done about what a database says."""
    for sign, mend in (
        ("locked", "Another process holds it; wait until it is done, or end it, and try again."),
        ("full", "Make room on the disk, and try again."),
        ("readonly", "Check that you may write to it and to its folder."),
        ("malformed", "Restore it from a copy."),
        ("not a database", "Name another file, or restore it from a copy."),
    ):
        if sign in why:
            return mend
    return "Check that it is there and that you may write to it."


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        # The address may hold a password, so it is not repeated.
        raise StoreError(
            "The registry's address is not a database URL. Write sqlite:///path or "
            "postgresql://user@host/name."
        ) from None
    if parsed.drivername == "postgresql":
        try:
            import psycopg  # noqa: F401
        except ImportError:
            raise StoreError(
                "A registry in PostgreSQL needs its driver: pip install 'pytyche-lab[postgres]'."
            ) from None
        return parsed.set(drivername="postgresql+psycopg")
    if not _is_sqlite(parsed) and parsed.drivername != "postgresql+psycopg":
        raise StoreError(
            f"The registry cannot be kept in '{parsed.drivername}'. Use sqlite or postgresql."
        )
    return parsed


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise StoreError("The registry is shared between processes: name a file for SQLite.")
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # Experiments are nobody else's business; SQLite gives -wal and -shm the same mode.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(f"The registry cannot be kept in '{path}': {error}.") from error
    engine = create_engine(url, connect_args={"timeout": WAIT_SECONDS})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say so
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
