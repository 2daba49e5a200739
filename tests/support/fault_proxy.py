"""A socket in front of a Docker engine's own: cutting it is an engine that goes away or restarts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

ENGINE = "/var/run/docker.sock"
Fault = Literal["gone", "restarted", "silent"]
"""No one answers any more; connections end and new ones are served; nothing moves any more."""


@dataclass(frozen=True)
class Moment:
    """When the engine is to fail."""

    word: bytes
    """What a client sends at that moment."""
    fault: Fault
    heard: bool = False
    """Whether the engine still gets to hear it."""
    after: bytes = b""
    """What a client must have sent before."""


class Relay:
    """Passes bytes between clients and an engine until it is told to fail.

    It has a thread and a loop of its own: the ``docker`` package blocks the one that it is called in.
    """

    def __init__(self, path: Path, moment: Moment | None = None) -> None:
        self.path = path
        self.failed = threading.Event()
        """Set when the moment has come."""
        self._moment = moment
        self._silent = False
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        """What ``DOCKER_HOST`` is to be."""
        return f"unix://{self.path}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def mend(self) -> None:
        """Serve new connections."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def fail(self, fault: Fault) -> None:
        """Fail now."""
        self._call(lambda: self._fail(fault))

    def _call(self, work: Callable[[], None]) -> None:
        async def done() -> None:
            work()

        asyncio.run_coroutine_threadsafe(done(), self._loop).result(10)

    async def _listen(self) -> None:
        self._silent = False
        if self._server is None:
            self.path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def _end(self) -> None:
        self._fail("gone")
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _fail(self, fault: Fault) -> None:
        self._silent = fault == "silent"
        if fault == "gone" and self._server is not None:
            self._server.close()
            self._server = None
            self.path.unlink(missing_ok=True)
        if fault != "silent":
            for pair in self._pairs:
                for writer in pair:
                    writer.transport.abort()
        self.failed.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, asks = await asyncio.open_unix_connection(ENGINE)
        pair = (writer, asks)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._pass(reader, asks), self._pass(answers, writer))
        finally:
            self._pairs.discard(pair)
            for each in pair:
                each.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                moment = self._moment
                if moment and moment.after and moment.after in data:
                    moment = self._moment = replace(moment, after=b"")
                if moment and not moment.after and moment.word in data:
                    self._moment = None
                    if moment.heard:
                        writer.write(data)
                        await writer.drain()
                    self._fail(moment.fault)
                    if not self._silent:
                        return
                if not self._silent:
                    writer.write(data)
                    await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            return
