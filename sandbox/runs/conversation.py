"""One agent's conversation in a run: its model, its limits, its way to the gate, on the record."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from copy import deepcopy
from typing import Protocol

from sandbox.agents.teams import AgentMessage
from sandbox.enums import CallStatus
from sandbox.errors import ScaffoldError
from sandbox.gate.call_record import CallRecord
from sandbox.gate.gate import Gate
from sandbox.models.base import (
    FunctionTool,
    Message,
    Model,
    ModelRequest,
    Reply,
    ToolCall,
    wire_name,
)
from sandbox.runs import scaffold_calls
from sandbox.runs.limit_meter import Meter
from sandbox.scenario.teams import message_text
from sandbox.scenario.topology import HANDOVER, SEND
from sandbox.trace.model_events import (
    ChannelMessageEvent,
    MessageEvent,
    ModelReplyEvent,
    ModelRequestEvent,
    ModelRetryEvent,
)
from sandbox.trace.recorder import Recorder
from sandbox.trace.run_events import LimitEvent

_LIMIT_NOTE = {
    "en": "not executed: the run's limit on {limit} is reached",
    "fr": "non exécuté : la limite de l'exécution sur {limit} est atteinte",
}
_NOT_EXECUTED = {"en": "not executed", "fr": "non exécuté"}


class ConversationFork(Protocol):
    """What a fork changes in a conversation."""

    def insert_messages(
        self, agent: str, turn: int, messages: Sequence[Message]
    ) -> Sequence[Message]:
        """Return the messages that the model is to get for this turn."""


class AgentConversation:
    """The context of one agent's graph; see :class:`sandbox.agents.teams.MemberContext`."""

    def __init__(
        self,
        agent: str,
        model: Model,
        tools: Sequence[FunctionTool],
        gate: Gate,
        meter: Meter,
        recorder: Recorder,
        lang: str,
        fork: ConversationFork | None = None,
    ) -> None:
        self._agent = agent
        self._fork = fork
        self._model = model
        self._own_tools = tools
        self._describe_tools(tools)
        self._gate = gate
        self._meter = meter
        self._recorder = recorder
        self.lang = lang
        """Language of the run."""
        self._turn = 0
        self._text_replies = 0
        self._history: list[Message] = []
        """Copies of the messages on record: a scaffold may change its own in place."""
        self._results: set[tuple[str, str]] = set()
        """Call and text of what :meth:`act` returned."""
        self._notes: dict[str, Message] = {}
        """Id of a call that was not executed → what stands in the place of its result."""
        self._dropped: set[str] = set()
        """Ids of calls that the scaffold dropped; a model may give an id again."""
        self._senders: dict[str, str] = {}
        """What colleagues' messages say → who wrote them."""
        self._calls: tuple[ToolCall, ...] | None = None
        """Calls of the last answer; None once it was acted on."""
        self._fault: ScaffoldError | None = None
        """What the scaffold did wrong: a graph that goes on after it gets no further."""
        self.final = ""
        """The agent's last words."""
        self.limit = ""
        """The limit that ended it."""
        self.terminated = ""
        """What a monitor said that ended it."""

    def _describe_tools(self, tools: Sequence[FunctionTool]) -> None:
        self._tools = tools
        text = json.dumps(tools, sort_keys=True)
        self._tools_digest = hashlib.sha256(text.encode()).hexdigest()

    @property
    def over(self) -> bool:
        """True where the run must end."""
        return bool(self.limit or self.terminated)

    async def ask(self, messages: Sequence[Message], *, words_only: bool = False) -> Message | None:
        """Return the model's answer, or None where a limit ends the run.

        Args:
            messages: What the model is to see.
            words_only: Whether no tools are offered; the answer is not the agent's last, and calls
                that a model asks for anyway are on the record, and nothing more. Calls of
                the answer before may still be acted on.

        Raises:
            ScaffoldError: The scaffold broke its contract before.
        """
        self._check()
        if limit := self._meter.reached("turns", "tokens", "cost_eur"):
            self._end(limit)
            return None
        if not words_only:
            self._drop_rest()
        messages = scaffold_calls.with_results(messages, self._notes)
        if self._fork is not None:
            messages = self._fork.insert_messages(self._agent, self._turn, messages)
        self._record_request(messages)
        started = time.monotonic()
        reply = await self._model.complete(
            ModelRequest(
                self._agent,
                self._turn,
                messages,
                [] if words_only else self._tools,
                words_only,
                self._text_replies,
            ),
            self._on_retry,
        )
        self._take(reply, time.monotonic() - started, words_only=words_only)
        if words_only:
            self._text_replies += 1
            self._calls = self._calls or ()
            return self._say(scaffold_calls.as_message(reply.text, ()))
        self._propose(reply.calls)
        message = scaffold_calls.as_message(reply.text, reply.calls)
        if not reply.calls:
            message = await self._close(message)
        return self._say(message)

    async def act(self, message: Message) -> list[Message]:
        """Pass the calls that stand in a message through the gate, in order.

        Raises:
            ScaffoldError: See :class:`sandbox.agents.context.AgentContext`.
        """
        self._check()
        results = []
        for call in self._select(message):
            if call.id not in self._dropped:
                self._notes.pop(call.id, None)
            record = await self._pass(call)
            text = self._limit_note() if record is None else record.text
            results.append(self._result(call, text))
            self._results.add((call.id, text))
        return results

    def leave(self) -> None:
        """Take note that the scaffold has ended its turn: what it did not act on is dropped.

        Raises:
            ScaffoldError: The scaffold broke its contract before, and hid it.
        """
        self._check()
        self._drop_rest()

    async def hand_over(self, to: str, text: str) -> str:
        """Send closing words to another agent, through the gate; return why not, where they are refused."""
        call = ToolCall(f"{HANDOVER}{self._turn}", wire_name(SEND), {"to": to, "text": text})
        record = await self._pass(call)
        return "" if record is None or record.status == CallStatus.OK else record.text

    def hear(self, message: AgentMessage) -> Message:
        """Return a message as the agent is to read it; it is on record once the agent reads it."""
        text = (
            message_text(message.sender, message.text, self.lang)
            if message.sender
            else message.text
        )
        self._senders[text] = message.sender
        return {"role": "user", "content": text}

    def _check(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _propose(self, calls: tuple[ToolCall, ...]) -> None:
        self._calls = calls
        text = _NOT_EXECUTED.get(self.lang, _NOT_EXECUTED["en"])
        for call in calls:
            self._notes.setdefault(call.id, self._result(call, text))

    def _select(self, message: Message) -> tuple[ToolCall, ...]:
        """Return the calls that a scaffold hands over, with those that it drops on record."""
        try:
            selection = scaffold_calls.read(self._calls, message)
        except ScaffoldError as fault:
            self._fault = fault
            raise
        self._calls = None
        self._drop(selection.dropped)
        return selection.calls

    def _drop_rest(self) -> None:
        self._drop(self._calls or ())
        self._calls = None

    def _drop(self, calls: Sequence[ToolCall]) -> None:
        for call in calls:
            self._gate.drop(self._agent, call)
            self._dropped.add(call.id)

    async def _pass(self, call: ToolCall) -> CallRecord | None:
        """Pass a call through the gate; return None where the run is over, or by that at its limit."""
        limit = self._meter.reached("tool_calls")
        if limit and not self.limit:
            self._end(limit)
        if self.over:
            return None
        self._meter.add_call()
        record = await self._gate.mediate(self._agent, call)
        if record.terminate:
            self.terminated = record.text
        return record

    def _limit_note(self) -> str:
        note = _LIMIT_NOTE.get(self.lang, _LIMIT_NOTE["en"])
        return note.format(limit=self.limit or "oversight")

    async def _close(self, message: Message) -> Message:
        """Take closing words, as oversight lets them stand; return them as they stand then."""
        withheld, ends = await self._gate.mediate_reply(self._agent, self.final)
        if not withheld:
            return message
        self.final, self.terminated = withheld, withheld if ends else ""
        return {**message, "content": withheld}

    def _take(self, reply: Reply, seconds: float, *, words_only: bool = False) -> None:
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
        self._recorder.record(LimitEvent, self._agent, limit=limit, used=used, most=most)

    def _say(self, message: Message) -> Message:
        self._history.append(deepcopy(message))
        return message

    def _record_request(self, messages: Sequence[Message]) -> None:
        """Record what is new in the conversation, then the request: texts are stored once."""
        kept = len(self._history)
        if self._history != messages[:kept]:  # in C: a long history costs next to nothing
            pairs = enumerate(zip(self._history, messages, strict=False))
            changes = (place for place, (one, other) in pairs if one != other)
            kept = next(changes, min(kept, len(messages)))
        for message in messages[kept:]:
            self._record_message(message)
        self._history[kept:] = deepcopy(list(messages[kept:]))
        self._recorder.record(
            ModelRequestEvent,
            self._agent,
            turn=self._turn,
            model=self._model.name,
            messages=len(messages),
            kept=kept,
            tools_sha256=self._tools_digest,
        )

    def _record_message(self, message: Message) -> None:
        """Record what entered the conversation; a result of a call is in the trace already, under it."""
        role, text = message["role"], message.get("content")
        if role == "user" and isinstance(text, str) and text in self._senders:
            self._record_channel(self._senders[text], text)
        elif role != "tool" or (message.get("tool_call_id"), text) not in self._results:
            self._recorder.record(MessageEvent, self._agent, **message)

    def _record_channel(self, sender: str, text: str) -> None:
        """Record what another than a principal has put into the conversation."""
        data: ChannelMessageEvent = {"from": sender, "to": self._agent, "text": text}
        self._recorder.record(ChannelMessageEvent, self._agent, **data)

    def _record_reply(self, reply: Reply, seconds: float, *, words_only: bool) -> None:
        data: ModelReplyEvent = {
            "turn": self._turn - 1,
            "text": reply.text,
            "calls": [call.as_data() for call in reply.calls],
            "finish": reply.finish,
            "model": reply.model,
            "seconds": round(seconds, 6),
            "usage": reply.usage.as_data(),
        }
        if reply.reasoning:
            data["reasoning"] = reply.reasoning
        if words_only:
            data["words_only"] = True
        if reply.replayed is not None:
            data["replayed"] = reply.replayed
        self._recorder.record(ModelReplyEvent, self._agent, **data)

    def _on_retry(self, attempt: int, reason: str, wait: float) -> None:
        self._recorder.record(
            ModelRetryEvent,
            self._agent,
            turn=self._turn,
            attempt=attempt,
            reason=reason,
            wait_seconds=wait,
        )
