"""Connections to the store's database, with the settings that it is read and written with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlmodel import create_engine

_SHARED_BYTES = 32768
"""Least size of a ``-shm`` file that is in use (https://www.sqlite.org/walformat.html)."""

_WAL_PAGES = 8000
"""Of the log, 32 MB, after which SQLite writes it back into the file."""
_CONNECT_SECONDS = 10
"""Within which a server must answer."""


def make(url: str, *, wait: float, read_only: bool) -> Engine:
    """Return an engine.

    Args:
        url: The database.
        wait: Seconds for which a writer waits for another process.
        read_only: Whether nothing is to be written.

    Raises:
        OSError: The folder of a SQLite file cannot be made, or the file not be read as it is; or the
            driver of the database is not installed.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(parsed, wait=wait, read_only=read_only)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(url)
    in_file = bool(parsed.database) and parsed.database != ":memory:"
    if in_file and read_only:
        parsed = _as_it_is(parsed)
    elif in_file:
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        parsed,
        connect_args={"timeout": wait, "check_same_thread": False},
        json_deserializer=_lenient,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: object) -> None:
        # sqlite3 would leave CREATE TABLE outside of transactions, see SQLAlchemy's "Pysqlite
        # transactions": two processes that migrate at once, or a killed one, would leave half of it.
        connection.isolation_level = None
        # A damaged text must be read to be found damaged.
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            # SQLite would stop to write back after 4 MB, several times a second in a sweep
            connection.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        kind = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


def _postgresql(url: URL, *, wait: float, read_only: bool) -> Engine:
    """Return an engine for PostgreSQL, by psycopg.

    As with SQLite, a commit is not waited for until it is on disk: after a power cut of the server the
    last moments of a run may be missing, never torn
    (https://www.postgresql.org/docs/current/wal-async-commit.html).
    """
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    settings = [
        str(url.query.get("options", "")),
        f"-c lock_timeout={wait * 1000:.0f}",
        "-c synchronous_commit=off",
        *(["-c default_transaction_read_only=on"] if read_only else []),
    ]
    try:
        return create_engine(
            url.difference_update_query(["options"]),
            connect_args={
                "options": " ".join(filter(None, settings)),
                "connect_timeout": _CONNECT_SECONDS,
                "application_name": "sandbox",
            },
            json_deserializer=_lenient,
            pool_pre_ping=True,
        )
    except ImportError as error:
        raise OSError(f"{error}: pip install 'agent-risk-sandbox[postgres]'") from error


def _as_it_is(url: URL) -> URL:
    """Return the address of a SQLite file that is not to be written.

    Even a reader needs the ``-shm`` file and makes it, which a full disk or a read-only folder refuses.
    Without it there is no other process either; and where nothing waits in the ``-wal`` file, the
    database file alone holds everything, and may be read as one that never changes
    (https://www.sqlite.org/wal.html#read_only_databases).
    """
    path = Path(str(url.database)).absolute()
    shared, waiting = (path.with_name(path.name + end) for end in ("-shm", "-wal"))
    usable = shared.exists() and shared.stat().st_size >= _SHARED_BYTES  # less: no room to make it
    whole = not waiting.exists() or waiting.stat().st_size == 0
    if not path.exists():
        raise FileNotFoundError("there is no such file")
    if not usable and not whole:
        raise OSError(f"its end waits in {waiting.name}: copy both to where they can be written")
    query = {"mode": "ro", "uri": "true", **({} if usable else {"immutable": "1"})}
    return url.set(database=f"file:{quote(str(path))}", query=query)


def _lenient(text: str) -> Any:
    """Return JSON data; what is none comes as a text, so that one damaged row hides no other."""
    try:
        return json.loads(text, parse_constant=float)
    except (ValueError, RecursionError):
        return text
