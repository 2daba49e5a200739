"""Traces handed back: whole runs as bytes, from a worker's own store to the driver's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import zstandard

from sandbox.errors import StoreError, TakenError
from sandbox.sweeps.store import ItemRow, Sweeps
from sandbox.trace import blobs
from sandbox.trace.blobs import Blob
from sandbox.trace.events import Event
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

_MOST_BYTES = 1024 * 1024 * 1024
"""Of one trace, unpacked."""


@dataclass(frozen=True)
class PackedTrace:
    """One run with its events and texts."""

    run: str
    key: str
    """Of the item that it was begun for."""
    content: bytes
    """Row and events as JSON, compressed."""
    blobs: tuple[Blob, ...]


def pack(store: Store) -> tuple[PackedTrace, ...]:
    """Return every run of a store that has ended."""
    return tuple(_trace(store, row) for row in store.runs() if row.status != "running")


def _trace(store: Store, row: RunRow) -> PackedTrace:
    events = list(store.events(row.id))
    data = {
        "row": row.model_dump(),
        "events": [[getattr(event, name) for name in Event.__slots__] for event in events],
    }
    names = {
        sha256: None
        for event in events
        if '"$blob"' in event.data
        for sha256 in blobs.references(json.loads(event.data))
    }
    return PackedTrace(
        row.id,
        str(events[0].content()["sweep"]["key"]),
        zstandard.ZstdCompressor().compress(json.dumps(data).encode()),
        tuple(_blobs(store, names)),
    )


def _blobs(store: Store, names: Iterable[str]) -> Iterable[Blob]:
    for sha256 in names:
        row = store.blob(sha256)
        if row is None:
            raise StoreError(f"the text {sha256[:12]}… is missing from the store")
        yield Blob(row.sha256, row.size, row.packed, row.packed_sha256)


def take(store: Store, item: ItemRow, traces: Sequence[PackedTrace]) -> bool:
    """Take what a worker hands back for an item, unless the item has been filled since.

    Args:
        store: The driver's.
        item: Row of the item in the worker's store.
        traces: Of its chunk.

    Returns:
        Whether it was taken: the item is then filled, in the same transaction as its run is stored.

    Raises:
        StoreError: They could not be stored, or one is damaged.
    """
    last = next(trace for trace in traces if trace.run == item.run)
    try:
        _store(store, last, (Sweeps.fill_from(item),))
    except TakenError:
        return False
    for trace in traces:
        if trace.key == last.key and trace is not last:
            _store(store, trace, ())
    return True


def _store(store: Store, trace: PackedTrace, also: tuple[Any, ...]) -> None:
    try:
        raw = zstandard.ZstdDecompressor().decompress(trace.content, max_output_size=_MOST_BYTES)
        data = json.loads(raw)
        row, events = RunRow(**data["row"]), [Event(*event) for event in data["events"]]
    except (zstandard.ZstdError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"the trace {trace.run} that a worker handed back is damaged") from error
    store.append(events, trace.blobs, begun=row, also=also)
