"""A run as other programs see one: conversations of agents, and calls with all that belongs to them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, cast

from sandbox.enums import EventKind
from sandbox.scenario.stages import stages_of
from sandbox.scenario.toolkits import Tool
from sandbox.scenario.topology import HANDOVER
from sandbox.trace.call_events import GateDecisionEvent, ToolResultEvent
from sandbox.trace.events import Event
from sandbox.trace.model_events import ModelReplyEvent
from sandbox.trace.run_events import RunStartEvent
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow


@dataclass(frozen=True)
class Told:
    """One event with its data, large texts in place."""

    event: Event
    data: Any


@dataclass(frozen=True)
class Message:
    """A message of one agent's conversation."""

    agent: str
    role: str
    text: str
    at: float
    seq: int
    """Position of the event that it comes from."""
    reply: ModelReplyEvent | None = None
    """The reply that it is, where it is one."""
    result: ToolResultEvent | None = None
    """The result that it is, where it is one."""
    function: str = ""
    """Of a result: the name by which the model called the tool."""


@dataclass
class Call:
    """A call, from its intent to its result."""

    id: str
    tool: str
    function: str
    """The name by which the model called it."""
    agent: str
    arguments: dict[str, object]
    raw: str
    intent: Event
    original: dict[str, Any] | None = None
    """What the model had asked for, where its scaffold edited the call."""
    result: Told | None = None
    verdicts: list[Told] = field(default_factory=list)
    decisions: list[Told] = field(default_factory=list)


@dataclass(frozen=True)
class Story:
    """All that was told of one run."""

    row: RunRow
    start: RunStartEvent
    """Without fields if the run does not begin with it."""
    events: list[Told]
    messages: list[Message]
    calls: list[Call]
    tools: dict[str, Tool]
    """By full name."""
    spoken: list[Told]
    """Verdicts and decisions that are of no call, but of an agent's words."""

    @property
    def agents(self) -> list[str]:
        """The agents: those of a team in its order, others as they were first heard of."""
        named = self.start.get("order") or self.start.get("agents") or {}
        return list(dict.fromkeys([*named, *(message.agent for message in self.messages)]))

    @property
    def task(self) -> str:
        """What the user asked for first."""
        return next((m.text for m in self.messages if m.role == "user"), "")


def story(store: Store, row: RunRow) -> Story:
    """Return a run's story.

    Raises:
        StoreError: A text is missing or damaged.
    """
    events = [Told(item, store.content(item)) for item in store.events(row.id)]
    begins = bool(events) and events[0].event.kind == EventKind.RUN_START
    start: RunStartEvent = events[0].data if begins else cast("RunStartEvent", {})
    teller = _Teller()
    for told in events:
        teller.take(told)
    tools = [Tool.from_data(data) for data in json.loads(start.get("tools") or "[]")]
    named = {tool.name: tool for tool in tools}
    return Story(row, start, events, teller.messages, list(teller.calls), named, teller.spoken)


class _Teller:
    """Puts events together. Ids of calls are a model's own and may come twice: the last one counts."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.calls: list[Call] = []
        self.spoken: list[Told] = []
        self._open: dict[tuple[str, str], Call] = {}
        self._functions: dict[tuple[str, str], str] = {}
        self._replies: Counter[str] = Counter()

    def take(self, told: Told) -> None:
        """Take the next event."""
        kind, agent, data = told.event.kind, told.event.agent, told.data
        if kind == EventKind.MESSAGE:
            self._enter(told)
        elif kind == EventKind.CHANNEL_MESSAGE:
            self._say(told, "user", data["text"])
        elif kind == EventKind.MODEL_REPLY:
            self._replies[agent] += 1
            for call in data["calls"]:
                self._functions[agent, call["id"]] = call["name"]
            self._say(told, "assistant", data["text"], reply=data)
        elif kind == EventKind.TOOL_INTENT:
            self._intend(told)
        elif kind == EventKind.TOOL_DROPPED:
            self._open.pop((agent, data["call"]), None)
        elif kind == EventKind.TOOL_RESULT:
            self._end(told)
        elif kind in (EventKind.VERDICT, EventKind.GATE_DECISION):
            self._judge(told)

    def _enter(self, told: Told) -> None:
        """Take a message that entered a conversation."""
        data, agent = told.data, told.event.agent
        if data["role"] == "assistant" and self._replies[agent]:
            self._replies[agent] -= 1  # it is the reply that was told before
        elif data["role"] == "tool":
            self._stand_in(told)
        else:
            self._say(told, data["role"], data.get("content") or "")

    def _judge(self, told: Told) -> None:
        kind, data = told.event.kind, told.data
        call = self._open.get((told.event.agent, data.get("call", "")))
        if call is None or data.get("stage") in stages_of("words"):
            self.spoken.append(told)
            return
        (call.verdicts if kind == EventKind.VERDICT else call.decisions).append(told)
        if (
            kind == EventKind.GATE_DECISION
            and data["stage"] in stages_of("result")
            and data.get("carried_out")
        ):
            self._changed(call, data)

    def _say(self, told: Told, role: str, text: Any, **more: Any) -> None:
        said = text if isinstance(text, str) else json.dumps(text)
        event = told.event
        self.messages.append(Message(event.agent, role, said, event.at, event.seq, **more))

    def _intend(self, told: Told) -> None:
        data, agent = told.data, told.event.agent
        original = data.get("original")
        function = self._functions.get((agent, data["call"]), data["tool"])
        if original and original["tool"] != data["tool"]:
            function = data["tool"].replace(".", "_")
        call = Call(
            data["call"],
            data["tool"],
            function,
            agent,
            data.get("arguments") or {},
            data.get("raw", ""),
            told.event,
            original,
        )
        self.calls.append(call)
        self._open[agent, call.id] = call

    def _end(self, told: Told) -> None:
        data, agent = told.data, told.event.agent
        call = self._open.get((agent, data["call"]))
        function = call.function if call else data["tool"]
        if call is not None:
            call.result = told
        if not str(data["call"]).startswith(HANDOVER):  # its own words, sent on by its team
            self._say(told, "tool", data["text"], result=data, function=function)

    def _changed(self, call: Call, decision: GateDecisionEvent) -> None:
        """Take note that the agent read something else than the result."""
        rewrites = (told.data.get("rewrite") for told in reversed(call.verdicts))
        text = next(filter(None, rewrites), f"[withheld by {decision['monitor']}]")
        self._replace_result(call, text)

    def _stand_in(self, told: Told) -> None:
        """Take what a scaffold put in the place of a result, or what stands there for a call not made."""
        data, agent = told.data, told.event.agent
        key, text = str(data.get("tool_call_id", "")), str(data.get("content") or "")
        call = self._open.get((agent, key))
        if call is not None and call.result is not None:
            self._replace_result(call, text)
            return
        result = {"call": key, "status": "", "text": text}
        self._say(told, "tool", text, result=result, function=self._functions.get((agent, key), ""))

    def _replace_result(self, call: Call, text: str) -> None:
        for index in range(len(self.messages) - 1, -1, -1):
            message = self.messages[index]
            if call.result is not None and message.seq == call.result.event.seq:
                self.messages[index] = replace(message, text=text)
                return
