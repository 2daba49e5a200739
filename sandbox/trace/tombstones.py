"""What is left of a run that was removed: one last event, which its removed chain leads to.

Its ``previous`` is the hash of the last event that was removed. Whoever holds a copy of the trace can
prove it against that hash; and who has none learns what was removed, when, why and by whom.
"""

from __future__ import annotations

import json
import time
from typing import cast

from sandbox.enums import EventKind, RunStatus
from sandbox.trace import events
from sandbox.trace.event_types import COLUMNS, OUTCOME
from sandbox.trace.events import Event
from sandbox.trace.run_events import RunPurgedEvent
from sandbox.trace.tables import RunRow, columns

_KEPT = (*COLUMNS, *OUTCOME, "ended")
"""What the row still says of the run, and the event repeats."""


def tombstone(row: RunRow, last: Event, *, reason: str, by: str, intact: bool) -> Event:
    """Return the event that takes the place of a run's events.

    Args:
        row: The run.
        last: Its last event.
        reason: Why it is removed.
        by: Who removes it.
        intact: Whether it was found untouched before.
    """
    data: RunPurgedEvent = {
        "removed": last.seq + 1,
        "head": last.hash,
        "status": cast("RunStatus", row.status),
        "intact": intact,
        "reason": reason,
        "by": by,
        "run": {key: getattr(row, key) for key in _KEPT},
    }
    text = events.canonical(data)
    return events.make(row.id, last.seq + 1, time.time(), EventKind.RUN_PURGED, "", text, last.hash)


def row_after(stone: Event) -> dict[str, object]:
    """Return what the run's row is to say then: column → value."""
    return {"status": RunStatus.PURGED, "result": None, "events": stone.seq + 1, "head": stone.hash}


def problem(row: RunRow, first: Event, last: Event) -> str | None:
    """Return how a purged run's row disagrees with the event that is left, or None.

    Args:
        row: The run, which says that it was purged.
        first: Its first event, found sound.
        last: Its last event.
    """
    if row.status != RunStatus.PURGED:
        return f"the run is {row.status}, but its events were purged"
    if first.kind != EventKind.RUN_PURGED or first is not last:
        return "the run was purged, but more than its tombstone is left"
    try:
        said: RunPurgedEvent = json.loads(first.data)
        run = said["run"]
        told = {**columns(run), **{key: run[key] for key in (*OUTCOME, "ended")}}
        of_chain = (said["removed"], said["head"]) == (first.seq, first.previous)
    except (ValueError, TypeError, KeyError, AttributeError):
        return "its tombstone is not what one can hold"
    if not of_chain:
        return "its tombstone does not follow the events that were removed"
    for key, value in told.items():
        if getattr(row, key) != value:
            return f"the run's row says {key} {getattr(row, key)!r}, its tombstone {value!r}"
    if (row.events, row.head, row.result) != (first.seq + 1, first.hash, None):
        return "the run's row names another last event than its tombstone"
    return None
