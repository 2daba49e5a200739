"""Which files a tool's own code opened: the interpreter's audit events, while a tool is at work.

What commands open is seen by their tracer.
"""

from __future__ import annotations

import os
import sys

from sandbox.guest.effects import effect, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from sandbox.guest.messages import GuestEffect

READS_LIMIT = 1000
"""Files of one call that are kept."""


class FileOpenAudit:
    """Collects inside a ``with`` block."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self._below = tuple(f"{root}/" for root in roots)
        self._paths: dict[str, None] = {}
        self._on = False
        sys.addaudithook(self._on_event)

    def __enter__(self) -> None:
        self._on = True

    def __exit__(self, *_: object) -> None:
        self._on = False

    def _on_event(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._on or event != "open":
            return
        path, _, flags = arguments
        if not isinstance(path, (str, bytes)) or not isinstance(flags, int):
            return
        if flags & os.O_ACCMODE == os.O_WRONLY:
            return
        full = os.path.abspath(os.fsdecode(path))
        if full.startswith(self._below) and len(self._paths) < READS_LIMIT:
            self._paths[full] = None

    def drain(self, present: Container[str]) -> list[GuestEffect]:
        """Return an effect for each file opened for reading since the last time.

        Args:
            present: The paths that there were at the last look: what was not there was not read.
        """
        paths, self._paths = self._paths, {}
        return [effect("file", "read", printable(p), "tool") for p in paths if p in present]
