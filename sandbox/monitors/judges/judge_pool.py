"""What all judges of one command share: models in place of their own, answers kept, a bound on requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from weakref import WeakKeyDictionary

from sandbox.errors import InputError
from sandbox.models.resolve import unbound
from sandbox.monitors.judges.cache import Cache, FileCache, MemoryCache

AT_ONCE = 8
"""Requests that judges make at the same time, where nothing else is said."""


class RequestSlots:
    """Bounds how many requests are under way at the same time."""

    def __init__(self, number: int = AT_ONCE) -> None:
        self._number = number
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()  # a semaphore belongs to one event loop, a pool outlives it
        )

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold one of the slots, having waited for it."""
        loop = asyncio.get_running_loop()
        async with self._loops.setdefault(loop, asyncio.Semaphore(self._number)):
            yield


@dataclass(frozen=True)
class JudgePool:
    """Who judges, and what they said before."""

    models: tuple[str, ...] = ()
    """In place of the ones that the files name."""
    lang: Literal["en", "fr"] | None = None
    """Language of instructions, in place of the files' and the runs'."""
    cache: Cache = field(default_factory=MemoryCache)
    slots: RequestSlots = field(default_factory=RequestSlots)

    @classmethod
    def of(
        cls,
        models: Sequence[str] = (),
        cache: Path | None = None,
        lang: str | None = None,
        at_once: int = AT_ONCE,
    ) -> JudgePool:
        """Return a pool.

        Args:
            models: Names as behind ``--judge-model``.
            cache: File of answers; kept in memory only where left out.
            lang: Language of instructions: ``en`` or ``fr``.
            at_once: Requests at the same time.

        Raises:
            InputError: A model or a language cannot be used, or the cache not be read.
        """
        if lang not in (None, "en", "fr"):
            raise InputError(f"judges have instructions in en and fr, not in {lang!r}")
        for name in models:
            unbound(name)
        kept = MemoryCache() if cache is None else FileCache(cache)
        chosen: Literal["en", "fr"] | None = lang  # type: ignore[assignment]
        return cls(tuple(models), chosen, kept, RequestSlots(at_once))
