"""The connection to the database: pragmas, one writer at a time, migrations at start."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError

from studio.errors import BadInput, MissingPackage, StudioError

BUSY_SECONDS = 10.0
MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_KEY = 0x0E1ABE1  # names our advisory lock on servers that have them
_migrating = threading.Lock()  # Alembic's context is global to the process


class Database:
    """A migrated database. ``read`` and ``write`` each give a connection within one transaction."""

    def __init__(self, url: str | URL) -> None:
        self.engine = _engine(url)
        self.sqlite = self.engine.dialect.name == "sqlite"
        self._writing = self.engine.execution_options(studio_write=True)
        # Waiting writers of one process queue here; SQLite itself would let them poll.
        self._turn = threading.Lock() if self.sqlite else nullcontext()
        try:
            if self.sqlite:
                _prepare_sqlite(self.engine)
            self._migrate()
        except BaseException:
            self.engine.dispose()
            raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one consistent state."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection that may write; all of it is committed at the end, or nothing on an error.

        Raises StudioError where another process holds the database too long, or the disk is full.
        """
        with self._turn:
            try:
                with self._writing.begin() as connection:
                    yield connection
            except OperationalError as error:
                raise _explained(error) from error

    def hold_files(self, connection: Connection) -> None:
        """Keep other processes from adding or removing files until this transaction ends."""
        if connection.dialect.name == "postgresql":  # on SQLite the writer is alone anyway
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})

    def close(self) -> None:
        self.engine.dispose()

    def _migrate(self) -> None:
        newest = max(path.stem.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
        with self.read() as connection:
            if _revision(connection) == newest:
                return
        with _migrating, self.write() as connection:
            self.hold_files(connection)
            found = _revision(connection)  # another process may have been faster
            if found is not None and found > newest:
                raise StudioError(
                    f"The project database was written by a newer studio (schema {found}; this one knows "
                    f"{newest}). Update the studio, or choose another data folder."
                )
            if found != newest:
                _upgrade(connection)


def _engine(url: str | URL) -> Engine:
    try:
        parsed = make_url(url)
        options: dict[str, Any] = {"pool_size": 8, "max_overflow": 56, "pool_pre_ping": True}
        if parsed.get_backend_name() == "sqlite":
            options["pool_pre_ping"] = False
            options["connect_args"] = {"timeout": BUSY_SECONDS, "check_same_thread": False}
        engine = create_engine(parsed, **options)
    except (ArgumentError, NoSuchModuleError) as error:
        raise BadInput(f"The address of the database cannot be used: {error}") from None
    except ModuleNotFoundError as error:
        raise MissingPackage(
            f"The database needs the package {error.name}. Install it: pip install {error.name}"
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")


def _on_begin(connection: Connection) -> None:
    # A writer that began by reading could not wait for its turn: it would fail at its first change.
    writes = connection.get_execution_options().get("studio_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_sqlite(engine: Engine) -> None:
    """Turn on the write-ahead log, which stays with the file. Raises StudioError where it is no database."""
    driver = engine.dialect.dbapi
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with closing(engine.raw_connection()) as raw:
                if raw.driver_connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                    raw.driver_connection.execute("PRAGMA journal_mode=WAL")
            return
        except (driver.DatabaseError, DatabaseError) as error:
            # The switch does not wait for another process that does the same.
            if "locked" in str(error) and time.monotonic() < until:
                time.sleep(0.02)
                continue
            raise StudioError(
                f"The project database {engine.url.database} cannot be opened: "
                f"{getattr(error, 'orig', error)}. Restore it from a copy, or choose another data folder."
            ) from error


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    # Imported here: only a new or old database needs it, and every start would pay for it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _explained(error: DatabaseError) -> Exception:
    words = str(error.orig)
    if "locked" in words or "busy" in words:
        return StudioError(
            f"The project database was busy for {BUSY_SECONDS:.0f} s and nothing was saved. Try again; if it "
            "stays so, another program holds the file open."
        )
    if "full" in words:
        return StudioError("The disk of the project database is full; nothing was saved. Free some space.")
    if "readonly" in words:
        return StudioError("The project database is read-only; nothing was saved. Check its permissions.")
    return error
