"""Deleting runs, and the texts that no other run names."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, delete, text
from sqlmodel import col, select

from sandbox.trace import blobs
from sandbox.trace.store import Store
from sandbox.trace.tables import BlobRow, EventRow, LabelRow, RunRow

_CHUNK = 200
_SKEW = 60.0
"""Seconds by which clocks of processes may differ."""


@dataclass(frozen=True)
class Purged:
    """How much was deleted."""

    runs: int
    blobs: int


def purge(store: Store, runs: Sequence[str]) -> Purged:
    """Delete runs with their events and labels, and the texts that only they named.

    Runs that go on are left. Others may be begun meanwhile: texts that they name stay.

    Args:
        store: Where they are.
        runs: Their ids.

    Raises:
        StoreError: They could not be deleted.
    """
    began = time.time()
    candidates: set[str] = set()
    deleted = 0
    names = iter(runs)
    while chunk := list(islice(names, _CHUNK)):
        with store.transaction("delete runs from") as connection:
            over = select(RunRow.id).where(col(RunRow.id).in_(chunk), RunRow.status != "running")
            found = [row[0] for row in connection.execute(over)]
            candidates.update(_named(connection, col(EventRow.run).in_(found)))
            connection.execute(delete(EventRow).where(col(EventRow.run).in_(found)))
            connection.execute(delete(LabelRow).where(col(LabelRow.run).in_(found)))
            connection.execute(delete(RunRow).where(col(RunRow.id).in_(found)))
            deleted += len(found)
    return Purged(deleted, _delete_unnamed(store, candidates, began) if candidates else 0)


def _delete_unnamed(store: Store, candidates: set[str], began: float) -> int:
    """Delete texts that no event names: looked for without a lock, and once more with it in what is new."""
    looked = time.time()
    with store.reading() as connection:
        candidates.difference_update(_named(connection))
    with store.transaction("delete texts from") as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE blob IN SHARE ROW EXCLUSIVE MODE"))
        since = min(began, looked) - _SKEW
        recent = (
            (col(RunRow.status) == "running")
            | (col(RunRow.ended) > since)
            | (col(RunRow.started) > since)
        )
        lately = col(EventRow.run).in_(select(RunRow.id).where(recent))
        candidates.difference_update(_named(connection, lately))
        gone = iter(sorted(candidates))
        while chunk := list(islice(gone, _CHUNK)):
            connection.execute(delete(BlobRow).where(col(BlobRow.sha256).in_(chunk)))
    store.forget_blobs()
    return len(candidates)


def _named(connection: Connection, condition: Any = None) -> Iterator[str]:
    """Yield the hashes of all texts that events name."""
    query = select(EventRow.data).where(col(EventRow.data).contains('"$blob"'))
    if condition is not None:
        query = query.where(condition)
    for (data,) in connection.execute(query.execution_options(yield_per=500)):
        yield from blobs.references(json.loads(data))
