"""The runs of a store: a list with filters and a search."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Input

from sandbox.errors import SandboxError
from sandbox.trace.paging import RunList, matching
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow, driven
from sandbox.tui import keys
from sandbox.tui.screens.compare import BesideScreen
from sandbox.tui.screens.dialogs import Choosing, Help
from sandbox.tui.screens.run import RunScreen
from sandbox.tui.styled_text import Line, cut
from sandbox.tui.widgets.bar import Bar
from sandbox.tui.widgets.rows import Rows

PAGE = 64
POLL = 2.0
"""Seconds between two looks for new runs."""
_KEPT = 20
NAMED = (
    "scenario",
    "family",
    "model",
    "scaffold",
    "isolation",
    "mode",
    "lang",
    "status",
    "task",
    "safety",
    "origin",
)
"""What a word of a search may name, as ``safety:unsafe``."""
_CYCLES = {
    "safety": ("", "unsafe", "attempted", "safe"),
    "status": ("", "running", "finished", "interrupted"),
}
_TONES = {
    "safe": "good",
    "unsafe": "bad",
    "attempted": "alert",
    "done": "good",
    "error": "bad",
    "running": "call",
    "interrupted": "alert",
    "limit": "alert",
    "incapable": "alert",
}


class Found:
    """The runs that match, read page by page."""

    def __init__(self, store: Store, query: str) -> None:
        words, named = parsed(query)
        self._list = RunList(store, matching(words, named))
        self.count = self._list.count()
        self._pages: OrderedDict[int, Sequence[Any]] = OrderedDict()

    def row(self, place: int) -> Any:
        """Return the run at a place, or None."""
        number, at = divmod(place, PAGE)
        if number not in self._pages:
            self._pages[number] = self._list.page(number * PAGE, (number + 1) * PAGE)
            while len(self._pages) > _KEPT:
                self._pages.popitem(last=False)
        self._pages.move_to_end(number)
        page = self._pages[number]
        return page[at] if at < len(page) else None

    def place(self, run: str) -> int | None:
        """Return where a run stands among those that were read."""
        for number, page in self._pages.items():
            for at, row in enumerate(page):
                if row.id == run:
                    return number * PAGE + at
        return None


def parsed(query: str) -> tuple[list[str], dict[str, str]]:
    """Return the words of a search, and those that name a column."""
    words, named = [], {}
    for word in query.split():
        name, colon, value = word.partition(":")
        if colon and name in NAMED and value:
            named[name] = value
        else:
            words.append(word)
    return words, named


def with_word(query: str, name: str, value: str) -> str:
    """Return a search with another value for a column; with none where the value is empty."""
    kept = [word for word in query.split() if not word.startswith(f"{name}:")]
    return " ".join([*kept, *([f"{name}:{value}"] if value else [])])


def line(row: Any, width: int, marked: str = "") -> Line:
    """Return the line of a run in the list."""
    if row is None:
        return ()
    wide = width >= 110
    started = datetime.fromtimestamp(row.started, UTC).strftime(
        "%Y-%m-%d %H:%M:%S" if wide else "%m-%d %H:%M"
    )
    task, safety = row.task or row.status, row.safety or ""
    scenario = row.scenario if row.lang == "en" else f"{row.scenario} [{row.lang}]"
    scenario = f"⑂ {scenario}" if row.parent else scenario
    left = width - (9 + 2 + len(started) + 2 + 20 + (39 if wide else 0))
    name, model = (left * 3 // 5, left * 2 // 5 - 2)
    told: Line = (
        ("▌" if row.id == marked else " ", "found" if row.id == marked else ""),
        (f"{cut(row.id[:8], 8):<8}  ", "dim"),
        (f"{started}  ", "dim"),
        (_filled(scenario, name), ""),
        ("  ", ""),
        (_filled(driven(row), model), "talk"),
        (f" {_filled(task, 9)} ", _TONES.get(task, "")),
        (_filled(safety, 9), _TONES.get(safety, "")),
    )
    if not wide:
        return told
    verdicts = len(_result(row).get("verdicts") or ())
    more = f"{row.events:>8} events {verdicts:>4} verdicts  {cut(row.mode, 8)}"
    return (*told, (more, "dim"))


def _result(row: Any) -> dict[str, Any]:
    result = row.result
    if isinstance(result, str):
        result = json.loads(result)
    return result if isinstance(result, dict) else {}


def _filled(text: str, width: int) -> str:
    from rich.cells import set_cell_size

    return set_cell_size(cut(str(text), max(width, 1)), max(width, 1))


class RunsScreen(Screen[None]):
    """The list of runs."""

    AUTO_FOCUS = "#runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("s", "cycle('safety')", "Safety"),
        Binding("u", "cycle('status')", "Status"),
        Binding("f", "choose('family')", "Family"),
        Binding("o", "choose('model')", "Model"),
        Binding("c", "clear", "Clear"),
        Binding("b", "beside", "Beside"),
        Binding("L", "app.light", "Light", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("escape", "leave", "List", show=False),
        Binding("q", "app.quit", "Quit"),
    ]

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._found = Found(store, "")
        self._marked = ""

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Bar(id="head", classes="head")
        yield Input(placeholder="search: words, safety:unsafe, model:…", id="query", compact=True)
        yield Rows(id="runs")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Show the newest runs."""
        rows = self.query_one(Rows)
        rows.show(self._found.count, self._line)
        rows.focus()
        self._head()
        self.set_interval(POLL, self._poll)

    def _line(self, place: int, width: int) -> Line:
        return line(self._found.row(place), width, self._marked)

    def _head(self) -> None:
        marked = f"  beside {self._marked[:8]}: choose another with b" if self._marked else ""
        self.query_one("#head", Bar).say(
            (f" {self._found.count:,} runs ", "head"), (marked, "alert")
        )

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what matches."""
        self._look(event.value, keep=False)

    def on_input_submitted(self) -> None:
        """Go back to the list."""
        self.query_one(Rows).focus()

    @work(thread=True, exclusive=True, group="list")
    def _look(self, query: str, *, keep: bool) -> None:
        try:
            found = Found(self._store, query)
        except SandboxError:
            return  # the store is busy: the next look will do
        if self.is_running:
            self.app.call_from_thread(self._show, found, keep)

    def _show(self, found: Found, keep: bool) -> None:
        if not self.query(Rows):
            return  # left in the meantime
        rows = self.query_one(Rows)
        chosen = self._found.row(rows.cursor) if keep else None
        self._found = found
        found.row(rows.cursor)
        place = found.place(chosen.id) if chosen is not None else 0
        rows.show(found.count, cursor=rows.cursor if place is None else place)
        self._head()

    def _poll(self) -> None:
        if self.app.screen is self:
            self._look(self.query_one(Input).value, keep=True)

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        """Open a run."""
        row = self._found.row(event.place)
        if row is not None:
            self._open(row.id)

    def _open(self, run: str, beside: str = "") -> None:
        try:
            screen: Screen[None] = (
                BesideScreen(self._store, run, beside) if beside else RunScreen(self._store, run)
            )
        except SandboxError as error:
            self.notify(str(error), markup=False, severity="error")
        else:
            self.app.push_screen(screen)

    def action_beside(self) -> None:
        """Mark a run, or open it beside the one that is marked."""
        row: RunRow | None = self._found.row(self.query_one(Rows).cursor)
        if row is None:
            return
        if self._marked and self._marked != row.id:
            self._open(self._marked, row.id)
            self._marked = ""
        else:
            self._marked = "" if self._marked else row.id
        self._head()
        self.query_one(Rows).refresh()

    def action_search(self) -> None:
        """Write into the search."""
        self.query_one(Input).focus()

    def action_leave(self) -> None:
        """Go back to the list."""
        self.query_one(Rows).focus()

    def action_cycle(self, name: str) -> None:
        """Ask for the next value of a column."""
        query = self.query_one(Input)
        values = _CYCLES[name]
        known = parsed(query.value)[1].get(name, "")
        at = values.index(known) if known in values else 0
        query.value = with_word(query.value, name, values[(at + 1) % len(values)])

    def action_choose(self, name: str) -> None:
        """Let a value of a column be chosen."""

        def chosen(value: str | None) -> None:
            if value is not None:
                query = self.query_one(Input)
                query.value = with_word(query.value, name, value.split(" ")[0])

        self.app.push_screen(
            Choosing(f"Only runs of which {name}?", ["", *RunList(self._store).values(name)]),
            chosen,
        )

    def action_clear(self) -> None:
        """Show all runs."""
        self.query_one(Input).value = ""

    def action_help(self) -> None:
        """Show the keys."""
        self.app.push_screen(Help("Keys of the list of runs", keys.RUNS))
