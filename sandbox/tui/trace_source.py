"""A run as the screens read it: events by place, in pages that are cached for a while; search in all of it."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from sandbox.errors import StoreError
from sandbox.trace.blobs import references
from sandbox.trace.events import Event
from sandbox.trace.paging import BATCH, Pages, Wanted, forks
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.tui import timeline
from sandbox.tui.styled_text import Line

PAGE = 64
"""Events of one page."""
_CACHED = 40
_REPORTED = 2000
"""Events after which a search says how far it is."""

Progress = Callable[[int], bool]
"""Gets how many events were searched; returns whether to stop."""


class TraceSource:
    """The events of a run in the order in which a timeline shows them, all or those of a filter."""

    def __init__(self, store: Store, row: RunRow, withheld: frozenset[str] = frozenset()) -> None:
        """Read a run.

        Args:
            store: Where it is.
            row: Its row.
            withheld: Kinds of events that are neither shown nor found.
        """
        self.store = store
        self.withheld = withheld
        self.run = row.id
        self.pages = Pages(store, row.id)
        self._page = lru_cache(_CACHED)(self._read)
        self.total = self.pages.count()
        at = self.pages.first()
        first = self.pages.page(at, at + 1)
        self.began = first[0].at if first else row.started
        self.lanes = timeline.lanes_of(first[0]) if first else timeline.Lanes()
        self._whole = at == 0
        self.numbers: Sequence[int] = ()
        """Numbers of the events that are shown."""
        self.show_only(Wanted(), self.numbers_of(Wanted()))
        self.parent = timeline.parent_of(first[0]) if first else None
        """Of a fork: the run that it goes on from, and that run's event."""
        self.branches: dict[int, list[tuple[str, str]]] = {}
        """Number of an event from which forks go on → their ids and models."""
        for at, run, model in forks(store, row.id):
            self.branches.setdefault(at, []).append((run, model))

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.numbers)

    def seq(self, place: int) -> int:
        """Return the number of the event in a row; -1 if there is none."""
        return self.numbers[place] if 0 <= place < self.count else -1

    def place(self, seq: int) -> int:
        """Return the row of an event, or of the last one before it that is shown."""
        return max(bisect_right(self.numbers, seq) - 1, 0)

    def event(self, place: int) -> Event | None:
        """Return the event in a row."""
        number, at = divmod(place, PAGE)
        page = self._page(number)
        return page[at] if at < len(page) else None

    def line(self, place: int, width: int) -> Line:
        """Return the line of a row."""
        item = self.event(place)
        if item is None:
            return ()
        branches = len(self.branches.get(item.seq, ()))
        return timeline.row(item, self.lanes, self.began, self.text, width, branches)

    def text(self, sha256: str) -> str:
        """Return a stored text, or what is wrong with it."""
        try:
            return self.store.text(sha256)
        except StoreError as error:
            return f"[{error}]"

    def numbers_of(self, selection: Wanted) -> Sequence[int]:
        """Return the numbers of the events that a filter lets through."""
        if self._whole and not self.withheld and selection == Wanted():
            return range(self.total)
        return self._numbers(selection)

    def _numbers(self, selection: Wanted, after: int = -1) -> list[int]:
        return self.pages.numbers(replace(selection, but=self.withheld), after)

    def show_only(self, selection: Wanted, numbers: Sequence[int]) -> None:
        """Let a filter hold."""
        self.selection, self.numbers = selection, numbers
        self._page.cache_clear()

    def grown(self) -> bool:
        """Look whether there are more events than before; return whether there are."""
        total = self.pages.count()
        if total == self.total:
            return False
        if self.total == 0:
            first = self.pages.page(0, 1)
            self.lanes = timeline.lanes_of(first[0]) if first else self.lanes
        if isinstance(self.numbers, range):
            self.numbers = range(total)
        else:
            self.numbers = [*self.numbers, *self._numbers(self.selection, after=self.total - 1)]
        self.total = total
        self._page.cache_clear()
        return True

    def _read(self, number: int) -> list[Event]:
        numbers = self.numbers[number * PAGE : (number + 1) * PAGE]
        if isinstance(numbers, range):
            return self.pages.page(numbers.start, numbers.stop)
        return self.pages.some(numbers)


class Search:
    """Looks for a text in everything that the events of a run say, stored texts and all."""

    def __init__(self, trace: TraceSource, text: str) -> None:
        self.text = text
        self._trace = trace
        self._text = text.lower()
        self._escaped = json.dumps(text.lower())[1:-1]
        self._in_blob = cache(lambda sha256: self._text in trace.text(sha256).lower())

    def next(
        self, near: int, *, back: bool = False, progress: Progress | None = None
    ) -> int | None:
        """Return the number of the next event after ``near`` that holds it, or the last one before.

        Args:
            near: Number of an event.
            back: Towards the start.
            progress: Gets now and then how far it is.
        """
        for count, item in enumerate(self._each(near, back=back)):
            if count and count % _REPORTED == 0 and progress is not None and progress(count):
                return None
            if self._holds(item):
                return item.seq
        return None

    def _each(self, near: int, *, back: bool) -> Iterator[Event]:
        if not back:
            yield from self._trace.pages.each(near + 1)
            return
        for stop in range(near, 0, -BATCH):
            yield from reversed(self._trace.pages.page(max(stop - BATCH, 0), stop))

    def _holds(self, item: Event) -> bool:
        return item.kind not in self._trace.withheld and (
            self._text in item.kind
            or self._text in item.agent.lower()
            or self._escaped in item.data.lower()
            or (not self._text.isascii() and self._in_texts(json.loads(item.data)))
            or (
                '"$blob"' in item.data
                and any(map(self._in_blob, references(json.loads(item.data))))
            )
        )

    def _in_texts(self, value: Any) -> bool:
        if isinstance(value, str):
            return self._text in value.lower()
        if isinstance(value, dict):
            return any(map(self._in_texts, [*value, *value.values()]))
        return isinstance(value, list) and any(map(self._in_texts, value))


def nearest(numbers: Sequence[int | None], *, back: bool = False) -> int | None:
    """Return the number that comes first in a direction."""
    known = [number for number in numbers if number is not None]
    return (max(known) if back else min(known)) if known else None
