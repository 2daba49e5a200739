"""A run's clock stands while judges think."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.runs.pausable_timeout import Elapsed, Stopwatch
from tests.support.virtual_time import run


def test_time_is_over() -> None:
    """A block that takes too long is ended, when its time is over and not before."""

    async def work() -> None:
        async with Stopwatch().limit(10):
            await asyncio.sleep(9.9)
            await asyncio.sleep(0.2)

    with pytest.raises(Elapsed):
        run(work())


def test_pauses_do_not_count() -> None:
    """Time in a pause is not the block's, however many pauses there are at the same time."""
    watch = Stopwatch()

    async def pause(seconds: float) -> None:
        with watch.paused():
            await asyncio.sleep(seconds)

    async def work() -> float:
        async with watch.limit(1):
            await asyncio.gather(pause(2), pause(4))
            await pause(2)
            await asyncio.sleep(0.9)
        return asyncio.get_running_loop().time()

    assert run(work()) == pytest.approx(6.9)


def test_the_clock_goes_on_after_a_pause() -> None:
    """What was left before a pause is left after it, and no more."""
    watch = Stopwatch()

    async def work(rest: float) -> None:
        async with watch.limit(1):
            await asyncio.sleep(0.4)
            with watch.paused():
                await asyncio.sleep(20)
            await asyncio.sleep(rest)

    run(work(0.5))
    with pytest.raises(Elapsed):
        run(work(0.7))


def test_a_pause_outside_of_the_limit() -> None:
    """Before and after the bounded block, and where it has run out, a pause changes nothing."""
    watch = Stopwatch()

    async def work() -> None:
        with watch.paused():
            pass
        try:
            async with watch.limit(1):
                try:
                    await asyncio.sleep(30)
                finally:
                    with watch.paused():
                        pass
        finally:
            with watch.paused():
                pass

    with pytest.raises(Elapsed):
        run(work())


def test_cancelled_in_a_pause() -> None:
    """A run that is stopped in a pause is stopped."""
    watch = Stopwatch()

    async def pause() -> None:
        async with watch.limit(1):
            with watch.paused():
                await asyncio.sleep(30)

    async def work() -> None:
        task = asyncio.create_task(pause())
        await asyncio.sleep(5)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run(work())


async def test_another_time_out_is_none_of_its_own() -> None:
    """What runs out of a time of its own within a block has not used up the block's."""
    with pytest.raises(TimeoutError) as caught:
        async with Stopwatch().limit(60), asyncio.timeout(0):
            await asyncio.sleep(1)
    assert not isinstance(caught.value, Elapsed)
