"""A run as the screens read it: events by place, in pages that are kept for a while; search in all of it."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sandbox.errors import StoreError
from sandbox.trace.blobs import references
from sandbox.trace.events import Event
from sandbox.trace.paging import Pages, Wanted, forks
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.tui import timeline
from sandbox.tui.styled_text import Line

PAGE = 64
"""Events of one page."""
_KEPT = 40
_TOLD = 2000
"""Events after which a search says how far it is."""

Progress = Callable[[int], bool]
"""Told how many events were searched; returns whether to stop."""


class Trace:
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
        self._pages: OrderedDict[int, list[Event]] = OrderedDict()
        self.total = self.pages.count()
        at = self.pages.first()
        first = self.pages.page(at, at + 1)
        self.began = first[0].at if first else row.started
        self.lanes = timeline.opened(first[0]) if first else timeline.Lanes()
        self._whole = at == 0
        self.numbers: list[int] | None = None
        """Numbers of the events that are shown, where those are not all from 0 on."""
        self.wanted = Wanted()
        self.show_only(self.wanted, self.filtered(self.wanted))
        self.parent = timeline.forked(first[0]) if first else None
        """Of a fork: the run that it goes on from, and that run's event."""
        self.branches: dict[int, list[tuple[str, str]]] = {}
        """Number of an event from which forks go on → their ids and models."""
        for at, run, model in forks(store, row.id):
            self.branches.setdefault(at, []).append((run, model))

    @property
    def count(self) -> int:
        """Number of rows."""
        return self.total if self.numbers is None else len(self.numbers)

    def seq(self, place: int) -> int:
        """Return the number of the event in a row."""
        if self.numbers is None:
            return place
        return self.numbers[place] if 0 <= place < len(self.numbers) else -1

    def place(self, seq: int) -> int:
        """Return the row of an event, or of the last one before it that is shown."""
        if self.numbers is None:
            return seq
        from bisect import bisect_right

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

    def filtered(self, wanted: Wanted) -> list[int] | None:
        """Return the numbers of the events that a filter lets through; None for all."""
        if self._whole and not self.withheld and wanted == Wanted():
            return None
        return self._numbers(wanted)

    def _numbers(self, wanted: Wanted, after: int = -1) -> list[int]:
        return self.pages.numbers(replace(wanted, but=self.withheld), after)

    def show_only(self, wanted: Wanted, numbers: list[int] | None) -> None:
        """Let a filter hold."""
        self.wanted, self.numbers = wanted, numbers
        self._pages.clear()

    def grown(self) -> bool:
        """Look whether there are more events than before; return whether there are."""
        total = self.pages.count()
        if total == self.total:
            return False
        if self.numbers is not None:
            self.numbers += self._numbers(self.wanted, after=self.total - 1)
        if self.total == 0:
            first = self.pages.page(0, 1)
            self.lanes = timeline.opened(first[0]) if first else self.lanes
        self._pages.pop(self.count // PAGE, None)
        self.total = total
        for number in [n for n, page in self._pages.items() if len(page) < PAGE]:
            del self._pages[number]
        return True

    def _page(self, number: int) -> list[Event]:
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = self._read(number * PAGE)
            while len(self._pages) > _KEPT:
                self._pages.popitem(last=False)
        self._pages.move_to_end(number)
        return page

    def _read(self, start: int) -> list[Event]:
        if self.numbers is None:
            return self.pages.page(start, start + PAGE)
        return self.pages.some(self.numbers[start : start + PAGE])


class Search:
    """Looks for a text in everything that the events of a run say, stored texts and all."""

    def __init__(self, trace: Trace, text: str) -> None:
        self.text = text
        self._trace = trace
        self._text = text.lower()
        self._escaped = json.dumps(text.lower())[1:-1]
        self._seen: dict[str, bool] = {}

    def next(
        self, near: int, *, back: bool = False, progress: Progress | None = None
    ) -> int | None:
        """Return the number of the next event after ``near`` that holds it, or the last one before.

        Args:
            near: Number of an event.
            back: Towards the start.
            progress: Told now and then how far it is.
        """
        for count, item in enumerate(self._each(near, back=back)):
            if count and count % _TOLD == 0 and progress is not None and progress(count):
                return None
            if self._holds(item):
                return item.seq
        return None

    def _each(self, near: int, *, back: bool) -> Iterator[Event]:
        if not back:
            yield from self._trace.pages.each(near + 1)
            return
        stop = near
        while stop > 0:
            start = max(stop - 500, 0)
            yield from reversed(self._trace.pages.page(start, stop))
            stop = start

    def _holds(self, item: Event) -> bool:
        if item.kind in self._trace.withheld:
            return False
        if self._text in item.kind or self._text in item.agent.lower():
            return True
        if self._escaped in item.data.lower():
            return True
        if not self._text.isascii() and self._in_texts(json.loads(item.data)):
            return True
        return '"$blob"' in item.data and any(
            self._in_blob(sha256) for sha256 in references(json.loads(item.data))
        )

    def _in_texts(self, value: Any) -> bool:
        if isinstance(value, str):
            return self._text in value.lower()
        if isinstance(value, dict):
            return any(map(self._in_texts, [*value, *value.values()]))
        return isinstance(value, list) and any(map(self._in_texts, value))

    def _in_blob(self, sha256: str) -> bool:
        known = self._seen.get(sha256)
        if known is None:
            known = self._seen[sha256] = self._text in self._trace.text(sha256).lower()
        return known


def nearest(found: Sequence[int | None], *, back: bool = False) -> int | None:
    """Return the number that comes first in a direction."""
    known = [number for number in found if number is not None]
    return (max(known) if back else min(known)) if known else None
