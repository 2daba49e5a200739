"""How many runs of a provider go on at once: fewer when it refuses, slowly more when it does not.

Additive increase, multiplicative decrease, as TCP does it (D.-M. Chiu, R. Jain, Analysis of the
increase and decrease algorithms for congestion avoidance in computer networks, 1989).
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.enums import EventKind
from sandbox.runs.run_plan import Progress
from sandbox.sweeps.log import log

REFUSALS = re.compile(r"^RateLimitError\b|\b429\b|rate.?limit|too many requests", re.IGNORECASE)
"""What the reason of a ``model.retry`` says where the provider asks for fewer requests."""
_CALM_SECONDS = 5.0
"""After a cut, refusals of requests that were already on their way count no more for so long."""


@dataclass
class AdaptiveLimit:
    """The number of runs of one provider that may go on."""

    most: int
    """Never more than this."""
    clock: Callable[[], float] = time.monotonic
    provider: str = ""
    """Named in the log."""
    limit: float = field(init=False)
    """So many may go on now, rounded down."""
    active: int = field(init=False, default=0)
    refusals: int = field(init=False, default=0)
    """How often the provider refused."""
    _cut: float = field(init=False, default=float("-inf"))
    _changed: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.limit = float(self.most)

    async def enter(self) -> None:
        """Wait until one more may go on."""
        while self.active >= int(self.limit):
            self._changed.clear()
            await self._changed.wait()
        self.active += 1

    def leave(self) -> None:
        """Note that one has ended."""
        self.active -= 1
        self._changed.set()

    def decrease(self, times: int = 1) -> None:
        """Halve the limit; refusals shortly after one another count once."""
        self.refusals += times
        now = self.clock()
        if now - self._cut < _CALM_SECONDS:
            return
        self._cut = now
        self.limit = max(1.0, self.limit / 2)
        fields = {"at_once": int(self.limit), "most": self.most, "refusals": self.refusals}
        log("provider.slowed", level=logging.WARNING, provider=self.provider, **fields)

    def increase(self, times: int = 1) -> None:
        """Raise the limit a little: by one in as many answers as may be on their way at once."""
        self.limit = min(float(self.most), self.limit + times / self.limit)
        self._changed.set()

    def watch(self, progress: Progress) -> None:
        """Take note of what a model's provider did."""
        kind, data = progress.kind, progress.data
        if kind == EventKind.MODEL_RETRY and is_refusal(data):
            self.decrease()
        elif kind == EventKind.MODEL_REPLY and self.limit < self.most:
            self.increase()


def is_refusal(data: Any) -> bool:
    """Return whether a ``model.retry`` tells of a provider that wants fewer requests."""
    return bool(REFUSALS.search(str(data.get("reason", ""))))
