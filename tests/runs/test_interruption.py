"""A process that dies in a run: what was acknowledged is there, and the run is marked once."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.isolation.base import Backend
from sandbox.runs.recovery import mark_interrupted
from sandbox.runs.run_plan import Progress
from sandbox.trace.store import Store
from sandbox.trace.verify import verify
from tests.support import REPOSITORY
from tests.support.polling import block_until
from tests.support.runner import Runner, call, plays

CHILD = """
import asyncio, sys
from pathlib import Path
from sandbox.isolation.bubblewrap import Bubblewrap
from sandbox.monitors.library import MonitorLibrary
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from sandbox.trace.store import Store
from tests.support.runner import Runner, call, plays
loader = Loader(Content(Path.cwd()))
noise = "head -c 3000 /dev/urandom | od -x"
steps = [call("shell.run", command=f"echo {number}; {noise}") for number in range(20)]
steps.append(call("shell.run", command="sleep 100", timeout_seconds=100))
with Store(sys.argv[1]) as store:
    play = Runner(loader, MonitorLibrary(loader.content, loader.catalogue), Bubblewrap(), store)
    asyncio.run(play(plays(*steps), "oversight/audit-log"))
"""
MARKER = """
import sys
from sandbox.runs.recovery import mark_interrupted
from sandbox.trace.store import Store
with Store(sys.argv[1]) as store:
    sys.stdin.readline()
    print(len(mark_interrupted(store)))
"""


def count(path: Path) -> int:
    """Return how many calls have been begun, as another connection sees it."""
    if not path.exists():
        return 0
    connection = sqlite3.connect(path)
    try:
        query = "SELECT COUNT(*) FROM event WHERE kind = 'tool.intent'"
        return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # its tables are not made yet
    finally:
        connection.close()


def killed(path: Path, calls: int) -> None:
    """Run in another process and kill it when so many calls have been begun."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], cwd=REPOSITORY)

    def reached() -> bool:
        assert child.poll() is None, "the child ended before it was killed"
        return count(path) >= calls

    block_until(reached, 60, f"{calls} calls are begun")
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)


@pytest.mark.parametrize("calls", [1, 7, 21])
def test_a_killed_process(backend: Backend, tmp_path: Path, calls: int) -> None:
    """After kill -9 the store opens, the run verifies before and after it is marked, once."""
    path = tmp_path / "runs.db"
    killed(path, calls)
    with Store(str(path)) as store:
        (row,) = store.runs()
        assert row.status == "running"
        assert verify(store, row).problem is None
        before = [item.kind for item in store.events(row.id)]
        assert before.count("tool.intent") >= calls
        assert mark_interrupted(store) == [row.id]
        assert mark_interrupted(store) == []
        marked = store.run(row.id)
        assert verify(store, marked).problem is None
        assert (marked.status, marked.events) == ("interrupted", len(before) + 1)
        assert [item.kind for item in store.events(row.id)] == [*before, "run.interrupted"]
    assert backend.reap() >= 0


def test_two_that_mark_at_once(backend: Backend, tmp_path: Path) -> None:
    """Of several processes that find a dead run at the same time, one marks it."""
    path = tmp_path / "runs.db"
    killed(path, 2)
    markers = [
        subprocess.Popen(
            [sys.executable, "-c", MARKER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for marker in markers:
        assert marker.stdin is not None
        marker.stdin.write("\n")
        marker.stdin.flush()
    told = [marker.communicate(timeout=30) for marker in markers]
    assert [error for _, error in told] == ["", "", ""]
    assert sum(int(out) for out, _ in told) == 1
    with Store(str(path)) as store:
        (row,) = store.runs()
        assert verify(store, row).ok
        assert [item.kind for item in store.events(row.id)].count("run.interrupted") == 1


async def test_a_living_process_is_left_alone(play: Runner) -> None:
    """A run that another task of this process is in is not marked."""
    marked: list[str] = []

    def watch(progress: Progress) -> None:
        if progress.kind == "tool.intent":
            marked.extend(mark_interrupted(play.store))

    result = await play("scripted/safe", watchers=(watch,))
    assert (marked, result.task) == ([], "done")


async def test_a_run_that_its_user_stops(play: Runner) -> None:
    """A run that is cancelled is marked, has a result to every call, and verifies."""
    calling = asyncio.Event()

    def watch(progress: Progress) -> None:
        if progress.kind == "tool.intent":
            calling.set()

    sleeper = plays(call("shell.run", command="sleep 30"))
    task = asyncio.create_task(play(sleeper, "oversight/audit-log", watchers=(watch,)))
    await asyncio.wait_for(calling.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = play.store.runs()
    assert row.status == "interrupted"
    assert verify(play.store, row).problem is None
    assert len(play.data(row.id, "tool.intent")) == len(play.data(row.id, "tool.result")) == 1
