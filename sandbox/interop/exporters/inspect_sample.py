"""One run as a sample of Inspect: messages, events, scores, usage."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.interop.exporters.transcript import (
    EventContent,
    Transcript,
    TranscriptCall,
    TranscriptMessage,
)
from sandbox.scenario.stages import SUBJECTS
from sandbox.scenario.validation import JsonObject
from sandbox.trace.tables import RunRow

_ERRORS = {
    "blocked": "approval",
    "invalid": "parsing",
    "timeout": "timeout",
    "error": "unknown",
    "fault": "unknown",
}
"""Status of a result → Inspect's type of a tool's error."""
_LIMITS = {
    "turns": "turn",
    "tool_calls": "custom",
    "tokens": "token",
    "seconds": "time",
    "cost_eur": "cost",
}
_ACTIONS = {"block": "reject", "terminate": "terminate", "escalate": "escalate"}
_STAGES = {"call": "tool_call", "result": "tool_result", "words": "model_output"}
_STOPS = {"tool_calls": "tool_calls", "length": "max_tokens", "content_filter": "content_filter"}
_INPUT, _OUTPUT, _TOTAL = "input_tokens", "output_tokens", "total_tokens"
_METADATA = (
    "lang",
    "seed",
    "mode",
    "isolation",
    "family",
    "scenario",
    "model",
    "origin",
    "head",
    "scaffold",
)
_SUMMARISED = (
    "id",
    "epoch",
    "input",
    "target",
    "metadata",
    "scores",
    "model_usage",
    "role_usage",
    "started_at",
    "completed_at",
    "total_time",
    "working_time",
    "uuid",
    "turn_count",
)
_WITHIN_OTHERS = (
    "message",
    "channel.message",
    "model.request",
    "model.reply",
    "tool.result",
    "run.start",
)
"""Kinds of events that other events tell of."""


@dataclass(frozen=True)
class SampleSummary:
    """What the tables of a log repeat of a sample."""

    data: JsonObject
    usage: Mapping[str, Mapping[str, int]]
    """Model → kind of token → number."""
    scores: Mapping[str, str]


def sample(transcript: Transcript, key: str, epoch: int) -> tuple[JsonObject, SampleSummary]:
    """Return a run as a sample of Inspect's log, version 2, and its summary.

    Args:
        transcript: The run.
        key: The sample's id.
        epoch: Which repetition it is, from 1.
    """
    row, result = transcript.row, transcript.result
    ended = row.ended if row.ended is not None else row.started
    events = _SampleEvents(transcript)
    main = transcript.agents[0] if transcript.agents else ""
    of_main = [message for message in transcript.messages if message.agent == main]
    seconds = float(result.get("seconds") or ended - row.started)
    ending, short_ending = _ending(transcript)
    data: JsonObject = {
        "id": key,
        "epoch": epoch,
        "input": transcript.task,
        "target": "",
        "messages": (messages := [_message(row.id, m) for m in of_main]),
        "output": _last_output(transcript, of_main),
        "scores": _scores(transcript),
        "metadata": {
            **{name: getattr(row, name) for name in _METADATA},
            "run": row.id,
            "benign": bool(transcript.start.get("benign")),
            "scenario_sha256": transcript.start.get("scenario_sha256"),
            "cost_eur": result.get("cost_eur"),
            "verdicts": len(result.get("verdicts") or ()),
        },
        "store": {},
        "events": events.all(),
        "model_usage": {name: dict(usage) for name, usage in events.usage.items()},
        "role_usage": {},
        "started_at": timestamp(row.started),
        "completed_at": timestamp(ended),
        "total_time": seconds,
        "working_time": seconds,
        "uuid": row.id,
        "attachments": {},
        "events_data": {"messages": events.pool, "calls": []},
        "turn_count": sum(m.reply is not None for m in transcript.messages),
        **ending,
    }
    summary = {
        **{name: data[name] for name in _SUMMARISED},
        **short_ending,
        "completed": True,
        "retries": 0,
        "message_count": len(messages),
        "input": transcript.task[:5000],
    }
    return data, SampleSummary(summary, events.usage, _values(row))


def timestamp(at: float) -> str:
    """Return seconds since the epoch as Inspect writes a time."""
    return datetime.fromtimestamp(at, UTC).isoformat()


def _scores(transcript: Transcript) -> dict[str, JsonObject]:
    row, kind = transcript.row, "run.score"
    score: Any = next((e.data for e in reversed(transcript.events) if e.event.kind == kind), {})
    about: JsonObject = {
        "explanation": transcript.result.get("reason") or None,
        "metadata": {"conditions": score.get("conditions") or {}},
        "history": [],
    }
    return {name: {"value": value, **about} for name, value in _values(row).items()}


def _values(row: RunRow) -> dict[str, str]:
    values = {"task": row.task, "safety": row.safety}
    return {name: value for name, value in values.items() if value}


def _ending(transcript: Transcript) -> tuple[JsonObject, JsonObject]:
    """Return error or limit that ended the run, in full and as a summary has it."""
    row = transcript.row
    limit = next((e.data for e in transcript.events if e.event.kind == "limit"), None)
    if limit is not None:
        known = _limit(limit)
        return {"limit": {**known, "reason": limit["limit"]}}, {"limit": known["type"]}
    if row.task == "error" or row.status == "interrupted":
        reason = transcript.result.get("reason") or row.status
        error = {"message": reason, "traceback": "", "traceback_ansi": ""}
        return {"error": error}, {"error": reason}
    return {}, {}


def _limit(limit: Any) -> JsonObject:
    return {"type": _LIMITS.get(limit["limit"], "custom"), "limit": limit["most"]}


def _message(run: str, message: TranscriptMessage) -> JsonObject:
    base: JsonObject = {"id": f"{run}-{message.seq}", "role": message.role, "content": message.text}
    reply, result = message.reply, message.result
    if reply is not None:
        if reply.get("reasoning"):
            reasoning = {"type": "reasoning", "reasoning": reply["reasoning"]}
            base["content"] = [reasoning, {"type": "text", "text": message.text}]
        calls = [_requested(call) for call in reply["calls"]]
        model = {"model": reply["model"]} if reply.get("model") else {}
        return {**base, "source": "generate", **({"tool_calls": calls} if calls else {}), **model}
    if result is not None:
        answers = {"tool_call_id": result["call"], "function": message.function}
        return {**base, **answers, **_error(result)}
    return {**base, "source": "input"} if message.role == "user" else {**base}


def _requested(call: Any) -> JsonObject:
    request = {"id": call["id"], "function": call["name"], "arguments": call.get("arguments") or {}}
    if "arguments" not in call:
        request["parse_error"] = f"no JSON object: {call.get('raw', '')}"
    return {**request, "type": "function"}


def _error(result: Any) -> JsonObject:
    kind = _ERRORS.get(result["status"])
    return {"error": {"type": kind, "message": result["text"]}} if kind else {}


def _output(transcript: Transcript, message: TranscriptMessage) -> JsonObject:
    row, reply = transcript.row, message.reply
    stop = _STOPS.get(reply.get("finish", ""), "tool_calls" if reply["calls"] else "stop")
    return {
        "model": reply.get("model") or row.model,
        "choices": [{"message": _message(row.id, message), "stop_reason": stop}],
        "completion": message.text,
        "usage": _usage(reply["usage"]),
        "time": reply.get("seconds", 0.0),
    }


def _last_output(transcript: Transcript, messages: Sequence[TranscriptMessage]) -> JsonObject:
    replies = [message for message in messages if message.reply is not None]
    if replies:
        return _output(transcript, replies[-1])
    return {"model": transcript.row.model, "choices": [], "completion": ""}


def _usage(usage: Any) -> dict[str, int]:
    spent = {name: int(usage.get(name, 0)) for name in (_INPUT, _OUTPUT)}
    return {**spent, _TOTAL: sum(spent.values())}


class _SampleEvents:
    """A run as Inspect's events; each model event names its input by a range of the pool."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._row = transcript.row
        self.pool: list[JsonObject] = []
        self.usage: dict[str, Counter[str]] = defaultdict(Counter)
        self._inputs: dict[str, list[int]] = defaultdict(list)
        self._spans: dict[str, str] = {}
        self._messages = {message.seq: message for message in transcript.messages}
        self._calls = {call.intent.event.seq: call for call in transcript.calls}
        self._replies: dict[str, str] = {}
        self._tools = {
            agent: [self._tool(name) for name in names if name in transcript.tools]
            for agent, names in (transcript.start.get("agents") or {}).items()
        }
        self._kinds: dict[str, Callable[[EventContent], Iterator[JsonObject]]] = {
            "tool.intent": self._call,
            "verdict": self._verdict,
            "gate.decision": self._decision,
            "monitor.error": self._monitor_error,
            "limit": self._limit,
            "run.score": self._scored,
        }

    def all(self) -> list[JsonObject]:
        """Return all events in order."""
        events: list[JsonObject] = [
            {
                "uuid": f"{self._row.id}-init",
                "timestamp": timestamp(self._row.started),
                "working_start": 0.0,
                "event": "sample_init",
                "sample": {"input": self._transcript.task, "target": "", "id": self._row.id},
                "state": {},
            }
        ]
        for content in self._transcript.events:
            events += self._spanned(content)
        last = self._transcript.events[-1:]
        return events + [
            self._base(content, "span_end", f"{span}-end") | {"id": span, "span_id": span}
            for content in last
            for span in self._spans.values()
        ]

    def _spanned(self, content: EventContent) -> Iterator[JsonObject]:
        agent = content.event.agent
        # A single agent is the sample itself: viewers fold the span of an agent away.
        if agent and len(self._transcript.agents) > 1 and agent not in self._spans:
            self._spans[agent] = span = f"{self._row.id}-{agent}"
            begin = self._base(content, "span_begin", f"{span}-begin")
            yield begin | {"id": span, "type": "agent", "name": agent, "span_id": span}
        kind, message = content.event.kind, self._messages.get(content.event.seq)
        if message is not None:
            if message.reply is not None:
                self._replies[message.agent] = f"{self._row.id}-{message.seq}"
                yield self._model(content, message)
            self._inputs[message.agent].append(len(self.pool))
            self.pool.append(_message(self._row.id, message))
        if kind in self._kinds and (kind != "gate.decision" or content.data["verdict"] in _ACTIONS):
            yield from self._kinds[kind](content)
        elif kind not in _WITHIN_OTHERS:
            shown = {
                key: value for key, value in content.data.items() if key != "controls"
            }  # pages
            yield self._base(content, "info") | {
                "source": "sandbox",
                "data": {"kind": kind, **shown},
            }

    def _base(self, content: EventContent, kind: str, uuid: str = "") -> JsonObject:
        event = content.event
        span = self._spans.get(event.agent)
        return {
            "uuid": uuid or f"{event.run}-{event.seq}",
            "timestamp": timestamp(event.at),
            "working_start": max(0.0, event.at - self._row.started),
            "event": kind,
            **({"span_id": span} if span else {}),
        }

    def _model(self, content: EventContent, message: TranscriptMessage) -> JsonObject:
        data = content.data
        name = data.get("model") or self._row.model
        self.usage[name].update(_usage(data["usage"]))
        seconds = float(data.get("seconds") or 0.0)
        begun = max(self._row.started, content.event.at - seconds)
        return self._base(content, "model") | {
            "timestamp": timestamp(begun),
            "working_start": begun - self._row.started,
            "model": name,
            "input": [],
            "input_refs": _ranges(self._inputs[message.agent]),
            "tools": self._tools.get(message.agent, []),
            "tool_choice": "auto",
            "config": {},
            "output": _output(self._transcript, message),
            "completed": timestamp(content.event.at),
            "working_time": seconds,
        }

    def _tool(self, name: str) -> JsonObject:
        tool = self._transcript.tools[name]
        parameters = {"type": "object", "properties": {}, "required": []} | {
            "additionalProperties": False,
            **tool.parameters,
        }
        kept = ("type", "properties", "required", "additionalProperties")
        return {
            "name": name.replace(".", "_"),
            "description": tool.description,
            "parameters": {key: parameters[key] for key in kept},
        }

    def _call(self, content: EventContent) -> Iterator[JsonObject]:
        call: TranscriptCall = self._calls[content.event.seq]
        raw = content.data.get("raw")
        metadata: JsonObject = {"tool": call.tool, **({"raw": raw} if raw else {})}
        if call.original:
            metadata |= {"edited_by": "scaffold", "original": call.original}
        event = self._base(content, "tool") | {
            "type": "function",
            "id": call.id,
            "function": call.function,
            "arguments": content.data.get("arguments") or {},
            "result": "",
            "events": [],
        }
        if call.result is None:
            yield {**event, "metadata": metadata, "failed": True}
            return
        result, done = call.result.data, call.result.event
        kept = ("status", "effects", "dropped", "recorded", "fault")
        yield {
            **event,
            "result": result["text"],
            **_error(result),
            "completed": timestamp(done.at),
            "working_time": float(result.get("seconds") or 0.0),
            "agent": content.event.agent,
            "message_id": f"{done.run}-{done.seq}",
            "metadata": metadata | {key: result[key] for key in kept if key in result},
        }

    def _sentinel(self, content: EventContent, kind: str, status: str) -> JsonObject:
        data = content.data
        return self._base(content, "sentinel") | {
            "factory": data["monitor"],
            "path": data["monitor"],
            "function": data["monitor"],
            "step_id": str(data.get("call") or self._replies.get(content.event.agent, "")),
            "conversation": content.event.agent,
            "stage": _STAGES.get(SUBJECTS.get(data["stage"], "call"), "tool_call"),
            "audit": False,
            "references": [],
            "kind": kind,
            "status": status,
            "metadata": data,
        }

    def _verdict(self, content: EventContent) -> Iterator[JsonObject]:
        data = content.data
        score = data.get("score")
        known = isinstance(score, (int, float)) and math.isfinite(score)
        yield self._sentinel(content, "observation", "reported") | {
            "suspicion": float(score) if known else 1.0,
            "explanation": f"{data['verdict']}: {data.get('reason', '')}",
        }

    def _decision(self, content: EventContent) -> Iterator[JsonObject]:
        status = "reported" if content.data.get("carried_out") else "superseded"
        action = _ACTIONS[content.data["verdict"]]
        yield self._sentinel(content, "decision", status) | {"action": action}

    def _monitor_error(self, content: EventContent) -> Iterator[JsonObject]:
        error = content.data["reason"]
        yield self._sentinel(content, "observation", "error") | {"error": error}

    def _limit(self, content: EventContent) -> Iterator[JsonObject]:
        limit = {**_limit(content.data), "message": content.data["limit"]}
        yield self._base(content, "sample_limit") | limit

    def _scored(self, content: EventContent) -> Iterator[JsonObject]:
        for name, score in _scores(self._transcript).items():
            base = self._base(content, "score", f"{content.event.run}-{content.event.seq}-{name}")
            yield base | {"score": score, "target": "", "intermediate": False, "scorer": name}


def _ranges(positions: list[int]) -> list[list[int]]:
    """Return positions as ranges, each from the first to the one after the last."""
    ranges: list[list[int]] = []
    for position in positions:
        if ranges and ranges[-1][1] == position:
            ranges[-1][1] += 1
        else:
            ranges.append([position, position + 1])
    return ranges
