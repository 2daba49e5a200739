"""What goes to stderr: progress and notes, for people."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table


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


class View:
    """A picture of what is going on, drawn again and again if stderr is a terminal."""

    def __init__(self, *, quiet: bool, refresh_per_second: float) -> None:
        """Make a view that is not shown yet; ``quiet`` shows nothing. It is drawn once here."""
        from rich.live import Live

        self._quiet = quiet
        self._started = time.monotonic()
        self._live = (
            Live(
                console=errors(),
                get_renderable=self.picture,
                refresh_per_second=refresh_per_second,
                transient=True,
            )
            if errors().is_terminal and not quiet
            else None
        )

    def picture(self) -> Group:
        """Return what is drawn."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.resume()
        return self

    def __exit__(self, *_: object) -> None:
        self.pause()

    def pause(self) -> None:
        """Take the picture away, for a question or at the end."""
        if self._live:
            self._live.stop()

    def resume(self) -> None:
        """Show the picture, again."""
        if self._live:
            self._live.start()


def bar(done: int, total: int, *texts: str) -> Table:
    """Return a bar of progress with texts beside it."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=max(total, 1), completed=done, width=24), *map(Text, texts))
    return grid
