"""What containers of all back ends share: calls over a channel, and an end when that breaks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from sandbox.errors import GuestTimeout, IsolationError
from sandbox.isolation.base import Audit, CallResult
from sandbox.isolation.effect_attribution import Deeds, Late
from sandbox.isolation.guest_client import MEMORY_NOTE, Channel
from sandbox.isolation.transport import SocketWire

T = TypeVar("T")


class AttachedContainer(ABC):
    """One open container whose guest is at the other end of a wire."""

    def __init__(self, channel: Channel, wire: SocketWire, audit: Audit) -> None:
        self._channel = channel
        self._wire = wire
        self._closed = False
        self.audit = audit

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        agent: str,
        timeout: float,
        call: str = "",
    ) -> CallResult:
        """Execute one tool call inside."""
        return await self._guarded(
            self._channel.call(tool, arguments, agent=agent, timeout=timeout, call=call)
        )

    async def settle(self) -> tuple[Deeds, tuple[Late, ...]]:
        """End what calls left running; return what was done since the last call."""
        return await self._guarded(self._channel.settle())

    async def snapshot(self, limit: int) -> tuple[dict[str, Any], dict[str, str]]:
        """Return world sections and text files."""
        return await self._guarded(self._channel.snapshot(limit))

    async def close(self) -> None:
        """End every process inside and remove all that the container held.

        Raises:
            IsolationError: It could not be removed. It is not tried again here: see ``reap``.
        """
        if not self._closed:
            self._closed = True
            self._channel.close()
            self._wire.close()
            await self._remove()

    @abstractmethod
    async def _remove(self) -> None:
        """End and remove it; called once."""

    @abstractmethod
    async def _closed_for_memory(self) -> bool:
        """Close it, and return whether the kernel had ended something inside for want of memory."""

    async def _guarded(self, request: Awaitable[T]) -> T:
        """Return what the guest answers; close the container where it cannot be asked again."""
        try:
            return await request
        except IsolationError as error:
            if not self._channel.broken or self._closed:
                raise
            late = isinstance(error, GuestTimeout)
            try:
                note = MEMORY_NOTE if await self._closed_for_memory() and not late else ""
            except IsolationError as problem:  # it is left behind; the first fault is told first
                note = f" ({problem})"
            raise type(error)(f"{self.audit.backend}: {error}{note}") from error
