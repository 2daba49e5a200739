"""A small disk that can be filled and made read-only."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True)
class Disk:
    """A mounted tmpfs."""

    SIZE: ClassVar[int] = 2 * 1024 * 1024

    path: Path

    @property
    def store(self) -> Path:
        """Where the store is put."""
        return self.path / "runs.db"

    def fill(self) -> None:
        """Leave no room."""
        with (self.path / "filler").open("ab", buffering=0) as filler:
            try:
                while filler.write(b"\0" * 4096):
                    pass
            except OSError:
                return

    def clear(self) -> None:
        """Give the room back."""
        (self.path / "filler").unlink(missing_ok=True)

    def protect(self) -> None:
        """Make it read-only."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.path)], check=True)
