"""Back ends, the command line and a disk that a fault can be put on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.isolation.base import Backend
from sandbox.isolation.bubblewrap import Bubblewrap
from sandbox.isolation.docker import Docker
from sandbox.monitors.library import MonitorLibrary
from sandbox.scenario.loader import Loader
from sandbox.trace.store import Store
from tests.support.runner import Runner
from tests.support.small_disk import Disk

BACKENDS = {"docker": Docker, "bubblewrap": Bubblewrap}


def _working(name: str) -> Backend:
    made: Backend = BACKENDS[name]()
    if reason := made.unavailable():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{name}: {reason}")
    return made


@pytest.fixture(params=[pytest.param("docker", marks=pytest.mark.docker), "bubblewrap"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each back end in turn; a missing one is a skip on a laptop and a failure in CI."""
    return _working(request.param)


@pytest.fixture
def engine() -> Docker:
    """A real Docker engine with the image."""
    found = _working("docker")
    assert isinstance(found, Docker)
    return found


@pytest.fixture
def bubblewrap() -> Backend:
    """A real bubblewrap."""
    return _working("bubblewrap")


@pytest.fixture
def play(loader: Loader, library: MonitorLibrary, backend: Backend, store: Store) -> Runner:
    """A way to run one scenario once, on each back end in turn."""
    return Runner(loader, library, backend, store)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={Disk.SIZE}", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
