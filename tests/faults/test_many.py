"""Many containers at once, and many runs after one another: each its own, nothing left."""

from __future__ import annotations

import asyncio
import resource
import threading
from pathlib import Path

import pytest

from sandbox.isolation import cgroup
from sandbox.isolation.base import Backend
from sandbox.isolation.docker import LABEL, Docker
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.worker_pool import execute
from sandbox.scenario.loader import Loader
from sandbox.trace.store import Store
from sandbox.trace.verify import verify
from tests.support.containers import spec
from tests.support.polling import until
from tests.support.runner import Runner

LOAD = pytest.mark.load
MANY = {
    "docker": [20, pytest.param(200, marks=LOAD)],
    "bubblewrap": [60, pytest.param(200, marks=LOAD)],
}
NOW = "many"


async def _together(backend: Backend, number: int) -> None:
    """Open so many containers, ask each something of its own while all are open, close them."""
    opened = await asyncio.gather(
        *(backend.open(spec(run_id=f"{NOW}{n}")) for n in range(number)), return_exceptions=True
    )
    faults = [each for each in opened if isinstance(each, BaseException)]
    containers = [each for each in opened if not isinstance(each, BaseException)]
    try:
        assert faults == []
        told = await asyncio.gather(
            *(
                each.call("shell.run", {"command": f"echo I am {n}"}, agent="clerk", timeout=120)
                for n, each in enumerate(containers)
            )
        )
    finally:
        await asyncio.gather(*(each.close() for each in containers))
    assert [each.text.endswith(f"I am {n}") for n, each in enumerate(told)] == [True] * number


def _left(backend: Backend) -> list[str]:
    found = [path.name for path in cgroup.leftovers() if f"-{NOW}" in path.name]
    if isinstance(backend, Docker):
        for item in backend._client.api.containers(all=True, filters={"label": LABEL}):
            if item["Labels"].get(f"{LABEL}.run", "").startswith(NOW):
                found.append(item["Id"])
    return found


@pytest.mark.docker
@pytest.mark.parametrize("number", MANY["docker"])
async def test_many_on_docker(engine: Docker, number: int) -> None:
    """So many containers of Docker at once each answer for themselves, and none is left."""
    await _together(engine, number)
    await until(lambda: not _left(engine), 60, "no container is left")


@pytest.mark.parametrize("number", MANY["bubblewrap"])
async def test_many_on_bubblewrap(bubblewrap: Backend, number: int) -> None:
    """So many containers of bubblewrap at once each answer for themselves, and none is left."""
    await _together(bubblewrap, number)
    await until(lambda: not _left(bubblewrap), 10, "no cgroup is left")


@pytest.mark.parametrize("number", [30, pytest.param(200, marks=LOAD)])
async def test_runs_in_a_row(
    loader: Loader, library: MonitorLibrary, bubblewrap: Backend, store: Store, number: int
) -> None:
    """However many runs: no descriptor, no thread, and hardly any memory more in this process."""
    play = Runner(loader, library, bubblewrap, store)

    async def runs(seeds: range) -> None:
        plans = [play.plan("scripted/unsafe", seed=seed) for seed in seeds]
        batch = await execute(plans, store, at_once=5)
        assert {result.task for result in batch} == {"incapable"}

    await runs(range(10))
    before = _held()
    await runs(range(10, 10 + number))
    descriptors, threads, kilobytes = (b - a for a, b in zip(before, _held(), strict=True))
    assert descriptors <= 0
    assert threads <= 0
    assert kilobytes < 40_000
    assert all(verify(store, row).ok for row in store.runs())


def _held() -> tuple[int, int, int]:
    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return descriptors, threading.active_count(), memory
