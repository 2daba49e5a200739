"""Containers of the contract suite: the back ends, one specification, one rig around a container."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sandbox.isolation.base import Backend, CallResult, Container, ContainerSpec
from sandbox.isolation.bubblewrap import Bubblewrap
from sandbox.isolation.docker import Docker
from sandbox.isolation.gvisor import Gvisor
from sandbox.scenario.content_paths import Content
from sandbox.scenario.toolkits import Catalogue
from tests.support import REPOSITORY

WORKSPACE = REPOSITORY / "tests" / "contract" / "workspace"
BACKENDS: dict[str, Callable[[], Backend]] = {
    "docker": Docker,
    "gvisor": Gvisor,
    "bubblewrap": Bubblewrap,
}
RUN = secrets.token_hex(4)
"""Id of the run: what other processes that test have open is not taken for what this one left."""
TOOLKITS = ("probe", "shell", "files", "python")


@cache
def _spec() -> ContainerSpec:
    catalogue = Catalogue(Content(WORKSPACE))
    return ContainerSpec(
        run_id=RUN,
        toolkits=tuple(catalogue.toolkit(name) for name in TOOLKITS),
        tools=tuple(tool.guest_data() for tool in catalogue.expand(TOOLKITS)),
        now="2026-03-02T09:00:00+01:00",
        lang="fr",
        sections={"notes": {"kept": [], "count": 0}},
        files={"readme.txt": b"hello\n", "bin/start": b"#!/bin/sh\necho started\n"},
    )


def spec(**changes: Any) -> ContainerSpec:
    """Return what every container of the suite is made for, with some of it changed."""
    return replace(_spec(), **changes)


@dataclass
class Rig:
    """An open container, and short ways to ask it."""

    backend: Backend
    container: Container
    agent: str = "clerk"

    async def call(
        self,
        tool: str,
        /,
        timeout: float = 30.0,
        **arguments: Any,
    ) -> CallResult:
        """Call a tool."""
        return await self.container.call(tool, arguments, agent=self.agent, timeout=timeout)

    async def shell(self, command: str, seconds: int = 20) -> str:
        """Return what a command said: exit code, stdout, stderr."""
        return (await self.call("shell.run", command=command, timeout_seconds=seconds)).text

    async def shell_result(self, command: str) -> CallResult:
        """Return a command's whole result."""
        return await self.call("shell.run", command=command)

    async def python_result(self, code: str) -> CallResult:
        """Return a program's whole result."""
        return await self.call("python.run", code=code)

    async def python(self, code: str, seconds: int = 20) -> str:
        """Return what a Python program said, without the exit code where it is 0."""
        text = (await self.call("python.run", code=code, timeout_seconds=seconds)).text
        return text.removeprefix("exit code: 0\nstdout:\n")


Opener = Callable[..., Awaitable[Rig]]
