"""Removing runs: their events and the texts that no other run needs go, a tombstone stays."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from sandbox.enums import RunStatus
from sandbox.errors import InputError, StoreError
from sandbox.trace.events import Event
from sandbox.trace.store import Store
from sandbox.trace.tables import (
    BlobRow,
    EventRow,
    LabelPastRow,
    LabelRow,
    RemovalRow,
    RunRow,
)
from sandbox.trace.tombstones import row_after, tombstone
from sandbox.trace.verify import verify

_NAMED = re.compile(r'"\$blob":"([0-9a-f]{64})"')
_AT_ONCE = 500
_ROWS = 1000


@dataclass(frozen=True)
class Needless:
    """Texts that no run needs."""

    names: tuple[str, ...]
    """Their hashes."""
    bytes: int
    """As they are stored, compressed."""


def expired(store: Store, now: float | None = None) -> list[RunRow]:
    """Return the runs that are kept no longer, oldest first."""
    moment = time.time() if now is None else now
    rows = [
        row
        for row in store.runs()
        if row.retain_until is not None and row.retain_until <= moment and removable(row)
    ]
    return sorted(rows, key=lambda row: (row.retain_until or 0, row.id))


def removable(row: RunRow) -> bool:
    """Return whether a run is over and still there."""
    return row.status not in (RunStatus.RUNNING, RunStatus.PURGED)


def needless(store: Store, without: Iterable[str] = ()) -> Needless:
    """Return the texts that no run needs, once some runs are gone.

    Args:
        store: The store; all of its events are read.
        without: Ids of the runs that are taken to be gone.
    """
    gone = frozenset(without)
    with _connected(store, "read") as connection:
        return _needless(connection, gone)


def purge(
    store: Store,
    rows: Sequence[RunRow],
    *,
    reason: str,
    by: str,
    done: Callable[[RunRow], None] | None = None,
) -> None:
    """Remove runs, each by itself: events go, a tombstone stays; notes on labels go too.

    Their texts stay until :func:`remove_texts`.

    Args:
        store: Where they are.
        rows: The runs.
        reason: Why.
        by: Who removes them.
        done: Called with each run that is gone.

    Raises:
        InputError: A run is still going, or gone already; none is removed then.
        StoreError: The store cannot be written; those before are gone.
    """
    for row in rows:
        if not removable(row):
            raise InputError(f"run {row.id} is {row.status}: it cannot be purged")
    for row in rows:
        intact = verify(store, row).ok
        with _connected(store, "purge") as connection:
            _remove(connection, row, reason, by, intact)
        if done:
            done(row)


def remove_texts(store: Store, by: str) -> Needless | None:
    """Remove the texts that no run needs; return them, or None where a run is still going.

    A run that is going may be about to name a text that was stored before it.

    Raises:
        StoreError: The store cannot be written; nothing is removed then.
    """
    with _connected(store, "purge") as connection:
        if connection.dialect.name != "sqlite":  # nobody begins or ends a run meanwhile
            connection.execute(text("LOCK TABLE run IN SHARE ROW EXCLUSIVE MODE"))
        going = select(func.count()).select_from(RunRow).where(col(RunRow.status) == "running")
        if connection.execute(going).scalar():
            return None
        found = _needless(connection, frozenset())
        for start in range(0, len(found.names), _AT_ONCE):
            names = found.names[start : start + _AT_ONCE]
            connection.execute(delete(BlobRow).where(col(BlobRow.sha256).in_(names)))
        if found.names:
            told = {"at": time.time(), "by": by, "texts": len(found.names), "bytes": found.bytes}
            connection.execute(insert(RemovalRow), [told])
    _checkpoint(store)
    return found


def vacuum(store: Store) -> None:
    """Give the space of what was removed back to the system.

    Raises:
        StoreError: It cannot be done now.
    """
    try:
        if store.engine.dialect.name == "sqlite":
            _bare(store, "VACUUM")
            _checkpoint(store)
        else:
            options = store.engine.execution_options(isolation_level="AUTOCOMMIT")
            with options.connect() as connection:
                connection.execute(text("VACUUM run, event, blob, label, label_past"))
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise StoreError(f"cannot vacuum {_shown(store)}: {error}") from error


@contextmanager
def _connected(store: Store, what: str) -> Iterator[Connection]:
    """Open a transaction; one that writes has the store to itself and overwrites what it removes."""
    writes = what != "read"
    options = {"sqlite_begin": "IMMEDIATE"} if writes else {}
    try:
        with store.engine.connect().execution_options(**options) as connection:
            if writes and connection.dialect.name == "sqlite":
                driver = connection.connection.driver_connection
                assert isinstance(driver, sqlite3.Connection)
                driver.execute("PRAGMA secure_delete=ON")  # else it stays readable in free pages
            with connection.begin():
                yield connection
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise StoreError(f"cannot {what} {_shown(store)}: {error}") from error


def _remove(connection: Connection, row: RunRow, reason: str, by: str, intact: bool) -> None:
    of_run = col(EventRow.run) == row.id
    columns = [getattr(EventRow, name) for name in Event.__slots__]
    newest = select(*columns).where(of_run).order_by(col(EventRow.seq).desc()).limit(1)
    last = connection.execute(newest).first()
    if last is None:
        raise InputError(f"run {row.id} has no events: there is nothing to purge")
    stone = tombstone(row, Event(*last), reason=reason, by=by, intact=intact)
    connection.execute(delete(EventRow).where(of_run))
    connection.execute(insert(EventRow), [{k: getattr(stone, k) for k in Event.__slots__}])
    as_it_was = col(RunRow.id) == row.id, col(RunRow.status) == row.status
    changed = connection.execute(update(RunRow).where(*as_it_was).values(**row_after(stone)))
    if changed.rowcount != 1:
        raise InputError(f"run {row.id} is not {row.status} any more: another process changed it")
    connection.execute(update(LabelRow).where(col(LabelRow.run) == row.id).values(note=""))
    connection.execute(delete(LabelPastRow).where(col(LabelPastRow.run) == row.id))


def _needless(connection: Connection, gone: frozenset[str]) -> Needless:
    """Return the texts that no event names: what a process killed on its way has left, too."""
    every = select(col(BlobRow.sha256), func.length(col(BlobRow.packed)))
    rows = connection.execute(every.execution_options(yield_per=_ROWS))
    sizes: dict[str, int] = {name: int(size or 0) for name, size in rows}
    if sizes:
        naming = col(EventRow.data).contains('"$blob"')
        query = select(col(EventRow.run), col(EventRow.data)).where(naming)
        for run, data in connection.execute(query.execution_options(yield_per=_ROWS)):
            if run not in gone:
                for name in _NAMED.findall(data):  # damaged events keep their texts as well
                    sizes.pop(name, None)
    return Needless(tuple(sorted(sizes)), sum(sizes.values()))


def _checkpoint(store: Store) -> None:
    """Empty SQLite's write-ahead log, in which what was removed still stands; others may hold it."""
    if store.engine.dialect.name == "sqlite":
        _bare(store, "PRAGMA wal_checkpoint(TRUNCATE)")


def _shown(store: Store) -> str:
    return make_url(store.url).render_as_string(hide_password=True)


def _bare(store: Store, statement: str) -> None:
    connection = store.engine.raw_connection()
    try:
        connection.cursor().execute(statement).fetchall()
    finally:
        connection.close()
