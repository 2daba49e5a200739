"""One run of a queue, to be labelled: its replay, and what is asked of it.

Who labels sees neither what others say nor the outcome of the run, unless by a key: both would sway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from sandbox.analysis.annotation_session import Asked, Sitting
from sandbox.enums import EventKind
from sandbox.errors import SandboxError
from sandbox.tui import keys
from sandbox.tui.screens.dialogs import QuestionDialog
from sandbox.tui.screens.run import VIEWS, RunScreen
from sandbox.tui.styled_text import Line, cells, cut, fit
from sandbox.tui.widgets.rows import Rows
from sandbox.tui.widgets.styled_lines import Bar
from sandbox.views.replay import outcome

_ELSEWHERE = frozenset({"parent", "branch", "beside"})
"""Actions that lead to other runs, and with them to their outcomes."""


class LabelScreen(RunScreen):
    """The replay of one run with a panel of labels."""

    WITHHELD = frozenset({EventKind.RUN_START, EventKind.RUN_SCORE, EventKind.RUN_END})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("0", "label('0')", "Say", key_display="0-9"),
        *(Binding(str(i), f"label('{i}')", "Say", show=False) for i in range(1, 10)),
        Binding("i", "question(1)", "Next"),
        Binding("I", "question(-1)", "Previous", show=False),
        Binding("backspace,delete", "unlabel", "Unsay", key_display="⌫"),
        Binding("w", "note", "Note"),
        Binding("greater_than_sign", "run(1)", "Run", key_display=">"),
        Binding("less_than_sign", "run(-1)", "Previous run", show=False),
        Binding("full_stop", "turn_view(1)", "View", key_display="."),
        Binding("comma", "turn_view(-1)", "View", show=False),
        Binding("B", "blind", "Others"),
        Binding("e", "jump('effect')", "Effect", show=False),
        Binding("m", "jump('message')", "Message", show=False),
        Binding("t", "jump('turn')", "Turn", show=False),
        Binding("slash", "search", "Search", show=False),
        Binding("f", "filter", "Filter", show=False),
        Binding("space", "play", "Play", show=False),
    ]
    KEYS = keys.LABELS

    def __init__(self, sitting: Sitting) -> None:
        super().__init__(sitting.store, sitting.run)
        self._sitting = sitting
        self._questions = sitting.asked()
        self._labels = sitting.of_person()
        self._others: dict[str, list[str]] = {}
        self.blind = True
        """Whether what others say, and the outcome of the run, is withheld."""

    def below(self) -> ComposeResult:
        """Lay out what is asked."""
        # As deep as the timeline and behind it: what looks for the screen's list finds that one first.
        with Vertical(id="asked"):
            yield Bar(id="sitting", classes="head")
            yield Rows(id="panel")

    def on_mount(self) -> None:
        names = [question.name for question in self._questions]
        first = next((i for i, name in enumerate(names) if name not in self._labels), 0)
        self._panel.show(len(self._questions), self._line, first)
        self._show_sitting()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let nothing lead to another run than the next of the queue."""
        return action not in _ELSEWHERE and super().check_action(action, parameters)

    def head(self) -> None:
        """Tell which run it is; not the model and its outcome, unless asked."""
        row = self.row
        words = [(f" {row.id[:8]} ", "head"), (f"{cut(row.scenario, 40)} [{row.lang}]", "")]
        if not self.blind:
            words += [(f"  {outcome(row)}", "alert"), (f"  {cut(row.model, 40)}", "dim")]
        self.query_one("#head", Bar).say(*words)

    def view_name(self, number: int) -> str:
        """Return a view's name without its digit, which is a label's here."""
        return f" {VIEWS[number]} "

    def _show_sitting(self) -> None:
        sitting = self._sitting
        note = sitting.note(self._question.name)
        self.query_one("#sitting", Bar).say(
            (f" run {sitting.at + 1} of {len(sitting.runs)} ", "head"),
            (f" {sitting.labelled} labelled by {cut(sitting.by, 20)} ", ""),
            (f" note: {cut(note, 60)}" if note else "", "talk"),
            ("" if self.blind else " others are shown ", "alert"),
        )

    @property
    def _panel(self) -> Rows:
        return self.query_one("#panel", Rows)

    @property
    def _question(self) -> Asked:
        return self._questions[self._panel.cursor]

    def _line(self, place: int, width: int) -> Line:
        question = self._questions[place]
        label = self._labels.get(question.name)
        line: Line = ((f" {question.name:<11}", "head" if label is None else "good"),)
        for value in question.values:
            text = value if value.isdigit() else f"{question.key(value)} {value}"
            chosen = label is not None and label.value == value
            line += ((f"[{text}]", "found") if chosen else (f" {text} ", ""),)
        if question.name == "harm":
            line += ((" none … most", "dim"),)
        if question.verdict:
            line += ((f" {cut(question.verdict, max(width - cells(line) - 1, 8))}", "alert"),)
        if not self.blind and question.name in self._others:
            line += (("  " + " · ".join(self._others[question.name]), "talk"),)
        return fit(line, width)

    @on(Rows.Moved, "#panel")
    def show_question(self) -> None:
        """Show the event that a question is about."""
        if self._question.event is not None:
            self.go(self._question.event)
        self._show_sitting()

    def action_label(self, digit: str) -> None:
        question = self._question
        value = question.value(digit)
        if value is None:
            known = ", ".join(f"{question.key(each)} {each}" for each in question.values)
            self.tell(f"{question.name}: {known}", bad=True)
        elif self._store(lambda: self._sitting.say(question.name, value)):
            last = question is self._questions[-1]
            self.say("that was the last question: > for the next run" if last else "", "good")
            self.action_question(1)

    def action_unlabel(self) -> None:
        name = self._question.name
        self._store(lambda: self._sitting.unsay(name))

    def action_question(self, by: int) -> None:
        self._panel.cursor += by

    def action_note(self) -> None:
        """Ask for a note on what was said."""
        sitting, name = self._sitting, self._question.name
        what = "this verdict" if self._question.event is not None else "the run"
        if not sitting.noted(name):
            self.tell(f"a note stands by a label: first say something of {what}", bad=True)
            return

        def write(text: str | None) -> None:
            if text is not None:
                self._store(lambda: sitting.write_note(text, name))

        question = f"A note on what you said of {what}"
        self.app.push_screen(QuestionDialog(question, sitting.note(name)), write)

    def _store(self, change: Callable[[], object]) -> bool:
        try:
            change()
            self._labels = self._sitting.of_person()
        except SandboxError as error:
            self.tell(str(error), bad=True)
            return False
        self._panel.refresh()
        self._show_sitting()
        return True

    def action_run(self, by: int) -> None:
        """Go to the next run without a label, or to the one before this."""
        if self._sitting.forward() if by > 0 else self._sitting.back():
            self.app.switch_screen(LabelScreen(self._sitting))
        else:
            self.tell("all runs of the queue are labelled" if by > 0 else "this is the first run")

    def action_turn_view(self, by: int) -> None:
        self.action_view((self.view + by) % len(VIEWS))

    def action_blind(self) -> None:
        self.blind = not self.blind
        self._others = defaultdict(list)
        for label in () if self.blind else self._sitting.of_others():
            word = f"{cut(label.by or label.source, 16)}: {cut(label.value, 16)}"
            self._others[label.name].append(word)
        self.trace.withheld = self.WITHHELD if self.blind else frozenset()
        self.head()
        self._show_sitting()
        self._panel.refresh()
        self._only(self.trace.selection)
