"""Bounds on time: processor time for tests marked ``perf``, a deadline against what would never end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def cpu_below(seconds: float, what: str = "") -> Iterator[None]:
    """Fail if a block takes more seconds of this process's processor time."""
    started = time.process_time()
    yield
    assert time.process_time() - started < seconds, what


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Interrupt a block that runs on for so many seconds; it is to be far above what the block takes.

    Raises:
        TimeoutError: In the block.
    """

    def over(_: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def best_of(rounds: int, work: Callable[[], object]) -> float:
    """Return the least processor time that one of several rounds took, in seconds."""
    spent = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return min(spent)
