"""What the screens that show events have in common: two halves, a status line, copying, going back."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer

from sandbox.tui import export
from sandbox.tui.screens.dialogs import Help, QuestionDialog
from sandbox.tui.widgets.rows import Rows

SETTLE = 0.02
"""Seconds for which the cursor must rest before its event is read."""


class DetailScreen(Screen[None]):
    """A screen with a list and, below or beside it, the details of its cursor's row."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "Other half", show=False),
        Binding("enter", "whole", "Whole", show=False),
        Binding("y", "copy", "Copy", show=False),
        Binding("x", "export", "Write", show=False),
        Binding("L", "app.light", "Light", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q,escape", "back", "Back", key_display="q"),
    ]
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = ()

    _resting: Timer | None = None

    def rest(self, then: Callable[[], None]) -> None:
        """Call a function once the cursor has rested for a moment."""
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(SETTLE, lambda: then() if self.alive else None)

    @property
    def alive(self) -> bool:
        """Whether there is still something to draw on: what was read may come after the screen is left."""
        return self.is_attached and bool(self.query(Rows))

    def draw(self, function: Callable[..., None], *data: object) -> None:
        """From a worker: draw what it has read, if the screen is still there."""
        if self.is_running:
            self.app.call_from_thread(lambda: function(*data) if self.alive else None)

    def action_whole(self) -> None:
        self.toggle_class("whole")

    def action_help(self) -> None:
        self.app.push_screen(Help("Keys", self.KEYS))

    def action_back(self) -> None:
        """Leave the whole view of the details, or the screen."""
        if self.has_class("whole"):
            self.remove_class("whole")
        elif len(self.app.screen_stack) > 2:
            self.app.pop_screen()
        else:
            self.app.exit()

    def action_copy(self) -> None:
        text = self.clipboard_text()
        self.app.copy_to_clipboard(text)
        self.tell(f"copied {len(text):,} characters")

    def action_export(self) -> None:

        def write(path: str) -> None:
            try:
                target = export.write(path, self.file_text(path))
            except FileExistsError:
                self.tell(f"{path} is there already: nothing is overwritten", bad=True)
            except OSError as error:
                self.tell(f"cannot write {path}: {error.strerror or error}", bad=True)
            else:
                self.tell(f"wrote {target}")

        question = "Write to (.txt: what is seen; .json: the event; rows.txt: all rows of the list)"
        self.ask(question, write, self.file_name())

    def clipboard_text(self) -> str:
        """Return what is copied."""
        raise NotImplementedError

    def file_text(self, path: str) -> str:
        """Return what is written to a path."""
        raise NotImplementedError

    def file_name(self) -> str:
        """Return the path that is offered."""
        raise NotImplementedError

    def tell(self, text: str, *, bad: bool = False) -> None:
        """Say a word to the reader, for a moment."""
        self.notify(text, markup=False, severity="error" if bad else "information", timeout=4)

    def ask(self, question: str, then: Callable[[str], None], answer: str = "") -> None:
        """Ask for a line of text; nothing happens if it is left empty."""
        self.app.push_screen(
            QuestionDialog(question, answer), lambda text: then(text) if text else None
        )
