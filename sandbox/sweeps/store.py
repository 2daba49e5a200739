"""Sweeps in the store: their rows, their items, and how an item is taken and filled.

An item is ``running`` exactly as long as the row of its run is: it is taken in the transaction that
begins the run, and filled in the one that ends it. So there is no moment at which a death could lose
a finished run, or have one repeated.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

from sqlalchemy import Update, delete, exists, func, insert
from sqlmodel import col, select, update

from sandbox.enums import TaskOutcome
from sandbox.errors import INTERNAL, InputError, nearest
from sandbox.runs.run_plan import RunResult
from sandbox.sweeps.tables import ClaimRow, ItemRow, SweepRow
from sandbox.trace.run_events import SweepItem
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

_CHUNK = 200
"""Rows that are written or read at once."""
_Sweeps = list[SweepRow]
_Items = list[ItemRow]
_Names = list[str]
_Columns = list[Any]


@dataclass(frozen=True)
class NewSweep:
    """What a sweep starts from."""

    name: str
    spec: Mapping[str, object]
    """The sweep file as JSON data."""
    scenarios: Mapping[str, str]
    """Scenario → digest."""
    items: Iterable[Mapping[str, object]]
    """Columns of each :class:`ItemRow` but ``sweep`` and ``number``, in the order of execution."""


@dataclass(frozen=True)
class Counts:
    """How far a sweep, or a part of it, has come."""

    planned: int = 0
    """All items."""
    finished: int = 0
    """Runs that ended, faults of the environment among them."""
    running: int = 0
    skipped: int = 0
    failed: int = 0
    """Finished runs with task ``error``."""
    tokens: int = 0
    cost_eur: float = 0.0
    energy_kwh: float = 0.0
    seconds: float = 0.0
    """Of all runs together."""
    judge_tokens: int = 0
    judge_cost_eur: float = 0.0
    """Of their judges, beside what the agents used."""

    @property
    def left(self) -> int:
        """Items that are still to be run."""
        return self.planned - self.finished - self.skipped


@dataclass(frozen=True)
class Outcomes:
    """So many finished runs of one outcome."""

    benign: bool
    task: str
    safety: str
    count: int


class Sweeps:
    """The sweeps of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, new: NewSweep) -> SweepRow:
        """Enter a sweep with all its items, or nothing; items are taken as they come.

        Raises:
            InputError: It has no items.
            StoreError: It could not be stored.
        """
        row = SweepRow(
            id=secrets.token_hex(6),
            name=new.name,
            created=time.time(),
            status="planned",
            spec=dict(new.spec),
            scenarios=dict(new.scenarios),
            planned=0,
        )
        with self._store.transaction("enter a sweep in") as connection:
            rows = (
                ItemRow.model_validate({**item, "sweep": row.id, "number": number}).model_dump()
                for number, item in enumerate(new.items)
            )
            while chunk := list(islice(rows, _CHUNK)):
                connection.execute(insert(ItemRow), chunk)
                row.planned += len(chunk)
            if not row.planned:
                raise InputError("the sweep has no runs: what it names was all excluded")
            connection.execute(insert(SweepRow), [row.model_dump()])
        return self.get(row.id)

    def get(self, prefix: str) -> SweepRow:
        """Return the sweep whose id begins so, or the newest of that name.

        Raises:
            InputError: None is, or several are.
        """
        with self._store.reading() as connection:
            newest = _select(SweepRow).order_by(col(SweepRow.created).desc())
            beginning = col(SweepRow.id).startswith(prefix, autoescape=True)
            for query in (
                newest.where(col(SweepRow.name) == prefix).limit(1),
                newest.where(beginning).limit(2),
            ):
                rows = connection.execute(query).mappings().all()
                if len(rows) == 1:
                    return SweepRow(**rows[0])
            if rows:
                raise InputError(f"{prefix!r} is the beginning of several sweeps")
            recent = connection.execute(newest.limit(50)).mappings()
            names = {name for row in recent for name in (row["id"], row["name"])}
        raise InputError(f"no sweep {prefix!r}{nearest(prefix, names)}")

    def list(self, *, name: str | None = None, limit: int | None = None) -> _Sweeps:
        """Return sweeps, newest first.

        Args:
            name: Those of one name.
            limit: At most so many.
        """
        query = _select(SweepRow).order_by(col(SweepRow.created).desc(), col(SweepRow.id))
        if name is not None:
            query = query.where(col(SweepRow.name) == name)
        with self._store.reading() as connection:
            return [SweepRow(**row) for row in connection.execute(query.limit(limit)).mappings()]

    def items(self, sweep: str, **filters: Any) -> Iterator[ItemRow]:
        """Yield the items of a sweep in order, a few hundred in memory at a time.

        Args:
            sweep: The sweep's whole id.
            **filters: Column → value.
        """
        after = -1
        while chunk := self.next_items(sweep, after, _CHUNK, **filters):
            yield from chunk
            after = chunk[-1].number

    def next_items(self, sweep: str, after: int, limit: int, **filters: Any) -> _Items:
        """Return the next items of a sweep behind a number; see :meth:`items`."""
        query = _select(ItemRow).where(col(ItemRow.sweep) == sweep, col(ItemRow.number) > after)
        query = query.filter_by(**filters).order_by(col(ItemRow.number)).limit(limit)
        with self._store.reading() as connection:
            return [ItemRow(**row) for row in connection.execute(query).mappings()]

    def item(self, sweep: str, key: str) -> ItemRow:
        """Return one item."""
        query = _select(ItemRow).where(col(ItemRow.sweep) == sweep, col(ItemRow.key) == key)
        with self._store.reading() as connection:
            return ItemRow(**connection.execute(query).mappings().one())

    def results(self, sweep: str) -> Iterator[tuple[ItemRow, dict[str, Any]]]:
        """Yield every finished item with its run as ``--json`` prints it, in order."""
        items = self.items(sweep, status="finished")
        while chunk := list(islice(items, _CHUNK)):
            runs = col(RunRow.id).in_([item.run for item in chunk])
            query = select(RunRow.id, RunRow.result).where(runs)
            with self._store.reading() as connection:
                results = {row.id: row.result for row in connection.execute(query)}
            yield from ((i, results[i.run] or {}) for i in chunk if i.run in results)

    def counts(self, sweep: str, *by: str) -> dict[tuple[str, ...], Counts]:
        """Return how far a sweep has come, in parts.

        Args:
            sweep: The sweep's whole id.
            *by: Columns; none for the sweep as a whole, under ``()``.
        """
        columns = [getattr(ItemRow, name) for name in by]
        query = select(*columns, *_COUNTS).where(col(ItemRow.sweep) == sweep).group_by(*columns)
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        return {tuple(row[: len(by)]): _counts(row[len(by) :]) for row in rows}

    def outcomes(self, sweep: str, *by: str) -> Iterator[tuple[tuple[str, ...], Outcomes]]:
        """Yield how many finished runs had which outcome, in parts.

        Args:
            sweep: The sweep's whole id.
            *by: Columns.
        """
        parts: _Columns = [getattr(ItemRow, name) for name in (*by, "benign", "task", "safety")]
        query = (
            select(*[*parts, func.count()])
            .where(col(ItemRow.sweep) == sweep, col(ItemRow.status) == "finished")
            .group_by(*parts)
        )
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        for row in rows:
            yield tuple(row[: len(by)]), Outcomes(*row[len(by) :])

    def providers(self, sweep: str) -> _Names:
        """Return the providers of a sweep's models."""
        query = select(ItemRow.provider).where(col(ItemRow.sweep) == sweep).distinct()
        with self._store.reading() as connection:
            return sorted(connection.execute(query).scalars())

    def set(self, sweep: str, **values: Any) -> None:
        """Change columns of a sweep."""
        statement = update(SweepRow).where(col(SweepRow.id) == sweep).values(**values)
        self._store.execute("change a sweep in", statement)

    def release(self, sweep: str, key: str | None = None) -> int:
        """Plan again every item, or that one, whose run did not finish; return how many.

        Runs of processes that are gone must have been marked before.
        """
        over = exists().where(col(RunRow.id) == col(ItemRow.run), col(RunRow.status) == "running")
        one = {} if key is None else {"key": key}
        statement = update(ItemRow).filter_by(sweep=sweep, status="running", **one).where(~over)
        return self._store.execute("plan again runs in", statement.values(status="planned"))[0]

    def adopt(self, items: Iterable[ItemRow]) -> None:
        """Enter items of a sweep that stands in another store, to be filled here and handed back."""
        rows = [item.model_dump() | {"status": "planned"} for item in items]
        self._store.execute("enter runs in", insert(ItemRow).values(rows))

    @staticmethod
    def fill_from(item: ItemRow) -> Any:
        """Return the statement that fills a planned item as the row of another store says."""
        return (
            update(ItemRow)
            .filter_by(sweep=item.sweep, key=item.key, status="planned")
            .values(**{name: getattr(item, name) for name in _OF_RUNS})
        )

    def retry_failed(self, sweep: str) -> int:
        """Plan again every item whose run ended in an error of the environment; return how many."""
        statement = (
            update(ItemRow)
            .filter_by(sweep=sweep, status="finished", task=TaskOutcome.ERROR)
            .values(status="planned", task=None, safety=None)
        )
        return self._store.execute("plan again runs in", statement)[0]

    def skip(self, sweep: str, factors: Mapping[str, str]) -> int:
        """Leave out the items that are still planned and have these factors; return how many."""
        statement = update(ItemRow).filter_by(**factors, sweep=sweep, status="planned")
        return self._store.execute("skip runs in", statement.values(status="skipped"))[0]

    def delete(self, sweep: str) -> None:
        """Delete a sweep and its items; its runs stay."""
        self._store.execute(
            "delete a sweep from",
            delete(ItemRow).where(col(ItemRow.sweep) == sweep),
            delete(SweepRow).where(col(SweepRow.id) == sweep),
        )


_OF_RUNS = (
    "status",
    "run",
    "attempts",
    "failures",
    "task",
    "safety",
    "tokens",
    "cost_eur",
    "energy_kwh",
    "seconds",
    "judge_tokens",
    "judge_cost_eur",
)


_SUMS = ("tokens", "cost_eur", "energy_kwh", "seconds", "judge_tokens", "judge_cost_eur")
_COUNTS: tuple[Any, ...] = (
    func.count(),
    *(func.count().filter(col(ItemRow.status) == s) for s in ("finished", "running", "skipped")),
    func.count().filter(col(ItemRow.status) == "finished", col(ItemRow.task) == TaskOutcome.ERROR),
    *(func.sum(getattr(ItemRow, name)) for name in _SUMS),
)


def _counts(values: Iterable[Any]) -> Counts:
    # PostgreSQL adds up to decimals; nothing adds up to None
    zeros = (getattr(Counts, item.name) for item in fields(Counts))
    return Counts(*(type(zero)(value or 0) for zero, value in zip(zeros, values, strict=True)))


def _select(table: Any) -> Any:
    return select(*table.__table__.columns)


@dataclass(frozen=True)
class ItemSlot:
    """An item as its run sees it: taken where the run begins, filled where it ends."""

    sweep: str
    key: str
    retries: int = 0
    """Times more that the item is planned again where its run ends in an error."""
    owner: str | None = None
    """Who must have the claim on the sweep for it to be claimed; anyone if omitted."""

    def is_retry(self, result: RunResult) -> bool:
        """Return whether the item is planned again after a run with this result.

        A fault of the sandbox itself stays: if the next run went well, nobody would hear of it.
        """
        failed = result.task == TaskOutcome.ERROR and not result.reason.startswith(INTERNAL)
        return failed and self.retries > 0

    def names(self) -> SweepItem:
        """Return what the run's first event says of it."""
        return {"sweep": self.sweep, "key": self.key}

    def claim(self, run: str) -> Update:
        """Return the statement that gives the item to a run; it touches no row where another has it."""
        statement = update(ItemRow).filter_by(**self.names(), status="planned")
        if self.owner is not None:
            claim = col(ClaimRow.sweep) == self.sweep, col(ClaimRow.owner) == self.owner
            statement = statement.where(exists().where(*claim))
        return statement.values(status="running", run=run, attempts=col(ItemRow.attempts) + 1)

    def fill(self, run: str, result: RunResult) -> Update:
        """Return the statement that notes the outcome; it touches no row if another run has the item."""
        again, judges = self.is_retry(result), result.judges
        return (
            update(ItemRow)
            .filter_by(**self.names(), status="running", run=run)
            .values(
                status="planned" if again else "finished",
                failures=col(ItemRow.failures) + int(again),
                task=None if again else result.task,
                safety=None if again else result.safety,
                tokens=col(ItemRow.tokens) + result.tokens,
                cost_eur=col(ItemRow.cost_eur) + result.cost_eur,
                energy_kwh=col(ItemRow.energy_kwh) + (result.energy_kwh or 0.0),
                seconds=col(ItemRow.seconds) + result.seconds,
                judge_tokens=col(ItemRow.judge_tokens) + judges.get("tokens", 0),
                judge_cost_eur=col(ItemRow.judge_cost_eur) + judges.get("cost_eur", 0.0),
            )
        )


__all__ = ["Counts", "ItemRow", "ItemSlot", "NewSweep", "Outcomes", "SweepRow", "Sweeps"]
