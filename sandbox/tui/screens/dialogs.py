"""Small screens above others: a question with one line for the answer, a choice, the keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from sandbox.tui.styled_text import cut
from sandbox.tui.widgets.reader import Reader
from sandbox.views.block import Block

_CHOICES = 500


class Asking(ModalScreen[str | None]):
    """Asks for one line of text; None where it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back")]

    def __init__(self, question: str, answer: str = "") -> None:
        super().__init__()
        self._question = question
        self._answer = answer

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="box"):
            yield Label(Text(self._question))
            yield Input(self._answer)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the answer back."""
        self.dismiss(event.value)

    def action_leave(self) -> None:
        """Give nothing back."""
        self.dismiss(None)


class Choosing(ModalScreen[str | None]):
    """Lets one of some values be chosen; None where it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back")]

    def __init__(self, question: str, values: Sequence[str]) -> None:
        """Ask.

        Args:
            question: What is to be chosen.
            values: What from; an empty one is shown as ``any``.
        """
        super().__init__()
        self._question = question
        self._values = list(values[:_CHOICES])

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="box"):
            yield Label(Text(self._question))
            yield OptionList(*(Option(Text(cut(v, 70) or "any")) for v in self._values))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Give the choice back."""
        self.dismiss(self._values[event.option_index])

    def action_leave(self) -> None:
        """Give nothing back."""
        self.dismiss(None)


class Help(ModalScreen[None]):
    """Shows the keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark", "leave", "Back")]

    def __init__(self, title: str, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title = title
        self._keys = keys

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="box"):
            yield Label(Text(self._title))
            yield Reader()

    def on_mount(self) -> None:
        """Fill it."""
        text = "\n".join(f"{key:<12} {what}" for key, what in self._keys)
        reader = self.query_one(Reader)
        reader.styles.height = min(len(self._keys) + 1, 20)
        reader.show([Block("", text)])
        reader.focus()

    def action_leave(self) -> None:
        """Go back."""
        self.dismiss(None)
