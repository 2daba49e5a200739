"""Writing one run's trace: events are chained as they come, and stored in groups.

``flush`` returns when all that was recorded is in the database. The gate flushes before it lets a
call act; in between, events wait in memory for the next flush.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

from sqlalchemy import Update

from sandbox.trace import blobs, events
from sandbox.trace.blobs import Blob
from sandbox.trace.event_types import KIND_OF
from sandbox.trace.events import GENESIS, Event
from sandbox.trace.store import Store, Values
from sandbox.trace.tables import RunRow

Listener = Callable[[Event, Any], None]
Fields = ParamSpec("Fields")
"""The fields of one kind of event, as its class names them."""


class Recorder:
    """The one writer of a run's events."""

    def __init__(
        self,
        store: Store,
        run: str,
        *,
        scrub: Callable[[str], str] | None = None,
        listeners: Sequence[Listener] = (),
        after: Event | None = None,
    ) -> None:
        """Write to a run.

        Args:
            store: Where to.
            run: The run's id.
            scrub: Removes the host's secrets from the JSON text of an event.
            listeners: Called with each event and its data as they are recorded.
            after: The last event that is already there.
        """
        self._store = store
        self._run = run
        self._scrub = scrub
        self._listeners = listeners
        self._waiting: list[Event] = []
        self._blobs: dict[str, Blob] = {}
        self._first: dict[str, bytes] = {}
        self._begun = after is not None
        self.count = after.seq + 1 if after else 0
        """Number of events so far."""
        self.head = after.hash if after else GENESIS
        """Hash of the last event."""

    def record(
        self,
        kind: Callable[Fields, object],
        agent: str = "",
        /,
        *args: Fields.args,
        **data: Fields.kwargs,
    ) -> Event:
        """Add an event and return it; it is stored with the next flush.

        Args:
            kind: The class of its data, such as :class:`sandbox.trace.call_events.ToolIntentEvent`.
            agent: The agent that it concerns.
            *args: None: every field has its name.
            **data: The fields of the class. A type checker refuses one that is missing, wrong or none of it.
        """
        if (name := KIND_OF.get(kind)) is None:
            raise ValueError(f"no kind of event: {kind}")
        clean = self.clean(data)
        text = blobs.as_text(clean, self._keep)
        item = events.make(self._run, self.count, time.time(), name, agent, text, self.head)
        self.count += 1
        self.head = item.hash
        self._waiting.append(item)
        for listener in self._listeners:
            listener(item, clean)
        return item

    def end(self, also: Sequence[Update] = (), **row: object) -> None:
        """Store what is waiting and, in the same transaction, the end of the run in its row.

        Args:
            also: Statements of the same transaction, each of which must touch a row.
            **row: Column → value, beside head, number of events and time of the last one.

        Raises:
            StoreError: It could not be stored; it stays waiting.
        """
        last = self._waiting[-1]
        told = {"ended": last.at, "events": self.count, "head": self.head, **row}
        self.flush(told, also=also)

    def begin(self, row: RunRow, also: Sequence[Update] = ()) -> None:
        """Store what is waiting, the run's first events, together with its row.

        Raises:
            TakenError: One of ``also`` touched no row; there is no such run then.
            StoreError: They could not be stored; there is no such run then.
        """
        self.flush(begun=row, also=also)
        self._begun = True
        # From here on nobody removes texts: a run is going. Some may have gone just before.
        if self._store.texts_removed():
            gone = self._store.without(self._first)
            self._store.append([], [Blob.of(self._first[sha256], sha256) for sha256 in gone])
        self._first.clear()

    def flush(
        self,
        ended: Values | None = None,
        begun: RunRow | None = None,
        also: Sequence[Update] = (),
    ) -> None:
        """Store what is waiting.

        Args:
            ended: What the run's row is to say, where it is over; see :meth:`end`.
            begun: The run's row, where it has none yet; see :meth:`begin`.
            also: Statements of the same transaction, each of which must touch a row.

        Raises:
            StoreError: It could not be stored; it stays waiting.
        """
        if self._waiting:
            self._store.append(self._waiting, list(self._blobs.values()), ended, begun, also)
            self._waiting.clear()
            self._blobs.clear()

    def _keep(self, raw: bytes, sha256: str) -> None:
        if not self._begun:
            self._first[sha256] = raw
        if sha256 not in self._blobs and not self._store.holds_blob(sha256):
            self._blobs[sha256] = Blob.of(raw, sha256)

    def clean(self, value: Any) -> Any:
        """Return data with the host's secrets scrubbed from every text in it."""
        if self._scrub is None:
            return value
        if isinstance(value, str):
            return self._scrub(value)
        if isinstance(value, dict):
            return {self.clean(key): self.clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.clean(item) for item in value]
        return value
