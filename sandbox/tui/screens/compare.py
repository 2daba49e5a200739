"""Two runs side by side, aligned by their calls, with what differs marked."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Footer
from textual.worker import get_current_worker

from sandbox.enums import EventKind
from sandbox.trace.store import Store
from sandbox.tui import export, keys, timeline
from sandbox.tui.alignment import ComparableRun, EventPair, align, opcodes, read_run
from sandbox.tui.screens.base import DetailScreen
from sandbox.tui.styled_text import Line, Span, cells, cut
from sandbox.tui.trace_source import TraceSource
from sandbox.tui.widgets.reader import Reader
from sandbox.tui.widgets.rows import Rows
from sandbox.tui.widgets.styled_lines import Bar
from sandbox.views.block import Block
from sandbox.views.details import Details
from sandbox.views.replay import outcome

_MARKS = {"+": "added", "-": "removed", "≠": "alert", " ": "dim"}
_WORDS = {"+": "only on the right", "-": "only on the left", "≠": "different", " ": "the same"}
_DIFFERENCE = 200_000
"""Characters of two events up to which they are shown as one text with differences."""


class CompareScreen(DetailScreen):
    """The replay of two runs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "difference", "Difference"),
        Binding("D", "difference(True)", "Previous difference", show=False),
        Binding("v", "kind('verdict')", "Verdict"),
        Binding("V", "kind('verdict', True)", "Previous verdict", show=False),
        Binding("s", "kind('call')", "Call"),
        Binding("S", "kind('call', True)", "Previous call", show=False),
        Binding("w", "merge", "As one text"),
    ]
    KEYS = keys.BESIDE

    def __init__(self, store: Store, run: str, other: str) -> None:
        super().__init__()
        self._rows = store.run(run), store.run(other)
        self._traces = tuple(TraceSource(store, row) for row in self._rows)
        self._details = tuple(Details(trace.pages) for trace in self._traces)
        self._runs: tuple[ComparableRun, ...] = ()
        self._pairs: list[EventPair] = []
        self._blocks: tuple[list[Block], ...] = ([], [])

    def compose(self) -> ComposeResult:
        yield Bar(id="head", classes="head")
        with Vertical(id="body"):
            yield Rows(id="pairs")
            with Horizontal(classes="below pair"):
                yield Reader(id="left")
                yield Reader(id="right")
        yield Bar(id="status")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        words: list[Span] = []
        for row in self._rows:
            words += [(f" {row.id[:8]} ", "head"), (f"{outcome(row)}  ", "alert")]
        words += [(f" {cut(row.scenario, 30)} {cut(row.model, 24)} ", "") for row in self._rows]
        self.query_one("#head", Bar).say(*words)
        if len({row.scenario for row in self._rows}) > 1:
            self.tell("these are runs of two scenarios", bad=True)
        self.query_one("#status", Bar).say((" comparing …", "dim"))
        self.query_one(Rows).focus()
        self._compare()

    @work(thread=True, exclusive=True, group="compare")
    def _compare(self) -> None:
        runs = tuple(read_run(trace.pages) for trace in self._traces)
        self.draw(self._show_pairs, runs, align(*runs))

    def _show_pairs(self, runs: tuple[ComparableRun, ...], pairs: list[EventPair]) -> None:
        self._runs, self._pairs = runs, pairs
        self.query_one(Rows).show(len(pairs), self._line, 0)
        self._show_pair()

    def _line(self, place: int, width: int) -> Line:
        pair = self._pairs[place]
        half = (width - 3) // 2
        left = self._side(0, pair.left, half)
        right = self._side(1, pair.right, half)
        mark = (f" {pair.mark} ", _MARKS[pair.mark])
        return (*left, (" " * max(half - cells(left), 0), ""), mark, *right)

    def _side(self, side: int, seq: int | None, width: int) -> Line:
        trace = self._traces[side]
        item = trace.event(seq) if seq is not None else None
        return timeline.brief(item, trace.text, width) if item is not None else ()

    def on_rows_moved(self) -> None:
        self.rest(self._show_pair)

    def on_rows_selected(self) -> None:
        self.action_whole()

    def _show_pair(self) -> None:
        place = self.query_one(Rows).cursor
        if place >= len(self._pairs):
            return
        pair, count = self._pairs[place], len(self._pairs)
        different = sum(not each.same for each in self._pairs) if count < 1000 else None
        total = "" if different is None else f"  {different} of {count} pairs differ"
        numbers = " | ".join("–" if seq is None else str(seq) for seq in (pair.left, pair.right))
        self.query_one("#status", Bar).say(
            (f" {numbers} ", ""), (f" {_WORDS[pair.mark]} ", _MARKS[pair.mark]), (total, "dim")
        )
        self._read(pair)

    @work(thread=True, exclusive=True, group="details")
    def _read(self, pair: EventPair) -> None:
        worker = get_current_worker()
        numbers = (pair.left, pair.right)
        blocks = tuple(
            [] if seq is None else details.event(seq)
            for seq, details in zip(numbers, self._details, strict=True)
        )
        if not worker.is_cancelled:
            self.draw(self._show, blocks)

    def _show(self, blocks: tuple[list[Block], ...]) -> None:
        self._blocks = blocks
        left, right = blocks
        merge = self.has_class("merged")
        self.query_one("#left", Reader).show([difference(left, right)] if merge else left)
        self.query_one("#right", Reader).show(right)

    def action_merge(self) -> None:
        self.toggle_class("merged")
        self._show(self._blocks)

    def action_difference(self, back: bool = False) -> None:
        self._seek(lambda pair: not pair.same, "difference", back)

    def action_kind(self, what: str, back: bool = False) -> None:
        kinds = timeline.VERDICTS if what == "verdict" else {EventKind.TOOL_INTENT}
        if self._runs:
            left, right = (run.kinds for run in self._runs)
            self._seek(
                lambda pair: (
                    (pair.left is not None and left[pair.left] in kinds)
                    or (pair.right is not None and right[pair.right] in kinds)
                ),
                what,
                back,
            )

    def _seek(self, matches: Callable[[EventPair], bool], what: str, back: bool) -> None:
        rows = self.query_one(Rows)
        places = (
            range(rows.cursor - 1, -1, -1) if back else range(rows.cursor + 1, len(self._pairs))
        )
        match = next((place for place in places if matches(self._pairs[place])), None)
        if match is None:
            self.tell(f"no {what} {'before' if back else 'after'} this")
        else:
            rows.cursor = match

    def clipboard_text(self) -> str:
        """Return the details of both."""
        return "\n\n".join(export.copy_of(reader.lines) for reader in self.query(Reader))

    def file_text(self, path: str) -> str:
        """Return the details of both whole, or all pairs."""
        if path.endswith("rows.txt"):
            return export.text_of(self._line(place, 200) for place in range(len(self._pairs)))
        return "\n".join(export.whole(blocks) for blocks in self._blocks)

    def file_name(self) -> str:
        """Return a name made of the left run's id and the pair's number."""
        return export.name(self._rows[0].id, self.query_one(Rows).cursor, "beside.txt")


def difference(left: list[Block], right: list[Block]) -> Block:
    """Return two sides as one text with - and + before what differs."""
    one, other = (export.whole(side)[:_DIFFERENCE].splitlines() for side in (left, right))
    lines: list[str] = []
    for tag, a, b, c, d in opcodes(one, other):
        if tag == "equal":
            lines += (f"  {line}" for line in one[a:b])
        else:
            lines += (*(f"- {line}" for line in one[a:b]), *(f"+ {line}" for line in other[c:d]))
    return Block("- left  + right", "\n".join(lines), is_diff=True)
