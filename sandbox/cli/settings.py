"""What the commands share: where content and runs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sandbox.cli.output import note
from sandbox.errors import InputError, IsolationError, StoreError

if TYPE_CHECKING:
    from sandbox.isolation.base import Backend
    from sandbox.monitors.library import MonitorLibrary
    from sandbox.runs.data_retention import Handling
    from sandbox.scenario.content_paths import Content
    from sandbox.scenario.loader import Loader
    from sandbox.trace.store import Store

STORE = Path("runs") / "sandbox.db"
"""The store's place below the workspace."""
READER_SECONDS = 3.0
"""How long a command that only reads waits to mark runs whose process is gone."""


@dataclass(frozen=True)
class Settings:
    """What stands before a command."""

    store_url: str | None
    workspace_folder: Path | None
    debug: bool
    judge_models: tuple[str, ...] = ()
    """Models in place of the judges' own."""
    judge_cache: Path | None = None
    """File of the judges' answers."""
    judge_lang: str | None = None
    """Language of the judges' instructions."""

    @classmethod
    def of(cls, context: typer.Context) -> Settings:
        """Return the settings of a command's context."""
        found = context.find_object(cls)
        assert found is not None
        return found

    @cached_property
    def workspace(self) -> Path:
        """The workspace's folder: as given, or found from the current folder upwards."""
        from sandbox.scenario.content_paths import find_workspace

        if self.workspace_folder is None:
            return find_workspace(Path.cwd())
        if not self.workspace_folder.is_dir():
            raise InputError(f"--workspace: {self.workspace_folder} is no folder")
        return self.workspace_folder

    @cached_property
    def content(self) -> Content:
        """The content of the workspace."""
        from sandbox.scenario.content_paths import Content

        return Content(self.workspace)

    @cached_property
    def loader(self) -> Loader:
        """Loads the workspace's scenarios."""
        from sandbox.scenario.loader import Loader

        return Loader(self.content)

    @cached_property
    def library(self) -> MonitorLibrary:
        """The workspace's monitors."""
        from sandbox.monitors.judges.judge_pool import JudgePool
        from sandbox.monitors.library import MonitorLibrary

        bench = JudgePool.of(self.judge_models, self.judge_cache, self.judge_lang)
        return MonitorLibrary(self.content, self.loader.catalogue, bench)

    def judged_by(
        self, models: Sequence[str], cache: Path | None, lang: str | None = None
    ) -> Settings:
        """Return the same settings with other models and another language for the judges.

        Args:
            models: In place of those that their files name; theirs where empty.
            cache: File of their answers.
            lang: Language of their instructions; the file's or the run's where left out.
        """
        return replace(self, judge_models=tuple(models), judge_cache=cache, judge_lang=lang)

    def handling(
        self, purpose: str | None = None, legal_basis: str | None = None, days: float | None = None
    ) -> Handling:
        """Return how personal data in new runs is handled: as given, else as ``sandbox.yaml`` says."""
        from sandbox.runs.data_retention import Handling
        from sandbox.scenario.workspace import settings_of

        said = Handling.of(settings_of(self.workspace).personal_data)
        return Handling(
            said.purpose if purpose is None else purpose or None,
            said.legal_basis if legal_basis is None else legal_basis or None,
            said.retain_days if days is None else days,
        )

    def open_store(self, *, reading: bool = False) -> Store:
        """Open the store.

        Runs whose process is gone are marked interrupted, with a word about it, and what their
        containers left behind is removed.

        Args:
            reading: Whether it is only to be read: what cannot be written to (a full disk, a file or a
                folder that is read-only, another process that holds it) is then read as it is, with a
                word about it.

        Raises:
            StoreError: It cannot be opened, or, where it is to be written, not be written to.
        """
        from sandbox.trace.store import BUSY_SECONDS, Store

        url = self.store_url or str(self.workspace / STORE)
        try:
            store = Store(url, wait=READER_SECONDS if reading else BUSY_SECONDS)
        except StoreError as error:
            if not reading:
                raise
            return _as_it_is(url, error)
        try:
            _recover(store)
        except StoreError as error:
            if not reading:
                store.close()
                raise
            note(f"runs whose process is gone are still shown as running: {error}")
        return store


def _as_it_is(url: str, problem: StoreError) -> Store:
    from sandbox.trace.store import Store

    store = Store(url, read_only=True)
    note(f"the store is read as it is: {problem}")
    return store


def _recover(store: Store) -> None:
    from sandbox.runs.recovery import mark_interrupted

    marked = mark_interrupted(store)
    for run in marked:
        note(f"run {run} was interrupted: its process is gone")
    if marked:
        from sandbox.isolation.backends import every

        for backend in every():
            reap(backend)


def reap(backend: Backend) -> None:
    """Remove what containers of dead processes left; what cannot be removed stops no command."""
    from sandbox.runs.recovery import reap as reap_all

    try:
        reap_all([backend])
    except (IsolationError, OSError) as error:
        note(f"what earlier runs left behind could not be removed: {error}")
