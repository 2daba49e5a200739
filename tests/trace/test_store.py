"""The store: opened by any number of processes, brought up to date, all or nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import InputError, StoreError
from sandbox.trace import migrations
from sandbox.trace.recorder import Recorder
from sandbox.trace.run_events import RunInterruptedEvent
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from tests.support.sample_events import say

WRITER = """
import sys
from sandbox.trace.model_events import MessageEvent
from sandbox.trace.recorder import Recorder
from sandbox.trace.store import Store
path, run = sys.argv[1:]
sys.stdin.readline()
with Store(path) as store:
    recorder = Recorder(store, run)
    for number in range(60):
        recorder.record(MessageEvent, role="shared" * 500, content=run * 2000, name=str(number))
        recorder.flush()
"""


def tables(path: Path) -> set[str]:
    """Return the names of the tables in a SQLite file."""
    connection = sqlite3.connect(path)
    found = {
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    connection.close()
    return found


def row(run: str, **fields: object) -> RunRow:
    """Return the row of a run that has just started."""
    values: dict[str, Any] = {
        "id": run,
        "scenario": "a/b",
        "family": "a",
        "model": "m",
        "isolation": "bubblewrap",
        "mode": "observe",
        "lang": "en",
        "seed": 0,
        "status": "running",
        "owner": "",
        "started": 1.0,
    }
    return RunRow(**{**values, **fields})


def test_an_empty_store_is_made(tmp_path: Path) -> None:
    """Opening a path that is not there makes folder, file and all tables."""
    path = tmp_path / "new" / "deeper" / "runs.db"
    Store(str(path)).close()
    assert tables(path) >= {"run", "event", "blob", "label", "label_past", "migration", "removal"}


def test_reopening_keeps_what_is_there(tmp_path: Path) -> None:
    """Opening again makes no step twice and loses nothing."""
    path = str(tmp_path / "runs.db")
    for number in range(3):
        with Store(path) as store:
            store.enter([row(f"r{number}")], [], [])
    with Store(path) as store:
        assert {item.id for item in store.runs()} == {"r0", "r1", "r2"}
        with store._engine.connect() as connection:
            versions = connection.exec_driver_sql("SELECT version FROM migration").scalars().all()
    assert versions == list(range(1, len(migrations.STEPS) + 1))


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    """A store of a later version is left alone, and the message says why."""
    path = tmp_path / "runs.db"
    Store(str(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO migration VALUES (99, 0)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        Store(str(path))


def test_a_step_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration is made whole or not at all, so that the next try can make it."""
    path = tmp_path / "runs.db"
    steps = migrations.STEPS
    monkeypatch.setattr(
        migrations, "STEPS", (*steps, ("CREATE TABLE later (x INTEGER)", "CREATE NONSENSE"))
    )
    with pytest.raises(StoreError):
        Store(str(path))
    assert tables(path) == set()
    monkeypatch.setattr(migrations, "STEPS", (*steps, ("CREATE TABLE later (x INTEGER)",)))
    Store(str(path)).close()
    assert "later" in tables(path)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"\x00" * 4096])
def test_a_file_that_is_no_store(tmp_path: Path, content: bytes) -> None:
    """A file of something else is refused with its name, and left as it was."""
    path = tmp_path / "runs.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"runs\.db"):
        Store(str(path))
    assert path.read_bytes() == content


@pytest.mark.parametrize("url", ["/proc/nowhere/runs.db", "nonsense://x", "sqlite:////proc/x/y.db"])
def test_a_place_that_cannot_be(url: str) -> None:
    """A store that cannot be opened is a StoreError that names it."""
    with pytest.raises(StoreError):
        Store(url)


def test_nothing_of_a_group_that_fails(store: Store) -> None:
    """Where one event cannot be stored, none of its group is, and it stays waiting."""
    first = Recorder(store, "r")
    say(first, "0")
    first.flush()
    late = Recorder(store, "r")
    say(late, "t" * 5000)
    with pytest.raises(StoreError, match="append to"):
        late.flush()
    assert [store.content(item) for item in store.events("r")] == [{"role": "user", "content": "0"}]
    with pytest.raises(StoreError):
        late.flush()


def test_a_run_ends_once(store: Store) -> None:
    """A second end of a run is refused, and nothing of it is stored."""
    store.enter([row("r")], [], [])
    first = Recorder(store, "r")
    last = first.record(RunInterruptedEvent, reason="x")
    first.end(status="interrupted")
    second = Recorder(store, "r", after=last)
    second.record(RunInterruptedEvent, reason="x")
    with pytest.raises(StoreError, match="the run is over"):
        second.end(status="interrupted")
    assert list(store.events("r")) == [last]


def test_two_writers_at_once(tmp_path: Path) -> None:
    """Two processes that make and fill one store at the same time lose nothing."""
    path = str(tmp_path / "runs.db")
    names = ("a", "b", "c")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, path, name],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for name in names
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    errors = [writer.communicate(timeout=60)[1].decode() for writer in writers]
    assert errors == ["", "", ""]
    with Store(path) as store:
        for name in names:
            found = [store.content(item)["name"] for item in store.events(name)]
            assert found == [str(number) for number in range(60)]
        with store._engine.connect() as connection:
            assert (
                connection.exec_driver_sql("SELECT COUNT(*) FROM blob").scalar_one()
                == len(names) + 1
            )


def test_runs_newest_first(store: Store) -> None:
    """Runs come newest first, filtered by any column."""
    for number in range(4):
        store.enter(
            [row(f"r{number}", started=float(number), lang="fr" if number % 2 else "en")], [], []
        )
    assert [item.id for item in store.runs()] == ["r3", "r2", "r1", "r0"]
    assert [item.id for item in store.runs(lang="fr", limit=1)] == ["r3"]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [("ab", "beginning of several runs"), ("abd", "did you mean 'abc"), ("%", "no run")],
)
def test_a_prefix_that_is_none(store: Store, prefix: str, expected: str) -> None:
    """A prefix of several runs or of none is answered with what there is; no sign is a pattern."""
    for name in ("abc1", "abc2"):
        store.enter([row(name)], [], [])
    with pytest.raises(InputError, match=expected):
        store.run(prefix)


def test_a_prefix_of_one(store: Store) -> None:
    """A run is found by a beginning of its id that no other has."""
    for name in ("abc1", "abc2"):
        store.enter([row(name)], [], [])
    assert store.run("abc2").id == "abc2"


def test_damage_while_reading_is_named(tmp_path: Path) -> None:
    """A file that is damaged in the middle is a StoreError, not a traceback."""
    path = tmp_path / "runs.db"
    with Store(str(path)) as store:
        for number in range(200):
            store.enter([row(f"r{number}")], [], [])
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xff" * (len(data) - 8192)
    path.write_bytes(bytes(data))
    with pytest.raises(StoreError, match=r"runs\.db"), Store(str(path)) as store:
        store.runs()


def test_runs_from_before_scaffolds_are_react(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old store is brought up to date: its runs were driven by react; of imported ones it is not known."""
    path, steps = tmp_path / "runs.db", migrations.STEPS
    before = next(n for n, step in enumerate(steps) if any("scaffold" in text for text in step))
    monkeypatch.setattr(migrations, "STEPS", steps[:before])
    Store(str(path)).close()
    connection = sqlite3.connect(path)
    for run, origin in (("r1", ""), ("r2", "inspect")):
        connection.execute(
            "INSERT INTO run (id, scenario, family, model, isolation, mode, lang, seed, status,"
            " owner, started, events, head, origin) VALUES (?, 'a/b', 'a', 'm', 'i', 'observe',"
            " 'en', 0, 'finished', '', 1.0, 0, '', ?)",
            (run, origin),
        )
    connection.commit()
    connection.close()
    monkeypatch.setattr(migrations, "STEPS", steps)
    with Store(str(path)) as store:
        assert {item.id: item.scaffold for item in store.runs()} == {"r1": "react", "r2": ""}
