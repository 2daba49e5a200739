"""Where an outside agent comes in: HTTP on loopback, behind a key, or stdin and stdout of this process."""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TextIO, cast

from sandbox.agents.external import mcp_server as tools
from sandbox.agents.external import openai_server
from sandbox.agents.external.session import Visit
from sandbox.errors import EnvironmentFault

_CLOSING = 2
"""Seconds that answers under way have at the end."""
_STARTING = 10.0
_LAST_WORDS = 0.2
"""Seconds in which the answer to the last call gets out of a pipe."""
_LOCAL = "127.0.0.1"
_Headers = Iterable[tuple[bytes, bytes]]
_Scope = MutableMapping[str, object]


@dataclass(frozen=True)
class Address:
    """Where a program finds the run."""

    tools: str
    """URL of the MCP server."""
    model: str
    """Base URL of the model; empty where none is served."""
    model_name: str
    key: str
    """To be sent as a bearer token: other users of this machine do not have it."""


def problem() -> str | None:
    """Return why agents from elsewhere cannot come in here, or None."""
    try:
        import mcp.server  # noqa: F401
    except ImportError:
        return "agents from elsewhere need more: pip install 'agent-risk-sandbox[serve]'"
    return None


@asynccontextmanager
async def over_http(visit: Visit, model: str, port: int = 0) -> AsyncIterator[Address]:
    """Serve a run on loopback.

    Args:
        visit: The agent's stay.
        model: Name of the model that is served; empty for none.
        port: TCP port; a free one where 0.

    Raises:
        EnvironmentFault: What serves is not installed, or the port is taken.
    """
    _check_installed()
    import uvicorn

    key = secrets.token_urlsafe(24)
    app = tools.server(visit, finishes=not model).streamable_http_app(
        custom_starlette_routes=openai_server.routes(visit, model) if model else None
    )
    with _listen(port) as listener:
        number = listener.getsockname()[1]
        config = uvicorn.Config(
            _require_key(key, app),
            log_level="critical",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_CLOSING,
        )
        server = uvicorn.Server(config)
        server.capture_signals = nullcontext  # type: ignore[assignment, method-assign]  # signals are the command's
        serving = asyncio.create_task(server.serve([listener]))
        try:
            async with asyncio.timeout(_STARTING):
                while not server.started:
                    if serving.done():
                        raise EnvironmentFault(f"the run cannot be served: {serving.exception()}")
                    await asyncio.sleep(0.005)
            at = f"http://{_LOCAL}:{number}"
            yield Address(f"{at}/mcp", f"{at}/v1" if model else "", model, key)
        finally:
            server.should_exit = True
            await asyncio.wait({serving}, timeout=2 * _CLOSING)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


@asynccontextmanager
async def over_stdio(visit: Visit) -> AsyncIterator[None]:
    """Serve a run's tools to the process at the other end of stdin and stdout; its end is the agent's.

    Raises:
        EnvironmentFault: What serves is not installed.
    """
    _check_installed()
    from mcp.server.stdio import stdio_server

    async def speak() -> None:
        server = tools.server(visit, finishes=True)
        async with _lines(sys.stdin) as lines, stdio_server(stdin=lines) as (reader, writer):
            await server.run(reader, writer, server.create_initialization_options())

    speaking = asyncio.create_task(speak())
    visit.watch(speaking, "the agent cannot be served")
    speaking.add_done_callback(lambda _: visit.end())
    try:
        yield
    finally:
        await asyncio.sleep(_LAST_WORDS)
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)


@asynccontextmanager
async def _lines(file: TextIO) -> AsyncIterator[Any]:
    """Give the lines of a pipe, in a form whose waiting can be cut off: reading in a thread cannot."""
    reader = asyncio.StreamReader(openai_server.LONGEST)
    protocol = asyncio.StreamReaderProtocol(reader)
    try:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, file)
    except (OSError, ValueError) as error:
        raise EnvironmentFault(f"stdin is no pipe that can be served: {error}") from error

    async def lines() -> AsyncIterator[str]:
        while line := await reader.readline():
            yield line.decode("utf-8", "replace")

    try:
        yield lines()
    finally:
        transport.close()


def _check_installed() -> None:
    if reason := problem():
        raise EnvironmentFault(reason)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((_LOCAL, port))
    except (OSError, OverflowError) as error:
        raise EnvironmentFault(f"port {port} cannot be had: {error}") from error


def _require_key(key: str, app: Any) -> Callable[..., Awaitable[None]]:
    from starlette.responses import JSONResponse

    expected = f"Bearer {key}".encode()
    refusal = JSONResponse({"error": {"message": "the key is missing or wrong"}}, status_code=401)

    async def guarded(scope: _Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            key_sent = dict(cast("_Headers", scope["headers"])).get(b"authorization", b"")
            if not secrets.compare_digest(key_sent, expected):
                await refusal(scope, receive, send)
                return
        await app(scope, receive, send)

    return guarded
