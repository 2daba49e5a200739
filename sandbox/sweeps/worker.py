"""The engine of a cluster's worker: items of a sweep are executed where the scheduler puts them.

A worker runs one event loop in a thread of its own, in which all its runs are tasks; the threads of
Dask's tasks only wait for them. With a store that all can reach, runs are recorded there and an item
is taken in the transaction that begins its run, as on one machine. Otherwise a store of the chunk's
own is filled, and what is in it is handed back.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from sandbox.enums import EventKind
from sandbox.errors import EnvironmentFault, TakenError
from sandbox.runs.recovery import interrupt
from sandbox.runs.run import run
from sandbox.runs.run_plan import Progress
from sandbox.sweeps import trace_transfer
from sandbox.sweeps.adaptive_concurrency import is_refusal
from sandbox.sweeps.item_plans import ItemPlanner
from sandbox.sweeps.log import log, log_retry
from sandbox.sweeps.store import ItemRow, Sweeps
from sandbox.sweeps.sweep_state import ItemOutcome, log_item
from sandbox.trace.store import Store

Result = TypeVar("Result")
ItemData = dict[str, object]
"""The columns of an item."""


@dataclass(frozen=True)
class Setup:
    """What a worker must know of a sweep."""

    sweep: str
    version: str
    """Of the package: workers must have the same."""
    workspace: str
    """Folder with the content, at the same path everywhere."""
    isolation: str
    image: str | None
    digests: Mapping[str, str]
    retries: int
    store: str | None
    """URL of the store; None where traces are handed back."""
    owner: str
    """Of the sweep's claim: without it nothing is begun any more."""


@dataclass(frozen=True)
class ChunkReport:
    """The outcome of a chunk."""

    items: tuple[ItemData, ...] = ()
    """Rows of the items that are filled."""
    traces: tuple[trace_transfer.PackedTrace, ...] = ()
    """If they are handed back."""
    refusals: int = 0
    """How often a provider asked for fewer requests."""
    unfit: str = ""
    """Why this worker cannot execute anything."""


class Engine:
    """What executes runs in a worker's process."""

    def __init__(self, setup: Setup) -> None:
        """Make ready.

        Raises:
            SandboxError: This machine or what is installed on it cannot do it.
        """
        from sandbox.isolation.backends import backend
        from sandbox.monitors.library import MonitorLibrary
        from sandbox.runs.planner import Planner
        from sandbox.scenario.content_paths import Content
        from sandbox.scenario.loader import Loader

        here = version("agent-risk-sandbox")
        if here != setup.version:
            raise EnvironmentFault(f"version {here} is installed, the sweep's is {setup.version}")
        if not Path(setup.workspace).is_dir():
            raise EnvironmentFault(f"there is no folder {setup.workspace}")
        loader = Loader(Content(Path(setup.workspace)))
        chosen = backend(setup.isolation, setup.image)
        chosen.reap()
        self._setup = setup
        self._planner = ItemPlanner(
            Planner(loader, MonitorLibrary(loader.content, loader.catalogue), chosen),
            setup.digests,
            setup.retries,
            owner=setup.owner if setup.store else None,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="runs", daemon=True)
        self._thread.start()
        self._store = self._wait(_open(setup.store)) if setup.store else None
        log("worker.start", sweep=setup.sweep, version=here, isolation=chosen.name)

    def execute(self, items: tuple[ItemData, ...]) -> ChunkReport:
        """Execute items one after the other; called from a thread of Dask's."""
        return self._wait(self._chunk([*map(ItemRow.model_validate, items)]))

    def close(self) -> None:
        """Stop whatever still runs."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop)
            self._thread.join(10)
        if self._store:
            self._store.close()

    def _stop(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_soon(self._loop.stop)

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _chunk(self, items: list[ItemRow]) -> ChunkReport:
        refusals = 0

        def watch(progress: Progress) -> None:
            nonlocal refusals
            refusals += progress.kind == EventKind.MODEL_RETRY and is_refusal(progress.data)
            log_retry(progress)

        rows: list[ItemRow] = []
        with _chunk_store() if self._store is None else nullcontext(self._store) as store:
            sweeps = Sweeps(store)
            if self._store is None:
                sweeps.adopt(items)
            for item in items:
                if row := await self._fill(store, sweeps, item, watch):
                    rows.append(row)
                    log_item(row, ItemOutcome.of_item(row))
            traces = () if self._store else trace_transfer.pack(store)
        return ChunkReport(tuple(row.model_dump() for row in rows), traces, refusals)

    async def _fill(
        self, store: Store, sweeps: Sweeps, item: ItemRow, watch: Any
    ) -> ItemRow | None:
        """Finish an item, whatever a worker before this one left of it.

        Returns:
            Its row; None if it was skipped, or if another process drives the sweep already.
        """
        while True:
            row = sweeps.item(item.sweep, item.key)
            if row.status == "finished":
                return row
            if row.status == "skipped":
                return None
            if row.status == "running":
                self._take_over(store, sweeps, row)
            try:
                await run(self._planner.plan(row), store, (watch,))
            except TakenError:
                if sweeps.item(item.sweep, item.key).status == "planned":
                    return None  # the claim is gone

    def _take_over(self, store: Store, sweeps: Sweeps, row: ItemRow) -> None:
        """End the run of a worker that the scheduler has given up: the item was given to this one."""
        left = store.run(str(row.run))
        if left.status == "running":
            interrupt(store, left, "the worker that executed it was lost")
        log("item.taken_over", level=logging.WARNING, sweep=row.sweep, key=row.key, run=row.run)
        sweeps.release(row.sweep, row.key)


@contextmanager
def _chunk_store() -> Iterator[Store]:
    with (
        TemporaryDirectory(prefix="sandbox-chunk-") as folder,
        Store(str(Path(folder) / "runs.db")) as store,
    ):
        yield store


async def _open(url: str) -> Store:
    return Store(url)
