"""What is left of a run that was removed: one last event, which its removed chain leads to.

Its ``previous`` is the hash of the last event that was removed. Whoever holds a copy of the trace can
prove it against that hash; and who has none learns what was removed, when, why and by whom.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from sandbox.trace import events
from sandbox.trace.events import Event
from sandbox.trace.tables import RunRow

PURGED = "purged"
"""Status of such a run."""
KIND = "run.purged"
_KEPT = (
    "scenario", "family", "model", "isolation", "mode", "lang", "seed", "owner", "started", "ended",
    "task", "safety", "origin", "parent", "fork_at", "purpose", "legal_basis", "retain_until",
)  # fmt: skip
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
    data = {
        "removed": last.seq + 1,
        "head": last.hash,
        "status": row.status,
        "intact": intact,
        "reason": reason,
        "by": by,
        "run": {key: getattr(row, key) for key in _KEPT},
    }
    text = events.canonical(data)
    return events.make(row.id, last.seq + 1, time.time(), KIND, "", text, last.hash)


def row_after(stone: Event) -> dict[str, Any]:
    """Return what the run's row is to say then: column → value."""
    return {"status": PURGED, "result": None, "events": stone.seq + 1, "head": stone.hash}


def problem(row: RunRow, found: Iterable[Event]) -> str | None:
    """Return how what is left of a run disagrees with itself, or None."""
    left = list(found)
    if len(left) != 1 or left[0].kind != KIND:
        return f"the run was purged, but {len(left)} events are left"
    stone = left[0]
    try:
        made = events.digest(
            stone.run, stone.seq, stone.at, stone.kind, stone.agent, stone.data, stone.previous
        )
        said = json.loads(stone.data)
        kept = said["run"]
        of_chain = (said["removed"], said["head"]) == (stone.seq, stone.previous)
        told = {key: kept[key] for key in _KEPT}
    except (ValueError, TypeError, KeyError, AttributeError):
        return "its tombstone is not what one can hold"
    if made != stone.hash:
        return "its tombstone does not match its hash"
    if not of_chain:
        return "its tombstone does not follow the events that were removed"
    for key, value in told.items():
        if getattr(row, key) != value:
            return f"the run's row says {key} {getattr(row, key)!r}, its tombstone {value!r}"
    if (row.events, row.head, row.result) != (stone.seq + 1, stone.hash, None):
        return "the run's row names another last event than its tombstone"
    return None
