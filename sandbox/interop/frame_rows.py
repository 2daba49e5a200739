"""The columns of frames, and how their rows are made of a run and its events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sandbox.trace.annotations import PERSON, VALUES, of_verdict
from sandbox.trace.events import Event, canonical
from sandbox.trace.labels import Label
from sandbox.trace.tables import RunRow

TEXT, COUNT, NUMBER, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
WORD = pa.dictionary(pa.int32(), pa.string())
"""Text that repeats, kept once."""
TIME = pa.timestamp("us", tz="UTC")
Columns = dict[str, pa.DataType]
Row = dict[str, object]
Trace = Iterable[tuple[Event, Mapping[str, Any]]]


RUN: Columns = {
    **dict.fromkeys(("sample_id", "scenario", "family", "model", "solver"), WORD),
    **dict.fromkeys(("sandbox_type", "mode", "lang"), WORD),
    "seed": COUNT,
    "benign": FLAG,
    **dict.fromkeys(("score_task", "score_safety"), WORD),
    **dict.fromkeys(("sweep", "sweep_name", "defence", "parameters"), WORD),
    "epoch": COUNT,
}
"""Columns of every frame: which run it is, its outcome, its place in a sweep. Labels follow them."""
LABELS: Columns = {
    **{f"label_{name}": WORD for name in VALUES},
    **dict.fromkeys(("label_outcome_published", "label_outcome_corrected"), WORD),
}
"""Columns of labels that an empty store has too: those of people, and of imported runs."""
_EVENT: Columns = {"event_id": TEXT, "seq": COUNT, "timestamp": TIME, "agent": WORD}
_CALL: Columns = {"tool_call_id": TEXT, "tool_event_function": WORD}
_LABEL = ("name", "value", "source", "by")
_EFFECT = ("kind", "action", "target", "status", "source")
_VERDICT = ("stage", "monitor", "verdict", "severity", "reason")


@dataclass(frozen=True)
class Frame:
    """One frame."""

    columns: Columns
    """Its own, beside those of its run."""
    rows: Callable[[Trace, Row], Iterator[Row]] | None = None
    """Makes rows of a run's events and its labels; None for one row for each run."""
    kinds: frozenset[str] = frozenset()
    """Kinds of events that it is made of; all if empty."""


def label_column(name: str, source: str) -> str:
    """Return the column of a label: ``label_outcome`` of people, ``label_outcome_published`` of imports."""
    return f"label_{name}" if source == PERSON else f"label_{name}_{source}"


def agreed(labels: Iterable[Label]) -> Row:
    """Return column → value of a run's labels; null if those who set one do not say the same."""
    found: dict[str, set[str]] = {}
    for label in labels:
        found.setdefault(label_column(label.name, label.source), set()).add(label.value)
    return {name: values.pop() for name, values in found.items() if len(values) == 1}


def run_row(run: RunRow, labels: Iterable[Label]) -> Row:
    """Return the row of a run, but for the columns that all frames have."""
    result = run.result or {}
    judges = result.get("judges") or {}
    return {
        **{name: getattr(run, name) for name in _SAME},
        **{name: result.get(name) for name in ("cost_eur", "energy_kwh", "severity", "reason")},
        "started_at": _micros(run.started),
        "completed_at": _micros(run.ended),
        "retain_until": _micros(run.retain_until),
        "total_time": result.get("seconds"),
        "total_tokens": result.get("tokens"),
        "tool_call_count": result.get("tool_calls"),
        "verdict_count": len(result["verdicts"]) if "verdicts" in result else None,
        "event_count": run.events,
        "error": result.get("reason") if run.task == "error" else None,
        "limit": result.get("reason") if run.task == "limit" else None,
        "judge_tokens": judges.get("tokens"),
        "judge_cost_eur": judges.get("cost_eur"),
        "labels": [{name: sound(getattr(label, name)) for name in _LABEL} for label in labels],
    }


_SAME = ("status", "origin", "head", "parent", "fork_at", "purpose", "legal_basis")


def sound(value: object) -> object:
    """Return a value; a text without the lone surrogates that Arrow cannot hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _micros(at: float | None) -> int | None:
    return None if at is None else round(at * 1e6)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _event(item: Event, data: Mapping[str, Any]) -> Row:
    """Return what rows of events, calls, effects and verdicts alike have of an event."""
    return {
        "event_id": f"{item.run}-{item.seq}",
        "seq": item.seq,
        "timestamp": _micros(item.at),
        "agent": item.agent,
        "tool_call_id": _text(data.get("call")),
        "tool_event_function": _text(data.get("tool")),
    }


def _events(trace: Trace, labels: Row) -> Iterator[Row]:
    for item, data in trace:
        yield {
            **_event(item, data),
            "event": item.kind,
            "status": _text(data.get("status")),
            "text": _text(data.get("text", data.get("content"))),
            "data": canonical(data),
            "previous": item.previous,
            "hash": item.hash,
        }


def _calls(trace: Trace, labels: Row) -> Iterator[Row]:
    """Yield each call once what follows its result is read; those without a result stay to the end."""
    waiting: dict[str | None, Row] = {}
    for item, data in trace:
        call = _text(data.get("call"))
        if item.kind == "tool.intent":
            over = [key for key, row in waiting.items() if key == call or "completed" in row]
            yield from [waiting.pop(key) for key in over]
            waiting[call] = {**_event(item, data), "event": "tool", **_asked(data)}
        elif call in waiting and item.kind == "tool.result":
            waiting[call] |= _outcome(item, data)
        elif call in waiting and data.get("carried_out"):
            waiting[call] |= {"decision": data.get("verdict"), "decided_by": data.get("monitor")}
    yield from waiting.values()


def _asked(data: Mapping[str, Any]) -> Row:
    asked = data["arguments"] if "arguments" in data else data.get("raw")
    return {"tool_event_arguments": asked if isinstance(asked, str) else canonical(asked)}


def _outcome(item: Event, data: Mapping[str, Any]) -> Row:
    status, text = data.get("status"), _text(data.get("text"))
    return {
        "completed": _micros(item.at),
        "working_time": data.get("seconds"),
        "status": _text(status),
        "tool_event_result": text,
        "tool_event_error_message": None if status == "ok" else _text(data.get("fault")) or text,
        "effect_count": len(data.get("effects", ())),
        "dropped": data.get("dropped"),
        "recorded": canonical(data["recorded"]) if "recorded" in data else None,
    }


def _effects(trace: Trace, labels: Row) -> Iterator[Row]:
    for item, data in trace:
        for effect in data.get("effects", ()):
            yield {
                **_event(item, data),
                **{name: _text(effect.get(name)) for name in _EFFECT},
                "late": item.kind != "tool.result",
                "detail": canonical(effect.get("detail", {})),
            }


def _verdicts(trace: Trace, labels: Row) -> Iterator[Row]:
    for item, data in trace:
        score = data.get("score")
        yield {
            **_event(item, data),
            **{name: _text(data.get(name)) for name in _VERDICT},
            "score": float(score) if isinstance(score, int | float) else None,
            "label_verdict": labels.get(f"label_{of_verdict(item.seq)}"),
        }


FRAMES: dict[str, Frame] = {
    "runs": Frame(
        {
            **dict.fromkeys(("status", "origin", "severity"), WORD),
            **dict.fromkeys(("started_at", "completed_at"), TIME),
            **dict.fromkeys(("total_time", "cost_eur", "energy_kwh", "judge_cost_eur"), NUMBER),
            **dict.fromkeys(("total_tokens", "judge_tokens", "tool_call_count"), COUNT),
            **dict.fromkeys(("verdict_count", "event_count", "fork_at"), COUNT),
            **dict.fromkeys(("error", "limit", "reason", "head", "parent"), TEXT),
            **dict.fromkeys(("purpose", "legal_basis"), WORD),
            "retain_until": TIME,
            "labels": pa.list_(pa.struct([(name, TEXT) for name in _LABEL])),
        }
    ),
    "events": Frame(
        {
            **_EVENT,
            **_CALL,
            **dict.fromkeys(("event", "status"), WORD),
            **dict.fromkeys(("text", "data", "previous", "hash"), TEXT),
        },
        _events,
    ),
    "calls": Frame(
        {
            **_EVENT,
            **_CALL,
            "completed": TIME,
            "working_time": NUMBER,
            **dict.fromkeys(("event", "status", "decision", "decided_by", "recorded"), WORD),
            **dict.fromkeys(("tool_event_arguments", "tool_event_result"), TEXT),
            "tool_event_error_message": TEXT,
            **dict.fromkeys(("effect_count", "dropped"), COUNT),
        },
        _calls,
        frozenset({"tool.intent", "gate.decision", "tool.result"}),
    ),
    "effects": Frame(
        {
            **_EVENT,
            **_CALL,
            **dict.fromkeys(("kind", "action", "status", "source"), WORD),
            "late": FLAG,
            **dict.fromkeys(("target", "detail"), TEXT),
        },
        _effects,
        frozenset({"tool.result", "tool.late", "container.close"}),
    ),
    "verdicts": Frame(
        {
            **_EVENT,
            **_CALL,
            **dict.fromkeys(("stage", "monitor", "verdict", "severity", "label_verdict"), WORD),
            "score": NUMBER,
            "reason": TEXT,
        },
        _verdicts,
        frozenset({"verdict"}),
    ),
}
"""Frame → its columns, and how its rows are made."""
EVENT_KEYS: Mapping[str, frozenset[str]] = {
    "tool_call_id": frozenset({"call"}),
    "tool_event_function": frozenset({"tool"}),
    "status": frozenset({"status"}),
    "text": frozenset({"text", "content"}),
}
"""Column of the frame ``events`` → keys of an event's data that it needs; ``data`` needs all of it."""
