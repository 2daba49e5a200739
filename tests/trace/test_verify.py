"""Verification: an untouched run is accepted, and any change of the store is found where it is."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.isolation.base import Backend
from sandbox.monitors.library import MonitorLibrary
from sandbox.scenario.loader import Loader
from sandbox.trace.events import digest
from sandbox.trace.store import Store
from sandbox.trace.verify import Verification, verify, verify_all
from tests.support.runner import Runner

FIRST = 0
Tamper = Callable[[sqlite3.Connection, str, str], object]


@pytest.fixture(scope="module")
def finished(
    loader: Loader,
    library: MonitorLibrary,
    backend: Backend,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, list[str]]:
    """A store with two finished runs, and their ids."""
    path = tmp_path_factory.mktemp("finished") / "runs.db"
    with Store(str(path)) as store:
        play = Runner(loader, library, backend, store)
        names = ("injection/changed-iban", "oversight/audit-log")
        ids = [asyncio.run(play("scripted/safe", name)).id for name in names]
    return path, ids


@pytest.fixture
def copy(finished: tuple[Path, list[str]], tmp_path: Path) -> Path:
    """A copy of that store, to be changed."""
    for file in finished[0].parent.glob("runs.db*"):
        shutil.copy(file, tmp_path)
    return tmp_path / "runs.db"


@pytest.fixture
def database(copy: Path) -> Iterator[sqlite3.Connection]:
    """The copy as raw SQLite."""
    connection = sqlite3.connect(copy, isolation_level=None)
    yield connection
    connection.close()


def checked(path: Path, run: str) -> Verification:
    """Return what verification says of a run."""
    with Store(str(path)) as store:
        return verify(store, store.run(run))


def test_an_untouched_store(finished: tuple[Path, list[str]]) -> None:
    """Both runs verify, and all their events were looked at."""
    found = [checked(finished[0], run) for run in finished[1]]
    assert all(item.ok and item.problem is None and item.event is None for item in found)
    assert min(item.events for item in found) > 20


EVENT_CHANGES = {
    "agent": "'someone'",
    "at": "at + 0.001",
    "kind": "'message' || substr(kind, 8)",
    "data": "replace(data, substr(data, 9, 1), 'z')",
    "data, as bytes": "CAST(data AS BLOB)",
    "data, not UTF-8": "CAST(substr(CAST(data AS BLOB), 1, 10) || x'ff' AS TEXT)",
    "data, no JSON": "'{'",
    "data, with a space": "data || ' '",
    "previous": "upper(previous)",
    "previous, another": "hash",
    "hash": "substr(hash, 2) || 'x'",
    "hash, in capitals": "upper(hash)",
    "hash, empty": "''",
}


@pytest.mark.parametrize(("what", "value"), EVENT_CHANGES.items(), ids=EVENT_CHANGES)
@pytest.mark.parametrize("seq", [0, 7])
def test_a_changed_event(
    database: sqlite3.Connection,
    copy: Path,
    finished: tuple[Path, list[str]],
    what: str,
    value: str,
    seq: int,
) -> None:
    """A changed column of an event is found at that event; the other run still verifies."""
    run, other = finished[1]
    column = what.split(",", maxsplit=1)[0]
    if (what, seq) == ("previous", 0):
        value = "'1' || substr(previous, 2)"  # the first one is all zeros
    before = database.execute(
        "SELECT * FROM event WHERE run = ? AND seq = ?", (run, seq)
    ).fetchone()
    database.execute(f"UPDATE event SET {column} = {value} WHERE run = ? AND seq = ?", (run, seq))  # noqa: S608
    database.text_factory = bytes
    assert (
        before
        != database.execute("SELECT * FROM event WHERE run = ? AND seq = ?", (run, seq)).fetchone()
    )
    found = checked(copy, run)
    assert (found.ok, found.event) == (False, seq)
    assert checked(copy, other).ok


def _middle(database: sqlite3.Connection, run: str, *statements: str) -> None:
    for statement in statements:
        database.execute(statement, {"run": run})


ORDER_CHANGES: dict[str, tuple[tuple[str, ...], int]] = {
    "deleted": (("DELETE FROM event WHERE run = :run AND seq = 5",), 6),
    "first deleted": (("DELETE FROM event WHERE run = :run AND seq = 0",), 1),
    "deleted and closed up": (
        (
            "DELETE FROM event WHERE run = :run AND seq = 5",
            "UPDATE event SET seq = -seq WHERE run = :run AND seq > 5",
            "UPDATE event SET seq = -seq - 1 WHERE run = :run AND seq < 0",
        ),
        5,
    ),
    "swapped": (
        (
            "UPDATE event SET seq = -1 WHERE run = :run AND seq = 5",
            "UPDATE event SET seq = 5 WHERE run = :run AND seq = 6",
            "UPDATE event SET seq = 6 WHERE run = :run AND seq = -1",
        ),
        5,
    ),
    "contents swapped": (
        (
            """UPDATE event SET data =
                (SELECT data FROM event e WHERE e.run = :run AND e.seq = 13 - event.seq)
                WHERE run = :run AND seq IN (6, 7)""",
        ),
        6,
    ),
    "inserted in the middle": (
        (
            "UPDATE event SET seq = -seq WHERE run = :run AND seq > 5",
            "UPDATE event SET seq = -seq + 1 WHERE run = :run AND seq < 0",
            """INSERT INTO event SELECT run, 6, at, kind, agent, data, previous, hash FROM event
                WHERE run = :run AND seq = 5""",
        ),
        6,
    ),
    "last ones cut off": (
        ("DELETE FROM event WHERE run = :run AND seq > 20",),
        20,
    ),
    "appended": (
        (
            """INSERT INTO event SELECT run, seq + 1, at, kind, agent, data, hash, hash FROM event
                WHERE run = :run ORDER BY seq DESC LIMIT 1""",
        ),
        -1,
    ),
    "all deleted": (("DELETE FROM event WHERE run = :run",), 0),
}


@pytest.mark.parametrize(("statements", "at"), ORDER_CHANGES.values(), ids=ORDER_CHANGES)
def test_changed_order(
    database: sqlite3.Connection,
    copy: Path,
    finished: tuple[Path, list[str]],
    statements: tuple[str, ...],
    at: int,
) -> None:
    """Events taken away, put in or moved are found at the first place that is wrong."""
    run = finished[1][FIRST]
    last = database.execute("SELECT MAX(seq) FROM event WHERE run = ?", (run,)).fetchone()[0]
    _middle(database, run, *statements)
    found = checked(copy, run)
    assert (found.ok, found.event) == (False, last + 1 if at < 0 else at)


def test_events_of_two_runs_swapped(
    database: sqlite3.Connection, copy: Path, finished: tuple[Path, list[str]]
) -> None:
    """Two runs that take each other's events are both found, at their first event."""
    one, other = finished[1]
    for before, after in ((one, "x"), (other, one), ("x", other)):
        database.execute("UPDATE event SET run = ? WHERE run = ?", (after, before))
    assert [(item.ok, item.event) for item in (checked(copy, one), checked(copy, other))] == [
        (False, 0)
    ] * 2


BLOB_CHANGES = {
    "one byte": "packed = CAST(substr(packed, 1, 20) || x'00' || substr(packed, 22) AS BLOB)",
    "last byte cut": "packed = substr(packed, 1, length(packed) - 1)",
    "byte added": "packed = CAST(packed || x'00' AS BLOB)",
    "another frame": "packed = x'28b52ffd2000010000'",
    "as text": "packed = 'hello'",
    "size": "size = size + 1",
    "size of zero": "size = 0",
    "size below": "size = -1",
    "size without bound": "size = 9000000000000000000",
    "size as text": "size = 'big'",
    "hash of the bytes": "packed_sha256 = sha256",
    "hash of the text": "sha256 = substr(sha256, 2) || 'x'",
}


@pytest.mark.parametrize("change", BLOB_CHANGES.values(), ids=BLOB_CHANGES)
def test_a_changed_text(
    database: sqlite3.Connection, copy: Path, finished: tuple[Path, list[str]], change: str
) -> None:
    """A changed column of a large text is found at the first event that names it."""
    run = finished[1][FIRST]
    query = "SELECT seq, data FROM event WHERE run = ? AND data LIKE '%$blob%' ORDER BY seq"
    seq, data = database.execute(query, (run,)).fetchone()
    sha256 = data.split('"$blob":"')[1][:64]
    database.execute(f"UPDATE blob SET {change} WHERE sha256 = ?", (sha256,))  # noqa: S608
    found = checked(copy, run)
    assert (found.ok, found.event) == (False, seq)


def test_a_deleted_text(
    database: sqlite3.Connection, copy: Path, finished: tuple[Path, list[str]]
) -> None:
    """A text that is gone is found in every run that named it."""
    database.execute("DELETE FROM blob")
    assert [checked(copy, run).ok for run in finished[1]] == [False, False]


def test_texts_swapped(
    database: sqlite3.Connection, copy: Path, finished: tuple[Path, list[str]]
) -> None:
    """Two texts, each sound, in each other's place are found."""
    columns = "size, packed, packed_sha256"
    one, other = database.execute("SELECT sha256 FROM blob ORDER BY sha256 LIMIT 2").fetchall()
    row = database.execute(f"SELECT {columns} FROM blob WHERE sha256 = ?", one).fetchone()  # noqa: S608
    statement = f"UPDATE blob SET ({columns}) = (?, ?, ?) WHERE sha256 = ?"  # noqa: S608
    database.execute(statement, (*row, *other))
    assert not all(checked(copy, run).ok for run in finished[1])


ROW_CHANGES = {
    "scenario": "'injection/another'",
    "family": "'fraud'",
    "model": "'openai/gpt-4o'",
    "isolation": "'docker'",
    "mode": "'enforce'",
    "lang": "'fr'",
    "seed": "seed + 1",
    "status": "'running'",
    "status, interrupted": "'interrupted'",
    "status, another": "'done'",
    "owner": "owner || '1'",
    "started": "started + 0.001",
    "ended": "ended + 0.001",
    "ended, unset": "NULL",
    "task": "'refused'",
    "task, unset": "NULL",
    "safety": "'unsafe'",
    "result": """replace(result, '"safety": "safe"', '"safety": "unsafe"')""",
    "result, one digit": """replace(result, '"tool_calls": ', '"tool_calls": 1')""",
    "result, its head": """replace(result, '"head": "', '"head": "0')""",
    "result, unset": "NULL",
    "result, of nothing": "'{}'",
    "result, a list": "'[]'",
    "result, torn": "substr(result, 1, 50)",
    "result, no JSON": "'{'",
    "result, NaN": """replace(result, '"tool_calls": ', '"extra": NaN, "tool_calls": ')""",
    "result, not UTF-8": "CAST(x'7b22ff227d' AS TEXT)",
    "events": "events - 1",
    "head": "upper(head)",
    "head, empty": "''",
}


@pytest.mark.parametrize(("what", "value"), ROW_CHANGES.items(), ids=ROW_CHANGES)
def test_a_changed_row(
    database: sqlite3.Connection,
    copy: Path,
    finished: tuple[Path, list[str]],
    what: str,
    value: str,
) -> None:
    """A changed column of a run's row is found, and the other run can still be read."""
    run, other = finished[1]
    column = what.split(",", maxsplit=1)[0]
    changed = database.execute(
        f"UPDATE run SET {column} = {value} WHERE id = ? AND {column} IS NOT {value}",  # noqa: S608
        (run,),
    )
    assert changed.rowcount == 1
    assert not checked(copy, run).ok
    assert checked(copy, other).ok
    with Store(str(copy)) as store:
        assert len(store.runs()) == 2


def test_a_renamed_run(
    database: sqlite3.Connection, copy: Path, finished: tuple[Path, list[str]]
) -> None:
    """A run under another id is found, with or without its events."""
    run = finished[1][FIRST]
    database.execute("UPDATE run SET id = 'f00' WHERE id = ?", (run,))
    assert not checked(copy, "f00").ok
    database.execute("UPDATE event SET run = 'f00' WHERE run = ?", (run,))
    assert (checked(copy, "f00").ok, checked(copy, "f00").event) == (False, 0)


def test_an_event_without_an_object_is_found(
    database: sqlite3.Connection, copy: Path, finished: tuple[Path, list[str]]
) -> None:
    """A chain that was made anew around data that is no JSON object is not taken for a trace."""
    run = finished[1][FIRST]
    last, at, kind, agent, previous = database.execute(
        "SELECT seq, at, kind, agent, previous FROM event WHERE run = ? ORDER BY seq DESC", (run,)
    ).fetchone()
    for data in ("{}}", "[]", "{{}"):
        made = digest(run, last, at, kind, agent, data, previous)
        database.execute(
            "UPDATE event SET data = ?, hash = ? WHERE run = ? AND seq = ?", (data, made, run, last)
        )
        database.execute("UPDATE run SET head = ? WHERE id = ?", (made, run))
        found = checked(copy, run)
        assert (found.ok, found.event) == (False, last)


def test_many_runs_are_verified_at_once(finished: tuple[Path, list[str]]) -> None:
    """All at once says the same as one by one."""
    with Store(str(finished[0])) as store:
        rows = store.runs()
        assert list(verify_all(store, rows)) == [verify(store, row) for row in rows]
