"""An incident file of one run: the fields of the EU code of practice, as far as its trace tells them.

The fields are those of measure 9.2 of the safety and security chapter of the General-Purpose AI Code of
Practice (10 July 2025); the times to report are those of its measure 9.3. A trace tells what happened,
with which model and inputs, and what monitors said. It does not tell who was affected, what is done
about it, or why: those fields are empty and say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from sandbox.report.wording import Wording, quoted_markdown, words
from sandbox.report.worst import shortened
from sandbox.trace.events import Event
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.trace.verify import verify

FORMAT = 1
MOST_EVENTS = 200
"""Events that the chain tells; the others are counted."""
DEADLINES = (2, 5, 10, 15)
"""Days, by kind of incident."""
_KEPT_EFFECTS = 40


def build(store: Store, row: RunRow) -> dict[str, Any]:
    """Return the incident file of a run as JSON data.

    Every field has ``value``, what the trace tells (None where it tells nothing), and ``for_person``,
    what a person has to add.
    """
    events = [(event, store.content(event)) for event in store.events(row.id)]
    start: Mapping[str, Any] = next(
        (data for event, data in events if event.kind == "run.start"), {}
    )
    result = row.result or {}
    english = words("en")
    values: dict[int, Any] = {
        1: {"start": _moment(row.started), "end": _moment(row.ended)},
        2: _harm(row, events),
        3: _chain(events),
        4: {
            "model": row.model,
            "described": start.get("model_described"),
            "replies_as": _names(events),
        },
        5: _material(store, row, start),
        8: _cause(row, result, start, events),
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


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _harm(row: RunRow, events: list[tuple[Event, Any]]) -> dict[str, Any]:
    score: Mapping[str, Any] = next(
        (data for event, data in events if event.kind == "run.score"), {}
    )
    held = [name for name, value in (score.get("conditions") or {}).items() if value is True]
    done = [
        f"{effect['kind']} {effect['action']} {shortened(str(effect['target']), 160)}"
        for event, data in events
        if event.kind in ("tool.result", "tool.late", "container.close")
        for effect in data.get("effects") or ()
        if effect["status"] == "done" and (effect["kind"], effect["action"]) != ("file", "read")
    ]
    return {
        "task": row.task, "safety": row.safety, "conditions": held,
        "effects": list(dict.fromkeys(done))[:_KEPT_EFFECTS], "affected": None,
    }  # fmt: skip


def _chain(events: list[tuple[Event, Any]]) -> dict[str, Any]:
    told = [
        {"event": event.seq, "at": _moment(event.at), "agent": event.agent, "what": text}
        for event, data in events
        if (text := _told(event.kind, data))
    ]
    return {"events": told[:MOST_EVENTS], "left_out": max(0, len(told) - MOST_EVENTS)}


def _told(kind: str, data: Mapping[str, Any]) -> str:
    """Return one line about an event; nothing about those that a reader of the chain does not need."""
    if kind == "message" and data.get("role") == "user":
        return f"task: {shortened(str(data.get('content')), 400)}"
    if kind == "tool.intent":
        given = data.get("arguments", data.get("raw"))
        return f"call {data.get('tool')} {shortened(str(given), 400)}"
    if kind == "tool.result":
        return f"result of {data.get('tool')}: {data.get('status')}, {shortened(str(data.get('text')), 200)}"
    if kind == "verdict":
        return f"monitor {data.get('monitor')}: {data.get('verdict')}, {shortened(str(data.get('reason')), 200)}"
    if kind == "gate.decision":
        carried = "carried out" if data.get("carried_out") else "not carried out"
        return f"gate: {data.get('verdict')} of {data.get('monitor')}, {carried}"
    if kind == "model.reply" and data.get("text"):
        return f"answer: {shortened(str(data['text']), 400)}"
    if kind in ("limit", "model.error", "monitor.error", "run.interrupted"):
        return f"{kind}: {shortened(str(data.get('reason') or data.get('limit')), 200)}"
    return ""


def _names(events: list[tuple[Event, Any]]) -> list[str]:
    found = (data.get("model") for event, data in events if event.kind == "model.reply")
    return list(dict.fromkeys(str(name) for name in found if name))


def _material(store: Store, row: RunRow, start: Mapping[str, Any]) -> dict[str, Any]:
    checked = verify(store, row)
    return {
        "trace": row.id,
        "events": row.events,
        "head": row.head,
        "verified": checked.ok,
        "problem": checked.problem or None,
        "scenario_sha256": start.get("scenario_sha256"),
        "versions": start.get("versions"),
        "commands": [f"sandbox replay {row.id}", f"sandbox runs verify {row.id}"],
    }


def _cause(
    row: RunRow,
    result: Mapping[str, Any],
    start: Mapping[str, Any],
    events: list[tuple[Event, Any]],
) -> dict[str, Any]:
    tasks = [d for e, d in events if e.kind == "message" and d.get("role") == "user"]
    intents = {
        data.get("call"): _told("tool.intent", data)
        for e, data in events
        if e.kind == "tool.intent"
    }
    named = {data.get("call") for event, data in events if event.kind == "verdict"}
    said = [str(data["text"]) for e, data in events if e.kind == "model.reply" and data.get("text")]
    return {
        "inputs": [shortened(str(task.get("content")), 1000) for task in tasks],
        "outputs": [text for call, text in intents.items() if call in named],
        "last_words": shortened(said[-1], 1000) if said else None,
        "mode": row.mode,
        "monitors": sorted(start.get("monitors") or ()),
        "verdicts": list(result.get("verdicts") or ()),
        "analysis": None,
    }


def _patterns(store: Store, row: RunRow) -> dict[str, Any]:
    alike = store.runs(scenario=row.scenario, model=row.model, status="finished")
    counts = Counter(item.safety for item in alike if item.task != "error")
    return {
        "runs": sum(counts.values()), "unsafe": counts["unsafe"], "attempted": counts["attempted"],
        "safe": counts["safe"],
    }  # fmt: skip


def markdown(document: Mapping[str, Any], lang: str) -> str:
    """Return the incident file as Markdown; nothing in it that came from the trace is markup."""
    wording = Wording(lang, quoted_markdown)
    return "\n".join(str(line) for line in _lines(document, wording)) + "\n"


def _lines(document: Mapping[str, Any], wording: Wording) -> Iterator[Markup]:
    say, quoted = wording.say, wording.quoted
    yield _line("# {}", say("incident_title"))
    yield Markup("")
    yield say(
        "incident_about",
        run=document["run"],
        scenario=document["scenario"],
        model=document["model"],
    )
    yield Markup("")
    yield say("incident_sandbox")
    if not document["is_incident"]:
        yield Markup("")
        yield _line("**{}**", say("incident_safe"))
    values = {item["number"]: item["value"] for item in document["fields"]}
    for number in range(1, 10):
        yield Markup("")
        yield _line("## {}. {}", number, say(f"incident_{number}"))
        yield Markup("")
        if values[number] is not None:
            yield from _SECTIONS[number](values[number], wording)
        yield _line(
            "- **{}** ({}): {}",
            say("incident_note"),
            say("incident_by_person"),
            say(f"incident_{number}_note"),
        )
    yield Markup("")
    yield _line("## {}", say("incident_deadlines"))
    yield Markup("")
    for days in document["deadlines_days"]:
        yield _line("- {}", say(f"incident_deadline_{days}"))
    yield Markup("")
    yield quoted(document["source"])


def _line(text: str, *given: Any) -> Markup:
    return Markup(text).format(*given)  # noqa: S704 - the text is ours, what is filled in is quoted


def _item(wording: Wording, key: str, value: Any) -> Markup:
    return _line("- {}: {}", wording.say(f"incident_{key}"), wording.quoted(str(value)))


def _dates(value: Mapping[str, Any], wording: Wording) -> Iterator[Markup]:
    yield _item(wording, "start", value["start"])
    yield _item(wording, "end", value["end"])


def _harm_lines(value: Mapping[str, Any], wording: Wording) -> Iterator[Markup]:
    yield _line(
        "- {}: {}", wording.say("incident_harm"), wording.named("outcome", str(value["safety"]))
    )
    if value["conditions"]:
        yield _item(wording, "condition", ", ".join(value["conditions"]))
    yield _item(wording, "effects", "" if value["effects"] else wording.say("incident_none"))
    for effect in value["effects"]:
        yield _line("  - {}", wording.quoted(effect))


def _chain_lines(value: Mapping[str, Any], wording: Wording) -> Iterator[Markup]:
    for index, item in enumerate(value["events"], start=1):
        agent = f" {item['agent']}" if item["agent"] else ""
        yield _line(
            "{}. {}{}: {}", index, item["at"], wording.quoted(agent), wording.quoted(item["what"])
        )
    if value["left_out"]:
        yield _line("- {}", wording.say("incident_cut", n=value["left_out"]))


def _model_lines(value: Mapping[str, Any], wording: Wording) -> Iterator[Markup]:
    yield _item(wording, "model", ", ".join([value["model"], *value["replies_as"]]))
    described = value["described"] or {}
    told = "; ".join(f"{k} {v}" for k, v in described.items() if v is not None)
    if told:
        yield _item(wording, "described", told)


def _material_lines(value: Mapping[str, Any], wording: Wording) -> Iterator[Markup]:
    yield _item(wording, "trace", f"{value['trace']} ({value['events']})")
    yield _item(wording, "head", value["head"])
    good = wording.say("incident_verified_ok" if value["verified"] else "incident_verified_bad")
    yield _line(
        "- {}: {} {}",
        wording.say("incident_verified"),
        good,
        wording.quoted(value["problem"] or ""),
    )
    yield _item(wording, "scenario_digest", value["scenario_sha256"])
    yield _item(wording, "commands", "; ".join(value["commands"]))


def _cause_lines(value: Mapping[str, Any], wording: Wording) -> Iterator[Markup]:
    for text in value["inputs"]:
        yield _item(wording, "inputs", text)
    yield _line("- {}:", wording.say("incident_outputs"))
    for text in (*value["outputs"], value["last_words"] or ""):
        if text:
            yield _line("  - {}", wording.quoted(text))
    mode = "enforce" if value["mode"] == "enforce" else "observe"
    yield _line(
        "- {}: {}. {}", wording.say("incident_mitigations"),
        wording.quoted(", ".join(value["monitors"])), wording.say(f"incident_mode_{mode}"),
    )  # fmt: skip
    if not value["verdicts"]:
        yield _line("  - {}", wording.say("incident_silent"))
    for verdict in value["verdicts"]:
        told = {name: verdict.get(name) for name in ("verdict", "severity", "event", "reason")}
        said = wording.say("incident_said", **told)
        yield _line("  - {} {}", wording.quoted(str(verdict.get("monitor"))), said)


def _pattern_lines(value: Mapping[str, Any], wording: Wording) -> Iterator[Markup]:
    yield _line(
        "- {}",
        wording.say(
            "incident_patterns", total=value["runs"], unsafe=value["unsafe"], attempted=value["attempted"]
        ),
    )  # fmt: skip


_SECTIONS = {
    1: _dates, 2: _harm_lines, 3: _chain_lines, 4: _model_lines, 5: _material_lines,
    8: _cause_lines, 9: _pattern_lines,
}  # fmt: skip
