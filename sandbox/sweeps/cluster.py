"""Execution on a Dask cluster: chunks of items as tasks, which any worker can do again.

The scheduler gives a chunk of a lost worker to another one. That one looks first what is there: an
item that is filled stays so, one whose run never ended is planned again. Workers may join and leave
at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from dataclasses import dataclass, field
from typing import Any

from sandbox.errors import EnvironmentFault, InputError
from sandbox.sweeps import trace_transfer
from sandbox.sweeps.adaptive_concurrency import AdaptiveLimit
from sandbox.sweeps.log import log
from sandbox.sweeps.store import ItemRow
from sandbox.sweeps.sweep_state import Course, ItemOutcome
from sandbox.sweeps.worker import ChunkReport, Setup
from sandbox.trace.store import Store

_CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 1.0
"""Between two looks at how many workers there are."""
_LARGEST_CHUNK = 8
_TRIES = 5
"""Of a chunk whose workers are lost one after the other."""
_MANY = 1_000_000


@dataclass(frozen=True)
class Cluster:
    """Workers behind a scheduler."""

    store: Store
    setup: Setup
    address: str

    async def execute(self, course: Course) -> None:
        """Execute all that is planned, as far as budgets go.

        Raises:
            EnvironmentFault: The scheduler or a worker cannot do it.
            StoreError: The store broke.
        """
        client = await _connect(self.address)
        try:
            from sandbox.sweeps.dask_worker import SweepPlugin

            plugin = SweepPlugin(self.setup)
            await client.register_plugin(plugin, name=plugin.name)
            room = AdaptiveLimit(_MANY)
            await _look(client, room)
            look = asyncio.create_task(_keep_looking(client, room))
            try:
                async with asyncio.TaskGroup() as group:
                    for provider, pace in course.paces.items():
                        lane = _Lane(self, course, client, plugin.name, provider, pace, room)
                        group.create_task(lane.drive())
            finally:
                look.cancel()
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(client.unregister_worker_plugin(plugin.name), 5)
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), 10)


async def _connect(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise EnvironmentFault(
            f"--cluster needs Dask ({error}): pip install 'agent-risk-sandbox[cluster]'"
        ) from error
    try:
        return await Client(  # type: ignore[no-untyped-call]
            address, asynchronous=True, timeout=_CONNECT_SECONDS, set_as_default=False
        )
    except ValueError as error:
        raise InputError(f"--cluster {address}: {error}") from error
    except (OSError, TimeoutError) as error:
        raise EnvironmentFault(f"--cluster {address}: no scheduler answers there") from error


async def _look(client: Any, room: AdaptiveLimit) -> None:
    """Keep as many chunks on their way as there are threads, and some that wait for the next free one."""
    workers = await client.nthreads()
    threads = sum(workers.values())
    limit = float(max(1, threads + max(2, threads // 2)))
    if limit != room.limit:
        level = logging.WARNING if limit < room.limit < _MANY else logging.INFO
        log("workers.changed", level=level, workers=len(workers), threads=threads)
    room.limit = limit
    room.increase(0)


async def _keep_looking(client: Any, room: AdaptiveLimit) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        await _look(client, room)


@dataclass
class _Lane:
    cluster: Cluster
    course: Course
    client: Any
    plugin: str
    provider: str
    pace: AdaptiveLimit
    room: AdaptiveLimit
    _numbers: Any = field(default_factory=itertools.count)

    async def drive(self) -> None:
        after = -1
        sweep = self.course.sweep.id
        async with asyncio.TaskGroup() as group:
            while not self.course.is_halted(self.provider):
                await self.pace.enter()
                await self.room.enter()
                items = self.course.sweeps.next_items(
                    sweep, after, self._size(), provider=self.provider, status="planned"
                )
                if not items or self.course.is_halted(self.provider):
                    self._leave()
                    return
                after = items[-1].number
                for item in items:
                    self.course.start(item)
                group.create_task(self._one(items))

    def _size(self) -> int:
        """Return how many items make a chunk: small ones near the end, so that no worker idles."""
        left = self.course.standing()
        waiting = left.planned - left.finished - left.skipped - left.running
        return max(1, min(_LARGEST_CHUNK, int(waiting / max(1.0, 4 * self.room.limit))))

    async def _one(self, items: list[ItemRow]) -> None:
        outcomes: dict[str, ItemOutcome] = {}
        try:
            report = await self._report(items)
            if report.refusals:
                self.pace.decrease(report.refusals)
            elif self.pace.limit < self.pace.most:
                self.pace.increase(len(report.items))
            shared = self.cluster.setup.store is not None
            for row in map(ItemRow.model_validate, report.items):
                if shared or trace_transfer.take(self.cluster.store, row, report.traces):
                    outcomes[row.key] = ItemOutcome.of_item(row)
        finally:
            for item in items:
                self.course.end(item, outcomes.get(item.key))
            self._leave()

    async def _report(self, items: list[ItemRow]) -> ChunkReport:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        from sandbox.sweeps.dask_worker import execute

        rows = tuple(item.model_dump() for item in items)
        for _ in range(_TRIES):
            key = f"sweep-{self.plugin}-{items[0].number}-{next(self._numbers)}"
            future = self.client.submit(execute, self.plugin, rows, key=key, pure=False)
            try:
                report: ChunkReport = await future
            except KilledWorker:
                log("worker.lost", level=logging.WARNING, first=items[0].key, items=len(items))
                continue
            except FutureCancelledError as error:
                raise EnvironmentFault(f"{self.cluster.address}: the scheduler is gone") from error
            except OSError as error:
                raise EnvironmentFault(f"{self.cluster.address}: {error}") from error
            if not report.unfit:
                return report
            await self._retire(future, report.unfit)
        first = items[0]
        self.course.reasons[self.provider] = (
            f"{_TRIES} times, workers were lost that executed {first.scenario} with {first.model} "
            f"(items {first.number} to {items[-1].number})"
        )
        return ChunkReport()

    async def _retire(self, future: Any, reason: str) -> None:
        """Send a worker away that cannot execute anything, unless it is the last."""
        workers = (await self.client.who_has([future])).values()
        places = [place for each in workers for place in each]
        if len(await self.client.nthreads()) <= len(places) or not places:
            raise EnvironmentFault(f"worker {', '.join(places) or '?'}: {reason}")
        log("worker.retired", level=logging.WARNING, worker=", ".join(places), reason=reason)
        await self.client.retire_workers(places)

    def _leave(self) -> None:
        self.room.leave()
        self.pace.leave()
