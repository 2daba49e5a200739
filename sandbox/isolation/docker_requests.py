"""Requests to a Docker engine, and what goes wrong with them: every fault names the engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import docker
from docker import DockerClient
from docker.errors import APIError, DockerException
from requests.exceptions import ConnectionError as Unreachable
from requests.exceptions import RequestException, Timeout

from sandbox.errors import IsolationError

P = ParamSpec("P")
T = TypeVar("T")


def engine_problem() -> str | None:
    """Return why no Docker engine can be used from here, or None."""
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    try:
        if address.startswith(
            "unix://"
        ):  # first: the package leaves a socket open that it cannot connect
            with socket.socket(socket.AF_UNIX) as local:
                local.connect(address.removeprefix("unix://"))
        with contextlib.closing(docker.from_env(timeout=5)) as client:
            client.ping()
    except (DockerException, RequestException, OSError) as error:
        return (
            f"no Docker engine answers ({_reason(error)}): apt-get install docker.io, or start it"
        )
    return None


async def in_thread(request: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of a request; if this task is cancelled, wait for it first.

    A thread cannot be cancelled: nobody would own what it still makes. A socket that comes then is
    closed; a container has its labels.
    """
    running = asyncio.ensure_future(asyncio.to_thread(request, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if not running.exception() and isinstance(late := running.result(), socket.socket):
            late.close()
        raise


def attach(client: DockerClient, container: str) -> socket.socket:
    """Return a socket to the streams of a container's first process."""
    try:
        stream = client.api.attach_socket(
            container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        )
    except APIError as error:
        if error.response is not None:
            error.response.close()  # it was to be streamed: its connection stays open with it
        raise
    original = getattr(stream, "_sock", stream)
    if not isinstance(original, socket.socket):
        raise IsolationError(
            "the engine is reached by TLS or ssh: use a local socket (DOCKER_HOST=unix://…)"
        )
    # the package keeps its own objects, which would close the socket with them
    copy = original.dup()
    if response := getattr(stream, "_response", None):
        response.close()
    stream.close()
    original.close()
    copy.setblocking(False)
    return copy


def remove(client: DockerClient, container: str) -> None:
    """End and remove a container, whether it is still there or not."""
    with translate_faults():
        try:
            client.api.remove_container(container, force=True, v=True)
        except APIError as error:
            if error.status_code not in (404, 409):  # gone, or its removal is already on its way
                raise


def out_of_memory(client: DockerClient, container: str) -> bool:
    """Ask the engine's log of events: the container itself is removed by then."""
    filters = {"container": container, "event": "oom"}
    until = int(time.time()) + 1
    try:
        return any(True for _ in client.api.events(1, until, filters=filters, decode=True))
    except (DockerException, RequestException):
        return False


@contextlib.contextmanager
def translate_faults() -> Iterator[None]:
    """Raise what goes wrong with the engine as a fault that names it."""
    try:
        yield
    except (Unreachable, Timeout, ConnectionError) as error:
        raise IsolationError(f"Docker: the engine does not answer: {_innermost(error)}") from error
    except (DockerException, OSError) as error:
        raise IsolationError(f"Docker: {_reason(error)}") from error


def _innermost(error: BaseException) -> str:
    """Return what the operating system said, below what the packages in between made of it."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return getattr(error, "strerror", None) or _reason(error)


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "explanation", None) or error).split())[:300]
