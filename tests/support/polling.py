"""Waiting for what other processes do: poll with a deadline, never sleep for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

INTERVAL = 0.02


async def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until a condition holds, and let other tasks go on.

    Args:
        condition: What is polled.
        seconds: After this time the test fails.
        what: The condition in words, for the failure.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        _check(deadline, seconds, what)
        await asyncio.sleep(INTERVAL)


def block_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll as :func:`until` does, where there is no event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        _check(deadline, seconds, what)
        time.sleep(INTERVAL)


def _check(deadline: float, seconds: float, what: str) -> None:
    if time.monotonic() > deadline:
        pytest.fail(f"after {seconds:g} s still not: {what}")
