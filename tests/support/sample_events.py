"""Events and effects for tests that need some, no matter which."""

from __future__ import annotations

from typing import Any

from sandbox.enums import Mode
from sandbox.trace.events import FORMAT, Event
from sandbox.trace.model_events import MessageEvent
from sandbox.trace.recorder import Recorder
from sandbox.trace.run_events import RunStartEvent

START: RunStartEvent = {
    "format": FORMAT,
    "scenario": "a/b",
    "family": "a",
    "title": {},
    "benign": False,
    "model": "m",
    "isolation": "i",
    "mode": Mode.OBSERVE,
    "monitors": {},
    "rules": [],
    "lang": "en",
    "seed": 0,
    "agents": {},
    "tools": "[]",
    "limits": {},
    "scope": {"protected": []},
    "canaries": {},
    "decoys": {},
    "owner": "o",
    "started": 1.0,
    "versions": {},
}
"""A first event that says as little as one can."""


def say(recorder: Recorder, text: str = "") -> Event:
    """Record a user's message."""
    return recorder.record(MessageEvent, role="user", content=text)


def effect(
    kind: str,
    action: str,
    target: str,
    status: str = "done",
    source: str = "trace",
    **detail: Any,
) -> Any:
    """Return an effect of plain texts, as a stored trace holds it."""
    return {
        "kind": kind,
        "action": action,
        "target": target,
        "status": status,
        "source": source,
        "detail": detail,
    }
