"""The runs of a store: a list with filters and a search."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar

from rich.cells import set_cell_size
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
from sandbox.tui.screens.compare import CompareScreen
from sandbox.tui.screens.dialogs import ChoiceDialog, Help
from sandbox.tui.screens.run import RunScreen
from sandbox.tui.styled_text import Line, cut
from sandbox.tui.widgets.rows import Rows
from sandbox.tui.widgets.styled_lines import Bar

PAGE = 64
POLL = 2.0
"""Seconds between two looks for new runs."""
_CACHED = 20
COLUMNS = (
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


class Matches:
    """The runs that match a search, read page by page."""

    def __init__(self, store: Store, query: str) -> None:
        matches = RunList(store, matching(*parse(query)))
        self.count = matches.count()
        self._page = lru_cache(_CACHED)(
            lambda number: matches.page(number * PAGE, (number + 1) * PAGE)
        )

    def row(self, place: int) -> Any:
        """Return the run at a place, or None."""
        number, at = divmod(place, PAGE)
        page = self._page(number)
        return page[at] if at < len(page) else None

    def place(self, run: str, near: int) -> int | None:
        """Return where a run stands, if it is on the page of a place."""
        start = near // PAGE * PAGE
        return next(
            (start + i for i, x in enumerate(self._page(near // PAGE)) if x.id == run), None
        )


def parse(query: str) -> tuple[list[str], dict[str, str]]:
    """Return the words of a search, and those that name a column."""
    words, columns = [], {}
    for word in query.split():
        name, _, value = word.partition(":")
        if name in COLUMNS and value:
            columns[name] = value
        else:
            words.append(word)
    return words, columns


def with_word(query: str, name: str, value: str) -> str:
    """Return a search with another value for a column; with none if the value is empty."""
    words = [word for word in query.split() if not word.startswith(f"{name}:")]
    return " ".join([*words, *([f"{name}:{value}"] if value else [])])


def line(row: Any, width: int, mark: str = "") -> Line:
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
    spans: Line = (
        ("▌" if row.id == mark else " ", "found" if row.id == mark else ""),
        (f"{cut(row.id[:8], 8):<8}  ", "dim"),
        (f"{started}  ", "dim"),
        (_pad(scenario, name), ""),
        ("  ", ""),
        (_pad(driven(row), model), "talk"),
        (f" {_pad(task, 9)} ", _TONES.get(task, "")),
        (_pad(safety, 9), _TONES.get(safety, "")),
    )
    if not wide:
        return spans
    result = json.loads(row.result) if isinstance(row.result, str) else row.result
    verdicts = len(result.get("verdicts") or ()) if isinstance(result, dict) else 0
    more = f"{row.events:>8} events {verdicts:>4} verdicts  {cut(row.mode, 8)}"
    return (*spans, (more, "dim"))


def _pad(text: str, width: int) -> str:
    return set_cell_size(cut(str(text), max(width, 1)), max(width, 1))


class RunsScreen(Screen[None]):
    """The list of runs."""

    AUTO_FOCUS = "#runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "app.focus('query')", "Search", key_display="/"),
        Binding("s", "cycle('safety')", "Safety"),
        Binding("u", "cycle('status')", "Status"),
        Binding("f", "choose('family')", "Family"),
        Binding("o", "choose('model')", "Model"),
        Binding("c", "clear", "Clear"),
        Binding("b", "beside", "Beside"),
        Binding("L", "app.light", "Light", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("escape", "app.focus('runs')", "List", show=False),
        Binding("q", "app.quit", "Quit"),
    ]

    _mark = ""
    """Id of a run that another is to stand beside."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._matches = Matches(store, "")

    def compose(self) -> ComposeResult:
        yield Bar(id="head", classes="head")
        yield Input(placeholder="search: words, safety:unsafe, model:…", id="query", compact=True)
        yield Rows(id="runs")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        rows = self.query_one(Rows)
        rows.show(self._matches.count, self._line)
        rows.focus()
        self._head()
        self.set_interval(POLL, self._poll)

    def _line(self, place: int, width: int) -> Line:
        return line(self._matches.row(place), width, self._mark)

    def _head(self) -> None:
        mark = f"  beside {self._mark[:8]}: choose another with b" if self._mark else ""
        self.query_one("#head", Bar).say(
            (f" {self._matches.count:,} runs ", "head"), (mark, "alert")
        )

    def on_input_changed(self, event: Input.Changed) -> None:
        self._look(event.value, keep=False)

    def on_input_submitted(self) -> None:
        self.query_one(Rows).focus()

    @work(thread=True, exclusive=True, group="list")
    def _look(self, query: str, *, keep: bool) -> None:
        try:
            matches = Matches(self._store, query)
        except SandboxError:
            return  # the store is busy: the next look will do
        if self.is_running:
            self.app.call_from_thread(self._show, matches, keep)

    def _show(self, matches: Matches, keep: bool) -> None:
        if not self.query(Rows):
            return  # left in the meantime
        rows = self.query_one(Rows)
        row = self._matches.row(rows.cursor) if keep else None
        self._matches = matches
        place = matches.place(row.id, rows.cursor) if row is not None else 0
        rows.show(matches.count, cursor=rows.cursor if place is None else place)
        self._head()

    def _poll(self) -> None:
        if self.app.screen is self:
            self._look(self.query_one(Input).value, keep=True)

    def on_rows_selected(self, event: Rows.Selected) -> None:
        row = self._matches.row(event.place)
        if row is not None:
            self._open(row.id)

    def _open(self, run: str, beside: str = "") -> None:
        try:
            screen: Screen[None] = (
                CompareScreen(self._store, run, beside) if beside else RunScreen(self._store, run)
            )
        except SandboxError as error:
            self.notify(str(error), markup=False, severity="error")
        else:
            self.app.push_screen(screen)

    def action_beside(self) -> None:
        """Mark a run, or open it beside the one that is marked."""
        row: RunRow | None = self._matches.row(self.query_one(Rows).cursor)
        if row is None:
            return
        if self._mark and self._mark != row.id:
            self._open(self._mark, row.id)
            self._mark = ""
        else:
            self._mark = "" if self._mark else row.id
        self._head()
        self.query_one(Rows).refresh()

    def action_cycle(self, name: str) -> None:
        query = self.query_one(Input)
        values = _CYCLES[name]
        known = parse(query.value)[1].get(name, "")
        at = values.index(known) if known in values else 0
        query.value = with_word(query.value, name, values[(at + 1) % len(values)])

    def action_choose(self, name: str) -> None:

        def narrow(value: str | None) -> None:
            if value is not None:
                query = self.query_one(Input)
                query.value = with_word(query.value, name, value.split(" ")[0])

        self.app.push_screen(
            ChoiceDialog(f"Only runs of which {name}?", ["", *RunList(self._store).values(name)]),
            narrow,
        )

    def action_clear(self) -> None:
        self.query_one(Input).value = ""

    def action_help(self) -> None:
        self.app.push_screen(Help("Keys of the list of runs", keys.RUNS))
