"""A reader of blocks: their texts wrapped to the width, long ones in parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.strip import Strip

from sandbox.tui import blocks as texts
from sandbox.tui.styled_text import Line
from sandbox.tui.widgets.styled_lines import StyledLines
from sandbox.views.block import Block


class Reader(StyledLines):
    """Shows blocks; only the lines on the screen are drawn, and only one part of a long text is held."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False),
        Binding("down,j", "scroll_down", "Down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home,g", "scroll_home", "Top", show=False),
        Binding("end,G", "scroll_end", "Bottom", show=False),
    ]

    blocks: Sequence[Block] = ()
    part = 0
    lines: Sequence[Line] = ()
    """All lines of what is shown, not only those on the screen."""
    _find = ""
    _width = 0

    def show(self, blocks: Sequence[Block], find: str = "") -> None:
        """Show blocks from their beginning, or from where a text stands in them."""
        self.blocks = blocks
        self._find = find
        self.part = (texts.where(blocks, find) or 0) if find else 0
        self._wrap()
        matches = (
            i for i, line in enumerate(self.lines) if any(tone == "found" for _, tone in line)
        )
        first = next(matches, 0) if find else 0
        self.scroll_to(0, max(first - 2, 0), animate=False, immediate=True)

    def turn(self, by: int) -> None:
        """Show another part of long texts."""
        part = max(0, min(self.part + by, self.parts - 1))
        if part != self.part:
            self.part = part
            self._wrap()
            self.scroll_to(0, 0, animate=False, immediate=True)

    @property
    def parts(self) -> int:
        """In how many parts the longest text is shown."""
        return texts.parts(self.blocks)

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        place = y + self.scroll_offset.y
        return self.paint(self.lines[place] if place < len(self.lines) else (), width)

    def on_resize(self, _: events.Resize) -> None:
        if self.scrollable_content_region.width != self._width:
            self._wrap()

    def _wrap(self) -> None:
        self._width = self.scrollable_content_region.width or self.size.width
        self.lines = texts.lines(self.blocks, self._width or 80, self.part, self._find)
        self.virtual_size = Size(0, len(self.lines))
        self.refresh()
