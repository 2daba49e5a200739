"""Load: a thousand runs in a row, two hundred containers at once, and nothing is left behind.

Not part of the default suite: ``pytest -m load tests/attacks``. Each test stops by itself.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sandbox.isolation import cgroup
from sandbox.isolation.base import Backend, Container
from sandbox.isolation.process_identity import Owner
from tests.support.attacks.probe import Probe, shell
from tests.support.attacks.probe_runner import play_once, specification
from tests.support.polling import block_until

RUNS = {"bubblewrap": 1000}
AT_ONCE = {"bubblewrap": 200}
FEWER_RUNS, FEWER_AT_ONCE = 60, 20
"""Of the back ends that start ten times as slowly."""
SECONDS = 1800
GROWTH = 16 * 1024 * 1024
"""Bytes by which memory may grow from a tenth of the runs to their end: caches, not runs."""
BUSY = Probe("busy", "work as agents do", (shell("mkdir d; echo a > d/a; sleep 5 & rm -r d"),), ())


@dataclass(frozen=True)
class Remains:
    """What there is on the host that containers could leave behind."""

    processes: frozenset[str]
    mounts: frozenset[str]
    cgroups: frozenset[str]
    containers: frozenset[str]
    networks: frozenset[str]
    volumes: frozenset[str]
    files: frozenset[str]
    descriptors: int

    @classmethod
    def found(cls) -> Remains:
        """Look at the host."""
        return cls(
            _processes(),
            _mounts(),
            frozenset(path.name for path in cgroup.leftovers() if _owner() in path.name),
            *_engine(),
            frozenset(map(str, Path(tempfile.gettempdir()).iterdir())),
            len(list(Path("/proc/self/fd").iterdir())),
        )


def _owner() -> str:
    """Return what stands in the names and labels of all that this process makes."""
    return Owner.current().label


def _mounts() -> frozenset[str]:
    """Return mounts but the engine's: those go with its containers, and others make some too."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return frozenset(line for line in lines if "/docker/" not in line)


def _processes() -> frozenset[str]:
    """Return those that descend from this process."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[entry.name] = status[1]
    mine, size = {str(os.getpid())}, 0
    while len(mine) != size:
        size = len(mine)
        mine |= {pid for pid, parent in parents.items() if parent in mine}
    return frozenset(mine)


def _engine() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    import docker
    import docker.errors

    from sandbox.isolation.docker import LABEL

    try:
        client = docker.from_env(timeout=20)
    except docker.errors.DockerException:
        return frozenset(), frozenset(), frozenset()
    owner = f"{LABEL}.owner"
    try:
        own = client.api.containers(all=True, filters={"label": owner})
        return (
            frozenset(c["Id"] for c in own if c["Labels"][owner] == _owner()),
            frozenset(n["Id"] for n in client.api.networks(filters={"label": LABEL})),
            frozenset(v["Name"] for v in client.api.volumes()["Volumes"] or ()),
        )
    finally:
        client.close()


def _memory() -> int:
    """Return bytes of this process that are resident."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _nothing_left(before: Remains) -> None:
    """Wait for what ends by itself, then compare; of connections kept open there may be fewer."""

    def gone() -> bool:
        now = Remains.found()
        same = replace(now, descriptors=0) == replace(before, descriptors=0)
        return same and now.descriptors <= before.descriptors

    block_until(gone, 20, f"all that was not there before is gone: {before}")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary files of this process only: other programs make and remove theirs."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


@pytest.mark.load
def test_runs_in_a_row_leave_nothing(engine: Backend, tmp_path: Path) -> None:
    """Memory of the host process is flat, and nothing that a run made is there after it."""
    count, started = RUNS.get(engine.name, FEWER_RUNS), time.monotonic()
    for _ in range(count // 10):
        asyncio.run(play_once(engine, [BUSY], tmp_path / "runs.db"))
    before, memory = Remains.found(), _memory()
    for _ in range(count - count // 10):
        asyncio.run(play_once(engine, [BUSY], tmp_path / "runs.db"))
        assert time.monotonic() - started < SECONDS
    _nothing_left(before)
    assert _memory() - memory < GROWTH


@pytest.mark.load
def test_many_at_once_leave_nothing(engine: Backend) -> None:
    """So many containers that are open together all answer, and nothing of them is left."""
    count = AT_ONCE.get(engine.name, FEWER_AT_ONCE)

    async def all_at_once() -> list[str]:
        starting = asyncio.Semaphore(16)

        async def opened() -> Container:
            async with starting:
                return await engine.open(specification())

        containers = await asyncio.gather(*(opened() for _ in range(count)))
        try:
            arguments = {"command": "sleep 20 & echo fine"}
            calls = [
                container.call("shell.run", arguments, agent="intruder", timeout=120)
                for container in containers
            ]
            return [result.text for result in await asyncio.gather(*calls)]
        finally:
            await asyncio.gather(*(container.close() for container in containers))

    said = asyncio.run(asyncio.wait_for(all_at_once(), SECONDS))
    before = Remains.found()  # what the first time left is kept for the next, such as connections
    said += asyncio.run(asyncio.wait_for(all_at_once(), SECONDS))
    assert said == ["exit code: 0\nstdout:\nfine"] * count * 2
    _nothing_left(before)
