"""Calling a function that may never come back, from a program that must end all the same.

An executor's threads are awaited when Python ends: one that hangs would keep the program for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


async def call_with_timeout(seconds: float | None, function: Callable[[], Answer]) -> Answer:
    """Return what a function returns, called in a thread of its own.

    Args:
        seconds: How long to wait for it; afterwards it is left to itself. None waits for ever.
        function: What to call.

    Raises:
        TimeoutError: It did not come back in time.
        Exception: Whatever it raises; what is no Exception (``sys.exit``) as a RuntimeError.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Answer] = loop.create_future()

    def settle(result: Callable[[], None]) -> None:
        if not answer.done():
            result()

    def work() -> None:
        try:
            value = function()
        except BaseException as error:  # noqa: BLE001 - nothing may be lost in a thread
            failure = _portable(error)
            result = lambda: answer.set_exception(failure)  # noqa: E731
        else:
            result = lambda: answer.set_result(value)  # noqa: E731
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=work, name="monitor", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await answer


def _portable(error: BaseException) -> Exception:
    """Return an error that a future can carry and that ends nothing but the call."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
