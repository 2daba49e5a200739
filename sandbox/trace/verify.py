"""Proving a stored run untouched: the chain, the blobs it names, and the run's own row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sandbox.enums import EventKind, RunStatus
from sandbox.trace import blobs, events, tombstones
from sandbox.trace.bulk_read import Scanner, scanning
from sandbox.trace.events import GENESIS, Event
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow, columns

_ENDS: Mapping[str, str] = {
    RunStatus.FINISHED: EventKind.RUN_END,
    RunStatus.INTERRUPTED: EventKind.RUN_INTERRUPTED,
}
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
    parent: str | None = None
    """Of a fork: whether the event that it goes on from ``agrees`` with its parent's, or why that is not
    known: the parent is ``missing`` from the store, ``purged``, or a ``pseudonymised`` copy."""


def verify(store: Store, row: RunRow) -> Verification:
    """Check one run: every event's hash, the chain, every blob, the row against the events."""
    return next(verify_all(store, [row]))


def verify_all(store: Store, rows: Iterable[RunRow]) -> Iterator[Verification]:
    """Check runs one after the other; a text that many of them name is unpacked once."""
    checked: set[str] = set()
    with scanning(store) as scanner:
        for row in rows:
            yield _verified(store, scanner, row, checked)


def _verified(store: Store, scanner: Scanner, row: RunRow, checked: set[str]) -> Verification:
    chain = Chain(scanner.blob, checked)
    for item in scanner.events(row.id):
        problem = chain.problem(item)
        if problem:
            return Verification(row.id, False, item.seq, problem, chain.count)
    last = chain.last
    if row.status == RunStatus.RUNNING and last and last.kind in _ENDS.values():
        row = store.run(row.id)  # it may have ended since the row was read
    try:
        problem = row_problem(row, chain)
    except (ValueError, AttributeError):  # an event that was made to hold no JSON object
        problem = "its content is not what an event can hold"
    at = None if problem is None else (last.seq if last else 0)
    parent = None
    if problem is None and row.parent and chain.first and chain.first.kind == EventKind.RUN_START:
        parent = _parent(store, row, chain.first)
        if parent == "differs":
            problem = f"event {(row.fork_at or 0) - 1} of its parent {row.parent} is another than it names"
            at = 0
    return Verification(row.id, problem is None, at, problem, chain.count - chain.removed, parent)


def _parent(store: Store, row: RunRow, first: Event) -> str:
    """Hold the hash that a fork names against its parent's event; see :class:`Verification`."""
    start, at = first.content(), row.fork_at or 0
    known = next(iter(store.runs(id=row.parent)), None)
    if known is None:
        return "missing"
    found = list(islice(store.events(known.id), 1))
    if "pseudonymised" in start or (found and "pseudonymised" in found[0].content()):
        return "pseudonymised"
    named = (start.get("fork") or {}).get("after")
    if known.status == RunStatus.PURGED:
        same = bool(found) and found[0].seq == at and found[0].previous == named
        return "agrees" if same else "purged"
    before = list(islice(store.events(known.id, after=at - 2), 1)) if at else []
    return "agrees" if named == (before[0].hash if before else GENESIS) else "differs"


class Chain:
    """Follows the events of one run, in order, and says at the first one that is wrong what is."""

    def __init__(self, blob: Callable[[str], Any] | None, checked: set[str]) -> None:
        """Begin before the first event.

        Args:
            blob: Returns the row of a large text by its hash, or None. Without it texts are not looked
                at: whoever made the events from whole texts has hashed them.
            checked: Hashes of the texts that were found sound; grows.
        """
        self._blob = blob
        self._checked = checked
        self._head = GENESIS
        self.count = 0
        """Events that were found sound, or that a tombstone stands for."""
        self.removed = 0
        """Of these, events that a tombstone stands for."""
        self.first: Event | None = None
        self.last: Event | None = None
        self.score: Event | None = None

    def problem(self, item: Event) -> str | None:
        """Return what is wrong with the next event, or None."""
        problem = self._chained(item)
        if problem is None and self._blob is not None and '"$blob"' in item.data:
            problem = self._texts(item)
        if problem is None:
            self._head, self.last = item.hash, item
            self.count += 1
            if self.first is None:
                self.first = item
            if item.kind == EventKind.RUN_SCORE:
                self.score = item
        return problem

    def _chained(self, item: Event) -> str | None:
        if item.kind == EventKind.RUN_PURGED and self.first is None and isinstance(item.seq, int):
            self.count = self.removed = item.seq
            self._head = item.previous
        if item.seq != self.count:
            return f"event {self.count} is missing"
        if item.previous != self._head:
            return "it does not follow the event before it"
        try:
            found = events.digest(
                item.run, item.seq, item.at, item.kind, item.agent, item.data, item.previous
            )
        except (ValueError, TypeError, AttributeError):
            return "its content is not what an event can hold"
        if found != item.hash:
            return "its content does not match its hash"
        if item.data[:1] + item.data[-1:] != "{}":
            return "its content is not what an event can hold"
        return None

    def _texts(self, item: Event) -> str | None:
        try:
            names = blobs.references(json.loads(item.data))
        except (ValueError, RecursionError):
            return "its content is not what an event can hold"
        for sha256 in names:
            if sha256 not in self._checked:
                problem = _blob_problem(self._blob(sha256) if self._blob else None, sha256)
                if problem:
                    return f"its text {str(sha256)[:12]}… {problem}"
                self._checked.add(sha256)
        return None


def _blob_problem(row: Any, sha256: str) -> str | None:
    if row is None:
        return "is missing"
    if not isinstance(row.packed, bytes) or not isinstance(row.size, int):
        return "was changed"  # SQLite's columns take any type
    if hashlib.sha256(row.packed).hexdigest() != row.packed_sha256:
        return "was changed"
    try:
        raw = blobs.unpacked(row.packed, row.size)
    except ValueError as error:
        return str(error)
    if len(raw) != row.size or hashlib.sha256(raw).hexdigest() != sha256:
        return "was changed"
    return None


def row_problem(row: RunRow, chain: Chain) -> str | None:
    """Return how the run's row disagrees with its events: nothing in it is taken on trust."""
    first, last = chain.first, chain.last
    if first is None or last is None:
        return (
            None
            if row.status in (RunStatus.RUNNING, RunStatus.INTERRUPTED)
            else "the run has no events"
        )
    if row.status == RunStatus.PURGED or first.kind == EventKind.RUN_PURGED:
        return tombstones.problem(row, first, last)
    start = first.content()
    for key, value in columns(start).items():
        if getattr(row, key) != value:
            return f"the run's row says {key} {getattr(row, key)!r}, its first event {value!r}"
    unset = (row.ended, row.task, row.safety, row.result)
    if row.status == RunStatus.RUNNING:
        if last.kind in _ENDS.values():
            return f"the run's row says that it is running, but its last event is {last.kind}"
        ended = unset != (None,) * 4 or row.events or row.head
        return "the run's row says that it is running, and how it ended" if ended else None
    if last.kind != _ENDS.get(row.status):
        return f"the run is {row.status}, but its last event is {last.kind}: events are missing"
    if row.head != last.hash or row.events != chain.count or row.ended != last.at:
        return "the run's row names another last event"
    if row.status == RunStatus.INTERRUPTED:
        blank = unset[1:] == (None,) * 3
        return None if blank else "the run was interrupted, but its row has an outcome"
    return _outcome_problem(row, last, chain.score)


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
