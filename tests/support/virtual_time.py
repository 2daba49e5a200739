"""An event loop whose clock jumps to the next timer: time limits are tested exactly, and at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from selectors import SelectorKey
from typing import TypeVar

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    """Adds a wait to its clock where nothing is ready."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Return what is ready; else let the time pass in no time."""
        ready = super().select(0 if timeout is None or timeout > 0 else timeout)
        if not ready:
            assert timeout is not None, "everything waits, and no timer is set"
            self.now += max(timeout, 0)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop without input and output of its own."""

    def __init__(self) -> None:
        self._clock = _Jumping()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the seconds that have passed for its tasks."""
        return self._clock.now


def run(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine on such a loop."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)
