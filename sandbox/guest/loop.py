"""The guest's one poll loop: the control channel and whatever else is watched beside it.

Nothing in a guest runs in a second thread: what a hostile agent can keep busy is served in turns
with all the rest.
"""

from __future__ import annotations

import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    Handler = Callable[[int, int], None]

READABLE, WRITABLE = select.POLLIN, select.POLLOUT
_CHUNK = 65536
"""Bytes read at once; for more, the C library would map memory anew each time."""


class PollLoop:
    """Watches descriptors; collects the lines that come over the control channel."""

    def __init__(
        self, control: int, take: Callable[[bytes], None], on_close: Callable[[], NoReturn]
    ) -> None:
        """Watch the control channel.

        Args:
            control: Its descriptor.
            take: Called with every whole line.
            on_close: Called when the engine has hung up; does not return.
        """
        self._poll = select.poll()
        self._handlers: dict[int, Handler] = {}
        self._take = take
        self._on_close = on_close
        self._partial = bytearray()
        self.watch(control, READABLE, self._control)

    def watch(self, descriptor: int, events: int, handler: Handler) -> None:
        """Have a handler called with the descriptor and its events, until it is unwatched."""
        self._poll.register(descriptor, events)
        self._handlers[descriptor] = handler

    def unwatch(self, descriptor: int) -> None:
        """Watch a descriptor no more; before it is closed."""
        if self._handlers.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def turn(self, seconds: float | None = None) -> None:
        """Wait for something to happen, at most so many seconds, and serve it."""
        for descriptor, events in self._poll.poll(None if seconds is None else seconds * 1000):
            handler = self._handlers.get(descriptor)
            if handler is not None:  # an earlier handler of this turn may have unwatched it
                handler(descriptor, events)

    def _control(self, descriptor: int, events: int) -> None:
        data = os.read(descriptor, _CHUNK)
        if not data:
            self._on_close()
        start = len(self._partial)
        self._partial += data
        if self._partial.find(b"\n", start) < 0:
            return
        *lines, rest = bytes(self._partial).split(b"\n")
        self._partial = bytearray(rest)
        for line in lines:
            self._take(line)
