"""Reading very many events: past SQLAlchemy, on one connection, as bare values.

SQLite's own cursor gives a row in a third of the time. Text that is not UTF-8 would end such a query, so
that the rest of a damaged run is read again the lenient way, in which it can be told where the damage is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine

from sandbox.trace.events import Event
from sandbox.trace.store import Store
from sandbox.trace.tables import BlobRow

_EVENTS = (
    "SELECT run, seq, at, kind, agent, data, previous, hash FROM event "
    "WHERE run = ? AND seq > ? %s ORDER BY seq"
)
_BLOB = "SELECT sha256, size, packed, packed_sha256 FROM blob WHERE sha256 = ?"
_ROWS = 500


class Scanner:
    """Reads one run after the other, each in order."""

    def __init__(self, store: Store, connection: sqlite3.Connection | None) -> None:
        """Read a store, on a connection of its own where it is SQLite."""
        self._store = store
        self._connection = connection

    def events(self, run: str, kinds: Collection[str] = ()) -> Iterator[Event]:
        """Yield the events of a run in order: all, or those of some kinds."""
        if self._connection is None:
            yield from self._rest(run, -1, kinds)
            return
        last = -1
        cursor = self._connection.cursor()
        try:
            only = f"AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
            cursor.execute(_EVENTS % only, (run, last, *kinds))
            while rows := cursor.fetchmany(_ROWS):
                for row in rows:
                    yield Event(*row)
                last = rows[-1][1]
        except (sqlite3.OperationalError, UnicodeDecodeError):
            yield from self._rest(run, last, kinds)
        finally:
            cursor.close()

    def _rest(self, run: str, after: int, kinds: Collection[str]) -> Iterator[Event]:
        for item in self._store.events(run, after=after):
            if not kinds or item.kind in kinds:
                yield item

    def blob(self, sha256: str) -> Any:
        """Return the row of a large text, or None."""
        if self._connection is None:
            return self._store.blob(sha256)
        cursor = self._connection.cursor()
        try:
            row = cursor.execute(_BLOB, (sha256,)).fetchone()
        except (sqlite3.OperationalError, UnicodeDecodeError):
            return self._store.blob(sha256)
        finally:
            cursor.close()
        if row is None:
            return None
        return BlobRow.model_construct(
            sha256=row[0], size=row[1], packed=row[2], packed_sha256=row[3]
        )


@contextmanager
def scanning(store: Store) -> Iterator[Scanner]:
    """Open a store for reading very much of it."""
    engine: Engine = store.engine
    if engine.dialect.name != "sqlite":
        yield Scanner(store, None)
        return
    connection = engine.raw_connection()
    try:
        driver = connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        lenient, driver.text_factory = driver.text_factory, str
        try:
            yield Scanner(store, driver)
        finally:
            driver.text_factory = lenient
    finally:
        connection.close()
