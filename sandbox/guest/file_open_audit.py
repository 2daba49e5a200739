"""Which files a tool's own code opened: the interpreter's audit events, while a tool is at work.

What commands open is seen by their tracer.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

READS_LIMIT = 1000
"""Files of one call that are kept."""


class Reads:
    """Collects inside a ``with`` block."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self._below = tuple(f"{root}/" for root in roots)
        self._opened: dict[str, None] = {}
        self._on = False
        sys.addaudithook(self._heard)

    def __enter__(self) -> None:
        self._on = True

    def __exit__(self, *_: object) -> None:
        self._on = False

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on or event != "open":
            return
        path, _, flags = arguments
        if not isinstance(path, (str, bytes)) or flags & os.O_ACCMODE == os.O_WRONLY:
            return
        full = os.path.abspath(os.fsdecode(path))
        if full.startswith(self._below) and len(self._opened) < READS_LIMIT:
            self._opened[full] = None

    def drain(self, there: dict[str, Any]) -> list[dict[str, Any]]:
        """Return an effect for each file opened for reading since the last time.

        Args:
            there: The paths that there were at the last look: what was not there was not read.
        """
        opened, self._opened = self._opened, {}
        return [
            {
                "kind": "file",
                "action": "read",
                "target": path.encode("utf-8", "surrogateescape").decode(
                    "utf-8", "backslashreplace"
                ),
                "status": "done",
                "source": "tool",
                "detail": {},
            }
            for path in opened
            if path in there
        ]
