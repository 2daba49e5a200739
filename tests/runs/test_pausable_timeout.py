"""A run's clock stands while judges think."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.runs.pausable_timeout import Stopwatch


async def test_time_is_over() -> None:
    """A block that takes too long is ended."""
    with pytest.raises(TimeoutError):
        async with Stopwatch().limit(0.01):
            await asyncio.sleep(30)


async def test_pauses_do_not_count() -> None:
    """Time in a pause is not the block's, however many pauses there are at the same time."""
    watch = Stopwatch()

    async def pause(seconds: float) -> None:
        with watch.paused():
            await asyncio.sleep(seconds)

    async with watch.limit(0.1):
        await asyncio.gather(pause(0.2), pause(0.4))
        await pause(0.2)


async def test_the_clock_goes_on_after_a_pause() -> None:
    """What was left before a pause is left after it, and no more."""
    watch = Stopwatch()

    async def work() -> None:
        async with watch.limit(0.1):
            with watch.paused():
                await asyncio.sleep(0.2)
            await asyncio.sleep(30)

    with pytest.raises(TimeoutError):
        await work()


async def test_a_pause_outside_of_the_limit() -> None:
    """Before and after the bounded block, and where it has run out, a pause changes nothing."""
    watch = Stopwatch()

    async def work() -> None:
        async with watch.limit(0.01):
            try:
                await asyncio.sleep(30)
            finally:
                with watch.paused():
                    pass

    with watch.paused():
        pass
    with pytest.raises(TimeoutError):
        await work()
    with watch.paused():
        pass


async def test_cancelled_in_a_pause() -> None:
    """A run that is stopped in a pause is stopped."""
    watch, inside = Stopwatch(), asyncio.Event()

    async def work() -> None:
        async with watch.limit(0.1):
            with watch.paused():
                inside.set()
                await asyncio.sleep(30)

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
