"""One agent's conversation in a run: its model, its limits, its way to the gate, on the record."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from operator import is_
from typing import Any, Protocol

from sandbox.agents.teams import Letter
from sandbox.gate.gate import Gate, Passage
from sandbox.models.base import Message, Model, Reply, Request, ToolCall, wire_name
from sandbox.runs.limit_meter import Meter
from sandbox.scenario.teams import HANDOVER, SEND, heard
from sandbox.trace.recorder import Recorder

_LIMIT_NOTE = {
    "en": "not executed: the run's limit on {limit} is reached",
    "fr": "non exécuté : la limite de l'exécution sur {limit} est atteinte",
}


class Course(Protocol):
    """What a fork changes in a conversation."""

    def heard(self, agent: str, turn: int, messages: Sequence[Message]) -> Sequence[Message]:
        """Return the messages that the model is to get for this turn."""
        ...


class Conversation:
    """The context of one agent's graph; see :class:`sandbox.agents.teams.MemberContext`."""

    def __init__(
        self,
        agent: str,
        model: Model,
        tools: Sequence[Mapping[str, Any]],
        gate: Gate,
        meter: Meter,
        recorder: Recorder,
        lang: str,
        course: Course | None = None,
    ) -> None:
        self._agent = agent
        self._course = course
        self._model = model
        self._told_of_tools = [dict(tool) for tool in tools]
        self._describe_tools(self._told_of_tools)
        self._gate = gate
        self._meter = meter
        self._recorder = recorder
        self.lang = lang
        """Language of the run."""
        self._turn = 0
        self._spoken = 0
        self._seen: list[Message] = []
        self._senders: dict[str, str] = {}
        """What colleagues' messages say → who wrote them."""
        self._calls: tuple[ToolCall, ...] = ()
        self.final = ""
        """The agent's last words."""
        self.limit = ""
        """The limit that ended it."""
        self.terminated = ""
        """What a monitor said that ended it."""

    def _describe_tools(self, tools: Sequence[dict[str, Any]]) -> None:
        """Let the model be told of these tools from now on."""
        self._tools = tools
        told = json.dumps(self._tools, sort_keys=True).encode()
        self._tools_digest = hashlib.sha256(told).hexdigest()

    @property
    def over(self) -> bool:
        """True where the run must end."""
        return bool(self.limit or self.terminated)

    async def ask(self, messages: Sequence[Message], *, words_only: bool = False) -> Message | None:
        """Return the model's answer, or None where a limit ends the run.

        Args:
            messages: What the model is to see.
            words_only: Whether no tools are offered; the answer is not the agent's last, and calls
                that a model asks for all the same are on the record, and nothing more.
        """
        if limit := self._meter.reached("turns", "tokens", "cost_eur"):
            self._end(limit)
            return None
        if self._course is not None:
            messages = self._course.heard(self._agent, self._turn, messages)
        self._record_request(messages)
        started = time.monotonic()
        reply = await self._model.complete(
            Request(
                self._agent,
                self._turn,
                messages,
                [] if words_only else self._tools,
                words_only,
                self._spoken,
            ),
            self._on_retry,
        )
        self._take(reply, time.monotonic() - started, words_only=words_only)
        if words_only:
            self._spoken += 1
            self._calls = ()
            said: Message = {"role": "assistant", "content": reply.text}
            self._seen.append(said)
            return said
        message = _as_message(reply)
        self._calls = reply.calls
        if not reply.calls:
            message = await self._closed(message)
        self._seen.append(message)
        return message

    async def act(self, message: Message) -> list[Message]:
        """Pass the calls of the last answer through the gate, in order."""
        results = []
        for call in self._calls:
            passage = await self._pass(call)
            text = self._unmade(self.limit) if passage is None else passage.text
            results.append(self._result(call, text))
        return results

    async def hand_over(self, to: str, text: str) -> str:
        """Send closing words to another agent, through the gate; return why not, where they are refused."""
        call = ToolCall(f"{HANDOVER}{self._turn}", wire_name(SEND), {"to": to, "text": text})
        passage = await self._pass(call)
        return "" if passage is None or passage.status == "ok" else passage.text

    def hear(self, letter: Letter) -> Message:
        """Return a message as the agent is to read it; it is on record once the agent reads it."""
        text = heard(letter.sender, letter.text, self.lang) if letter.sender else letter.text
        self._senders[text] = letter.sender
        return {"role": "user", "content": text}

    async def _pass(self, call: ToolCall) -> Passage | None:
        """Pass a call through the gate; return None where the run is over, or by that at its limit."""
        limit = self._meter.reached("tool_calls")
        if limit and not self.limit:
            self._end(limit)
        if self.over:
            return None
        self._meter.add_call()
        passage = await self._gate.pass_through(self._agent, call)
        if passage.terminate:
            self.terminated = passage.text
        return passage

    def _unmade(self, limit: str) -> str:
        """Return what an agent reads where a call was not made."""
        return _LIMIT_NOTE.get(self.lang, _LIMIT_NOTE["en"]).format(limit=limit or "oversight")

    async def _closed(self, message: Message) -> Message:
        """Take closing words, as oversight lets them stand; return them as they stand then."""
        withheld, ends = await self._gate.spoken(self._agent, self.final)
        if not withheld:
            return message
        self.final, self.terminated = withheld, withheld if ends else ""
        return {**message, "content": withheld}

    def _take(self, reply: Reply, seconds: float, *, words_only: bool = False) -> None:
        """Count a reply, and put it on record."""
        self._turn += 1
        self._meter.add_reply(reply.usage)
        self._record_reply(reply, seconds, words_only=words_only)
        if not words_only:
            self.final = reply.text

    def _result(self, call: ToolCall, text: str) -> Message:
        return {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": text}

    def _end(self, limit: str) -> None:
        self.limit = limit
        used, most = self._meter.used[limit], getattr(self._meter.limits, limit)
        self._recorder.record("limit", {"limit": limit, "used": used, "most": most}, self._agent)

    def _record_request(self, messages: Sequence[Message]) -> None:
        """Record what is new in the conversation, then the request: texts are stored once."""
        kept = len(self._seen)
        if len(messages) < kept or not all(map(is_, self._seen, messages)):
            kept = next(
                (
                    i
                    for i, (a, b) in enumerate(zip(self._seen, messages, strict=False))
                    if not self._same(a, b)
                ),
                min(len(self._seen), len(messages)),
            )
        for message in messages[kept:]:
            self._record_message(message)
        self._seen = list(messages)
        data = {
            "turn": self._turn,
            "model": self._model.name,
            "messages": len(messages),
            "kept": kept,
            "tools_sha256": self._tools_digest,
        }
        self._recorder.record("model.request", data, self._agent)

    def _same(self, one: Message, other: Message) -> bool:
        """Return whether a message is one that was there at the last request."""
        return one is other

    def _record_message(self, message: Message) -> None:
        """Record what entered the conversation; a result is in the trace already, under its call."""
        role, text = message["role"], message.get("content")
        if role == "user" and isinstance(text, str) and text in self._senders:
            self._record_heard(self._senders[text], text)
        elif role != "tool":
            self._recorder.record("message", dict(message), self._agent)

    def _record_heard(self, sender: str, text: str) -> None:
        """Record what another than a principal has put into the conversation."""
        data = {"from": sender, "to": self._agent, "text": text}
        self._recorder.record("channel.message", data, self._agent)

    def _record_reply(self, reply: Reply, seconds: float, *, words_only: bool) -> None:
        calls = [
            {"id": call.id, "name": call.name}
            | ({"raw": call.raw} if call.arguments is None else {"arguments": call.arguments})
            for call in reply.calls
        ]
        usage = reply.usage
        data: dict[str, Any] = {
            "turn": self._turn - 1,
            "text": reply.text,
            "calls": calls,
            "finish": reply.finish,
            "model": reply.model,
            "seconds": round(seconds, 6),
            "usage": {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cost_eur": usage.cost_eur,
                "price_known": usage.price_known,
                "energy_kwh": usage.energy_kwh,
            },
        }
        if reply.reasoning:
            data["reasoning"] = reply.reasoning
        if words_only:
            data["words_only"] = True
        if reply.replayed is not None:
            data["replayed"] = reply.replayed
        self._recorder.record("model.reply", data, self._agent)

    def _on_retry(self, attempt: int, reason: str, wait: float) -> None:
        data = {"turn": self._turn, "attempt": attempt, "reason": reason, "wait_seconds": wait}
        self._recorder.record("model.retry", data, self._agent)


def _as_message(reply: Reply) -> Message:
    message: Message = {"role": "assistant", "content": reply.text}
    if reply.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": json.dumps(call.arguments) if call.arguments is not None else "{}",
                },
            }
            for call in reply.calls
        ]
    return message
