"""Widgets that draw lines of toned pieces: the one place where texts of a trace reach the terminal."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from sandbox.tui.styled_text import Line, Span, visible

TONES = (
    "dim",
    "head",
    "rule",
    "call",
    "talk",
    "good",
    "alert",
    "bad",
    "effect",
    "key",
    "source",
    "untrusted",
    "added",
    "removed",
    "found",
    "lane-0",
    "lane-1",
    "lane-2",
    "lane-3",
    "lane-4",
    "lane-5",
)


class StyledLines(ScrollView, can_focus=True):
    """A scrolled area that draws its lines itself, as they are asked for."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"cursor", *(f"tone-{tone}" for tone in TONES)}

    def paint(self, line: Line, width: int, *, cursor: bool = False) -> Strip:
        """Return a line for the screen, cut or filled to a width; no text in it is obeyed."""
        base = self.rich_style
        over = self.get_component_rich_style("cursor", partial=True) if cursor else Style()
        segments = [Segment(visible(text), base + self._tone(tone) + over) for text, tone in line]
        return Strip(segments).adjust_cell_length(width, base + over)

    def _tone(self, tone: str) -> Style:
        if not tone:
            return Style()
        own = self.get_component_rich_style(f"tone-{tone}", partial=True)
        colour = self.get_component_styles(f"tone-{tone}").color
        if 0 < colour.a < 1:  # a component's own style forgets that it is translucent
            return own + Style(color=(self.background_colors[1] + colour).rich_color)
        return own


class Bar(StyledLines, can_focus=False):
    """One line that is set from outside."""

    line: reactive[Line] = reactive(())

    def say(self, *line: Span) -> None:
        """Show a line."""
        self.line = line

    def render_line(self, y: int) -> Strip:
        return self.paint(self.line if y == 0 else (), self.size.width)
