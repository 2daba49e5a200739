"""One line of toned pieces that says where one is."""

from __future__ import annotations

from typing import Any

from textual.strip import Strip

from sandbox.tui.styled_text import Line
from sandbox.tui.widgets.styled_lines import Painted


class Bar(Painted, can_focus=False):
    """A line that is set from outside."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._line: Line = ()

    @property
    def line(self) -> Line:
        """What it says."""
        return self._line

    def say(self, *line: tuple[str, str]) -> None:
        """Show a line."""
        self._line = line
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw it."""
        return self.paint(self._line if y == 0 else (), self.size.width)
