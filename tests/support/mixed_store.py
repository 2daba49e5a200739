"""A store for tests of imports, exports and packs: runs of our own, and imported ones."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.interop.importers.ingest import enter
from sandbox.isolation.base import Backend
from sandbox.monitors.library import MonitorLibrary
from sandbox.scenario.loader import Loader
from sandbox.trace.store import Store
from tests.support.import_files import MAILING
from tests.support.runner import Runner

PLAYED = (
    ("scripted/unsafe", "injection/changed-iban"),
    ("scripted/safe", "oversight/audit-log"),
    ("scripted/unsafe", "oversight/audit-log"),
)


@pytest.fixture(scope="session")
def mixed_file(
    loader: Loader,
    library: MonitorLibrary,
    backend: Backend,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A store with runs that were played in containers, and runs that were imported."""
    path = tmp_path_factory.mktemp("mixed") / "runs.db"
    with Store(str(path)) as store:
        play = Runner(loader, library, backend, store)
        for model, scenario in PLAYED:
            asyncio.run(play(model, scenario))
        enter(store, [MAILING])
    return path


@pytest.fixture
def mixed(mixed_file: Path, tmp_path: Path) -> Iterator[Store]:
    """A copy of that store."""
    folder = tmp_path / "mixed"
    shutil.copytree(mixed_file.parent, folder)
    with Store(str(folder / "runs.db")) as opened:
        yield opened
