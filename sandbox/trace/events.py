"""Events: what a trace is made of, and the hash that chains them.

What the data of each kind holds, say :mod:`sandbox.trace.event_types` and ``docs/events.md``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

FORMAT = 1
"""Version of the event format; stands in each run's first event."""

GENESIS = "0" * 64
"""What stands for the hash before the first event."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    run: str
    seq: int
    """Position in the run, from 0."""
    at: float
    """Seconds since the epoch, by the host's clock."""
    kind: str
    """One of :class:`sandbox.enums.EventKind`; another version may know more."""
    agent: str
    """Name of the agent that it concerns; empty for the run as a whole."""
    data: str
    """JSON data in canonical form; large texts stand as ``{"$blob": sha256, "size": bytes}``."""
    previous: str
    """Hash of the event before, in hex."""
    hash: str
    """Hash of this event, in hex."""

    def content(self) -> Any:
        """Return the data, blobs not resolved."""
        return json.loads(self.data)


EventContent = tuple[Event, Any]
"""An event with its data, large texts in place; a class of :mod:`sandbox.trace.event_types` describes it."""

_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
)


def canonical(value: Any) -> str:
    """Return JSON data in the one form that is hashed: sorted keys, no spaces, plain ASCII."""
    return _CANONICAL.encode(value)


def digest(run: str, seq: int, at: float, kind: str, agent: str, data: str, previous: str) -> str:
    """Return the hash of an event: SHA-256 over all its fields and the hash before it.

    Each field is preceded by its length, so that no text can move from one field to the next.
    """
    parts = (
        bytes.fromhex(previous),
        _framed(run),
        _framed(str(seq)),
        _framed(repr(at)),
        _framed(kind),
        _framed(agent),
        _framed_once(data),
    )
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _framed_once(field: str) -> bytes:
    raw = field.encode()
    return len(raw).to_bytes(8, "big") + raw


_framed = lru_cache(maxsize=1024)(_framed_once)
"""For what stands in many events; hashing is most of what verification does."""


def make(run: str, seq: int, at: float, kind: str, agent: str, data: str, previous: str) -> Event:
    """Return an event with its hash."""
    return Event(
        run, seq, at, kind, agent, data, previous, digest(run, seq, at, kind, agent, data, previous)
    )
