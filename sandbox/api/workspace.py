"""Where content and runs are: what a command, a script and a notebook find by the same rules."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sandbox.errors import InputError, IsolationError, StoreError

if TYPE_CHECKING:
    from sandbox.gate.approval import Approver
    from sandbox.isolation.base import Backend
    from sandbox.monitors.library import MonitorLibrary
    from sandbox.runs.planner import Planner
    from sandbox.scenario.content_paths import Content
    from sandbox.scenario.loader import Loader
    from sandbox.trace.store import Store

STORE = Path("runs") / "sandbox.db"
"""The store's place below the workspace."""
READER_SECONDS = 3.0
"""How long a reader waits to mark runs whose process is gone."""


@dataclass(frozen=True)
class Workspace:
    """A folder with content, and the store of its runs."""

    store_url: str | None = None
    """Path or URL of the store; ``runs/sandbox.db`` below the folder if left out."""
    folder_path: Path | None = None
    """Found from the current folder upwards if left out."""
    note: Callable[[str], None] = field(default=logging.getLogger("sandbox").warning, repr=False)
    """Gets what happened beside: runs of dead processes, remains that could not be removed."""

    @classmethod
    def find(
        cls,
        folder: str | os.PathLike[str] | None = None,
        store: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Return what the command line would take.

        Args:
            folder: The workspace; by ``SANDBOX_WORKSPACE`` or from the current folder upwards if left out.
            store: Path or URL; by ``SANDBOX_STORE`` or below the workspace if left out.
        """
        named = folder or os.environ.get("SANDBOX_WORKSPACE")
        url = store or os.environ.get("SANDBOX_STORE")
        return cls(os.fspath(url) if url else None, Path(named) if named else None)

    @cached_property
    def folder(self) -> Path:
        """The folder.

        Raises:
            InputError: What was given is no folder.
        """
        from sandbox.scenario.content_paths import find_workspace

        if self.folder_path is None:
            return find_workspace(Path.cwd())
        if not self.folder_path.is_dir():
            raise InputError(f"workspace: {self.folder_path} is no folder")
        return self.folder_path

    @cached_property
    def content(self) -> Content:
        """Its content."""
        from sandbox.scenario.content_paths import Content

        return Content(self.folder)

    @cached_property
    def loader(self) -> Loader:
        """Loads its scenarios."""
        from sandbox.scenario.loader import Loader

        return Loader(self.content)

    @cached_property
    def library(self) -> MonitorLibrary:
        """Its monitors."""
        from sandbox.monitors.library import MonitorLibrary

        return MonitorLibrary(self.content, self.loader.catalogue)

    def planner(self, backend: Backend, decider: Approver | None = None) -> Planner:
        """Return what makes plans of its runs; escalations are denied if nobody decides."""
        from sandbox.runs.planner import DENY, Planner

        return Planner(self.loader, self.library, backend, decider or DENY)

    def backend(self, isolation: str, image: str | None = None) -> Backend:
        """Return a back end that runs here, what dead processes left in it removed.

        Raises:
            InputError: There is none of that name.
            EnvironmentFault: It cannot run here; the message says what to install.
        """
        from sandbox.isolation.backends import backend

        chosen = backend(isolation, image)
        self._reap(chosen)
        return chosen

    def open_store(self, *, reading: bool = False) -> Store:
        """Open the store.

        Runs whose process is gone are marked interrupted, and what their containers left behind is
        removed; each is noted.

        Args:
            reading: Whether it is only to be read. What cannot be written to (a full disk, a file or a
                folder that is read-only, another process that holds it) is then read as it is.

        Raises:
            StoreError: It cannot be opened or, if it is to be written, not be written to.
        """
        from sandbox.trace.store import BUSY_SECONDS, Store

        url = self.store_url or str(self.folder / STORE)
        try:
            store = Store(url, wait=READER_SECONDS if reading else BUSY_SECONDS)
        except StoreError as error:
            if not reading:
                raise
            store = Store(url, read_only=True)
            self.note(f"the store is read as it is: {error}")
            return store
        try:
            self._recover(store)
        except StoreError as error:
            if not reading:
                store.close()
                raise
            self.note(f"runs whose process is gone are still shown as running: {error}")
        return store

    def _recover(self, store: Store) -> None:
        from sandbox.runs.recovery import mark_interrupted

        marked = mark_interrupted(store)
        for run in marked:
            self.note(f"run {run} was interrupted: its process is gone")
        if marked:
            from sandbox.isolation.backends import every

            for backend in every():
                self._reap(backend)

    def _reap(self, backend: Backend) -> None:
        from sandbox.runs.recovery import reap

        try:
            reap([backend])
        except (IsolationError, OSError) as error:
            self.note(f"what earlier runs left behind could not be removed: {error}")
