"""Sweeps on a cluster: a real scheduler and worker processes on loopback, workers lost and added."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from sandbox.isolation.base import Backend
from sandbox.sweeps.store import Sweeps
from sandbox.trace.store import Store
from sandbox.trace.verify import verify_all
from tests.support import REPOSITORY
from tests.support.databases import KINDS, database
from tests.support.polling import block_until

FILE = """
schema: 1
name: spread
scenarios: [injection/changed-iban, leakage/wrong-audience]
models: [scripted/safe, "scripted/mixed?p=0.5"]
repeat: {repeat}
isolation: bubblewrap
"""


@dataclass
class Grid:
    """A scheduler and its workers."""

    folder: Path
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The scheduler's."""
        return f"tcp://127.0.0.1:{self.port}"

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a part of Dask's in a process of its own."""
        log = (self.folder / f"dask-{len(self.processes)}.log").open("wb")
        with log:
            program = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
            process = subprocess.Popen(program, cwd=REPOSITORY, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def worker(self) -> subprocess.Popen[bytes]:
        """Start a worker."""
        where = ["--local-directory", str(self.folder), "--no-dashboard", "--no-nanny"]
        return self.start("dask_worker", self.address, "--nthreads", "1", *where)


@pytest.fixture
def grid(backend: Backend, tmp_path: Path) -> Iterator[Grid]:
    """A scheduler; whatever was started is ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    made = Grid(tmp_path, port)
    try:
        made.start(
            "dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--no-dashboard",
        )
        block_until(lambda: _listens(port), 60, "the scheduler listens")
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def driver(grid: Grid, url: str, repeat: int = 1) -> Iterator[subprocess.Popen[bytes]]:
    """Execute a sweep on the cluster in a process of its own."""
    file = grid.folder / "sweep.yaml"
    file.write_text(FILE.format(repeat=repeat))
    program = [sys.executable, "-m", "sandbox", "--store", url, "sweep", str(file)]
    process = subprocess.Popen(
        [*program, "--cluster", grid.address, "--json", "--log", str(grid.folder / "driver.log")],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def outcomes(store: Store, name: str) -> list[tuple[object, ...]]:
    """Return what came of each item."""
    sweeps = Sweeps(store)
    return sorted(
        (item.key, item.status, item.task, item.safety)
        for item in sweeps.items(sweeps.get(name).id)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_is_lost_and_one_joins(grid: Grid, kind: str, tmp_path: Path) -> None:
    """The same runs as on one machine, each once, with traces that verify."""
    with database(kind, tmp_path) as url:
        check(grid, url, repeat=12, workers=2, kills=1)  # chunks of several items


@pytest.mark.load
@pytest.mark.parametrize("kind", KINDS)
def test_two_of_four_workers_are_lost(grid: Grid, kind: str, tmp_path: Path) -> None:
    """The same with more runs and more losses."""
    with database(kind, tmp_path) as url:
        check(grid, url, repeat=40, workers=4, kills=2)


def check(grid: Grid, url: str, *, repeat: int, workers: int, kills: int) -> None:
    """Kill workers of a sweep on the way, let one join, and compare with one machine."""
    with Store(url) as store, driver(grid, url, repeat) as process:
        started = [grid.worker() for _ in range(workers)]
        sweeps = Sweeps(store)
        for number, worker in enumerate(started[:kills], start=1):
            block_until(partial(_has_filled, store, 2 * number), 300, "enough runs are finished")
            assert process.poll() is None
            worker.kill()
        grid.worker()
        assert process.wait(1200) == 0, _read(grid.folder / "driver.log")
        row = sweeps.get("spread")
        items = list(sweeps.items(row.id))
        finished = [run.id for run in store.runs() if run.status == "finished"]
        assert len(items) == row.planned == len(finished) == 4 * repeat
        assert set(finished) == {item.run for item in items}
        assert all(found.ok for found in verify_all(store, store.runs()))
        with Store(_alone(grid.folder)) as alone:
            assert outcomes(store, "spread") == outcomes(alone, "spread")
    logged = _read(grid.folder / "driver.log")
    assert logged.count("event=item.end") == 4 * repeat
    assert {"event=sweep.start", "event=workers.changed", "event=sweep.end"} <= set(logged.split())
    workers_said = "".join(map(_read, grid.folder.glob("dask-*.log")))
    assert "event=worker.start" in workers_said
    assert "event=item.end" in workers_said


def _read(path: Path) -> str:
    return path.read_text("utf-8")


def _has_filled(store: Store, count: int) -> bool:
    rows = Sweeps(store).list(limit=1)
    return bool(rows) and Sweeps(store).counts(rows[0].id)[()].finished >= count


def _alone(folder: Path) -> str:
    url = str(folder / "alone.db")
    program = [sys.executable, "-m", "sandbox", "--store", url, "sweep", str(folder / "sweep.yaml")]
    subprocess.run([*program, "--json"], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return url


def test_no_scheduler(tmp_path: Path) -> None:
    """An address where nobody answers is told of, and the sweep can be resumed."""
    url = str(tmp_path / "runs.db")
    with driver(Grid(tmp_path, 1), url) as process:
        _, error = process.communicate(timeout=120)
    assert process.returncode == 3
    assert b"no scheduler answers there" in error
    with Store(url) as store:
        assert Sweeps(store).get("spread").status == "failed"
