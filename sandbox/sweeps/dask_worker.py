"""What Dask's workers import: a plug-in that keeps a sweep's engine, and the task that uses it.

Only loaded where there is a cluster: importing it imports Dask.
"""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from typing import Any

from distributed import WorkerPlugin, get_worker

from sandbox.errors import EnvironmentFault, InputError, StoreError
from sandbox.sweeps.log import log_to_stderr
from sandbox.sweeps.worker import ChunkReport, Engine, ItemData, Setup


class SweepPlugin(WorkerPlugin):
    """Keeps the engine of a sweep in a worker's process, as long as the sweep goes on there."""

    def __init__(self, setup: Setup) -> None:
        self.name = f"sandbox-{setup.sweep}-{setup.owner}"
        self._setup = setup
        self._lock: threading.Lock | None = None
        self._engine: Engine | None = None

    def setup(self, worker: Any) -> None:
        """Start with a worker."""
        self._lock = threading.Lock()
        log_to_stderr()

    def teardown(self, worker: Any) -> None:
        """End with a worker."""
        if self._engine:
            self._engine.close()
            self._engine = None

    def engine(self) -> Engine:
        """Return the engine, made at the first chunk.

        Raises:
            SandboxError: This worker cannot execute anything.
        """
        assert self._lock is not None
        with self._lock:
            if self._engine is None:
                self._engine = Engine(self._setup)
            return self._engine


def execute(name: str, items: tuple[ItemData, ...]) -> ChunkReport:
    """Execute a chunk of items in the worker that this is called in; a task of Dask's.

    Args:
        name: Of the plug-in.
        items: Their rows.

    Raises:
        StoreError: The store could not be reached or written.
    """
    plugin = get_worker().plugins[name]
    assert isinstance(plugin, SweepPlugin)
    try:
        engine = plugin.engine()
    except StoreError:
        raise
    except (EnvironmentFault, InputError, OSError) as error:
        return ChunkReport(unfit=str(error))
    try:
        return engine.execute(items)
    except CancelledError:
        raise StoreError("the worker was stopped") from None
