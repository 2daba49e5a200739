"""Scaffolds that are somewhere else: a program that is started for each run, or whoever comes in by a door."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shlex
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sandbox.agents.context import AgentContext
from sandbox.agents.external import transports
from sandbox.agents.external.session import OutsideContext, Visit
from sandbox.agents.external.transports import Address
from sandbox.errors import EnvironmentFault, InputError
from sandbox.models.base import Message
from sandbox.models.secrets import without_secrets

LONGEST = 500
"""Characters of such a name: it stands in rows and tables."""
_GRACE = 5.0
"""Seconds that a program has to end by itself."""
_EXCERPT = 2000
"""Bytes of the end of what a program wrote on stderr that a fault quotes."""

Door = Callable[[Visit], AbstractAsyncContextManager[object]]


@dataclass(frozen=True)
class Outside:
    """Lets an agent from elsewhere act in a run; it takes the place of a scaffold's graph."""

    name: str
    door: Door
    sha256: str = ""
    """Over the files that a program's command line names; empty where nothing of the agent is known."""
    about: str = "an agent from elsewhere"

    async def run(
        self, context: AgentContext, messages: list[Message], turns: int
    ) -> list[Message]:
        """Let the agent act until it ends, or a limit or a monitor ends the run.

        Raises:
            EnvironmentFault: The agent cannot be served, or its program failed.
        """
        outside = cast("OutsideContext", context)
        outside.offer(messages)
        visit = Visit(outside, messages)
        async with self.door(visit):
            await visit.serve()
        return messages


def waiting(announce: Callable[[Address, Visit], None], port: int = 0) -> Outside:
    """Return a scaffold that waits on loopback for an agent; SIGINT ends its visit, and the run is judged.

    Args:
        announce: Receives the address of the run.
        port: TCP port; a free one where 0.
    """

    @asynccontextmanager
    async def door(visit: Visit) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, visit.end)
        try:
            async with transports.over_http(visit, visit.context.model_name, port) as address:
                announce(address, visit)
                yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    return Outside("serve", door)


def on_stdio() -> Outside:
    """Return a scaffold that serves a run's tools to whoever has started this process, over its stdin and stdout."""
    return Outside("serve", transports.over_stdio)


def program(name: str, command: str) -> Outside:
    """Return a scaffold that starts a program for each run.

    The program finds the run in its environment: ``SANDBOX_TASK``, ``SANDBOX_PROMPT``, ``SANDBOX_MCP_URL``,
    ``OPENAI_BASE_URL``, ``OPENAI_API_KEY`` (the key for both), ``SANDBOX_MODEL``. It is code of its user, on the host;
    it gets keys of this process only where it brings its own model.

    Args:
        name: As its user wrote the scaffold.
        command: The command line, as a shell would split it; no shell is involved.

    Raises:
        InputError: There is no command line, or one that is too long to name a scaffold by.
    """
    if len(name) > LONGEST:
        raise InputError(
            f"scaffold: a command line has at most {LONGEST} characters: put what it does into a file"
        )
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"scaffold {name!r}: {error}") from error
    if not words:
        raise InputError(f"scaffold {name!r}: behind 'program:' stands a command line")

    @asynccontextmanager
    async def door(visit: Visit) -> AsyncIterator[None]:
        async with transports.over_http(visit, visit.context.model_name) as address:
            process = await _start(words, visit, address)
            watching = asyncio.create_task(_wait(process, visit, words[0]))
            visit.watch(watching, f"the program {words[0]!r} cannot be watched")
            try:
                yield
            finally:
                await _terminate(process)
                await asyncio.gather(watching, return_exceptions=True)

    return Outside(name, door, _digest(words), "a program of your own")


def _digest(words: list[str]) -> str:
    """Return the SHA-256 over the files that a command line names: its arguments, or else the program itself."""
    named = [word for word in words[1:] if Path(word).is_file()]
    files = named or [found for found in (shutil.which(words[0]),) if found]
    digest = hashlib.sha256()
    for file in files:
        with open(file, "rb") as opened:  # noqa: PTH123 - hashlib reads an open file
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest() if files else ""


async def _start(words: list[str], visit: Visit, address: Address) -> asyncio.subprocess.Process:
    own_model = not visit.context.model_name
    environment = {
        **(os.environ if own_model else without_secrets(os.environ)),
        "SANDBOX_TASK": visit.task,
        "SANDBOX_PROMPT": visit.prompt,
        "SANDBOX_MCP_URL": address.tools,
        "SANDBOX_MODEL": address.model_name,
        "OPENAI_BASE_URL": address.model,
        "OPENAI_API_KEY": address.key,
    }
    try:
        return await asyncio.create_subprocess_exec(
            *words,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise EnvironmentFault(f"the program {words[0]!r} cannot be started: {error}") from error


async def _wait(process: asyncio.subprocess.Process, visit: Visit, what: str) -> None:
    """End the visit with the program; a status other than 0 is a fault of the environment."""
    assert process.stderr is not None
    output = b""
    while part := await process.stderr.read(65536):
        output = (output + part)[-_EXCERPT:]
    status = await process.wait()
    if status == 0:
        visit.end()
        return
    text = " ".join(output.decode("utf-8", "replace").split())
    visit.end(EnvironmentFault(f"the program {what!r} ended with status {status}: {text or '–'}"))


async def _terminate(process: asyncio.subprocess.Process) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await process.wait()
                return
