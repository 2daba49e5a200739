"""What goes to stderr: progress and notes, for people."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@cache
def errors() -> Console:
    """Return the console of stderr."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def note(text: str) -> None:
    """Print a word to stderr."""
    from rich.text import Text

    from sandbox.terminal_escape import plain

    errors().print(Text(plain(text), style="dim"))
