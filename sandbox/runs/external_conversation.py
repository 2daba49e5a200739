"""The conversation of an agent from elsewhere: what it asks for and what it says is on record as any agent's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sandbox.enums import CallStatus
from sandbox.models.base import FunctionTool, Message, Reply, ToolCall
from sandbox.models.external import ExternalModel
from sandbox.runs.conversation import AgentConversation
from sandbox.scenario.toolkits import Tool
from sandbox.trace.model_events import MessageEvent

PROGRAM = "program"
"""Stands where a sender stands, for what an agent's program puts into its conversation."""


class ExternalConversation(AgentConversation):
    """The context of an agent from elsewhere; see :class:`sandbox.agents.external.session.OutsideContext`."""

    tools_of_agent: Sequence[Tool] = ()
    """The agent's tools, in the order of their descriptions."""
    _used = 0
    _texts: set[str]
    """What calls returned: a program puts it into its conversation as it likes."""

    @property
    def offered(self) -> Sequence[tuple[Tool, FunctionTool]]:
        """The agent's tools, each with its description in OpenAI's form."""
        return list(zip(self.tools_of_agent, self._own_tools, strict=True))

    @property
    def model_name(self) -> str:
        """The model that the agent may use; empty where it brings its own."""
        return "" if isinstance(self._model, ExternalModel) else self._model.name

    def offer(self, messages: Sequence[Message]) -> None:
        """Put the first messages to the agent on record."""
        for message in messages:
            self._recorder.record(MessageEvent, self._agent, **self._say(message))
        self._texts = set()

    async def answer(
        self, messages: Sequence[Message], tools: Sequence[FunctionTool]
    ) -> Message | None:
        """Return the model's answer to messages and tools of the agent's own, None where a limit ends the run."""
        self._describe_tools(tools)
        return await self.ask(messages)

    async def use(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        """Pass a call through the gate; return what the agent reads, and whether it went well."""
        self._used += 1
        call = ToolCall.parse(f"mcp_{self._used}", tool, json.dumps(arguments))
        record = await self._pass(call)
        if record is None:
            return self._limit_note(), False
        self._texts.add(record.text)
        return record.text, record.status == CallStatus.OK

    async def conclude(self, text: str) -> None:
        """Take the agent's closing words."""
        self._take(Reply(text, model=self._model.name), 0.0)
        await self._close({"role": "assistant", "content": text})

    def _propose(self, calls: tuple[ToolCall, ...]) -> None:
        """Wait for nothing: a program makes its calls by itself, under ids of its own, or none."""

    def _record_message(self, message: Message) -> None:
        """Record what entered the conversation.

        From its first call on, a program may put what it has read anywhere: that is no principal's word any more.
        """
        text = str(message.get("content") or "")
        if message["role"] == "assistant" or not self._used:
            super()._record_message(message)
        elif message["role"] != "tool" or text not in self._texts:
            self._record_channel(PROGRAM, text)
