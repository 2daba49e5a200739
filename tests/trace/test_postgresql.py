"""What is PostgreSQL's own: many processes that make and fill one store, connections that are cut."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from sandbox.errors import StoreError
from sandbox.trace import database as engines
from sandbox.trace.recorder import Recorder
from sandbox.trace.store import Store
from sandbox.trace.verify import verify
from tests.support.databases import database
from tests.support.runner import Runner
from tests.support.sample_events import say

WRITER = """
import sys
from sandbox.trace.model_events import MessageEvent
from sandbox.trace.recorder import Recorder
from sandbox.trace.store import Store
url, run = sys.argv[1:]
sys.stdin.readline()
order = range(40) if run == "a" else range(39, -1, -1)
with Store(url) as store:
    for turn in range(5):
        recorder = Recorder(store, f"{run}{turn}")
        for number in order:
            recorder.record(MessageEvent, role="user", content=f"{turn} {number} " * 500)
        recorder.flush()
"""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """An empty database on a server."""
    with database("postgresql", tmp_path) as made:
        yield made


def test_processes_make_and_fill_it_at_once(url: str) -> None:
    """Processes that open an empty database at the same time make it once, and wait for no one forever.

    They store the same texts in opposite orders, which would be a deadlock if it were not sorted.
    """
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, url, name], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for name in ("a", "b", "c")
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    assert [writer.communicate(timeout=60)[1].decode() for writer in writers] == ["", "", ""]
    with Store(url) as store, store.reading() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM blob")).scalar_one() == 200
        assert connection.execute(text("SELECT COUNT(*) FROM event")).scalar_one() == 600


def test_a_connection_that_is_cut(url: str) -> None:
    """A write over a connection that the server cut is an error, not a loss; the next one goes through."""
    with Store(url) as store:
        recorder = Recorder(store, "r")
        say(recorder, "0")
        recorder.flush()
        with store._connection.begin():
            writing = store._connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with store.reading() as connection:
            connection.execute(text(f"SELECT pg_terminate_backend({writing})"))
        say(recorder, "1")
        with pytest.raises(StoreError, match="append to"):
            recorder.flush()
        recorder.flush()
        assert [store.content(item)["content"] for item in store.events("r")] == ["0", "1"]


def test_a_store_that_is_only_read(url: str) -> None:
    """A store that is opened to be read refuses every write."""
    Store(url).close()
    with Store(url, read_only=True) as store:
        assert store.runs() == []
        recorder = Recorder(store, "r")
        say(recorder)
        with pytest.raises(StoreError, match="read-only"):
            recorder.flush()


def test_a_server_that_is_not_there() -> None:
    """The message says where it was looked for, without the password."""
    with pytest.raises(
        StoreError, match=r"cannot open the store postgresql://u:\*\*\*@127"
    ) as error:
        Store("postgresql://u:hidden@127.0.0.1:1/x")
    assert "hidden" not in str(error.value)


def test_the_usual_address_is_psycopgs() -> None:
    """``postgresql://`` needs no name of a driver behind it."""
    engine = engines.make("postgresql://u@h/x", wait=1, read_only=False)
    assert engine.url.drivername == "postgresql+psycopg"


async def test_whole_runs(url: str, play: Runner) -> None:
    """A run is recorded and verified as with SQLite, and comes to the same outcome."""
    with Store(url) as store:
        there = Runner(play.loader, play.library, play.backend, store)
        for model in ("scripted/safe", "scripted/unsafe"):
            result, other = await there(model), await play(model)
            assert verify(store, store.run(result.id)).problem is None
            assert store.run(result.id).result == result.as_data()
            assert (result.task, result.safety) == (other.task, other.safety)
            kinds = [item.kind for item in store.events(result.id)]
            assert kinds == [item.kind for item in play.store.events(other.id)]
