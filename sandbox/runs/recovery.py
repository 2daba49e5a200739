"""After a crash: runs whose process is gone are marked, and what they left behind is removed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sandbox.enums import RunStatus
from sandbox.errors import StoreError
from sandbox.isolation.process_identity import Owner
from sandbox.trace.recorder import Recorder
from sandbox.trace.run_events import RunInterruptedEvent
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

if TYPE_CHECKING:
    from sandbox.isolation.base import Backend


def mark_interrupted(store: Store) -> list[str]:
    """Mark every run whose process is gone; return their ids.

    The mark is an event of its own at the end of the chain, written by the process that found it.
    """
    return [
        row.id
        for row in store.runs(status=RunStatus.RUNNING)
        if Owner.of(row.owner).gone() and interrupt(store, row, "its process ended")
    ]


def interrupt(store: Store, row: RunRow, reason: str) -> bool:
    """Mark a run as interrupted; return whether this process did.

    A process that is still at it can add nothing any more, and not end it: its next event would stand
    where the mark stands.
    """
    events = deque(store.events(row.id), maxlen=1)
    recorder = Recorder(store, row.id, after=events[-1] if events else None)
    recorder.record(RunInterruptedEvent, reason=reason, found_by=Owner.current().label)
    try:
        recorder.end(status=RunStatus.INTERRUPTED)
    except StoreError:
        if store.run(row.id).status == RunStatus.RUNNING:
            raise
        return False  # it ended, or another process marked it, at the same time
    return True


def reap(backends: Iterable[Backend]) -> int:
    """Remove what containers of dead processes left behind, on every back end that runs here."""
    return sum(backend.reap() for backend in backends if backend.unavailable() is None)
