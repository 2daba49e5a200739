"""A store that cannot be written: full disk, locks of others, read-only places."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.errors import StoreError
from sandbox.isolation import cgroup
from sandbox.isolation.base import Backend
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.run_plan import Progress
from sandbox.runs.worker_pool import execute
from sandbox.scenario.loader import Loader
from sandbox.trace.store import Store
from sandbox.trace.verify import verify
from tests.support.cli_process import Command, finished, left_by, wait_for, words_of_run
from tests.support.runner import SCENARIO, Runner, call, plays
from tests.support.small_disk import Disk

READING = (("runs", "list"), ("runs", "verify"), ("runs", "list", "--json"))
FINISHED = "SELECT COUNT(*) FROM run WHERE status = 'finished'"
ONE = words_of_run([SCENARIO], "bubblewrap")
MANY = (*words_of_run(["scenarios/"], "bubblewrap"), "--repeat", "50")


@pytest.fixture
def make(loader: Loader, library: MonitorLibrary, bubblewrap: Backend) -> Callable[[Store], Runner]:
    """A way to run scenarios into any store."""
    return lambda store: Runner(loader, library, bubblewrap, store)


@contextmanager
def held(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold the store's write lock from another connection."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield other
    finally:
        other.close()


def groups(run: str) -> list[str]:
    """Return the cgroups that are left of a run."""
    return [path.name for path in cgroup.leftovers() if path.name.endswith(f"-{run}")]


@pytest.mark.parametrize("kind", ["run.start", "container.open", "tool.result", "run.score"])
async def test_a_store_without_room(
    make: Callable[[Store], Runner], store: Store, kind: str
) -> None:
    """At whatever moment the room ends, the run ends with it; what was stored before verifies."""
    seen: list[str] = []

    def watch(progress: Progress) -> None:
        seen.append(progress.run)
        if progress.kind == kind:
            pages = store._connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            store._connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
            store._connection.commit()

    play = make(store)
    noise = "head -c 9000 /dev/urandom | od -x"
    steps = plays(*(call("shell.run", command=f"{noise}; echo {n}") for n in range(60)))
    with pytest.raises(StoreError, match=r"runs\.db.*full"):
        await play(steps, "oversight/audit-log", watchers=(watch,), limits={"tool_calls": 100})
    assert groups(seen[0]) == []
    for row in store.runs():
        assert row.status == "running"
        assert verify(store, row).ok
    store._connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    store._connection.commit()
    assert (await play("scripted/safe")).task == "done"


def test_a_disk_that_is_full(disk: Disk) -> None:
    """A run says so in one line and ends with 3; what is there can be listed, verified and told."""
    command = Command(disk.store)
    assert command(*ONE).status == 0
    disk.fill()
    done = command(*ONE)
    assert done.status == 3
    assert len(done.errors) == 1
    assert str(disk.store) in done.errors[0]
    assert left_by(done.pid) == []
    (listed,) = command("runs", "list", "--json").data["runs"]
    assert listed["task"] == "incapable"
    for words in (*READING, ("replay", listed["id"]), ("runs", "show", listed["id"])):
        read = command(*words)
        assert (read.status, read.errors) == (0, []), words
    disk.clear()
    assert command(*ONE).status == 0
    assert len(command("runs", "list", "--json").data["runs"]) == 2


def test_a_disk_that_fills_in_mid_run(disk: Disk) -> None:
    """All runs stop, with one line; what had been stored stays, and is marked when there is room."""
    command = Command(disk.store)
    process = command.start(*MANY)
    wait_for(disk.store, FINISHED, process)
    disk.fill()
    done = finished(process)
    assert (done.status, len(done.errors)) == (3, 1)
    assert "full" in done.errors[0] or "disk I/O error" in done.errors[0]
    assert left_by(done.pid) == []
    for words in READING:
        read = command(*words)
        assert (read.status, read.errors) == (0, []), words
    disk.clear()
    again = command(*ONE)
    assert (again.status, again.errors) == (0, [])
    assert "was interrupted" in again.err
    states = {row["status"] for row in command("runs", "list", "--json").data["runs"]}
    assert states <= {"finished", "interrupted"}
    assert command("runs", "verify").status == 0


def test_a_place_that_is_read_only(disk: Disk) -> None:
    """A store on read-only ground is read as it is; a run into it ends with 3."""
    command = Command(disk.store)
    (listed,) = (command(*ONE).data)["runs"]
    disk.protect()
    for words in (*READING, ("replay", listed["id"])):
        read = command(*words)
        assert (read.status, read.errors) == (0, []), words
        assert "read as it is" in read.err
    done = command(*ONE)
    assert (done.status, len(done.errors)) == (3, 1)
    assert left_by(done.pid) == []


def test_a_copy_is_read_with_what_waits_beside_it(
    disk: Disk, tmp_path: Path, make: Callable[[Store], Runner]
) -> None:
    """What has not reached the database file yet is never left out without a word."""
    place = tmp_path / "runs.db"
    with Store(str(place)) as store:
        asyncio.run(make(store)("scripted/safe"))
        for end in ("", "-wal"):
            shutil.copy(f"{place}{end}", f"{disk.store}{end}")
    disk.protect()
    read = Command(disk.store)("runs", "list")
    assert (read.status, len(read.errors)) == (3, 1)
    assert "-wal" in read.errors[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where the mode forbids it")
def test_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    """A store whose file belongs to another is read as it is."""
    command = Command(tmp_path / "runs.db")
    assert command(*ONE).status == 0
    command.store.chmod(0o400)
    for words in READING:
        assert command(*words).status == 0


async def test_a_lock_that_is_given_back(
    make: Callable[[Store], Runner], store: Store, tmp_path: Path
) -> None:
    """A run waits for another process that holds the store for a moment."""
    with held(tmp_path / "runs.db") as other:
        release = threading.Timer(1.0, other.rollback)
        release.start()
        result = await make(store)("scripted/safe")
        release.join()
    assert result.task == "done"
    assert verify(store, store.run(result.id)).ok


async def test_a_lock_that_is_kept(make: Callable[[Store], Runner], tmp_path: Path) -> None:
    """Several runs at once wait once, not each in turn, and leave no container."""
    path = tmp_path / "runs.db"
    seen: set[str] = set()
    with Store(str(path), wait=4.0) as store:
        play = make(store)
        plans = [play.plan("scripted/unsafe", seed=seed) for seed in range(8)]
        holder: list[sqlite3.Connection] = []

        def watch(progress: Progress) -> None:
            seen.add(progress.run)
            if progress.kind == "container.open" and not holder:
                other = sqlite3.connect(path, isolation_level=None)
                other.execute("BEGIN EXCLUSIVE")
                holder.append(other)

        async with asyncio.timeout(24):  # one after the other they would wait for 32 s
            with pytest.raises(StoreError, match="locked"):
                await execute(plans, store, at_once=8, watchers=(watch,))
        holder[0].close()
        assert [group for run in seen for group in groups(run)] == []
        for row in store.runs():
            assert verify(store, row).ok
        assert (await play("scripted/safe")).task == "done"


def test_reading_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    """Where another process holds the store, runs are listed and verified all the same."""
    command = Command(tmp_path / "runs.db")
    process = command.start(*MANY)
    wait_for(command.store, FINISHED, process)
    process.kill()
    finished(process)
    with held(command.store):
        read = command("runs", "list", "--json")
        assert (read.status, read.errors) == (0, [])
        assert "still shown as running" in read.err
        assert "running" in {row["status"] for row in read.data["runs"]}
        assert command("runs", "verify").status == 0
    assert "was interrupted" in command("runs", "list").err
