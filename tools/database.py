"""Database: the organisation's tables, through SQL."""

from __future__ import annotations

from contextlib import contextmanager

from sandbox.sdk.tools import ToolError, World, tool

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import, and the guest does not need it
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    Row = dict[str, Any]

WORLD = {
    "database": {
        "type": "object",
        "default": {"tables": {}, "columns": {}},
        "additionalProperties": False,
        "required": ["tables"],
        "properties": {
            "tables": {
                "type": "object",
                "default": {},
                "additionalProperties": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
                    },
                },
            },
            "columns": {
                "type": "object",
                "default": {},
                "additionalProperties": {"type": "array", "items": {"type": "string"}},
            },
        },
    }
}

_ROWS, _CHARACTERS, _KEPT_ROWS = 200, 200_000, 20_000
_SECONDS, _STEPS, _HEAP = 5.0, 10_000, 32 * 1024 * 1024
_ACTIONS = (
    "SELECT READ INSERT UPDATE DELETE CREATE_TABLE DROP_TABLE CREATE_INDEX ALTER_TABLE FUNCTION"
    " TRANSACTION SAVEPOINT RECURSIVE REINDEX"
)


@tool()
def tables(world: World) -> str:
    """List the tables with their columns and numbers of rows."""
    database = world["database"]
    lines = [
        f"{name} ({', '.join(_columns(database, name))}): {len(rows)} rows"
        for name, rows in database["tables"].items()
    ]
    return "\n".join(lines) or "there are no tables"


@tool(reads_sensitive=True, changes_world=True)
def query(world: World, sql: str) -> str:
    """Run one statement of SQL (SQLite's) that reads or changes the tables.

    Args:
        sql: The statement.
    """
    database = world["database"]
    with _connection() as connection:
        for name, rows in database["tables"].items():
            _fill(connection, name, _columns(database, name), rows)
        _guard(connection)
        with _refusals(database):
            before = connection.total_changes, _schema(connection)
            cursor = connection.execute(sql)
            found, rest = _text_rows(cursor)
            changes = connection.total_changes - before[0]
            if changes or _schema(connection) != before[1]:
                _write_back(connection, database)
    if cursor.description is None:
        return f"done; {changes} rows changed"
    lines = [" | ".join(row) for row in ([column[0] for column in cursor.description], *found)]
    return "\n".join(lines) + (f"\n[{rest} more rows]" if rest else f"\n[{len(found)} rows]")


@contextmanager
def _connection() -> Iterator[sqlite3.Connection]:
    import sqlite3

    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    try:
        connection.execute(f"PRAGMA hard_heap_limit={_HEAP}")
        yield connection
    finally:
        connection.close()


def _columns(database: Row, name: str) -> Iterable[str]:
    found = dict.fromkeys(database.get("columns", {}).get(name, ()))
    for row in database["tables"][name]:
        found.update(dict.fromkeys(row))
    return [*found] or ["id"]


def _fill(
    connection: sqlite3.Connection, name: str, columns: Iterable[str], rows: Iterable[Row]
) -> None:
    typed = ", ".join(f"{_quote(c)} {_type([row.get(c) for row in rows])}" for c in columns)
    connection.execute(f"CREATE TABLE {_quote(name)} ({typed})")
    marks = ", ".join("?" for _ in columns)
    values = ([row.get(column) for column in columns] for row in rows)
    connection.executemany(f"INSERT INTO {_quote(name)} VALUES ({marks})", values)


def _type(values: Iterable[object]) -> str:
    kinds = {type(value) for value in values if value is not None}
    names = {bool: "BOOLEAN", int: "INTEGER", float: "REAL", str: "TEXT"}
    return names[kinds.pop()] if len(kinds) == 1 else ""


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _guard(connection: sqlite3.Connection) -> None:
    """Bound time and size from here on, and refuse what reaches past the tables."""
    import sqlite3
    import time

    allowed = {getattr(sqlite3, f"SQLITE_{action}") for action in _ACTIONS.split()}

    def judge(action: int, first: str | None, second: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_PRAGMA:
            fine = first in {"table_info", "table_xinfo", "table_list"}
        else:
            fine = action in allowed and second != "load_extension"
        return sqlite3.SQLITE_OK if fine else sqlite3.SQLITE_DENY

    deadline = time.monotonic() + _SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    connection.set_authorizer(judge)


@contextmanager
def _refusals(database: Row) -> Iterator[None]:
    import sqlite3

    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
        reason = str(error) or "it needs too much memory"
        reason = {"interrupted": f"it took more than {_SECONDS:g} s"}.get(reason, reason)
        hint = f" (tables: {', '.join(database['tables'])})" if "no such table" in reason else ""
        raise ToolError(f"the statement was not run: {reason}{hint}") from None


def _schema(connection: sqlite3.Connection) -> Any:
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    return [row for row in found.fetchall() if not row[0].startswith("sqlite_")]


def _write_back(connection: sqlite3.Connection, database: Row) -> None:
    held, columns = {}, {}
    for name, _ in _schema(connection):
        about = connection.execute(f"PRAGMA table_info({_quote(name)})").fetchall()
        switches = {column[1] for column in about if column[2] == "BOOLEAN"}
        columns[name] = [column[1] for column in about]
        rows = connection.execute(f"SELECT * FROM {_quote(name)}").fetchmany(_KEPT_ROWS + 1)
        if len(rows) > _KEPT_ROWS:
            raise ValueError(f"a table may hold {_KEPT_ROWS} rows at most")
        held[name] = [
            {c: _plain(v, switch=c in switches) for c, v in zip(columns[name], row)} for row in rows
        ]
    database["tables"], database["columns"] = held, columns


def _plain(value: object, *, switch: bool = False) -> Any:
    """Return a value of SQLite's as one that JSON can hold."""
    if switch and value in {0, 1}:
        return bool(value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if value in {float("inf"), float("-inf")} else value


def _text_rows(cursor: sqlite3.Cursor) -> tuple[Sequence[Sequence[str]], int]:
    """Return the first rows as text, and how many more there are."""
    found: list[list[str]] = []
    size = rest = 0
    for row in cursor:
        if len(found) == _ROWS or size > _CHARACTERS:
            rest += 1
            continue
        found.append(["NULL" if value is None else str(_plain(value)) for value in row])
        size += sum(map(len, found[-1]))
    return found, rest
