"""A run as other programs see one: conversations of agents, and calls with all that belongs to them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.scenario.stages import stages_of
from sandbox.scenario.toolkits import Tool
from sandbox.scenario.topology import HANDOVER
from sandbox.trace.events import Event
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow


@dataclass(frozen=True)
class EventContent:
    """One event with its data, large texts in place."""

    event: Event
    data: Any


@dataclass(frozen=True)
class TranscriptMessage:
    """A message of one agent's conversation."""

    agent: str
    role: str
    text: str
    at: float
    seq: int
    """Position of the event that it comes from."""
    reply: Any = None
    """Data of the ``model.reply`` that it is, if it is one."""
    result: Any = None
    """Data of the ``tool.result`` that it is, if it is one."""
    function: str = ""
    """Of a result: the name by which the model called the tool."""


@dataclass
class TranscriptCall:
    """A call, from its intent to its result."""

    function: str
    """The name by which the model called it."""
    intent: EventContent
    result: EventContent | None = None
    verdicts: list[EventContent] = field(default_factory=list)
    decisions: list[EventContent] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The model's id of it."""
        return str(self.intent.data["call"])

    @property
    def tool(self) -> str:
        """The tool's full name."""
        return str(self.intent.data["tool"])

    @property
    def original(self) -> Any:
        """What the model asked for, if its scaffold edited the call."""
        return self.intent.data.get("original")


class Transcript:
    """All that is on record of one run. Ids of calls are a model's own and may come twice: the later counts."""

    def __init__(self, store: Store, row: RunRow) -> None:
        """Read a run.

        Raises:
            StoreError: A text is missing or damaged.
        """
        self.row = row
        self.result: Mapping[str, Any] = row.result or {}
        self.events = [EventContent(item, store.content(item)) for item in store.events(row.id)]
        first = self.events[:1]
        self.start: Mapping[str, Any] = (
            first[0].data if first and first[0].event.kind == "run.start" else {}
        )
        tools = [Tool.from_data(data) for data in json.loads(self.start.get("tools") or "[]")]
        self.tools = {tool.name: tool for tool in tools}
        """By full name."""
        self.messages: list[TranscriptMessage] = []
        self.calls: list[TranscriptCall] = []
        self.on_replies: list[EventContent] = []
        """Verdicts and decisions that are of no call, but of an agent's words."""
        self._open: dict[tuple[str, str], TranscriptCall] = {}
        self._functions: dict[tuple[str, str], str] = {}
        self._replies: Counter[str] = Counter()
        for content in self.events:
            self._take(content)

    @property
    def agents(self) -> list[str]:
        """The agents: those of a team in its order, others as they were first heard of."""
        named = self.start.get("order") or self.start.get("agents") or {}
        return list(dict.fromkeys([*named, *(message.agent for message in self.messages)]))

    @property
    def task(self) -> str:
        """What the user asked for first."""
        return next((m.text for m in self.messages if m.role == "user"), "")

    def _take(self, content: EventContent) -> None:
        kind, agent, data = content.event.kind, content.event.agent, content.data
        if kind == "message":
            self._enter(content)
        elif kind == "channel.message":
            self._add_message(content, "user", data["text"])
        elif kind == "model.reply":
            self._replies[agent] += 1
            self._functions |= {(agent, call["id"]): call["name"] for call in data["calls"]}
            self._add_message(content, "assistant", data["text"], reply=data)
        elif kind == "tool.intent":
            self._add_call(content)
        elif kind == "tool.dropped":
            self._open.pop((agent, data["call"]), None)
        elif kind == "tool.result":
            self._add_result(content, self._open.get((agent, data["call"])))
        elif kind in ("verdict", "gate.decision"):
            self._add_judgement(content)

    def _add_message(self, content: EventContent, role: str, text: Any, **more: Any) -> None:
        text, event = text if isinstance(text, str) else json.dumps(text), content.event
        self.messages.append(
            TranscriptMessage(event.agent, role, text, event.at, event.seq, **more)
        )

    def _enter(self, content: EventContent) -> None:
        """Take a message that entered a conversation."""
        data, agent = content.data, content.event.agent
        if data["role"] == "assistant" and self._replies[agent]:
            self._replies[agent] -= 1  # it is the reply that came before
        elif data["role"] == "tool":
            self._add_substitute(content)
        else:
            self._add_message(content, data["role"], data.get("content") or "")

    def _add_call(self, content: EventContent) -> None:
        data, agent = content.data, content.event.agent
        function, original = self._functions.get((agent, data["call"])), data.get("original")
        if original and original["tool"] != data["tool"]:
            function = data["tool"].replace(".", "_")
        call = self._open[agent, data["call"]] = TranscriptCall(function or data["tool"], content)
        self.calls.append(call)

    def _add_substitute(self, content: EventContent) -> None:
        """Take what a scaffold put in the place of a result, or wrote for a call that was not made."""
        data, agent = content.data, content.event.agent
        key, text = str(data.get("tool_call_id", "")), str(data.get("content") or "")
        call = self._open.get((agent, key))
        if call is not None and call.result is not None:
            self._replace_result(call, text)
            return
        result, function = (
            {"call": key, "status": "", "text": text},
            self._functions.get((agent, key), ""),
        )
        self._add_message(content, "tool", text, result=result, function=function)

    def _add_result(self, content: EventContent, call: TranscriptCall | None) -> None:
        data = content.data
        if call is not None:
            call.result = content
        if not str(data["call"]).startswith(HANDOVER):  # its own words, sent on by its team
            function = call.function if call else data["tool"]
            self._add_message(content, "tool", data["text"], result=data, function=function)

    def _add_judgement(self, content: EventContent) -> None:
        kind, data = content.event.kind, content.data
        call = self._open.get((content.event.agent, data.get("call", "")))
        if call is None or data.get("stage") in stages_of("words"):
            self.on_replies.append(content)
            return
        (call.verdicts if kind == "verdict" else call.decisions).append(content)
        of_result = kind == "gate.decision" and data["stage"] in stages_of("result")
        if of_result and data.get("carried_out"):
            rewrites = (verdict.data.get("rewrite") for verdict in reversed(call.verdicts))
            text = next(filter(None, rewrites), f"[withheld by {data['monitor']}]")
            self._replace_result(call, text)

    def _replace_result(self, call: TranscriptCall, text: str) -> None:
        """Take note that the agent read something else than the result."""
        seq = call.result.event.seq if call.result else None
        index = next((i for i, m in enumerate(self.messages) if m.seq == seq), None)
        if index is not None:
            self.messages[index] = replace(self.messages[index], text=text)
