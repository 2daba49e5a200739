"""Small screens above others: a question with one line for the answer, a choice, the keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from sandbox.tui.styled_text import cut
from sandbox.tui.widgets.reader import Reader
from sandbox.views.block import Block

_CHOICES = 500


class Dialog(ModalScreen[str | None]):
    """A box above another screen; its result is None if it is left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Back")]

    def __init__(self, title: str, content: Widget) -> None:
        super().__init__()
        self._words = title
        self._content = content

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Label(Text(self._words))
            yield self._content


class QuestionDialog(Dialog):
    """Asks for one line of text."""

    def __init__(self, question: str, answer: str = "") -> None:
        super().__init__(question, Input(answer))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)


class ChoiceDialog(Dialog):
    """Lets one of some values be chosen; an empty one is shown as ``any``."""

    def __init__(self, question: str, values: Sequence[str]) -> None:
        self._values = values[:_CHOICES]
        options = (Option(Text(cut(value, 70) or "any")) for value in self._values)
        super().__init__(question, OptionList(*options))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._values[event.option_index])


class Help(Dialog):
    """Shows the keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,question_mark", "dismiss", "Back")]

    def __init__(self, title: str, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__(title, Reader())
        self._keys = keys

    def on_mount(self) -> None:
        text = "\n".join(f"{key:<12} {what}" for key, what in self._keys)
        reader = self.query_one(Reader)
        reader.styles.height = min(len(self._keys) + 1, 20)
        reader.show([Block("", text)])
        reader.focus()
