"""A run told event by event, as text for a terminal or a pipe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from sandbox.enums import EffectAction, EffectKind, EventKind
from sandbox.terminal_escape import plain
from sandbox.trace.call_events import (
    GateDecisionEvent,
    JudgeReplyEvent,
    MonitorErrorEvent,
    ToolLateEvent,
    ToolResultEvent,
    VerdictEvent,
)
from sandbox.trace.effects import Effect
from sandbox.trace.events import Event
from sandbox.trace.model_events import (
    ChannelMessageEvent,
    MessageEvent,
    ModelReplyEvent,
    ModelRequestEvent,
)
from sandbox.trace.run_events import (
    ContainerOpenEvent,
    ControlState,
    RunForkEvent,
    RunPurgedEvent,
    RunScoreEvent,
    RunStartEvent,
)
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

_INDENT = "      "
_STYLES: Mapping[str, str] = {
    EventKind.JUDGE_REPLY: "blue",
    EventKind.VERDICT: "yellow",
    EventKind.GATE_DECISION: "red",
    EventKind.TOOL_INTENT: "cyan",
    EventKind.TOOL_DROPPED: "yellow",
    EventKind.MODEL_REPLY: "green",
    EventKind.MONITOR_ERROR: "red",
    EventKind.MODEL_ERROR: "red",
    EventKind.LIMIT: "yellow",
    EventKind.RUN_SCORE: "bold",
    EventKind.RUN_INTERRUPTED: "red",
}
ODD = (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError)
"""What reading an event may raise that another version wrote, or somebody who wishes harm."""
LINES = 40
"""Lines of one text that are shown unless all are asked for."""


def tell(
    store: Store,
    row: RunRow,
    *,
    full: bool = False,
    notes: Callable[[Event], list[str]] | None = None,
) -> Iterator[Text]:
    """Yield the lines of a replay.

    Args:
        store: Where the run is.
        row: The run.
        full: Show whole texts, not just their first lines.
        notes: Returns what else belongs below an event.
    """
    said = f"{row.scenario}  {row.model}  {row.mode}  {row.isolation}  {row.lang}  seed {row.seed}"
    if row.scaffold not in ("react", ""):
        said += f"  scaffold {row.scaffold}"
    yield Text(plain(said), "bold")
    yield Text(plain(f"run {row.id}  {_time(row.started)}  {outcome(row)}"))
    for item in store.events(row.id):
        more = notes(item) if notes is not None else []
        yield from _event(item, [*_described(store, item), *more], full)


def _described(store: Store, item: Event) -> list[str]:
    try:
        return describe(item.kind, store.content(item))
    except ODD:
        return [item.data]  # not as this version writes it: shown as it is


def _event(item: Event, said: list[str], full: bool) -> Iterator[Text]:
    style = _STYLES.get(item.kind, "dim")
    agent = f" {plain(item.agent)}" if item.agent else ""
    first, *rest = said
    head, *more = first.splitlines() or [""]
    yield Text(f"{item.seq:>4}  {item.kind}{agent}  ", style).append(plain(head), "")
    texts = [line for text in ("\n".join(more), *rest) if text for line in plain(text).splitlines()]
    shown = texts if full else texts[:LINES]
    for line in shown:
        yield Text(_INDENT + line)
    if len(shown) < len(texts):
        yield Text(f"{_INDENT}… {len(texts) - len(shown)} lines more: --full", "dim")


def outcome(row: RunRow) -> str:
    """Return both axes of a run's outcome, or its status where it has none."""
    return f"{row.task} / {row.safety or 'not judged'}" if row.task else row.status


def describe(kind: str, data: Any) -> list[str]:
    """Return what an event says, its head first; the texts are as they were written, not escaped."""
    return _TELLERS.get(kind, _other)(data)


def _start(data: RunStartEvent) -> list[str]:
    limits = ", ".join(f"{k} {v:g}" for k, v in data["limits"].items())
    team = [f"{data['team']}: {', '.join(data['order'])}"] if data.get("team") else []
    monitors = f"monitors: {', '.join(data['monitors'])}"
    return [f"{data['scenario']}", *team, f"limits: {limits}", monitors]


def _container(data: ContainerOpenEvent) -> list[str]:
    return [
        f"{data['backend']} {data['version']}, image {data['image']}",
        *controls(data["controls"]),
    ]


def controls(found_by_name: Mapping[str, ControlState | str]) -> list[str]:
    """Return the audit of a container, a line for each source, from what ``container.open`` holds.

    Traces of version 0.1 hold a text for each control and no source.
    """
    by_source: dict[str, list[str]] = {}
    for name, control in found_by_name.items():
        source, found = (
            ("controls", control)
            if isinstance(control, str)
            else (control["source"], control["found"])
        )
        by_source.setdefault(source, []).append(f"{name} {found}")
    return [f"{source}: {'; '.join(found)}" for source, found in by_source.items()]


def _message(data: MessageEvent) -> list[str]:
    calls = [
        f"→ {c['function']['name']} {c['function']['arguments']}"
        for c in data.get("tool_calls", ())
    ]
    return [f"{data['role']}:", str(data.get("content") or ""), *calls]


def _channel(data: ChannelMessageEvent) -> list[str]:
    return [f"from {data['from'] or 'the team'}:", str(data["text"])]


def _request(data: ModelRequestEvent) -> list[str]:
    return [f"turn {data['turn'] + 1}, {data['messages']} messages"]


def _reply(data: ModelReplyEvent) -> list[str]:
    usage = data["usage"]
    told = [f"turn {data['turn'] + 1}, {usage['input_tokens']}+{usage['output_tokens']} tokens"]
    if data.get("reasoning"):
        told.append("(reasoning) " + data["reasoning"])
    if data["text"]:
        told.append(data["text"])
    return told + [
        f"→ {c['name']} {_short(c.get('arguments', c.get('raw')))}" for c in data["calls"]
    ]


def _intent(data: Any) -> list[str]:
    return [_call_text(data), *original_call(data)]


def original_call(data: Any) -> list[str]:
    """Return what the model asked for, where its scaffold made another call of it."""
    if "original" not in data:
        return []
    return [f"edited by the scaffold; the model asked for {_call_text(data['original'])}"]


def _call_text(data: Any) -> str:
    return f"{data['tool']} {_short(data.get('arguments', data.get('raw')))}"


def _drop(data: Any) -> list[str]:
    return [f"dropped by the scaffold: {_call_text(data)}"]


def _result(data: ToolResultEvent) -> list[str]:
    effects = [_effect(effect) for effect in data["effects"]]
    return [f"{data['tool']}: {data['status']}", data["text"], *effects]


def _effect(effect: Effect) -> str:
    if effect["kind"] == EffectKind.WORLD:
        changes = [
            f"{op['op']} {op['path']} {_short(op.get('value'), 160)}"
            for op in effect["detail"]["patch"]
        ]
        return "\n".join(f"± world {change}" for change in changes)
    return f"± {effect['kind']} {effect['action']} {_what(effect)} ({effect['status']})"


def _what(effect: Effect) -> str:
    detail: Mapping[str, Any] = effect.get("detail") or {}
    if effect["action"] == EffectAction.EXEC:
        ended = {"exit": ", exit {}", "signal": ", ended by {}"}
        end = next((text.format(detail[k]) for k, text in ended.items() if k in detail), "")
        return f"{_short(' '.join(detail['argv']), 160)}{end}"
    to = f" → {detail['to']}" if detail.get("to") else ""
    times = f" ×{detail['count']}" if "count" in detail else ""
    return f"{effect['target']}{to}{times}"


def _late(data: ToolLateEvent) -> list[str]:
    return [f"{data['tool']}, after it had returned:", *map(_effect, data["effects"])]


def _verdict(data: VerdictEvent) -> list[str]:
    return [
        f"{data['verdict'].upper()} by {data['monitor']} ({data['severity']}, {data['stage']}): {data['reason']}"
    ]


def _judge(data: JudgeReplyEvent) -> list[str]:
    usage = data["usage"]
    score = f"unscored: {data['problem']}" if data["score"] is None else f"score {data['score']:g}"
    known = ", known from before" if data["cached"] else ""
    spent = f"{usage['input_tokens']}+{usage['output_tokens']} tokens, {data['seconds']:.1f} s"
    first = f"{data['monitor']} ({data['stage']}): {score}, by {data['model']} ({spent}{known})"
    return [first, data["reason"] or data["text"]]


def _failure(data: MonitorErrorEvent) -> list[str]:
    kind = data.get("kind", "error")  # traces of version 0.1 do not say which
    return [f"{kind.upper()} of {data['monitor']} ({data['stage']}): {data['reason']}"]


def _decision(data: GateDecisionEvent) -> list[str]:
    done = "carried out" if data["carried_out"] else "not carried out"
    by = f", decided by {data['decided_by']}" if "decided_by" in data else ""
    said = f"{data['verdict']} asked for by {data['monitor']}: {done} ({data['mode']}{by})"
    return [said, *([f"the agent reads: {data['text']}"] if "text" in data else [])]


def _fork(data: RunForkEvent) -> list[str]:
    found = data["difference"]
    said = (
        "as in the record"
        if found is None
        else f"event {found['event']} is not as in the record: {found['what']}"
    )
    message = [f"user: {data['message']}"] if data.get("message") else []
    return [f"{data['calls']} calls of {data['parent']} replayed, {said}", *message]


def _purged(data: RunPurgedEvent) -> list[str]:
    return [f"{data['removed']} events removed by {data['by']}: {data['reason']}"]


def _score(data: RunScoreEvent) -> list[str]:
    conditions = [f"{k}: {str(v).lower()}" for k, v in data["conditions"].items() if v is not None]
    reason = [f"reason: {data['reason']}"] if data["reason"] else []
    return [f"task {data['task']}, safety {data['safety']}", *conditions, *reason]


def _other(data: Any) -> list[str]:
    return [_short(data)]


def _short(value: Any, width: int = 2000) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= width else text[:width] + "…"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


_TELLERS: Mapping[str, Callable[[Any], list[str]]] = {
    EventKind.RUN_START: _start,
    EventKind.CONTAINER_OPEN: _container,
    EventKind.MESSAGE: _message,
    EventKind.CHANNEL_MESSAGE: _channel,
    EventKind.MODEL_REQUEST: _request,
    EventKind.MODEL_REPLY: _reply,
    EventKind.TOOL_INTENT: _intent,
    EventKind.TOOL_DROPPED: _drop,
    EventKind.TOOL_RESULT: _result,
    EventKind.TOOL_LATE: _late,
    EventKind.JUDGE_REPLY: _judge,
    EventKind.VERDICT: _verdict,
    EventKind.MONITOR_ERROR: _failure,
    EventKind.GATE_DECISION: _decision,
    EventKind.RUN_FORK: _fork,
    EventKind.RUN_PURGED: _purged,
    EventKind.RUN_SCORE: _score,
}
