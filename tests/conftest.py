"""Shared fixtures: the repository's content, a store, a real bubblewrap, a model server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from sandbox.isolation.base import Backend
from sandbox.isolation.bubblewrap import Bubblewrap
from sandbox.monitors.library import MonitorLibrary
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from sandbox.trace.store import Store
from tests.support import REPOSITORY
from tests.support.chat_server import ChatServer
from tests.support.runner import Runner
from tests.support.sweeps import Sweeper

settings.register_profile("unhurried", deadline=None)  # a loaded machine is no failure
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def content() -> Content:
    """The content of this repository."""
    return Content(REPOSITORY)


@pytest.fixture(scope="session")
def loader(content: Content) -> Loader:
    """A loader of the repository's scenarios."""
    return Loader(content)


@pytest.fixture(scope="session")
def library(content: Content, loader: Loader) -> MonitorLibrary:
    """The repository's monitors."""
    return MonitorLibrary(content, loader.catalogue)


@pytest.fixture(scope="session")
def backend() -> Backend:
    """A real bubblewrap: a visible skip where there is none, a failure in CI."""
    chosen = Bubblewrap()
    reason = chosen.unavailable()
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must be able to run bubblewrap: {reason}")
        pytest.skip(f"bubblewrap cannot run here: {reason}")
    return chosen


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty SQLite store; its file is ``runs.db`` in ``tmp_path``."""
    with Store(str(tmp_path / "runs.db")) as opened:
        yield opened


@pytest.fixture
def play(loader: Loader, library: MonitorLibrary, backend: Backend, store: Store) -> Runner:
    """A way to run one scenario once."""
    return Runner(loader, library, backend, store)


@pytest.fixture
def chat_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """An OpenAI-compatible server on loopback that does what a test scripted."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    with ChatServer() as server:
        yield server


@pytest.fixture
def sweeper(
    tmp_path: Path, loader: Loader, library: MonitorLibrary, backend: Backend, store: Store
) -> Sweeper:
    """A way to make and execute sweeps."""
    return Sweeper(tmp_path, loader, library, backend, store)
