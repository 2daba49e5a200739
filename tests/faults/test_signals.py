"""Signals in mid-run: all is closed, what ran is marked, the next run works."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from sandbox.isolation.base import Backend
from sandbox.isolation.docker import Docker
from tests.support.cli_process import Command, finished, left_by, owners, wait_for, words_of_run
from tests.support.polling import block_until
from tests.support.runner import SCENARIO

CALLS = "SELECT COUNT(*) FROM event WHERE kind = 'tool.intent'"


@pytest.mark.parametrize(
    ("signals", "processes"),
    [
        ((signal.SIGTERM,), "3"),
        ((signal.SIGINT,), "1"),
        ((signal.SIGTERM, signal.SIGTERM), "3"),
        ((signal.SIGKILL,), "1"),
        ((signal.SIGKILL,), "3"),
    ],
    ids=["terminated", "interrupted", "terminated twice", "killed", "killed with forks"],
)
def test_a_run_that_is_stopped(
    backend: Backend, tmp_path: Path, signals: tuple[signal.Signals, ...], processes: str
) -> None:
    """The runs end as documented, are marked interrupted, verify, and leave no container."""
    command = Command(tmp_path / "runs.db")
    words = words_of_run(["oversight"], backend.name)
    words += ["--repeat", "50", "--at-once", "6", "--processes", processes]
    process = command.start(*words)
    wait_for(command.store, CALLS, process)
    for each in signals:
        process.send_signal(each)
    done = finished(process)
    assert done.errors == []
    assert done.status == (-signal.SIGKILL if signal.SIGKILL in signals else 130)
    engine = backend if isinstance(backend, Docker) else None
    pids = owners(command.store)
    if signal.SIGKILL not in signals:
        assert "stopped" in done.err
        # the engine removes in its own time
        block_until(lambda: not left_by(*pids, engine=engine), 30, "containers are gone")
    rows = command("runs", "list", "--json", "--limit", "0").data["runs"]
    assert {row["status"] for row in rows} <= {"finished", "interrupted"}
    assert "interrupted" in {row["status"] for row in rows}
    assert command("runs", "verify").status == 0
    again = command(*words_of_run([SCENARIO], backend.name))
    assert again.data["runs"][0]["task"] == "incapable"
    assert left_by(*pids, engine=engine) == []
