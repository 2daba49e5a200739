"""Two runs side by side, aligned by their calls, with what differs marked."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Footer
from textual.worker import get_current_worker

from sandbox.enums import EventKind
from sandbox.trace.store import Store
from sandbox.tui import export, keys, timeline
from sandbox.tui.alignment import Pair, Told, align, opcodes, tell
from sandbox.tui.screens.base import Showing
from sandbox.tui.styled_text import Line, cells, cut
from sandbox.tui.trace_source import Trace
from sandbox.tui.widgets.bar import Bar
from sandbox.tui.widgets.reader import Reader
from sandbox.tui.widgets.rows import Rows
from sandbox.views.block import Block
from sandbox.views.details import Details
from sandbox.views.replay import outcome

_SETTLE = 0.02
_MARKS = {"+": "added", "-": "removed", "≠": "alert", " ": "dim"}
_COMPARED = 200_000
"""Characters of two events up to which they are shown as one text with differences."""


class BesideScreen(Showing):
    """The replay of two runs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "difference", "Difference"),
        Binding("D", "difference(True)", "Last difference", show=False),
        Binding("v", "kind('verdict')", "Verdict"),
        Binding("V", "kind('verdict', True)", "Last verdict", show=False),
        Binding("s", "kind('call')", "Call"),
        Binding("S", "kind('call', True)", "Last call", show=False),
        Binding("w", "merge", "As one text"),
    ]
    KEYS = keys.BESIDE

    def __init__(self, store: Store, run: str, other: str) -> None:
        super().__init__()
        self._rows = store.run(run), store.run(other)
        self._traces = tuple(Trace(store, row) for row in self._rows)
        self._details = tuple(Details(trace.pages) for trace in self._traces)
        self._told: tuple[Told, ...] = ()
        self._pairs: list[Pair] = []
        self._blocks: tuple[list[Block], ...] = ([], [])
        self._merged = False
        self._resting: Timer | None = None

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Bar(id="head", classes="head")
        with Vertical(id="body"):
            yield Rows(id="pairs")
            with Horizontal(classes="below pair"):
                yield Reader(id="left")
                yield Reader(id="right")
        yield Bar(id="status")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to compare."""
        one, other = self._rows
        told: list[tuple[str, str]] = []
        for row in self._rows:
            told += [(f" {row.id[:8]} ", "head"), (f"{outcome(row)}  ", "alert")]
        told += [(f" {cut(row.scenario, 30)} {cut(row.model, 24)} ", "") for row in self._rows]
        self.query_one("#head", Bar).say(*told)
        if one.scenario != other.scenario:
            self.tell("these are runs of two scenarios", bad=True)
        self.query_one("#status", Bar).say((" comparing …", "dim"))
        self.query_one(Rows).focus()
        self._compare()

    @work(thread=True, exclusive=True, group="compare")
    def _compare(self) -> None:
        told = tuple(tell(trace.pages) for trace in self._traces)
        pairs = align(*told)
        self.shown(self._compared, told, pairs)

    def _compared(self, told: tuple[Told, ...], pairs: list[Pair]) -> None:
        self._told, self._pairs = told, pairs
        self.query_one(Rows).show(len(pairs), self._line, 0)
        self._settled()

    def _line(self, place: int, width: int) -> Line:
        pair = self._pairs[place]
        half = (width - 3) // 2
        left = self._side(0, pair.left, half)
        right = self._side(1, pair.right, half)
        mark = (f" {pair.mark} ", _MARKS[pair.mark])
        return (*left, (" " * max(half - cells(left), 0), ""), mark, *right)

    def _side(self, side: int, seq: int | None, width: int) -> Line:
        item = self._traces[side].event(seq) if seq is not None else None
        if item is None:
            return ()
        return timeline.brief(item, self._traces[side].text, width)

    @property
    def _pair(self) -> Pair | None:
        place = self.query_one(Rows).cursor
        return self._pairs[place] if place < len(self._pairs) else None

    def on_rows_moved(self) -> None:
        """Read both events once the cursor rests."""
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_SETTLE, self._settled)

    def on_rows_chosen(self) -> None:
        """Give the events the whole screen."""
        self.action_whole()

    def _settled(self) -> None:
        pair = self._pair if self.alive else None
        if pair is None:
            return
        count = sum(not each.same for each in self._pairs) if len(self._pairs) < 1000 else None
        told = "" if count is None else f"  {count} of {len(self._pairs)} pairs differ"
        words = {
            "+": "only on the right",
            "-": "only on the left",
            "≠": "different",
            " ": "the same",
        }
        self.query_one("#status", Bar).say(
            (f" {_number(pair.left)} | {_number(pair.right)} ", ""),
            (f" {words[pair.mark]} ", _MARKS[pair.mark]),
            (told, "dim"),
        )
        self._read(pair)

    @work(thread=True, exclusive=True, group="details")
    def _read(self, pair: Pair) -> None:
        worker = get_current_worker()
        numbers = (pair.left, pair.right)
        blocks = tuple(
            [] if seq is None else details.event(seq)
            for seq, details in zip(numbers, self._details, strict=True)
        )
        if not worker.is_cancelled:
            self.shown(self._show, blocks)

    def _show(self, blocks: tuple[list[Block], ...]) -> None:
        self._blocks = blocks
        left, right = blocks
        reader = self.query_one("#left", Reader)
        reader.show([merged(left, right)] if self._merged else left)
        self.query_one("#right", Reader).show(right)

    def action_merge(self) -> None:
        """Show both events as one text, or side by side again."""
        self._merged = not self._merged
        self.set_class(self._merged, "merged")
        self._show(self._blocks)

    def action_difference(self, back: bool = False) -> None:
        """Go to the next pair that differs."""
        self._seek(lambda pair: not pair.same, "difference", back)

    def action_kind(self, what: str, back: bool = False) -> None:
        """Go to the next pair with an event of a sort on either side."""
        kinds = timeline.VERDICTS if what == "verdict" else {EventKind.TOOL_INTENT}
        if not self._told:
            return
        left, right = (told.kinds for told in self._told)
        self._seek(
            lambda pair: (
                (pair.left is not None and left[pair.left] in kinds)
                or (pair.right is not None and right[pair.right] in kinds)
            ),
            what,
            back,
        )

    def _seek(self, wanted: Callable[[Pair], bool], what: str, back: bool) -> None:
        rows = self.query_one(Rows)
        places = (
            range(rows.cursor - 1, -1, -1) if back else range(rows.cursor + 1, len(self._pairs))
        )
        found = next((place for place in places if wanted(self._pairs[place])), None)
        if found is None:
            self.tell(f"no {what} {'before' if back else 'after'} this")
        else:
            rows.cursor = found

    def copied(self) -> str:
        """Return the details of both."""
        return "\n\n".join(export.seen(reader.shown()) for reader in self.query(Reader))

    def exported(self, path: str) -> str:
        """Return the details of both whole, or all pairs."""
        if path.endswith("rows.txt"):
            return export.seen_all(self._line(place, 200) for place in range(len(self._pairs)))
        return "\n".join(export.whole(blocks) for blocks in self._blocks)

    def offered(self) -> str:
        """Return a name made of the left run's id and the pair's number."""
        return export.name(self._rows[0].id, self.query_one(Rows).cursor, "beside.txt")


def merged(left: list[Block], right: list[Block]) -> Block:
    """Return two sides as one text with - and + before what differs."""
    one, other = (export.whole(side)[:_COMPARED].splitlines() for side in (left, right))
    told: list[str] = []
    for tag, a, b, c, d in opcodes(one, other):
        if tag == "equal":
            told += (f"  {line}" for line in one[a:b])
        else:
            told += (*(f"- {line}" for line in one[a:b]), *(f"+ {line}" for line in other[c:d]))
    return Block("- left  + right", "\n".join(told), is_diff=True)


def _number(seq: int | None) -> str:
    return "–" if seq is None else str(seq)
