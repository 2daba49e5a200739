"""One suite for every isolation back end: what is asked of one is asked of all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import pytest

from sandbox.isolation.base import Backend, Container
from tests.support.containers import BACKENDS, Opener, Rig, spec


@cache
def _backend(name: str) -> Backend:
    return BACKENDS[name]()


@pytest.fixture(
    params=[
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("gvisor", marks=[pytest.mark.docker, pytest.mark.gvisor]),
        "bubblewrap",
    ]
)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each back end in turn; a missing one is a skip on a laptop and a failure in CI."""
    found = _backend(request.param)
    if reason := found.unavailable():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            f"{request.param}: {reason}"
        )
    return found


@pytest.fixture
async def opener(backend: Backend) -> AsyncIterator[Opener]:
    """Open containers; all are closed at the end of the test."""
    opened: list[Container] = []

    async def open_(**changes: Any) -> Rig:
        container = await backend.open(spec(**changes))
        opened.append(container)
        return Rig(backend, container)

    yield open_
    await asyncio.gather(*(container.close() for container in opened))


@pytest.fixture
async def rig(opener: Opener) -> Rig:
    """One open container."""
    return await opener()
