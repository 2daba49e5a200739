"""Requests to a Docker engine, and what goes wrong with them: every fault names the engine."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from sandbox.errors import IsolationError

P = ParamSpec("P")
T = TypeVar("T")


def engine_problem() -> str | None:
    """Return why no Docker engine can be used from here, or None."""
    import docker
    import docker.errors
    from requests.exceptions import RequestException

    try:
        _knock(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
        client = docker.from_env(timeout=5)
        try:
            client.ping()
        finally:
            client.close()
    except (docker.errors.DockerException, RequestException, OSError) as error:
        return (
            f"no Docker engine answers ({_reason(error)}): apt-get install docker.io, or start it"
        )
    return None


def _knock(address: str) -> None:
    """Try a local socket first: the docker package leaves one open that it cannot connect."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(address.removeprefix("unix://"))


async def in_thread(request: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a request brings; where the waiting is cut off, see it through first.

    A thread cannot be cut off: what it still made would be nobody's. A socket that it brought then is
    closed; a container has its labels.
    """
    running = asyncio.ensure_future(asyncio.to_thread(request, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if not running.exception() and isinstance(found := running.result(), socket.socket):
            found.close()
        raise


def attach(client: Any, container: str) -> socket.socket:
    """Return a socket to the streams of a container's first process."""
    import docker.errors

    params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    try:
        stream = client.api.attach_socket(container, params=params)
    except docker.errors.APIError as error:
        if error.response is not None:
            error.response.close()  # it was to be streamed: its connection stays open with it
        raise
    found = getattr(stream, "_sock", stream)
    if not isinstance(found, socket.socket):
        raise IsolationError(
            "the engine is reached by TLS or ssh: use a local socket (DOCKER_HOST=unix://…)"
        )
    copy = found.dup()  # the package keeps its own objects, which would close the socket with them
    if response := getattr(stream, "_response", None):
        response.close()
    stream.close()
    found.close()
    copy.setblocking(False)
    return copy


def remove(client: Any, container: str) -> None:
    """End and remove a container, whether it is still there or not."""
    import docker.errors

    with asking():
        try:
            client.api.remove_container(container, force=True, v=True)
        except docker.errors.APIError as error:
            if error.status_code not in (404, 409):  # gone, or its removal is already on its way
                raise


def out_of_memory(client: Any, container: str) -> bool:
    """Ask the engine's log of events: the container itself is removed by then."""
    import docker.errors
    from requests.exceptions import RequestException

    wanted = {"container": container, "event": "oom"}
    try:
        found = client.api.events(since=1, until=int(time.time()) + 1, filters=wanted, decode=True)
        return any(True for _ in found)
    except (docker.errors.DockerException, RequestException):
        return False


@contextmanager
def asking() -> Iterator[None]:
    """Tell what goes wrong with the engine as a fault that names it."""
    import docker.errors
    from requests.exceptions import ConnectionError as Unreachable
    from requests.exceptions import Timeout

    try:
        yield
    except (Unreachable, Timeout, ConnectionError) as error:
        raise IsolationError(f"Docker: the engine does not answer: {_innermost(error)}") from error
    except (docker.errors.DockerException, OSError) as error:
        raise IsolationError(f"Docker: {_reason(error)}") from error


def named(error: IsolationError) -> str:
    """Return a fault that says whose it is."""
    return str(error) if str(error).startswith("Docker: ") else f"Docker: {error}"


def _innermost(error: BaseException) -> str:
    """Return what the operating system said, below what the packages in between made of it."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return getattr(error, "strerror", None) or _reason(error)


def _reason(error: BaseException) -> str:
    text = getattr(error, "explanation", None) or str(error)
    return " ".join(str(text).split())[:300]
