"""Labels: what somebody says of a run after it is over, beside the evidence and never within it.

A label has a name (``outcome``, say), a value, a source (``published``, ``corrected``, ``person`` …) and
who set it. One of each is kept for a run: setting it again replaces it. No monitor reads them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from sqlalchemy import text
from sqlmodel import col, select

from sandbox.errors import InputError
from sandbox.trace.store import Store
from sandbox.trace.tables import LabelRow

OUTCOMES = ("success", "attempted", "resisted", "benign")
"""Values of the label ``outcome``: an attack that succeeded; one that the agent acted on in vain; one
that it resisted; a run without attack."""
_FIELDS = ("run", "name", "source", "by", "value", "at", "note")
_AT_ONCE = 1000
_NAMED = 500  # in one query: older SQLite takes 999 values
_SET = text(
    'INSERT INTO label (run, name, source, "by", value, at, note) '
    "VALUES (:run, :name, :source, :by, :value, :at, :note) "
    'ON CONFLICT (run, name, source, "by") DO UPDATE '
    "SET value = excluded.value, at = excluded.at, note = excluded.note"
)
_REMOVE = text(
    'DELETE FROM label WHERE run = :run AND name = :name AND source = :source AND "by" = :by'
)


@dataclass(frozen=True, slots=True)
class Label:
    """One label of one run."""

    run: str
    name: str
    """What is labelled: ``outcome``, ``harm``, …"""
    value: str
    source: str
    """Where it comes from: ``published``, ``corrected``, ``person``, …"""
    by: str = ""
    """Who set it; empty where the source alone says so."""
    at: float = field(default_factory=time.time, compare=False)
    """Seconds since the epoch."""
    note: str = ""


class Labels:
    """The labels of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, labels: Iterable[Label]) -> int:
        """Set labels, in groups of a thousand; return how many.

        Raises:
            InputError: One has no run, no name, no source or no value.
            StoreError: They cannot be stored.
        """
        waiting, count = iter(labels), 0
        while group := list(islice(waiting, _AT_ONCE)):
            for label in group:
                if not (label.run and label.name and label.source and label.value):
                    raise InputError(f"a label needs run, name, source and value: {label}")
            values = [{key: getattr(label, key) for key in _FIELDS} for label in group]
            self._store.change("add labels to", [(_SET, values)])
            count += len(group)
        return count

    def remove(self, labels: Iterable[Label]) -> None:
        """Take labels back; those that are not there are passed over."""
        keys = ("run", "name", "source", "by")
        values = [{key: getattr(label, key) for key in keys} for label in labels]
        if values:
            self._store.change("remove labels from", [(_REMOVE, values)])

    def of(self, run: str) -> list[Label]:
        """Return all labels of a run, in the order of name, source and person."""
        return list(self.find(run=run))

    def of_runs(self, runs: Iterable[str]) -> list[Label]:
        """Return all labels of several runs, in no particular order."""
        query = select(*(getattr(LabelRow, key) for key in _FIELDS))
        waiting, found = iter(runs), []
        while group := list(islice(waiting, _NAMED)):
            for row in self._store.select(query.where(col(LabelRow.run).in_(group))):
                found.append(Label(**dict(zip(_FIELDS, row, strict=True))))
        return found

    def find(
        self,
        *,
        run: str | None = None,
        name: str | None = None,
        source: str | None = None,
        by: str | None = None,
    ) -> Iterator[Label]:
        """Yield the labels that match, in the order of run, name, source and person."""
        query = select(*(getattr(LabelRow, key) for key in _FIELDS))
        wanted = {"run": run, "name": name, "source": source, "by": by}
        for key, value in wanted.items():
            if value is not None:
                query = query.where(getattr(LabelRow, key) == value)
        order = (col(getattr(LabelRow, key)) for key in ("run", "name", "source", "by"))
        for row in self._store.select(query.order_by(*order)):
            yield Label(**dict(zip(_FIELDS, row, strict=True)))

    def values(self, name: str, source: str) -> dict[str, str]:
        """Return run → value of one label from one source; of several people, the last who set it."""
        found = sorted(self.find(name=name, source=source), key=lambda label: label.at)
        return {label.run: label.value for label in found}

    def sources(self, name: str) -> list[str]:
        """Return the sources that have set a label."""
        query = select(LabelRow.source).where(LabelRow.name == name).distinct()
        return sorted(row[0] for row in self._store.select(query))
