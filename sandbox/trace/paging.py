"""A trace read in parts: how long it is, some of its events, the next one of a kind.

Faces that show a run of a hundred thousand events ask for what is on the screen and nothing more.
Every method is one query on the primary key of the events; nothing of a run is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, false, func, or_
from sqlmodel import col, select

from sandbox.trace.events import Event
from sandbox.trace.store import Store
from sandbox.trace.tables import EventRow, RunRow

_COLUMNS = EventRow.__table__.columns  # type: ignore[attr-defined]
BATCH = 500
"""Events that :meth:`Pages.each` reads at once."""


@dataclass(frozen=True)
class Wanted:
    """Which events: those of a kind, of an agent, with effects. What is left out does not matter."""

    kinds: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    """Beginnings of further kinds."""
    agent: str = ""
    holds: str = ""
    """A piece of the canonical JSON text."""
    without: str = ""
    """A piece of it that must not be there."""
    but: frozenset[str] = frozenset()
    """Kinds that are left out."""

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions on an event's row."""
        kinds: list[ColumnElement[bool]] = (
            [col(EventRow.kind).in_(sorted(self.kinds))] if self.kinds else []
        )
        kinds += [col(EventRow.kind).startswith(each, autoescape=True) for each in self.prefixes]
        if kinds:
            yield or_(false(), *kinds)
        if self.but:
            yield col(EventRow.kind).not_in(sorted(self.but))
        if self.agent:
            yield col(EventRow.agent) == self.agent
        if self.holds:
            yield col(EventRow.data).contains(self.holds, autoescape=True)
        if self.without:
            yield ~col(EventRow.data).contains(self.without, autoescape=True)


class Pages:
    """The events of one run, by their numbers."""

    def __init__(self, store: Store, run: str) -> None:
        self.store = store
        self.run = run
        self._own = col(EventRow.run) == run

    def count(self) -> int:
        """Return how many events there are now."""
        found = self.store.select(select(func.max(EventRow.seq)).where(self._own))
        return 0 if found[0][0] is None else int(found[0][0]) + 1

    def first(self) -> int:
        """Return the number of the first event that is there: not 0 where a run was purged."""
        found = self.store.select(select(func.min(EventRow.seq)).where(self._own))
        return int(found[0][0] or 0)

    def page(self, start: int, stop: int) -> list[Event]:
        """Return the events from ``start`` to before ``stop``."""
        where = self._own, col(EventRow.seq) >= start, col(EventRow.seq) < stop
        query = select(EventRow).with_only_columns(*_COLUMNS).where(*where)
        return [Event(*row) for row in self.store.select(query.order_by(col(EventRow.seq)))]

    def some(self, numbers: Sequence[int]) -> list[Event]:
        """Return the events with these numbers, in order."""
        where = self._own, col(EventRow.seq).in_(numbers)
        query = select(EventRow).with_only_columns(*_COLUMNS).where(*where)
        return [Event(*row) for row in self.store.select(query.order_by(col(EventRow.seq)))]

    def each(self, start: int = 0, stop: int | None = None) -> Iterator[Event]:
        """Yield events in order, read in batches: nothing is held open in between."""
        while stop is None or start < stop:
            end = start + BATCH if stop is None else min(start + BATCH, stop)
            found = self.page(start, end)
            yield from found
            if len(found) < end - start:
                return
            start = end

    def find(self, wanted: Wanted, near: int, *, back: bool = False) -> int | None:
        """Return the number of the next event of a sort after ``near``, or the last one before it."""
        seq = col(EventRow.seq)
        beyond = seq < near if back else seq > near
        query = (
            select(EventRow.seq)
            .where(self._own, beyond, *wanted.conditions())
            .order_by(seq.desc() if back else seq)
            .limit(1)
        )
        found = self.store.select(query)
        return int(found[0][0]) if found else None

    def numbers(self, wanted: Wanted, after: int = -1) -> list[int]:
        """Return the numbers of all events of a sort."""
        where = self._own, col(EventRow.seq) > after, *wanted.conditions()
        query = select(EventRow.seq).where(*where).order_by(col(EventRow.seq))
        return [int(row[0]) for row in self.store.select(query)]

    def row(self) -> RunRow:
        """Return the run's row as it is now."""
        return self.store.run(self.run)


def forks(store: Store, run: str) -> list[tuple[int, str, str]]:
    """Return the forks of a run: from which of its events on, the fork's id, its model."""
    wanted = select(RunRow.fork_at, RunRow.id, RunRow.model).where(col(RunRow.parent) == run)
    found = store.select(wanted.order_by(col(RunRow.fork_at), col(RunRow.started)))
    return [(int(row[0] or 0), str(row[1]), str(row[2])) for row in found]


def matching(words: Iterable[str], named: dict[str, str]) -> list[ColumnElement[bool]]:
    """Return the conditions on a run's row for a search.

    Args:
        words: Each must stand in the run's id, scenario or model.
        named: Column → beginning of its value.
    """
    columns = col(RunRow.id), col(RunRow.scenario), col(RunRow.model)
    found = [
        or_(*(column.icontains(word, autoescape=True) for column in columns)) for word in words
    ]
    for name, value in named.items():
        column = getattr(RunRow, name)
        found.append(col(column).istartswith(value, autoescape=True))
    return found


class RunList:
    """The runs of a store that match, newest first, by their place in that order."""

    def __init__(self, store: Store, conditions: Sequence[ColumnElement[bool]] = ()) -> None:
        self.store = store
        self._conditions = tuple(conditions)

    def count(self) -> int:
        """Return how many runs match now."""
        query = select(func.count(col(RunRow.id))).where(*self._conditions)
        return int(self.store.select(query)[0][0])

    def page(self, start: int, stop: int) -> list[Row[*tuple[Any, ...]]]:
        """Return the runs from place ``start`` to before ``stop``, as rows with the table's columns."""
        query = (
            select(RunRow)
            .with_only_columns(*RunRow.__table__.columns)  # type: ignore[attr-defined]
            .where(*self._conditions)
            .order_by(col(RunRow.started).desc(), col(RunRow.id))
            .offset(start)
            .limit(stop - start)
        )
        return self.store.select(query)

    def values(self, column: str) -> list[str]:
        """Return the values that a column has among all runs, in order."""
        query = select(getattr(RunRow, column)).distinct().order_by(getattr(RunRow, column))
        return [str(row[0]) for row in self.store.select(query) if row[0] is not None]
