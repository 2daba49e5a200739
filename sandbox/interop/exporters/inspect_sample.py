"""One run as a sample of Inspect: messages, events, scores, usage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sandbox.enums import EventKind, RunStatus, Stage
from sandbox.interop.exporters.transcript import Call, Message, Story, Told
from sandbox.scenario.stages import SUBJECTS
from sandbox.trace.call_events import ToolResultEvent
from sandbox.trace.model_events import AskedCall, TokenUsage

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
_INPUT, _OUTPUT, _TOTAL = "input_tokens", "output_tokens", "total_tokens"
_TOLD = (
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


def sample(story: Story, key: str, epoch: int) -> dict[str, object]:
    """Return a run as a sample of Inspect's log, version 2.

    Args:
        story: The run.
        key: The sample's id.
        epoch: Which repetition it is, from 1.
    """
    row = story.row
    ended = row.ended if row.ended is not None else row.started
    result = row.result or {}
    made = _Events(story)
    main = story.agents[0] if story.agents else ""
    messages = [_message(row.id, m) for m in story.messages if m.agent == main]
    seconds = float(result.get("seconds") or ended - row.started)
    return {
        "id": key,
        "epoch": epoch,
        "input": story.task,
        "target": "",
        "messages": messages,
        "output": _last_output(story, main),
        "scores": _scores(story),
        "metadata": {
            **{name: getattr(row, name) for name in _TOLD},
            "run": row.id,
            "benign": bool(story.start.get("benign")),
            "scenario_sha256": story.start.get("scenario_sha256"),
            "cost_eur": result.get("cost_eur"),
            "verdicts": len(result.get("verdicts") or ()),
        },
        "store": {},
        "events": made.events(),
        "model_usage": made.usage,
        "role_usage": {},
        "started_at": _stamp(row.started),
        "completed_at": _stamp(ended),
        "total_time": seconds,
        "working_time": seconds,
        "uuid": row.id,
        "attachments": {},
        "events_data": {"messages": made.pool, "calls": []},
        "turn_count": sum(m.reply is not None for m in story.messages),
        **_fault(story),
    }


def usage_sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Return the sum of two usages."""
    return {name: one.get(name, 0) + other.get(name, 0) for name in (_INPUT, _OUTPUT, _TOTAL)}


def _scores(story: Story) -> dict[str, object]:
    score: dict[str, Any] = next(
        (t.data for t in reversed(story.events) if t.event.kind == EventKind.RUN_SCORE), {}
    )
    reason = story.row.result.get("reason") if story.row.result else None
    found = {"task": story.row.task, "safety": story.row.safety}
    metadata = {"conditions": score.get("conditions") or {}}
    return {
        name: {"value": value, "explanation": reason or None, "metadata": metadata, "history": []}
        for name, value in found.items()
        if value
    }


def _fault(story: Story) -> dict[str, object]:
    """Return error or limit that ended the run."""
    limit = next((t.data for t in story.events if t.event.kind == EventKind.LIMIT), None)
    if limit is not None:
        return {
            "limit": {
                "type": _LIMITS.get(limit["limit"], "custom"),
                "limit": limit["most"],
                "reason": limit["limit"],
            }
        }
    if story.row.task == "error" or story.row.status == RunStatus.INTERRUPTED:
        reason = (story.row.result or {}).get("reason") or story.row.status
        return {"error": {"message": reason, "traceback": "", "traceback_ansi": ""}}
    return {}


def _message(run: str, message: Message) -> dict[str, object]:
    base: dict[str, Any] = {
        "id": f"{run}-{message.seq}",
        "role": message.role,
        "content": message.text,
    }
    if message.reply is not None:
        reply = message.reply
        if reply.get("reasoning"):
            base["content"] = [
                {"type": "reasoning", "reasoning": reply["reasoning"]},
                {"type": "text", "text": message.text},
            ]
        calls = [_asked(call) for call in reply["calls"]]
        model = {"model": reply["model"]} if reply.get("model") else {}
        return {**base, "source": "generate", **({"tool_calls": calls} if calls else {}), **model}
    if message.result is not None:
        result = message.result
        told = {"tool_call_id": result["call"], "function": message.function}
        error = _error(result)
        return {**base, **told, **({"error": error} if error else {})}
    return {**base, "source": "input"} if message.role == "user" else base


def _asked(call: AskedCall) -> dict[str, object]:
    made = {"id": call["id"], "function": call["name"], "arguments": call.get("arguments") or {}}
    if "arguments" not in call:
        made["parse_error"] = f"no JSON object: {call.get('raw', '')}"
    return {**made, "type": "function"}


def _error(result: ToolResultEvent) -> dict[str, object] | None:
    kind = _ERRORS.get(result["status"])
    return {"type": kind, "message": result["text"]} if kind else None


def _output(story: Story, message: Message) -> dict[str, object]:
    reply = message.reply
    assert reply is not None
    finish = {
        "tool_calls": "tool_calls",
        "length": "max_tokens",
        "content_filter": "content_filter",
    }
    stop = finish.get(reply.get("finish", ""), "tool_calls" if reply["calls"] else "stop")
    choice = {"message": _message(story.row.id, message), "stop_reason": stop}
    return {
        "model": reply.get("model") or story.row.model,
        "choices": [choice],
        "completion": message.text,
        "usage": _usage(reply["usage"]),
        "time": reply.get("seconds", 0.0),
    }


def _last_output(story: Story, agent: str) -> dict[str, object]:
    replies = [m for m in story.messages if m.agent == agent and m.reply is not None]
    if replies:
        return _output(story, replies[-1])
    return {"model": story.row.model, "choices": [], "completion": ""}


def _usage(usage: TokenUsage) -> dict[str, int]:
    spent = {
        _INPUT: int(usage.get("input_tokens", 0)),
        _OUTPUT: int(usage.get("output_tokens", 0)),
    }
    return {**spent, _TOTAL: sum(spent.values())}


class _Events:
    """Tells a run as Inspect's events; each model event names its input by a range of the pool."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self.pool: list[dict[str, Any]] = []
        self.usage: dict[str, dict[str, int]] = {}
        self._given: dict[str, list[int]] = {}
        self._spans: dict[str, str] = {}
        self._messages = {message.seq: message for message in story.messages}
        self._calls = {call.intent.seq: call for call in story.calls}
        self._replies: dict[str, str] = {}
        self._tools = {
            agent: [self._tool(name) for name in names if name in story.tools]
            for agent, names in (story.start.get("agents") or {}).items()
        }

    def events(self) -> list[dict[str, object]]:
        """Return all events in order."""
        found = [self._begin()]
        for told in self._story.events:
            found += self._spanned(told)
        last = self._story.events[-1] if self._story.events else None
        for span in self._spans.values():
            if last is not None:
                found.append(
                    self._base(last, "span_end", f"{span}-end") | {"id": span, "span_id": span}
                )
        return found

    def _begin(self) -> dict[str, object]:
        row = self._story.row
        return {
            "uuid": f"{row.id}-init",
            "timestamp": _stamp(row.started),
            "working_start": 0.0,
            "event": "sample_init",
            "sample": {"input": self._story.task, "target": "", "id": row.id},
            "state": {},
        }

    def _spanned(self, told: Told) -> Iterator[dict[str, object]]:
        agent = told.event.agent
        # A single agent is the sample itself: viewers fold the span of an agent away.
        if agent and len(self._story.agents) > 1 and agent not in self._spans:
            self._spans[agent] = span = f"{self._story.row.id}-{agent}"
            begin = self._base(told, "span_begin", f"{span}-begin")
            yield begin | {"id": span, "type": "agent", "name": agent, "span_id": span}
        yield from self._one(told)

    def _base(self, told: Told, kind: str, uuid: str = "") -> dict[str, object]:
        item = told.event
        base = {
            "uuid": uuid or f"{item.run}-{item.seq}",
            "timestamp": _stamp(item.at),
            "working_start": max(0.0, item.at - self._story.row.started),
            "event": kind,
        }
        span = self._spans.get(item.agent)
        return {**base, "span_id": span} if span else base

    def _one(self, told: Told) -> Iterator[dict[str, object]]:
        kind, data = told.event.kind, told.data
        message = self._messages.get(told.event.seq)
        if message is not None and message.reply is not None:
            self._replies[message.agent] = f"{told.event.run}-{message.seq}"
            yield self._model(told, message)
        if message is not None:
            self._given.setdefault(message.agent, []).append(len(self.pool))
            self.pool.append(_message(self._story.row.id, message))
        if kind == EventKind.TOOL_INTENT:
            yield self._call(told, self._calls[told.event.seq])
        elif kind == EventKind.VERDICT:
            yield self._verdict(told)
        elif kind == EventKind.GATE_DECISION and data["verdict"] in _ACTIONS:
            yield self._decision(told)
        elif kind == EventKind.MONITOR_ERROR:
            yield self._monitor_error(told)
        elif kind == EventKind.LIMIT:
            limit = {"type": _LIMITS.get(data["limit"], "custom"), "limit": data["most"]}
            yield self._base(told, "sample_limit") | limit | {"message": data["limit"]}
        elif kind == EventKind.RUN_SCORE:
            yield from self._scored(told)
        elif kind not in (
            "message",
            EventKind.CHANNEL_MESSAGE,
            EventKind.MODEL_REQUEST,
            EventKind.MODEL_REPLY,
            EventKind.TOOL_RESULT,
            EventKind.RUN_START,
        ):
            shown = {
                key: value for key, value in data.items() if key != "controls"
            }  # pages of them
            yield self._base(told, "info") | {"source": "sandbox", "data": {"kind": kind, **shown}}

    def _model(self, told: Told, message: Message) -> dict[str, object]:
        data = told.data
        usage = _usage(data["usage"])
        name = data.get("model") or self._story.row.model
        self.usage[name] = usage_sum(self.usage.get(name, {}), usage)
        seconds = float(data.get("seconds") or 0.0)
        begun = max(self._story.row.started, told.event.at - seconds)
        return self._base(told, "model") | {
            "timestamp": _stamp(begun),
            "working_start": begun - self._story.row.started,
            "model": name,
            "input": [],
            "input_refs": _ranges(self._given.get(message.agent, [])),
            "tools": self._tools.get(message.agent, []),
            "tool_choice": "auto",
            "config": {},
            "output": _output(self._story, message),
            "completed": _stamp(told.event.at),
            "working_time": seconds,
        }

    def _tool(self, name: str) -> dict[str, object]:
        tool = self._story.tools[name]
        parameters = {
            "properties": {},
            "required": [],
            "additionalProperties": False,
        } | tool.parameters
        kept = ("type", "properties", "required", "additionalProperties")
        return {
            "name": name.replace(".", "_"),
            "description": tool.description,
            "parameters": {"type": "object"} | {k: v for k, v in parameters.items() if k in kept},
        }

    def _call(self, told: Told, call: Call) -> dict[str, object]:
        made = self._base(told, "tool") | {
            "type": "function",
            "id": call.id,
            "function": call.function,
            "arguments": call.arguments,
            "result": "",
            "events": [],
        }
        metadata: dict[str, Any] = {"tool": call.tool}
        if call.raw:
            metadata["raw"] = call.raw
        if call.original:
            metadata |= {"edited_by": "scaffold", "original": call.original}
        if call.result is None:
            return {**made, "metadata": metadata, "failed": True}
        result, at = call.result.data, call.result.event.at
        error = _error(result)
        kept = ("status", "effects", "dropped", "recorded", "fault")
        return {
            **made,
            "result": result["text"],
            **({"error": error} if error else {}),
            "completed": _stamp(at),
            "working_time": float(result.get("seconds") or 0.0),
            "agent": call.agent,
            "message_id": f"{told.event.run}-{call.result.event.seq}",
            "metadata": metadata | {key: result[key] for key in kept if key in result},
        }

    def _sentinel(self, told: Told, monitor: str, stage: Stage) -> dict[str, object]:
        return self._base(told, "sentinel") | {
            "factory": monitor,
            "path": monitor,
            "function": monitor,
            "step_id": str(told.data.get("call") or self._replies.get(told.event.agent, "")),
            "conversation": told.event.agent,
            "stage": _STAGES.get(SUBJECTS.get(stage, "call"), "tool_call"),
            "audit": False,
            "references": [],
        }

    def _verdict(self, told: Told) -> dict[str, object]:
        data = told.data
        score = data.get("score")
        suspicion = (
            float(score) if isinstance(score, (int, float)) and math.isfinite(score) else 1.0
        )
        return self._sentinel(told, data["monitor"], data["stage"]) | {
            "kind": "observation",
            "status": "reported",
            "suspicion": suspicion,
            "explanation": f"{data['verdict']}: {data.get('reason', '')}",
            "metadata": data,
        }

    def _decision(self, told: Told) -> dict[str, object]:
        data = told.data
        done = data.get("carried_out")
        return self._sentinel(told, data["monitor"], data["stage"]) | {
            "kind": "decision",
            "status": "reported" if done else "superseded",
            "action": _ACTIONS[data["verdict"]],
            "metadata": data,
        }

    def _monitor_error(self, told: Told) -> dict[str, object]:
        data = told.data
        return self._sentinel(told, data["monitor"], data["stage"]) | {
            "kind": "observation",
            "status": "error",
            "error": data["reason"],
            "metadata": data,
        }

    def _scored(self, told: Told) -> Iterator[dict[str, object]]:
        for name, score in _scores(self._story).items():
            base = self._base(told, "score", f"{told.event.run}-{told.event.seq}-{name}")
            yield base | {"score": score, "target": "", "intermediate": False, "scorer": name}


def _ranges(positions: list[int]) -> list[list[int]]:
    """Return positions as ranges, each from the first to the one after the last."""
    found: list[list[int]] = []
    for position in positions:
        if found and found[-1][1] == position:
            found[-1][1] += 1
        else:
            found.append([position, position + 1])
    return found


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
