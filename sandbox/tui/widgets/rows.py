"""A list of which only what is on the screen exists: rows are asked for by their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from sandbox.tui.styled_text import Line
from sandbox.tui.widgets.styled_lines import StyledLines

RowOf = Callable[[int, int], Line]
"""The line of a row, by its place and the cells that there are."""


class Rows(StyledLines):
    """Rows by place, with a cursor; moved by keys, mouse and wheel."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(False)", "First", show=False),
        Binding("end,G", "edge(True)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    cursor: reactive[int] = reactive(0, init=False)

    count = 0
    """Number of rows."""
    _row_of: RowOf = staticmethod(lambda _place, _width: ())

    @dataclass
    class Moved(Message):
        """The cursor is on another row."""

        rows: Rows
        place: int

        @property
        def control(self) -> Rows:
            """The list."""
            return self.rows

    class Selected(Moved):
        """A row was chosen, by Enter or a second click."""

    def show(self, count: int, row_of: RowOf | None = None, cursor: int | None = None) -> None:
        """Show so many rows.

        Args:
            count: How many there are.
            row_of: Returns a row's line; as before if left out.
            cursor: Place of the cursor; as before if left out.
        """
        self._row_of = row_of or self._row_of
        self.count = count
        self.virtual_size = Size(0, count)
        self.cursor = min(self.cursor if cursor is None else cursor, max(count - 1, 0))
        self.scroll_into_view()
        self.refresh()

    def validate_cursor(self, place: int) -> int:
        return max(0, min(place, self.count - 1))

    def watch_cursor(self, before: int, place: int) -> None:
        self.refresh_line(before)
        self.refresh_line(place)
        self.scroll_into_view()
        self.post_message(self.Moved(self, place))

    def scroll_into_view(self) -> None:
        """Scroll so far that the cursor's row is seen."""
        if self.size.height:
            region = Region(0, self.cursor, 1, 1)
            self.scroll_to_region(region, animate=False, force=True, immediate=True, x_axis=False)

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        place = y + self.scroll_offset.y
        if place >= self.count:
            return self.paint((), width)
        return self.paint(self._row_of(place, width), width, cursor=place == self.cursor)

    def on_resize(self, _: events.Resize) -> None:
        self.scroll_into_view()

    def action_move(self, by: int) -> None:
        self.cursor += by

    def action_page(self, by: int) -> None:
        self.cursor += by * max(self.size.height - 1, 1)

    def action_edge(self, last: bool) -> None:
        self.cursor = self.count - 1 if last else 0

    def action_choose(self) -> None:
        if self.count:
            self.post_message(self.Selected(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to where was clicked; choose the row if it was there already."""
        offset = event.get_content_offset(self)
        if offset is not None and (place := offset.y + self.scroll_offset.y) < self.count:
            if place == self.cursor and event.chain > 1:
                self.action_choose()
            self.cursor = place
