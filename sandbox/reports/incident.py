"""An incident file of one run: the fields of the EU code of practice, as far as its trace tells them.

The fields are those of measure 9.2 of the safety and security chapter of the General-Purpose AI Code of
Practice (10 July 2025); the times to report are those of its measure 9.3. A trace tells what happened,
with which model and inputs, and what monitors said. It does not tell who was affected, what is done
about it, or why: those fields are empty and say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.enums import (
    EffectAction,
    EffectKind,
    EffectStatus,
    EventKind,
    RunStatus,
    SafetyOutcome,
    TaskOutcome,
)
from sandbox.reports.highlights import shortened
from sandbox.reports.i18n import words
from sandbox.trace.call_events import CallRequest, ToolIntentEvent, VerdictEvent
from sandbox.trace.effects import Effect
from sandbox.trace.event_types import of_kind
from sandbox.trace.events import EventContent
from sandbox.trace.model_events import MessageEvent, ModelReplyEvent
from sandbox.trace.run_events import RunScoreEvent, RunStartEvent
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.trace.verify import verify

FORMAT = 1
MOST_EVENTS = 200
"""Events that the chain tells; the others are counted."""
DEADLINES = (2, 5, 10, 15)
"""Days, by kind of incident."""
_KEPT_EFFECTS = 40
_EFFECTS = frozenset({EventKind.TOOL_RESULT, EventKind.TOOL_LATE, EventKind.CONTAINER_CLOSE})
_QUIET: frozenset[tuple[str, str]] = frozenset(
    {
        (EffectKind.FILE, EffectAction.READ),
        (EffectKind.PROCESS, EffectAction.EXEC),
        (EffectKind.PROCESS, EffectAction.EXIT),
    }
)
"""No harm by themselves."""
_FAULTS = frozenset(
    {
        EventKind.LIMIT,
        EventKind.MODEL_ERROR,
        EventKind.MONITOR_ERROR,
        EventKind.RUN_INTERRUPTED,
    }
)


def build(store: Store, row: RunRow) -> dict[str, Any]:
    """Return the incident file of a run as JSON data.

    Every field has ``value``, what the trace tells (None where it tells nothing), and ``for_person``,
    what a person has to add.
    """
    events = [(event, store.content(event)) for event in store.events(row.id)]
    start = next((start for _, start in of_kind(events, RunStartEvent)), None)
    english = words("en")
    values: dict[int, Any] = {
        1: {"start": _moment(row.started), "end": _moment(row.ended)},
        2: _harm(row, events),
        3: _chain(events),
        4: {
            "model": row.model,
            "described": start.get("model_described") if start else None,
            "replies_as": _names(events),
        },
        5: _material(store, row, start),
        8: _cause(row, start, events),
        9: _patterns(store, row),
    }
    return {
        "incident": FORMAT,
        "source": "EU GPAI Code of Practice, safety and security chapter, measure 9.2",
        "run": row.id,
        "scenario": row.scenario,
        "title": (start.get("title") if start else None) or {},
        "model": row.model,
        "task": row.task,
        "safety": row.safety,
        "is_incident": row.safety in (SafetyOutcome.ATTEMPTED, SafetyOutcome.UNSAFE),
        "sandboxed": True,
        "deadlines_days": list(DEADLINES),
        "fields": [
            {
                "number": n,
                "name": english[f"incident_{n}"],
                "value": values.get(n),
                "for_person": english[f"incident_{n}_note"],
            }
            for n in range(1, 10)
        ],
    }


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _harm(row: RunRow, events: Sequence[EventContent]) -> dict[str, object]:
    scores = of_kind(events, RunScoreEvent)
    held = [
        name
        for _, score in scores
        for name, value in (score.get("conditions") or {}).items()
        if value is True
    ]
    effects: list[Effect] = [
        effect
        for event, data in events
        if event.kind in _EFFECTS
        for effect in data.get("effects") or ()
    ]
    done = [
        f"{effect['kind']} {effect['action']} {shortened(str(effect['target']), 160)}"
        for effect in effects
        if effect["status"] == EffectStatus.DONE
        and (effect["kind"], effect["action"]) not in _QUIET
    ]
    return {
        "task": row.task,
        "safety": row.safety,
        "conditions": held,
        "effects": list(dict.fromkeys(done))[:_KEPT_EFFECTS],
        "affected": None,
    }


def _chain(events: Sequence[EventContent]) -> dict[str, object]:
    told = [
        {"event": event.seq, "at": _moment(event.at), "agent": event.agent, "kind": kind, **more}
        for event, data in events
        for kind, more in _told(event.kind, data)
    ]
    return {"events": told[:MOST_EVENTS], "left_out": max(0, len(told) - MOST_EVENTS)}


def _told(kind: str, data: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what a reader of the chain needs of an event: under which words, and what is filled in."""
    if kind == EventKind.MESSAGE and data.get("role") == "user":
        yield "task", _texts(data, content=400)
    elif kind == EventKind.TOOL_INTENT:
        yield "call", _request(data)
        if data.get("original"):
            yield "edited", _request(data["original"])
    elif kind == EventKind.TOOL_DROPPED:
        yield "dropped", _request(data)
    elif kind == EventKind.TOOL_RESULT:
        yield "result", _texts(data, tool=100, status=20, text=200)
    elif kind == EventKind.VERDICT:
        yield "verdict", _texts(data, monitor=100, verdict=20, reason=200)
    elif kind == EventKind.GATE_DECISION:
        yield (
            ("stopped" if data.get("carried_out") else "passed"),
            _texts(data, verdict=20, monitor=100),
        )
    elif kind == EventKind.MODEL_REPLY and data.get("text"):
        yield "answer", _texts(data, text=400)
    elif kind in _FAULTS:
        reason = str(data.get("reason") or data.get("limit"))
        yield "other", {"what": kind, "reason": shortened(reason, 200)}


def _request(data: CallRequest) -> dict[str, str]:
    given = data.get("arguments", data.get("raw"))
    return {"tool": str(data.get("tool")), "arguments": shortened(str(given), 400)}


def _texts(data: Mapping[str, object], **longest: int) -> dict[str, str]:
    return {name: shortened(str(data.get(name, "")), most) for name, most in longest.items()}


def _names(events: Sequence[EventContent]) -> list[str]:
    found = (reply.get("model") for _, reply in of_kind(events, ModelReplyEvent))
    return list(dict.fromkeys(str(name) for name in found if name))


def _material(store: Store, row: RunRow, start: RunStartEvent | None) -> dict[str, object]:
    checked = verify(store, row)
    return {
        "trace": row.id,
        "events": row.events,
        "head": row.head,
        "verified": checked.ok,
        "problem": checked.problem or None,
        "scenario_sha256": start.get("scenario_sha256") if start else None,
        "versions": start.get("versions") if start else None,
        "commands": [f"sandbox replay {row.id}", f"sandbox runs verify {row.id}"],
    }


def _cause(
    row: RunRow, start: RunStartEvent | None, events: Sequence[EventContent]
) -> dict[str, object]:
    tasks = [
        message for _, message in of_kind(events, MessageEvent) if message.get("role") == "user"
    ]
    calls = {
        intent.get("call"): more
        for event, intent in of_kind(events, ToolIntentEvent)
        for _, more in _told(event.kind, intent)
    }
    named = {verdict.get("call") for _, verdict in of_kind(events, VerdictEvent)}
    said = [
        str(text) for _, reply in of_kind(events, ModelReplyEvent) if (text := reply.get("text"))
    ]
    return {
        "inputs": [shortened(str(task.get("content")), 1000) for task in tasks],
        "outputs": [more for call, more in calls.items() if call in named],
        "last_words": shortened(said[-1], 1000) if said else None,
        "mode": row.mode,
        "monitors": sorted((start.get("monitors") if start else None) or ()),
        "verdicts": list((row.result or {}).get("verdicts") or ()),
        "analysis": None,
    }


def _patterns(store: Store, row: RunRow) -> dict[str, int]:
    alike = store.runs(scenario=row.scenario, model=row.model, status=RunStatus.FINISHED)
    counts = Counter(item.safety for item in alike if item.task != TaskOutcome.ERROR)
    return {
        "runs": sum(counts.values()),
        **{str(safety): counts[safety] for safety in SafetyOutcome},
    }
