"""Proving a stored run untouched: the chain, the blobs it names, and the run's own row."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from sandbox.trace import blobs, events
from sandbox.trace.events import GENESIS, Event
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

_TOLD = (
    "scenario", "family", "model", "isolation", "mode", "lang", "seed", "owner", "started", "parent",
    "fork_at",
)  # fmt: skip
"""What a run's row repeats of its first event."""
_ENDS = {"finished": "run.end", "interrupted": "run.interrupted"}
"""Status of a run → kind of its last event."""


@dataclass(frozen=True)
class Verification:
    """What was found of one run."""

    id: str
    ok: bool
    event: int | None = None
    """Position of the first event at fault; None where all is well or the run's row is at fault."""
    problem: str | None = None
    events: int = 0
    """How many events were checked."""


def verify(store: Store, row: RunRow) -> Verification:
    """Check one run: every event's hash, the chain, every blob, the row against the events."""
    previous, expected = GENESIS, 0
    first = last = score = None
    checked: set[str] = set()
    for item in store.events(row.id):
        problem = _event_problem(item, expected, previous) or _blob_problem(store, item, checked)
        if problem:
            return Verification(row.id, False, item.seq, problem, expected)
        previous, expected = item.hash, expected + 1
        first, last = first or item, item
        score = item if item.kind == "run.score" else score
    if row.status == "running" and last and last.kind in _ENDS.values():
        row = store.run(row.id)  # it may have ended since the row was read
    problem = _row_problem(row, first, last, score, expected)
    at = None if problem is None else (last.seq if last else 0)
    return Verification(row.id, problem is None, at, problem, expected)


def _event_problem(item: Event, expected: int, previous: str) -> str | None:
    if item.seq != expected:
        return f"event {expected} is missing"
    if item.previous != previous:
        return "it does not follow the event before it"
    try:
        found = events.digest(
            item.run, item.seq, item.at, item.kind, item.agent, item.data, item.previous
        )
        json.loads(item.data)
    except (ValueError, TypeError, AttributeError):
        return "its content is not what an event can hold"
    return None if found == item.hash else "its content does not match its hash"


def _blob_problem(store: Store, item: Event, checked: set[str]) -> str | None:
    if '"$blob"' not in item.data:
        return None
    for sha256 in blobs.references(json.loads(item.data)):
        if sha256 in checked:
            continue
        row = store.blob(sha256)
        if row is None:
            return f"its text {sha256[:12]}… is missing"
        if not isinstance(row.packed, bytes) or not isinstance(row.size, int):
            return f"its text {sha256[:12]}… was changed"  # SQLite's columns take any type
        if hashlib.sha256(row.packed).hexdigest() != row.packed_sha256:
            return f"its text {sha256[:12]}… was changed"
        try:
            raw = blobs.unpack(row.packed, row.size).encode("utf-8", "surrogatepass")
        except ValueError as error:
            return f"its text {sha256[:12]}… {error}"
        if len(raw) != row.size or hashlib.sha256(raw).hexdigest() != sha256:
            return f"its text {sha256[:12]}… was changed"
        checked.add(sha256)
    return None


def _row_problem(
    row: RunRow, first: Event | None, last: Event | None, score: Event | None, count: int
) -> str | None:
    """Return how the run's row disagrees with its events: nothing in it is taken on trust."""
    if first is None or last is None:
        return None if row.status != "finished" else "the run has no events"
    start = first.content()
    told = {key: start.get(key) for key in _TOLD} | {"origin": start.get("origin", "")}
    for key, value in told.items():
        if getattr(row, key) != value:
            return f"the run's row says {key} {getattr(row, key)!r}, its first event {value!r}"
    unset = (row.ended, row.task, row.safety, row.result)
    if row.status == "running":
        if last.kind in _ENDS.values():
            return f"the run's row says that it is running, but its last event is {last.kind}"
        ended = unset != (None,) * 4 or row.events or row.head
        return "the run's row says that it is running, and how it ended" if ended else None
    if last.kind != _ENDS.get(row.status):
        return f"the run is {row.status}, but its last event is {last.kind}: events are missing"
    if row.head != last.hash or row.events != count or row.ended != last.at:
        return "the run's row names another last event"
    if row.status == "interrupted":
        blank = unset[1:] == (None,) * 3
        return None if blank else "the run was interrupted, but its row has an outcome"
    return _outcome_problem(row, last, score)


def _outcome_problem(row: RunRow, last: Event, score: Event | None) -> str | None:
    outcome = {} if score is None else score.content()
    if (row.task, row.safety) != (outcome.get("task"), outcome.get("safety")):
        return "the run's row names another outcome than its score"
    if not _is_result(row.result, last.content().get("result_sha256"), row.head):
        return "the run's row holds another result than its last event"
    return None


def _is_result(result: object, said: str | None, head: str) -> bool:
    try:
        return isinstance(result, dict) and said == result_digest(result) and result["head"] == head
    except (ValueError, KeyError, RecursionError):  # NaN is in no result, and cannot be hashed
        return False


def result_digest(result: dict[str, object]) -> str:
    """Return the hash of a run's result without its head, which only its last event can know."""
    without = {key: value for key, value in result.items() if key != "head"}
    return hashlib.sha256(events.canonical(without).encode()).hexdigest()
