"""The command line as a process of its own, and what it leaves behind."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.isolation import cgroup
from sandbox.isolation.docker import LABEL, Docker
from sandbox.isolation.process_identity import Owner
from tests.support import REPOSITORY
from tests.support.cli import command
from tests.support.polling import block_until


@dataclass(frozen=True)
class Done:
    """A command after its end."""

    pid: int
    status: int
    out: str
    err: str
    seconds: float

    @property
    def data(self) -> Any:
        """The JSON document that it printed."""
        return json.loads(self.out)

    @property
    def errors(self) -> list[str]:
        """Its lines of errors."""
        return [line for line in self.err.splitlines() if line.startswith("error: ")]


@dataclass(frozen=True)
class Command:
    """``sandbox`` with a store of its own."""

    store: Path
    environment: tuple[tuple[str, str], ...] = ()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--store", str(self.store), *words],
            cwd=REPOSITORY,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "COLUMNS": "500", **dict(self.environment)},
        )

    def __call__(self, *words: str) -> Done:
        """Run a command to its end."""
        started = time.monotonic()
        environment = {**os.environ, "COLUMNS": "500", **dict(self.environment)}
        done = command("--store", str(self.store), *words, environment=environment)
        seconds = time.monotonic() - started
        return Done(done.pid, done.returncode, done.stdout, done.stderr, seconds)


def finished(process: subprocess.Popen[str]) -> Done:
    """Wait for the end of a command."""
    started = time.monotonic()
    out, err = process.communicate(timeout=300)
    return Done(process.pid, process.returncode, out, err, time.monotonic() - started)


def owners(store: Path) -> tuple[int, ...]:
    """Return the processes that executed the runs of a store."""
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT DISTINCT owner FROM run").fetchall()
    finally:
        connection.close()
    return tuple(Owner.of(row[0]).pid for row in rows)


def left_by(*pids: int, engine: Docker | None = None) -> list[str]:
    """Return the cgroups and containers of processes, which may be gone."""
    found = [
        str(path) for path in cgroup.leftovers() if any(f"-{pid}-" in path.name for pid in pids)
    ]
    if engine is not None:
        for item in engine._client.api.containers(all=True, filters={"label": LABEL}):
            owner = item["Labels"].get(f"{LABEL}.owner", "")
            if Owner.of(owner).pid in pids:
                found.append(f"{item['Id'][:12]} {item['State']}")
    return found


def wait_for(store: Path, query: str, process: subprocess.Popen[str], seconds: float = 300) -> None:
    """Wait until a count in the store is not 0."""

    def counted() -> bool:
        assert process.poll() is None, "the command ended before its time"
        return store.exists() and _count(store, query) > 0

    try:
        block_until(counted, seconds, query)
    except BaseException:
        process.kill()
        raise


def _count(store: Path, query: str) -> int:
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # its tables are not made yet
    finally:
        connection.close()


def words_of_run(what: Sequence[str], isolation: str, model: str = "scripted/unsafe") -> list[str]:
    """Return the words of a run."""
    return ["run", *what, "--model", model, "--isolation", isolation, "--json"]
