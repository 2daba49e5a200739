"""The store: runs, events and blobs in SQLite (WAL) or PostgreSQL, through SQLModel.

What :meth:`Store.append` has returned from is in the database: a killed process loses nothing of
it. SQLite runs with ``synchronous=NORMAL``: after a power cut, the last moments of a run may be
missing, never torn.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, TypeVar, overload

from sqlalchemy import Connection, Engine, Row, Update, bindparam, func, insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlmodel import Session, col, select, update

from sandbox.enums import RunStatus
from sandbox.errors import InputError, StoreError, TakenError, nearest
from sandbox.trace import blobs, database, migrations
from sandbox.trace.blobs import Blob
from sandbox.trace.event_types import KIND_OF
from sandbox.trace.events import Event
from sandbox.trace.tables import BlobRow, EventRow, RemovalRow, RunRow

BUSY_SECONDS = 30
"""How long a writer waits for another process before it gives up."""
ORIGINS = ("run", "fork", "imported")
"""Where runs are from: executed here, forked here, or imported, from whatever format."""
_WAIT_AFTER_FAILURE = 0.1
_SEEN_LIMIT = 100_000
Data = TypeVar("Data")
Values = Mapping[str, object]
"""Column or parameter → value."""
Statement = tuple[Any, Sequence[Values]]
"""A statement of SQLAlchemy and the rows of its parameters."""
_ROWS = 100  # of one statement: SQLite takes 32,766 values, older ones 999


class Store:
    """One database of runs. Use as a context manager, or close it."""

    def __init__(self, url: str, *, wait: float = BUSY_SECONDS, read_only: bool = False) -> None:
        """Open the store and bring its schema up to date.

        Args:
            url: Path of a SQLite file, or a database URL (``sqlite:///…``, ``postgresql://…``).
            wait: Seconds for which a writer waits for another process.
            read_only: Take it as it is and write nothing, not even a file of SQLite's own beside it.

        Raises:
            StoreError: It cannot be opened, or was written by a newer version.
        """
        self.url = url if "://" in url else f"sqlite:///{url}"
        self._wait = wait
        self._failed = False
        try:
            self._engine = database.make(self.url, wait=wait, read_only=read_only)
            try:
                self._check(read_only=read_only)
                self._connection = self._engine.connect()
            except BaseException:
                self._engine.dispose()
                raise
        except (SQLAlchemyError, OSError) as error:
            raise _failure("cannot open the store", url, error) from error
        self._insert_event = _Prepared(insert(EventRow), self._engine)
        self._insert_blobs = _insert_blobs(self._engine)
        self._seen: dict[str, None] = {}
        self._removals: int | None = None

    def _check(self, *, read_only: bool) -> None:
        """Look at the schema's version; a store that is up to date is opened without a write lock."""
        with self._engine.connect() as connection, connection.begin():
            found, wanted = migrations.version(connection), len(migrations.STEPS)
        if found > wanted:
            raise StoreError(f"{self.url} was written by a newer version of sandbox")
        if found < wanted and read_only:
            raise StoreError(f"{self.url} is of an older version and cannot be brought up to date")
        if found < wanted:
            with (
                self._engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection,
                connection.begin(),
            ):
                migrations.migrate(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the database back."""
        self._connection.close()
        self._engine.dispose()

    @property
    def engine(self) -> Engine:
        """The connections to the database, for :mod:`sandbox.trace.bulk_read`."""
        return self._engine

    def append(
        self,
        events: Sequence[Event],
        packed: Sequence[Blob],
        ended: Values | None = None,
        begun: RunRow | None = None,
        also: Sequence[Update] = (),
    ) -> None:
        """Store events and blobs, all or nothing.

        Args:
            events: Of one run, in order.
            packed: The texts that they name.
            ended: Column → value for the run's row, where these are its last events: a process
                killed here leaves a run that is over in both places or in neither.
            begun: The run's row, where these are its first events: no run is without its start.
            also: Statements of the same transaction, each of which must touch a row.

        Raises:
            TakenError: One of ``also`` touched none: what it asks for is another's by now.
            StoreError: They could not be stored; none of them is.
        """
        statements: list[Statement] = []
        fresh = self._fresh(packed)
        if fresh:
            statements.append((self._insert_blobs, [_fields(blob) for blob in fresh]))
        if begun is not None:
            statements.append((_ENTER_RUN, [begun.model_dump()]))
        if ended is not None:
            # A run ends once, though two processes may find it dead at the same time.
            statements.append((_end_run(tuple(ended)), [{_RUN: events[-1].run, **ended}]))
        statements += [(_Must(statement), []) for statement in also]
        self._write("append to", statements, events)
        self._see(fresh)

    def _fresh(self, packed: Sequence[Blob]) -> list[Blob]:
        """Return the texts that are to be stored, in one order everywhere.

        Two transactions that wait for each other's texts would be a deadlock.
        """
        return sorted((b for b in packed if b.sha256 not in self._seen), key=lambda b: b.sha256)

    def _see(self, fresh: Sequence[Blob]) -> None:
        for blob in fresh:
            self._seen[blob.sha256] = None
        while len(self._seen) > _SEEN_LIMIT:
            del self._seen[next(iter(self._seen))]

    def enter(
        self, rows: Sequence[RunRow], events: Sequence[Event], packed: Sequence[Blob]
    ) -> None:
        """Store whole runs, all or nothing: rows that are complete, their events, their texts.

        Raises:
            StoreError: They could not be stored, or one of them is there already; none is stored.
        """
        self.texts_removed()
        statements: list[Statement] = []
        if rows:
            statements.append((_ENTER_RUN, [row.model_dump() for row in rows]))
        fresh = self._fresh(packed)
        if fresh:
            statements.append((self._insert_blobs, [_fields(blob) for blob in fresh]))
        if statements:
            self._write("enter runs in", statements, events)
            self._see(fresh)

    def change(self, what: str, statements: Sequence[Statement]) -> None:
        """Execute statements with their rows of parameters, all or nothing.

        Args:
            what: What is done to the store, for the error: ``cannot {what} the store``.
            statements: SQLAlchemy statements.

        Raises:
            StoreError: One of them failed; none has an effect.
        """
        self._write(what, list(statements))

    def select(self, query: Any, values: Values | None = None) -> list[Row[*tuple[Any, ...]]]:
        """Return the rows of a query as tuples.

        Raises:
            StoreError: The store cannot be read.
        """
        with self._reading(), self._engine.connect() as connection:
            return list(connection.execute(query, dict(values or {})))

    def texts_removed(self) -> bool:
        """Return whether texts were removed since this was last asked.

        Then what this process has stored need not be there any more, and it is not taken to be.
        """
        last = self._last_removal() or 0
        before, self._removals = self._removals, last
        if before is None or before == last:
            return False
        self._seen.clear()
        return True

    def _last_removal(self) -> int | None:
        """Ask on the connection for writing, which every run does: another would have to be readied."""
        with self._reading(), self._connection.begin():
            found: int | None = self._connection.execute(_LAST_REMOVAL).scalar()
            return found

    def without(self, names: Iterable[str]) -> set[str]:
        """Return those of some texts that are not in the store, given their hashes."""
        wanted = set(names)
        there = self.select(select(BlobRow.sha256).where(col(BlobRow.sha256).in_(wanted)))
        return wanted - {row[0] for row in there}

    def holds_blob(self, sha256: str) -> bool:
        """Return whether this process has already stored a text, so that it need not pack it."""
        return sha256 in self._seen

    def forget_blobs(self) -> None:
        """Take no text for stored any more: some have been deleted."""
        self._seen.clear()

    def runs(self, **filters: Any) -> list[RunRow]:
        """Return runs, newest first.

        Args:
            **filters: Column → value, or ``limit`` → number. ``origin`` may be one of :data:`ORIGINS` too.

        Raises:
            InputError: No run is of this origin, and it is none of :data:`ORIGINS`.
        """
        limit = filters.pop("limit", None)
        origin = filters.pop("origin", None)
        query = select(RunRow).order_by(col(RunRow.started).desc(), col(RunRow.id))
        for name, value in filters.items():
            if value is not None:
                query = query.where(getattr(RunRow, name) == value)
        if origin is not None:
            query = query.where(*self._of_origin(origin))
        with self._reading(), Session(self._engine) as session:
            return list(session.exec(query.limit(limit) if limit else query))

    def _of_origin(self, origin: str) -> tuple[Any, ...]:
        if origin == "imported":
            return (col(RunRow.origin) != "",)
        if origin == "fork":
            return (col(RunRow.parent).is_not(None),)
        if origin == "run":
            return col(RunRow.origin) == "", col(RunRow.parent).is_(None)
        known = [row[0] for row in self.select(select(RunRow.origin).distinct()) if row[0]]
        if origin and origin not in known:
            raise InputError(
                f"no run is of the origin {origin!r}{nearest(origin, (*ORIGINS, *known))}"
            )
        return (col(RunRow.origin) == origin,)

    def run(self, prefix: str) -> RunRow:
        """Return the run whose id begins so.

        Raises:
            InputError: None does, or several do.
        """
        query = select(RunRow).where(col(RunRow.id).startswith(prefix, autoescape=True)).limit(6)
        with self._reading(), Session(self._engine) as session:
            found = list(session.exec(query))
            if len(found) == 1:
                return found[0]
            if found:
                names = ", ".join(row.id for row in found[:5])
                raise InputError(f"{prefix!r} is the beginning of several runs: {names}")
            recent = session.exec(select(RunRow.id).order_by(col(RunRow.started).desc()).limit(200))
            raise InputError(f"no run {prefix!r}{nearest(prefix, recent)}")

    def events(self, run: str, *, after: int = -1) -> Iterator[Event]:
        """Yield the events of a run in order, from the one after ``after``."""
        query = (
            select(EventRow)
            .where(EventRow.run == run, EventRow.seq > after)
            .order_by(col(EventRow.seq))
        )
        table = query.with_only_columns(*EventRow.__table__.columns)  # type: ignore[attr-defined]
        with (
            self._reading(),
            self._engine.connect() as connection,
            # closed with its reader: who stops in the middle leaves no cursor on the server
            connection.execution_options(yield_per=1000).execute(table) as rows,
        ):
            for row in rows:
                yield Event(*tuple(row))

    def blob(self, sha256: str) -> BlobRow | None:
        """Return a blob's row."""
        with self._reading(), Session(self._engine) as session:
            return session.get(BlobRow, sha256)

    def text(self, sha256: str) -> str:
        """Return the text of a blob.

        Raises:
            StoreError: It is missing or damaged.
        """
        row = self.blob(sha256)
        if row is None:
            raise StoreError(f"the text {sha256[:12]}… is missing from the store")
        try:
            return blobs.unpack(row.packed, row.size)
        except ValueError as error:
            raise StoreError(f"the text {sha256[:12]}… {error}") from error

    @overload
    def content(self, item: Event) -> Any: ...
    @overload
    def content(self, item: Event, kind: type[Data]) -> Data: ...
    def content(self, item: Event, kind: object = None) -> Any:
        """Return an event's data with its large texts in place.

        Args:
            item: The event.
            kind: The class of its data, which is what a type checker then takes it to be.

        Raises:
            ValueError: The class describes another kind of event.
        """
        if kind is not None and KIND_OF.get(kind) != item.kind:
            raise ValueError(f"event {item.seq} is {item.kind}, which {kind} does not describe")
        return blobs.put_back(json.loads(item.data), self.text)

    def _write(
        self,
        what: str,
        statements: list[Statement],
        events: Sequence[Event] = (),
    ) -> None:
        try:
            self._write_now(what, statements, events)
        except (SQLAlchemyError, sqlite3.Error) as error:
            self._expect(failure=True)
            raise _failure(f"cannot {what} the store", self.url, error) from error
        self._expect(failure=False)

    def _expect(self, *, failure: bool) -> None:
        """Wait only shortly after a failure: runs at once would wait for the same lock in turn."""
        if failure != self._failed and self._engine.dialect.name == "sqlite":
            wait = _WAIT_AFTER_FAILURE if failure else self._wait
            self._connection.connection.cursor().execute(f"PRAGMA busy_timeout={wait * 1000:.0f}")
        self._failed = failure

    def _write_now(self, what: str, statements: list[Statement], events: Sequence[Event]) -> None:
        if not statements and 0 < len(events) <= _ROWS and self._insert_event.at_once:
            self._insert_event.run(self._connection, events)
        else:
            with self._connection.begin():
                if events:
                    rows = self._insert_event.rows(events)
                    self._connection.exec_driver_sql(self._insert_event.sql, rows)
                for statement, values in statements:
                    if isinstance(statement, _Must):
                        self._require(statement.statement)
                        continue
                    given = values[0] if len(values) == 1 else values or None
                    done = self._connection.execute(statement, given)
                    if statement.is_update and done.rowcount == 0:
                        raise StoreError(f"cannot {what} the store: the run is over")

    def _require(self, statement: Any) -> None:
        if self._connection.execute(statement).rowcount == 0:
            raise TakenError("the run's place in its sweep is another run's by now")

    def execute(self, what: str, *statements: Any) -> list[int]:
        """Execute statements on tables of layers above, all or nothing, and tell how many rows each touched.

        Args:
            what: What is done, for errors: ``claim a sweep in``.
            *statements: SQLAlchemy's.

        Returns:
            The number of rows that each touched.

        Raises:
            StoreError: They could not be executed; nothing has changed.
        """
        try:
            with self._connection.begin():
                return [self._connection.execute(statement).rowcount for statement in statements]
        except SQLAlchemyError as error:
            raise _failure(f"cannot {what} the store", self.url, error) from error

    @contextmanager
    def transaction(self, what: str) -> Iterator[Connection]:
        """Give a connection of its own for a long change: all of it is stored, or nothing.

        Raises:
            StoreError: It could not be stored.
        """
        try:
            with (
                self._engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection,
                connection.begin(),
            ):
                yield connection
        except SQLAlchemyError as error:
            raise _failure(f"cannot {what} the store", self.url, error) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection of its own to read tables of layers above.

        Raises:
            StoreError: They could not be read.
        """
        with self._reading(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise _failure("cannot read the store", self.url, error) from error


@dataclass(frozen=True)
class _Must:
    """A statement that must touch a row."""

    statement: Update


# Made once: to put a statement together takes SQLAlchemy longer than to execute it.
_RUN = "of_run"
_ENTER_RUN = insert(RunRow.__table__)  # type: ignore[attr-defined]
_LAST_REMOVAL = select(func.max(RemovalRow.id))


@cache
def _end_run(columns: tuple[str, ...]) -> Any:
    """Return the statement that sets columns of a run which has not ended, given their values."""
    table = RunRow.__table__  # type: ignore[attr-defined]
    of_run = table.c.id == bindparam(_RUN), table.c.status == RunStatus.RUNNING
    return update(table).where(*of_run).values({name: bindparam(name) for name in columns})


def _insert_blobs(engine: Engine) -> Any:
    if engine.dialect.name == "sqlite":
        return insert(BlobRow.__table__).prefix_with("OR IGNORE")  # type: ignore[attr-defined]
    from sqlalchemy.dialects.postgresql import insert as upsert

    return upsert(BlobRow).on_conflict_do_nothing()


class _Prepared:
    """An insert compiled once: the path of every event goes past SQLAlchemy's compiler."""

    def __init__(self, statement: Any, engine: Engine) -> None:
        compiled = statement.compile(engine)
        self.sql = str(compiled)
        self._order = compiled.positiontup if compiled.positional else None
        self.at_once = engine.dialect.name == "sqlite"
        """Whether one statement of many rows is all or nothing by itself, without a transaction."""

    def run(self, connection: Connection, items: Sequence[Event]) -> None:
        """Insert events by one statement on the bare SQLite connection; a third of the time.

        Raises:
            sqlite3.Error: SQLite refused; none of the events is stored.
        """
        head, _, row = self.sql.partition(" VALUES ")
        values = [value for event_row in self.rows(items) for value in event_row]
        sql = f"{head} VALUES {', '.join([row] * len(items))}"
        connection.connection.cursor().execute(sql, values)

    def rows(self, items: Sequence[Event]) -> list[dict[str, object]] | list[tuple[object, ...]]:
        """Return the values of events in the form that the database's driver takes."""
        fields = [_fields(item) for item in items]
        if self._order is None:
            return fields
        return [tuple(row[name] for name in self._order) for row in fields]


def _fields(item: Event | Blob) -> dict[str, object]:
    return {name: getattr(item, name) for name in type(item).__slots__}


def _failure(what: str, url: str, error: Exception) -> StoreError:
    reason = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    shown = make_url(url).render_as_string(hide_password=True) if "://" in url else url
    return StoreError(f"{what} {shown}: {reason}")
