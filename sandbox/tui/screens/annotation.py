"""One run of a queue, to be labelled: its replay, and what is asked of it.

Who labels sees neither what others say nor what came of the run, unless by a key: both would sway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from sandbox.analysis.annotation_session import Asked, Sitting
from sandbox.enums import EventKind
from sandbox.errors import SandboxError
from sandbox.tui import keys
from sandbox.tui.screens.dialogs import Asking
from sandbox.tui.screens.run import VIEWS, RunScreen
from sandbox.tui.styled_text import Line, cells, cut, fit
from sandbox.tui.widgets.bar import Bar
from sandbox.tui.widgets.rows import Rows
from sandbox.views.replay import outcome

_ELSEWHERE = frozenset({"parent", "branch", "beside"})
"""Actions that lead to other runs, and with them to what came of those."""


class Panel(Rows):
    """What is asked of a run, a line each."""

    class Moved(Rows.Moved):
        """Another question is under the cursor."""

    class Chosen(Rows.Chosen):
        """A question was chosen."""


class LabelScreen(RunScreen):
    """The replay of one run with a panel of labels."""

    WITHHELD = frozenset({EventKind.RUN_START, EventKind.RUN_SCORE, EventKind.RUN_END})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("0", "label('0')", "Say", key_display="0-9"),
        *(Binding(str(i), f"label('{i}')", "Say", show=False) for i in range(1, 10)),
        Binding("i", "question(1)", "Next"),
        Binding("I", "question(-1)", "Last", show=False),
        Binding("backspace,delete", "unlabel", "Unsay", key_display="⌫"),
        Binding("w", "note", "Note"),
        Binding("greater_than_sign", "run(1)", "Run", key_display=">"),
        Binding("less_than_sign", "run(-1)", "Run before", show=False),
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
        self._asked = sitting.asked()
        self._said = sitting.of_person()
        self._others: dict[str, list[str]] = {}
        self.blind = True
        """Whether what others say, and what came of the run, is withheld."""

    def below(self) -> ComposeResult:
        """Lay out what is asked."""
        # As deep as the timeline and behind it: what looks for the screen's list finds that one first.
        with Vertical(id="asked"):
            yield Bar(id="sitting", classes="head")
            yield Panel(id="panel")

    def on_mount(self) -> None:
        """Show what is asked, with the cursor on the first that is not said yet."""
        names = [asked.name for asked in self._asked]
        open_ = next((i for i, name in enumerate(names) if name not in self._said), 0)
        self.query_one(Panel).show(len(self._asked), self._line, open_)
        self._tell_sitting()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let nothing lead to another run than the next of the queue."""
        return action not in _ELSEWHERE and super().check_action(action, parameters)

    def head(self) -> None:
        """Tell which run it is; not the model and what came of it, unless asked."""
        row = self.row
        told: list[tuple[str, str]] = [
            (f" {row.id[:8]} ", "head"),
            (f"{cut(row.scenario, 40)} [{row.lang}]", ""),
        ]
        if not self.blind:
            told += [(f"  {outcome(row)}", "alert"), (f"  {cut(row.model, 40)}", "dim")]
        self.query_one("#head", Bar).say(*told)

    def view_told(self, number: int) -> str:
        """Return a view's name without its digit, which is a label's here."""
        return f" {VIEWS[number]} "

    def _tell_sitting(self) -> None:
        sitting = self._sitting
        note = sitting.note(self._question.name)
        self.query_one("#sitting", Bar).say(
            (f" run {sitting.at + 1} of {len(sitting.runs)} ", "head"),
            (f" {sitting.labelled} labelled by {cut(sitting.by, 20)} ", ""),
            (f" note: {cut(note, 60)}" if note else "", "talk"),
            ("" if self.blind else " others are shown ", "alert"),
        )

    @property
    def _question(self) -> Asked:
        return self._asked[self.query_one(Panel).cursor]

    def _line(self, place: int, width: int) -> Line:
        asked = self._asked[place]
        said = self._said.get(asked.name)
        line: Line = ((f" {asked.name:<11}", "head" if said is None else "good"),)
        for value in asked.values:
            chosen = said is not None and said.value == value
            told = value if value.isdigit() else f"{asked.key(value)} {value}"
            line += ((f"[{told}]", "found") if chosen else (f" {told} ", ""),)
        if asked.name == "harm":
            line += ((" none … most", "dim"),)
        if asked.verdict:
            line += ((f" {cut(asked.verdict, max(width - cells(line) - 1, 8))}", "alert"),)
        if not self.blind and asked.name in self._others:
            line += (("  " + " · ".join(self._others[asked.name]), "talk"),)
        return fit(line, width)

    def on_panel_moved(self) -> None:
        """Show the event that a question is about."""
        event = self._question.event
        if event is not None:
            self.go(event)
        self._tell_sitting()

    def action_label(self, digit: str) -> None:
        """Say the value that a digit stands for, and go to the next question."""
        asked = self._question
        value = asked.value(digit)
        if value is None:
            known = ", ".join(f"{asked.key(each)} {each}" for each in asked.values)
            self.tell(f"{asked.name}: {known}", bad=True)
        elif self._stored(lambda: self._sitting.say(asked.name, value)):
            last = asked is self._asked[-1]
            self.say("that was the last question: > for the next run" if last else "", "good")
            self.action_question(1)

    def action_unlabel(self) -> None:
        """Take back what was said to the question."""
        name = self._question.name
        self._stored(lambda: self._sitting.unsay(name))

    def action_question(self, by: int) -> None:
        """Go to another question."""
        self.query_one(Panel).cursor += by

    def action_note(self) -> None:
        """Ask for a note on what was said."""
        name = self._question.name

        def wrote(text: str | None) -> None:
            if text is not None:
                self._stored(lambda: self._sitting.write_note(text, name))

        what = "this verdict" if self._question.event is not None else "the run"
        if not self._sitting.noted(name):
            self.tell(f"a note stands by a label: first say something of {what}", bad=True)
            return
        question = f"A note on what you said of {what}"
        self.app.push_screen(Asking(question, self._sitting.note(name)), wrote)

    def _stored(self, change: Callable[[], object]) -> bool:
        try:
            change()
            self._said = self._sitting.of_person()
        except SandboxError as error:
            self.tell(str(error), bad=True)
            return False
        self.query_one(Panel).refresh()
        self._tell_sitting()
        return True

    def action_run(self, by: int) -> None:
        """Go to the next run without a label, or to the one before this."""
        moved = self._sitting.forward() if by > 0 else self._sitting.back()
        if moved:
            self.app.switch_screen(LabelScreen(self._sitting))
        else:
            self.tell("all runs of the queue are labelled" if by > 0 else "this is the first run")

    def action_turn_view(self, by: int) -> None:
        """Show the next view of the event."""
        self.action_view((self.view + by) % len(VIEWS))

    def action_blind(self) -> None:
        """Show what others say and what came of the run, or withhold it again."""
        self.blind = not self.blind
        found: dict[str, list[str]] = defaultdict(list)
        for label in () if self.blind else self._sitting.of_others():
            found[label.name].append(f"{cut(label.by or label.source, 16)}: {cut(label.value, 16)}")
        self._others = found
        self.trace.withheld = self.WITHHELD if self.blind else frozenset()
        self.head()
        self._tell_sitting()
        self.query_one(Panel).refresh()
        self._only(self.trace.wanted)
