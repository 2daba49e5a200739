"""One run: its timeline, and the event under the cursor with what it changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Footer
from textual.worker import get_current_worker

from sandbox.enums import RunStatus
from sandbox.errors import SandboxError
from sandbox.trace.paging import Wanted
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.tui import export, keys, timeline
from sandbox.tui.screens.compare import CompareScreen
from sandbox.tui.screens.dialogs import ChoiceDialog
from sandbox.tui.screens.playback import PlaybackScreen
from sandbox.tui.styled_text import Line, cut
from sandbox.tui.trace_source import Search, nearest
from sandbox.tui.widgets.reader import Reader
from sandbox.tui.widgets.rows import Rows
from sandbox.tui.widgets.styled_lines import Bar
from sandbox.views.block import Block
from sandbox.views.details import Details
from sandbox.views.replay import outcome

WIDE = 130
"""Columns from which timeline and details stand side by side."""
POLL = 0.5
"""Seconds between two looks at a run that is still going."""
VIEWS = ("event", "changed", "since start", "world")
_JUMPS: dict[str, tuple[Wanted, ...]] = {
    "verdict": (timeline.VERDICT,),
    "effect": (timeline.EFFECT,),
    "message": (timeline.MESSAGE, timeline.CHANNEL),
    "call": (timeline.CALL,),
    "turn": (timeline.TURN,),
}


class RunScreen(PlaybackScreen):
    """The replay of one run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(i), f"view({i - 1})", "Views", show=False) for i in range(1, 5)),
        Binding("v", "jump('verdict')", "Verdict"),
        Binding("e", "jump('effect')", "Effect"),
        Binding("m", "jump('message')", "Message"),
        Binding("t", "jump('turn')", "Turn"),
        Binding("s", "jump('call')", "Call", show=False),
        Binding("V", "jump('verdict', True)", "Previous verdict", show=False),
        Binding("E", "jump('effect', True)", "Previous effect", show=False),
        Binding("M", "jump('message', True)", "Previous message", show=False),
        Binding("T", "jump('turn', True)", "Previous turn", show=False),
        Binding("S", "jump('call', True)", "Previous call", show=False),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("n", "next_match", "Next", show=False),
        Binding("N", "next_match(True)", "Previous", show=False),
        Binding("right_square_bracket", "part(1)", "More", show=False),
        Binding("left_square_bracket", "part(-1)", "Less", show=False),
        Binding("f", "filter", "Filter"),
        Binding("a", "agent", "Agent", show=False),
        Binding("l", "follow", "Follow", show=False),
        Binding("b", "beside", "Beside", show=False),
        Binding("p", "parent", "Parent", show=False),
        Binding("o", "branch", "Forks", show=False),
    ]
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = keys.RUN
    view = 0
    _filter = "everything"
    _search: Search | None = None
    _match = ""

    def __init__(self, store: Store, run: str, at: int = 0) -> None:
        super().__init__(store, run, at)
        self.details = Details(self.trace.pages)
        self.following = self.row.status == RunStatus.RUNNING

    def compose(self) -> ComposeResult:
        yield Bar(id="head", classes="head")
        with Vertical(id="body"):
            yield Rows(id="timeline")
            with Vertical(classes="below"):
                yield Bar(id="views")
                yield Reader(id="details")
        yield from self.below()
        yield Bar(id="status")
        yield Footer(compact=True, show_command_palette=False)

    def below(self) -> ComposeResult:
        """Lay out what stands below timeline and details: nothing here."""
        yield from ()

    def on_mount(self) -> None:
        self.head()
        rows = self.query_one(Rows)
        last = self.trace.count - 1 if self.following else self.trace.place(self.first)
        rows.show(self.trace.count, self.trace.line, last)
        rows.focus()
        self._show_event()
        if self.row.status == RunStatus.RUNNING:
            self.set_interval(POLL, self._poll)

    @property
    def seq(self) -> int:
        """Number of the event under the cursor."""
        return self.trace.seq(self.query_one(Rows).cursor)

    def fork_words(self) -> Line:
        """Return what the head line says of parent and forks."""
        parent, count = self.trace.parent, sum(map(len, self.trace.branches.values()))
        words = [f" ⑂ of {parent[0][:8]} at {parent[1]} "] if parent else []
        words += [f" ⑂ {count} fork{'s' if count > 1 else ''} "] if count else []
        return tuple((word, "alert") for word in words)

    def go(self, seq: int, find: str = "") -> None:
        """Put the cursor on an event; a filter that hides it is taken off."""
        place = self.trace.place(seq)
        if self.trace.seq(place) != seq:
            self.trace.show_only(Wanted(), self.trace.numbers_of(Wanted()))
            self._filter = "everything"
            place = self.trace.place(seq)
            self.query_one(Rows).show(self.trace.count)
        self._match = find
        self.query_one(Rows).cursor = place
        self.settle()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= WIDE, "wide")

    @on(Rows.Moved, "#timeline")
    def settle(self) -> None:
        """Show the event under the cursor once that rests."""
        self.rest(self._show_event)
        self.status()

    @on(Rows.Selected, "#timeline")
    def enlarge(self) -> None:
        """Give the event the whole screen."""
        self.action_whole()
        self.query_one(Reader).focus()

    def _show_event(self) -> None:
        self.status()
        self._views()
        self._read(self.seq, self.view)

    @work(thread=True, exclusive=True, group="details")
    def _read(self, seq: int, view: int) -> None:
        details, worker = self.details, get_current_worker()
        reads = (details.event, details.changes, details.since_start, details.world)
        try:
            blocks = reads[view](seq) if seq >= 0 else []
        except SandboxError as error:
            blocks = [Block(str(error), tone="bad")]
        if not worker.is_cancelled:
            self.draw(self._show, blocks)

    def _show(self, blocks: list[Block]) -> None:
        self.query_one(Reader).show(blocks, self._match)
        self._views()

    def head(self) -> None:
        """Show which run it is."""
        row = self.row
        tone = {"safe": "good", "unsafe": "bad"}.get(row.safety or "", "alert")
        facts = "  ".join(filter(None, (f" {cut(row.model, 40)}", row.mode, row.lang, row.origin)))
        agents = self.trace.lanes.legend() if len(self.trace.lanes.agents) > 1 else ()
        self.query_one("#head", Bar).say(
            (f" {row.id[:8]} ", "head"),
            (f"{cut(row.scenario, 32)}  ", ""),
            (f"{outcome(row)}  ", tone),
            *agents,
            *self.fork_words(),
            (facts, "dim"),
        )

    def _views(self) -> None:
        reader = self.query_one(Reader)
        words = [
            (self.view_name(number), "found" if number == self.view else "dim")
            for number in range(len(VIEWS))
        ]
        if reader.parts > 1:
            words.append((f"  part {reader.part + 1} of {reader.parts}: [ ]", "alert"))
        self.query_one("#views", Bar).say(*words)

    def view_name(self, number: int) -> str:
        """Return what the line of views says of one."""
        return f" {number + 1} {VIEWS[number]} "

    def status(self) -> None:
        """Show where one is: event, time, filter, pace."""
        trace = self.trace
        words = [(f" event {self.seq} of {trace.total} ", "")]
        item = trace.event(self.query_one(Rows).cursor)
        if item is not None:
            words.append((f" {timeline.clock(item.at - trace.began)} ", "dim"))
        if trace.selection != Wanted():
            agent = f" of {cut(trace.selection.agent, 16)}" if trace.selection.agent else ""
            words.append((f" {self._filter}{agent}: {trace.count} ", "alert"))
        if self._playing is not None:
            words.append((f" ▶ {self.speed} ", "good"))
        if self.following:
            words.append((" following ", "good"))
        self.query_one("#status", Bar).say(*words, *self.note)

    def on_click(self, event: events.Click) -> None:
        """Choose a view by the mouse."""
        if event.widget is self.query_one("#views", Bar):
            ends = accumulate(len(self.view_name(number)) for number in range(len(VIEWS)))
            view = next((number for number, end in enumerate(ends) if event.x < end), None)
            if view is not None:
                self.action_view(view)

    def action_view(self, number: int) -> None:
        self.view = number
        self._show_event()

    def action_part(self, by: int) -> None:
        self.query_one(Reader).turn(by)
        self._views()

    def action_jump(self, what: str, back: bool = False) -> None:
        self._jump(what, self.seq, back)

    @work(thread=True, exclusive=True, group="jump")
    def _jump(self, what: str, near: int, back: bool) -> None:
        pages = self.trace.pages
        seq = nearest([pages.find(each, near, back=back) for each in _JUMPS[what]], back=back)
        self.draw(self._arrive, seq, f"no {what} {'before' if back else 'after'} this")

    def _arrive(self, seq: int | None, otherwise: str, find: str = "") -> None:
        self.say("" if seq is not None else otherwise)
        if seq is not None:
            self.go(seq, find)

    def action_search(self) -> None:

        def begin(text: str) -> None:
            self._search = Search(self.trace, text)
            self.action_next_match()

        self.ask("Search in everything: calls, results, messages, verdicts, effects", begin)

    def action_next_match(self, back: bool = False) -> None:
        if self._search is None:
            self.action_search()
        else:
            self.say(f"searching for {cut(self._search.text, 30)} …", "dim")
            self._find(self._search, self.seq, back)

    @work(thread=True, exclusive=True, group="jump")
    def _find(self, search: Search, near: int, back: bool) -> None:
        worker = get_current_worker()
        seq = search.next(near, back=back, progress=lambda _: worker.is_cancelled)
        if not worker.is_cancelled:
            text = cut(search.text, 30)
            missing = f"{text!r} is not {'before' if back else 'after'} this"
            self.draw(self._arrive, seq, missing, search.text)

    def action_filter(self) -> None:
        """Let the next group of kinds through."""
        names = list(timeline.FILTERS)
        self._filter = names[(names.index(self._filter) + 1) % len(names)]
        self._only(replace(self.trace.selection, kinds=timeline.FILTERS[self._filter]))

    def action_agent(self) -> None:
        """Show the events of the next agent only, then those of all again."""
        agents = ["", *self.trace.lanes.agents]
        known = self.trace.selection.agent
        agent = agents[(agents.index(known) + 1) % len(agents)] if known in agents else ""
        self._only(replace(self.trace.selection, agent=agent))

    @work(thread=True, exclusive=True, group="jump")
    def _only(self, selection: Wanted) -> None:
        self.draw(self._show_only, selection, self.trace.numbers_of(selection))

    def _show_only(self, selection: Wanted, numbers: Sequence[int]) -> None:
        seq = self.seq
        self.trace.show_only(selection, numbers)
        self.query_one(Rows).show(self.trace.count, cursor=self.trace.place(max(seq, 0)))
        self._show_event()

    def action_follow(self) -> None:
        """Keep the cursor on the newest event, or leave it."""
        self.following = not self.following
        if self.following:
            self.query_one(Rows).action_edge(True)
        self.status()

    @work(thread=True, exclusive=True, group="poll")
    def _poll(self) -> None:
        try:
            row, total = self.trace.pages.row(), self.trace.pages.count()
        except SandboxError:
            return  # the store is busy: the next look will do
        self.draw(self._grow, row, total)

    def _grow(self, row: RunRow, total: int) -> None:
        if total != self.trace.total and self.trace.grown():
            last = self.trace.count - 1 if self.following else None
            self.query_one(Rows).show(self.trace.count, cursor=last)
        if row.status != self.row.status:
            self.row, self.following = row, False
        self.head()
        self.status()

    def action_parent(self) -> None:
        """Open the run from which this one was forked, at the event where they part."""
        if self.trace.parent is None:
            self.tell("this run is no fork")
        else:
            self._open(*self.trace.parent)

    def action_branch(self) -> None:
        """Open a fork: of the event under the cursor, or of any if that has none."""
        branches = self.trace.branches
        events = [self.seq] if self.seq in branches else branches
        forks = {
            f"{run[:12]}  at {at}  {model}": (run, at)
            for at in events
            for run, model in branches[at]
        }
        if not forks:
            self.tell("this run has no forks")
        elif len(forks) == 1:
            self._open(*next(iter(forks.values())))
        else:
            self.app.push_screen(
                ChoiceDialog("Which fork?", list(forks)),
                lambda name: self._open(*forks[name]) if name else None,
            )

    def _open(self, run: str, at: int) -> None:
        """Open a run at an event: a fork holds the same events as its parent up to where they part."""
        self._push(lambda: type(self)(self.trace.store, run, at))

    def action_beside(self) -> None:
        """Ask for a second run and show both side by side."""
        forks = self.trace.branches.get(self.seq)
        parent = self.trace.parent
        answer = forks[0][0] if forks else parent[0] if parent else ""
        self.ask(
            "Side by side with which run? (the beginning of its id)",
            lambda other: self._push(
                lambda: CompareScreen(self.trace.store, self.trace.run, other)
            ),
            answer,
        )

    def _push(self, make: Callable[[], Screen[None]]) -> None:
        try:
            self.app.push_screen(make())
        except SandboxError as error:
            self.tell(str(error), bad=True)

    def clipboard_text(self) -> str:
        """Return the details that are shown."""
        return export.copy_of(self.query_one(Reader).lines)

    def file_text(self, path: str) -> str:
        """Return the details whole, the event as JSON, or all rows."""
        if path.endswith(".json"):
            return export.event(self.trace, self.seq)
        if path.endswith("rows.txt"):
            places = range(self.trace.count)
            return export.text_of(self.trace.line(place, export.ROW) for place in places)
        return export.whole(self.query_one(Reader).blocks)

    def file_name(self) -> str:
        """Return a name made of the run's id and the event's number."""
        return export.name(self.row.id, self.seq)
