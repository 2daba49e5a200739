"""What a timeline shows: one line for each event, with its turn, its agent's lane, what it says.

Nothing here knows a terminal: lines are pieces of text with tones (:mod:`sandbox.tui.styled_text`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.enums import CallStatus, Decision, EffectAction, EffectKind, EventKind
from sandbox.trace.call_events import (
    GateDecisionEvent,
    ToolIntentEvent,
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
)
from sandbox.trace.paging import Wanted
from sandbox.trace.run_events import RunScoreEvent
from sandbox.tui.styled_text import Line, Span, cells, cut, fit
from sandbox.views.replay import ODD, describe

Texts = Callable[[str], str]
"""The text of a blob, by its hash."""

LANES = 8
"""Lanes that are drawn; more agents share the last one."""
COLOURS = 6
"""Tones of lanes; more lanes take them again."""
SMALL = 65536
"""Bytes of a stored text up to which its beginning is shown in a row."""
LARGE = 262_144
"""Characters of an event's data up to which a row reads them all."""

VERDICTS: frozenset[str] = frozenset({"verdict", EventKind.MONITOR_ERROR, EventKind.GATE_DECISION})
RESULTS: frozenset[str] = frozenset({EventKind.TOOL_RESULT, EventKind.TOOL_LATE})

VERDICT = Wanted(kinds=VERDICTS)
EFFECT = Wanted(kinds=RESULTS, without='"effects":[]')
MESSAGE = Wanted(kinds=frozenset({EventKind.TOOL_INTENT}), holds='"tool":"messages.')
CHANNEL = Wanted(prefixes=("channel.", "agent."))
"""Messages between agents: what passes their channel, and what they send with a messages toolkit."""
TURN = Wanted(kinds=frozenset({EventKind.MODEL_REQUEST}))
CALL = Wanted(kinds=frozenset({EventKind.TOOL_INTENT}))

FILTERS: Mapping[str, frozenset[str]] = {
    "everything": frozenset(),
    "calls": frozenset(
        {
            EventKind.TOOL_INTENT,
            EventKind.TOOL_DROPPED,
            *RESULTS,
            *VERDICTS,
            EventKind.LIMIT,
            EventKind.RUN_SCORE,
        }
    ),
    "talk": frozenset(
        {"message", EventKind.CHANNEL_MESSAGE, EventKind.MODEL_REPLY, EventKind.MODEL_ERROR}
    ),
    "verdicts": frozenset({*VERDICTS, EventKind.RUN_SCORE}),
    "effects": RESULTS,
}
"""Name of a filter → kinds that it lets through; none for all."""

_LABELS: Mapping[str, str] = {
    EventKind.RUN_START: "start",
    EventKind.CONTAINER_OPEN: "open",
    EventKind.CONTAINER_CLOSE: "close",
    EventKind.MESSAGE: "message",
    EventKind.CHANNEL_MESSAGE: "from",
    EventKind.MODEL_REQUEST: "turn",
    EventKind.MODEL_RETRY: "retry",
    EventKind.MODEL_REPLY: "reply",
    EventKind.MODEL_ERROR: "error",
    EventKind.TOOL_INTENT: "call",
    EventKind.TOOL_DROPPED: "dropped",
    EventKind.JUDGE_REPLY: "judge",
    EventKind.VERDICT: "verdict",
    EventKind.MONITOR_ERROR: "mon.err",
    EventKind.GATE_DECISION: "gate",
    EventKind.TOOL_RESULT: "result",
    EventKind.TOOL_LATE: "late",
    EventKind.LIMIT: "limit",
    EventKind.RUN_SCORE: "score",
    EventKind.RUN_END: "end",
    EventKind.RUN_INTERRUPTED: "stopped",
    EventKind.RUN_FORK: "fork",
    EventKind.RUN_PURGED: "purged",
}
_TONES: Mapping[str, str] = {
    EventKind.TOOL_INTENT: "call",
    EventKind.TOOL_DROPPED: "alert",
    EventKind.VERDICT: "alert",
    EventKind.GATE_DECISION: "alert",
    EventKind.MONITOR_ERROR: "bad",
    EventKind.MODEL_ERROR: "bad",
    EventKind.RUN_INTERRUPTED: "bad",
    EventKind.LIMIT: "alert",
    EventKind.RUN_SCORE: "head",
    EventKind.MODEL_REQUEST: "rule",
    EventKind.CONTAINER_OPEN: "dim",
    EventKind.CONTAINER_CLOSE: "dim",
    EventKind.RUN_END: "dim",
    EventKind.RUN_START: "head",
    EventKind.RUN_FORK: "head",
    EventKind.RUN_PURGED: "bad",
    EventKind.MESSAGE: "talk",
    EventKind.MODEL_REPLY: "talk",
    EventKind.CHANNEL_MESSAGE: "talk",
}
_SEVERE = {Decision.BLOCK, Decision.TERMINATE, Decision.ESCALATE}
_STATUS: Mapping[str, str] = {
    CallStatus.OK: "good",
    CallStatus.ERROR: "alert",
    CallStatus.INVALID: "alert",
    CallStatus.BLOCKED: "bad",
}
_TOOL = re.compile(r'"tool":"([^"\\]{1,100})"\}$')
_TAIL = 300
_NOUNS: Mapping[str, tuple[str, str]] = {
    EffectKind.FILE: ("file", "files"),
    EffectKind.PROCESS: ("process", "processes"),
    EffectKind.NETWORK: ("net", "net"),
}


@dataclass(frozen=True)
class Lanes:
    """The agents of a run, in the order of their lanes."""

    agents: tuple[str, ...] = ()

    def marks(self, agent: str) -> Line:
        """Return what stands in the lanes beside an event of an agent."""
        count, agents = min(max(len(self.agents), 1), LANES), (*self.agents, agent)
        own = min(agents.index(agent), count - 1) if agent else -1
        return tuple(
            ("● " if lane == own else "│ ", f"lane-{lane % COLOURS}" if lane == own else "dim")
            for lane in range(count)
        )

    def legend(self, width: int = 24) -> Line:
        """Return the names of the agents in the colours of their lanes."""
        return tuple(
            (f"● {cut(agent, width)}  ", f"lane-{min(lane, LANES - 1) % COLOURS}")
            for lane, agent in enumerate(self.agents)
        )


def lanes_of(first: Event) -> Lanes:
    """Return the lanes of a run from its first event."""
    try:
        data = json.loads(first.data)
        return Lanes(tuple(map(str, data.get("order") or data["agents"])))
    except ODD:
        return Lanes()


def parent_of(first: Event) -> tuple[str, int] | None:
    """Return from which run, and which of its events, a fork goes on; None if it is no fork."""
    try:
        data = json.loads(first.data)
        return (str(data["parent"]), int(data["fork_at"])) if data.get("parent") else None
    except ODD:
        return None


def row(
    item: Event, lanes: Lanes, began: float, texts: Texts, width: int, branches: int = 0
) -> Line:
    """Return the line of an event.

    Args:
        item: The event.
        lanes: Of its run.
        began: When the run began, seconds since the epoch.
        texts: Reads stored texts.
        width: Cells that there are.
        branches: How many forks go on from it.
    """
    head: Line = (
        (f"{item.seq:>6} ", "dim"),
        (f"{clock(item.at - began):>9} ", "dim"),
        *lanes.marks(item.agent),
        _label(item.kind, 8),
        *(((f"⑂{branches} ", "head"),) if branches else ()),
    )
    return fit((*head, *says(item, texts, max(width - cells(head), 1))), width)


def brief(item: Event, texts: Texts, width: int) -> Line:
    """Return the line of an event for a narrow place: its number, its kind, what it says."""
    head: Line = ((f"{item.seq:>5} ", "dim"), _label(item.kind, 7))
    return fit((*head, *says(item, texts, max(width - cells(head), 1))), width)


def _label(kind: str, width: int) -> Span:
    return f"{cut(_LABELS.get(kind, kind), width):<{width}} ", _TONES.get(kind, "")


def clock(seconds: float) -> str:
    """Return a time since the start of a run, within nine cells below a thousand hours."""
    whole = int(abs(seconds))
    sign = "-" if seconds <= -0.001 else ""
    if whole >= 3600:
        return f"{sign}{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{sign}{whole // 60:02}:{abs(seconds) % 60:06.3f}"


def says(item: Event, texts: Texts, width: int) -> Line:
    """Return what an event says, in so many cells."""
    if len(item.data) > LARGE:
        tool = _TOOL.search(item.data[-_TAIL:])
        name = f"{tool[1]}: " if tool else ""
        return ((cut(f"{name}‹{len(item.data):,} characters›", width), ""),)
    try:
        data = beginnings(json.loads(item.data), texts)
        if item.kind == "model.request":
            return ((cut(f"── turn {data['turn'] + 1} ".ljust(width, "─"), width), "rule"),)
        spans = _SAYERS[item.kind](data) if item.kind in _SAYERS else _other(item.kind, data)
        *head, (text, tone) = spans
        return *head, (cut(text, max(width - cells(tuple(head)), 1)), tone)
    except ODD:
        return ((cut(item.data, width), ""),)  # another version's, or damaged: shown as it is


def beginnings(value: Any, texts: Texts) -> Any:
    """Return JSON data with small stored texts in place and large ones named by their size."""
    if isinstance(value, dict):
        if value.keys() == {"$blob", "size"}:
            size = value["size"]
            if isinstance(size, int) and size <= SMALL:
                return texts(str(value["$blob"]))
            return f"‹{size:,} bytes›" if isinstance(size, int) else "‹?›"
        inner = value["$literal"] if value.keys() == {"$literal"} else value
        return {key: beginnings(each, texts) for key, each in inner.items()}
    if isinstance(value, list):
        return [beginnings(each, texts) for each in value]
    return value


def _other(kind: str, data: Any) -> Line:
    return ((" ".join(describe(kind, data)), ""),)


def _message(data: MessageEvent) -> Line:
    content = data.get("content")
    text = content if isinstance(content, str) else "" if content is None else _json(content)
    calls = [f"→ {call['function']['name']}" for call in data.get("tool_calls") or ()]
    return (f"{cut(str(data['role']), 10)}: ", "talk"), (" ".join([text, *calls]), "")


def _channel(data: ChannelMessageEvent) -> Line:
    head, _, text = str(data["text"]).partition("\n\n")  # the head names the sender once more
    return (f"{cut(str(data['from'] or 'the team'), 20)}: ", "talk"), (text or head, "")


def _reply(data: ModelReplyEvent) -> Line:
    calls = [f"→ {call['name']}" for call in data["calls"]]
    return ((" ".join([data["text"] or data.get("reasoning", ""), *calls]), ""),)


def _intent(data: ToolIntentEvent) -> Line:
    arguments = data.get("arguments", data.get("raw"))
    if isinstance(arguments, dict):
        arguments = ", ".join(f"{name}: {_json(value)}" for name, value in arguments.items())
    edited: Line = (("edited ", "alert"),) if data.get("original") else ()
    return *edited, (cut(str(data["tool"]), 40), "call"), (" ", ""), (_json(arguments), "")


def _verdict(data: VerdictEvent) -> Line:
    tone = "bad" if data["verdict"] in _SEVERE else "alert"
    return (f"{str(data['verdict']).upper()} ", tone), (f"{data['monitor']}: {data['reason']}", "")


def _decision(data: GateDecisionEvent) -> Line:
    done = "carried out" if data["carried_out"] else f"not carried out ({data['mode']})"
    tone = "bad" if data["carried_out"] else "alert"
    return ((f"{data['verdict']} {done}, {data['monitor']}", tone),)


def _result(data: ToolResultEvent) -> Line:
    status, effects = str(data["status"]), gist(data["effects"])
    parts: Line = ((f"±{effects} ", "effect"),) if effects else ()
    return (f"{cut(status, 10)} ", _STATUS.get(status, "bad")), *parts, (str(data["text"]), "")


def _late(data: ToolLateEvent) -> Line:
    return ("after it had returned ", "alert"), (
        f"±{gist(data['effects'])} {data['tool']}",
        "effect",
    )


def _score(data: RunScoreEvent) -> Line:
    safety = str(data["safety"] or "not judged")
    tone = {"safe": "good", "unsafe": "bad"}.get(safety, "alert")
    task = cut(f"task {data['task']}, safety", 40)
    return (task, "head"), (" ", tone), (f"{safety} {data.get('reason') or ''}", tone)


def _template(text: str, tone: str) -> Callable[[Any], Line]:
    return lambda data: ((text.format(**data), tone),)


def gist(effects: Sequence[Effect]) -> str:
    """Return in a few words which effects there are: ``world, 3 files, canary sent``."""
    counts = Counter((each["kind"], each["action"]) for each in effects)
    words = []
    for kind in dict.fromkeys(kind for kind, _ in counts):
        actions = {action: n for (k, action), n in counts.items() if k == kind}
        if kind == EffectKind.WORLD:
            words.append("world")
        elif kind == EffectKind.CANARY:
            words.append(
                "canary " + "/".join("sent" if a == EffectAction.SEND else "seen" for a in actions)
            )
        else:
            total, (one, many) = sum(actions.values()), _NOUNS.get(kind, (kind, kind))
            words.append(f"{total} {cut(many, 12)}" if total > 1 else cut(one, 12))
    return ", ".join(words)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_SAYERS: dict[str, Callable[[Any], Line]] = {
    EventKind.RUN_START: _template("{scenario}  {model}  {mode}  seed {seed}", "head"),
    EventKind.CONTAINER_OPEN: _template("{backend} {version}, image {image}", "dim"),
    EventKind.MESSAGE: _message,
    EventKind.CHANNEL_MESSAGE: _channel,
    EventKind.MODEL_REPLY: _reply,
    EventKind.TOOL_INTENT: _intent,
    EventKind.TOOL_DROPPED: _intent,
    EventKind.VERDICT: _verdict,
    EventKind.GATE_DECISION: _decision,
    EventKind.TOOL_RESULT: _result,
    EventKind.TOOL_LATE: _late,
    EventKind.RUN_SCORE: _score,
}
"""Kind of event → its spans; the last of them is cut to the cells that are left."""
