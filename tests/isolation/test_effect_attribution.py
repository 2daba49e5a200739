"""The record of a container: what a guest may say of a call, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.guest.messages import CallRecords, InvalidMessage, validate
from sandbox.isolation.effect_attribution import EffectRecord
from tests.support.sample_events import effect

SEEN = [
    effect("file", "write", "/work/a", source="manifest"),
    effect("file", "read", "/work/a", source="tool"),
    effect("world", "change", "mail", source="world", patch=[]),
]


def report(*effects: Any) -> Any:
    """Return what a guest reports of a call."""
    empty = {"dropped": 0, "logs": [], "denials": [], "denials_dropped": 0, "lost": ""}
    return {"effects": list(effects), **empty}


def check(report: object) -> CallRecords:
    """Return a report as the engine reads it."""
    return validate(CallRecords, report, "the guest's answer")


def test_what_a_guest_sees_is_recorded() -> None:
    """Files and the world are the guest's to tell."""
    deeds, late = EffectRecord(traced=True, denials=True).of("c", check(report(*SEEN)))
    assert (list(deeds.effects), deeds.dropped, late) == (SEEN, 0, ())
    assert set(deeds.recorded.values()) == {"complete"}


FORGED = {
    "a request that the engine never saw": effect(
        "network", "request", "http://a/", source="egress"
    ),
    "a canary": effect("canary", "send", "key", source="arguments", planted=True),
    "a process": effect("process", "exec", "/bin/a"),
    "a file, in the tracer's name": effect("file", "write", "/work/a", source="trace"),
    "no such action": effect("file", "paint", "/work/a", source="manifest"),
    "no such status": effect("file", "write", "/work/a", status="fine", source="manifest"),
    "a kind that is no text": {**SEEN[0], "kind": ["file"]},
    "a target that is no text": {**SEEN[0], "target": 1},
    "a detail that is no object": {**SEEN[0], "detail": []},
    "a field too few": {key: SEEN[0][key] for key in ("kind", "action", "target")},
    "no object": "file",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_what_a_guest_cannot_see_is_refused(forged: Any) -> None:
    """A tool shares the guest's process: what it says in another's name is no record at all."""
    with pytest.raises(InvalidMessage, match=r"cannot be read: effects\.3"):
        check(report(*SEEN, forged))
