"""Plain conversations in OpenAI's chat format, one JSON object a line.

``{"messages": […], "tools": […]?, "id"?, "model"?, "labels"?, "metadata"?}``
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator

from sandbox.errors import Problem
from sandbox.interop.importers import readers
from sandbox.interop.importers.imported_run import ImportedMessage, ImportedRun, ToolDefinition
from sandbox.interop.importers.message_content import RecordMessage, Text, requested_call
from sandbox.interop.importers.record_fields import Items, Object, ShortText, digest, name, words
from sandbox.scenario.validation import JsonObject, parse_as


class _Function(BaseModel):
    name: ShortText
    description: Text = ""
    parameters: Object = {}
    arguments: object = None


class _Tool(BaseModel):
    function: _Function


class _Call(_Tool):
    id: ShortText = ""


class _Message(RecordMessage):
    refusal: Text = ""
    reasoning_content: Text = ""
    tool_calls: Items[_Call] = ()
    name: ShortText = ""
    status: object = None
    is_error: object = None


def _wrapped(tool: object) -> object:
    """Return a tool that stands by itself as OpenAI's format wraps it."""
    return tool if not isinstance(tool, dict) or "function" in tool else {"function": tool}


class _Conversation(BaseModel):
    messages: Items[_Message]
    tools: Items[Annotated[_Tool, BeforeValidator(_wrapped)]] = ()
    id: ShortText = ""
    model: ShortText = ""
    labels: Object = {}
    metadata: Object = {}


class Chat:
    """See :class:`sandbox.interop.importers.imported_run.Importer`."""

    name = "chat"

    def recognises(self, path: Path, first: JsonObject) -> bool:
        """Return whether the file's first object has messages with roles."""
        messages = first.get("messages")
        return isinstance(messages, list) and any(
            isinstance(message, dict) and "role" in message for message in messages
        )

    def read(self, path: Path) -> Iterator[ImportedRun | Problem]:
        """Yield the conversations of a file."""
        return readers.read_runs(path, "a conversation", partial(_run, path))


def _run(path: Path, data: JsonObject) -> ImportedRun:
    record = parse_as(_Conversation, data)
    metadata, labels = record.metadata, record.labels
    suite = metadata.get("suite") or metadata.get("family") or path.name.split(".")[0]
    values = ((words(label), words(value)) for label, value in labels.items())
    return ImportedRun(
        origin="chat",
        sha256=digest("chat", data),
        scenario=name("chat", suite, metadata.get("scenario", data.get("id"))),
        family=name("chat", suite),
        model=record.model or words(metadata.get("model"), "unknown"),
        toolkit=name(suite).replace("/", "_").replace(".", "_"),
        messages=tuple(map(_turn, record.messages)),
        tools=tuple(
            ToolDefinition(tool.name, tool.description, tool.parameters)
            for tool in (wrapped.function for wrapped in record.tools)
        ),
        benign=metadata.get("benign") is True or labels.get("outcome") == "benign",
        task="done" if metadata.get("task") == "done" else "incapable",
        lang=words(metadata.get("lang"), "en"),
        path=record.id,
        evaluation=metadata,
        labels={label: value for label, value in values if label and value},
    )


def _turn(message: _Message) -> ImportedMessage:
    if message.role == "assistant":
        return ImportedMessage(
            message.role,
            message.text or message.refusal,
            message.reasoning_content or message.reasoning,
            tuple(
                requested_call(call.id, call.function.name, call.function.arguments)
                for call in message.tool_calls
            ),
        )
    if message.role == "tool":
        return ImportedMessage(
            message.role,
            message.text,
            answers=message.tool_call_id,
            function=message.name,
            failed=message.status == "error" or message.is_error is True,
        )
    return ImportedMessage(message.role, message.text)
