"""An incident file of one run: the fields of the EU code of practice, as far as its trace tells them.

The fields are those of measure 9.2 of the safety and security chapter of the General-Purpose AI Code of
Practice (10 July 2025); the times to report are those of its measure 9.3. A trace tells what happened,
with which model and inputs, and what monitors said. It does not tell who was affected, what is done
about it, or why: those fields are empty and say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypedDict

from sandbox.reports.highlights import shortened
from sandbox.reports.i18n import words
from sandbox.scenario.validation import JsonObject
from sandbox.trace.events import Event
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.trace.verify import verify

FORMAT = 1
MOST_EVENTS = 200
"""Events that the chain tells; the others are counted."""
DEADLINES = (2, 5, 10, 15)
"""Days, by kind of incident."""
_MOST_EFFECTS = 40
_QUIET = (("file", "read"), ("process", "exec"), ("process", "exit"))  # no harm by themselves

Contents = list[tuple[Event, Any]]
"""Events with their data, large texts in place."""


class IncidentField(TypedDict):
    """One field of the code of practice."""

    number: int
    name: str
    value: Any
    """What the trace tells; None if it tells nothing."""
    for_person: str
    """What a person has to add."""


class Incident(TypedDict):
    """An incident file as JSON data."""

    incident: int
    source: str
    run: str
    scenario: str
    title: dict[str, str]
    model: str
    task: str | None
    safety: str | None
    is_incident: bool
    sandboxed: bool
    deadlines_days: list[int]
    fields: list[IncidentField]


def build(store: Store, row: RunRow) -> Incident:
    """Return the incident file of a run."""
    contents: Contents = [(event, store.content(event)) for event in store.events(row.id)]
    start = _first(contents, "run.start")
    english = words("en")
    values: dict[int, JsonObject] = {
        1: {"start": _moment(row.started), "end": _moment(row.ended)},
        2: _harm(row, contents),
        3: _chain(contents),
        4: {
            "model": row.model,
            "described": start.get("model_described"),
            "replies_as": _replying_models(contents),
        },
        5: _material(store, row, start),
        8: _cause(row, start, contents),
        9: _patterns(store, row),
    }
    return {
        "incident": FORMAT,
        "source": "EU GPAI Code of Practice, safety and security chapter, measure 9.2",
        "run": row.id,
        "scenario": row.scenario,
        "title": start.get("title") or {},
        "model": row.model,
        "task": row.task,
        "safety": row.safety,
        "is_incident": row.safety in ("attempted", "unsafe"),
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


def _first(contents: Contents, kind: str) -> Any:
    return next((data for event, data in contents if event.kind == kind), {})


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _harm(row: RunRow, contents: Contents) -> JsonObject:
    conditions = _first(contents, "run.score").get("conditions") or {}
    effects = [
        f"{effect['kind']} {effect['action']} {shortened(str(effect['target']), 160)}"
        for event, data in contents
        if event.kind in ("tool.result", "tool.late", "container.close")
        for effect in data.get("effects") or ()
        if effect["status"] == "done" and (effect["kind"], effect["action"]) not in _QUIET
    ]
    return {
        "task": row.task,
        "safety": row.safety,
        "conditions": [name for name, value in conditions.items() if value is True],
        "effects": list(dict.fromkeys(effects))[:_MOST_EFFECTS],
        "affected": None,
    }


def _chain(contents: Contents) -> JsonObject:
    steps = [
        {"event": event.seq, "at": _moment(event.at), "agent": event.agent, "kind": kind, **texts}
        for event, data in contents
        for kind, texts in _steps(event.kind, data)
    ]
    return {"events": steps[:MOST_EVENTS], "left_out": max(0, len(steps) - MOST_EVENTS)}


def _steps(kind: str, data: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what a reader of the chain needs of an event: under which words, and what is filled in."""
    if kind == "message" and data.get("role") == "user":
        yield "task", _texts(data, content=400)
    elif kind == "tool.intent":
        yield "call", _request(data)
        if data.get("original"):
            yield "edited", _request(data["original"])
    elif kind == "tool.dropped":
        yield "dropped", _request(data)
    elif kind == "tool.result":
        yield "result", _texts(data, tool=100, status=20, text=200)
    elif kind == "verdict":
        yield "verdict", _texts(data, monitor=100, verdict=20, reason=200)
    elif kind == "gate.decision":
        word = "stopped" if data.get("carried_out") else "passed"
        yield word, _texts(data, verdict=20, monitor=100)
    elif kind == "model.reply" and data.get("text"):
        yield "answer", _texts(data, text=400)
    elif kind in ("limit", "model.error", "monitor.error", "run.interrupted"):
        reason = str(data.get("reason") or data.get("limit"))
        yield "other", {"what": kind, "reason": shortened(reason, 200)}


def _request(data: Any) -> dict[str, str]:
    arguments = data.get("arguments", data.get("raw"))
    return {"tool": str(data.get("tool")), "arguments": shortened(str(arguments), 400)}


def _texts(data: Any, **longest: int) -> dict[str, str]:
    return {name: shortened(str(data.get(name, "")), most) for name, most in longest.items()}


def _replying_models(contents: Contents) -> list[str]:
    names = (data.get("model") for event, data in contents if event.kind == "model.reply")
    return list(dict.fromkeys(str(name) for name in names if name))


def _material(store: Store, row: RunRow, start: Any) -> JsonObject:
    verification = verify(store, row)
    return {
        "trace": row.id,
        "events": row.events,
        "head": row.head,
        "verified": verification.ok,
        "problem": verification.problem or None,
        "scenario_sha256": start.get("scenario_sha256"),
        "versions": start.get("versions"),
        "commands": [f"sandbox replay {row.id}", f"sandbox runs verify {row.id}"],
    }


def _cause(row: RunRow, start: Any, contents: Contents) -> JsonObject:
    tasks = [d for e, d in contents if e.kind == "message" and d.get("role") == "user"]
    calls = {
        d.get("call"): texts for e, d in contents for k, texts in _steps(e.kind, d) if k == "call"
    }
    judged = {data.get("call") for event, data in contents if event.kind == "verdict"}
    replies = [str(d["text"]) for e, d in contents if e.kind == "model.reply" and d.get("text")]
    return {
        "inputs": [shortened(str(task.get("content")), 1000) for task in tasks],
        "outputs": [texts for call, texts in calls.items() if call in judged],
        "last_words": shortened(replies[-1], 1000) if replies else None,
        "mode": row.mode,
        "monitors": sorted(start.get("monitors") or ()),
        "verdicts": list((row.result or {}).get("verdicts") or ()),
        "analysis": None,
    }


def _patterns(store: Store, row: RunRow) -> JsonObject:
    alike = store.runs(scenario=row.scenario, model=row.model, status="finished")
    counts = Counter(item.safety for item in alike if item.task != "error")
    return {
        "runs": sum(counts.values()),
        "unsafe": counts["unsafe"],
        "attempted": counts["attempted"],
        "safe": counts["safe"],
    }
