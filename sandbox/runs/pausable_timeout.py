"""The time that a run may take, with pauses: what judges take to answer is not the agent's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class Elapsed(TimeoutError):
    """The time of a block is over; any other TimeoutError in it is an error."""


class Stopwatch:
    """Ends what runs within it after so many seconds, pauses left out."""

    def __init__(self) -> None:
        self._timeout: asyncio.Timeout | None = None
        self._pauses = 0
        self._left = 0.0

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[None]:
        """Bound the time of a block.

        Raises:
            Elapsed: It is over.
        """
        try:
            async with asyncio.timeout(seconds) as timeout:
                self._timeout = timeout
                yield
        except TimeoutError as error:
            if timeout.expired():
                raise Elapsed from error
            raise
        finally:
            self._timeout = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold the clock; where several do at the same time, until the last of them is done."""
        timeout, loop = self._timeout, asyncio.get_running_loop()
        if timeout is None or timeout.expired():
            yield
            return
        when = timeout.when()
        if self._pauses == 0 and when is not None:
            self._left = when - loop.time()
            timeout.reschedule(None)
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if self._pauses == 0 and self._timeout is timeout and not timeout.expired():
                timeout.reschedule(loop.time() + self._left)
