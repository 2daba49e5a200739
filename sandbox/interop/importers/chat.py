"""Plain conversations in OpenAI's chat format, one JSON object a line.

``{"messages": […], "tools": […]?, "id"?, "model"?, "labels"?, "metadata"?}``
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sandbox.errors import Problem
from sandbox.interop.importers import readers
from sandbox.interop.importers.imported_run import (
    ImportedRun,
    RequestedCall,
    ToolDefinition,
    Turn,
)
from sandbox.interop.importers.message_content import (
    reasoning_of,
    requested_call,
    role_of,
    text_of,
)
from sandbox.interop.importers.record_fields import (
    digest,
    fields,
    name,
    objects,
    required,
    words,
)
from sandbox.scenario.validation import JsonObject


class Chat:
    """See :class:`sandbox.interop.importers.imported_run.Importer`."""

    name = "chat"

    def recognises(self, path: Path) -> bool:
        """Return whether the file's first object has messages with roles."""
        messages = (readers.head(path) or {}).get("messages")
        return (
            isinstance(messages, list)
            and bool(messages)
            and all(isinstance(message, dict) and "role" in message for message in messages)
        )

    def read(self, path: Path) -> Iterator[ImportedRun | Problem]:
        """Yield the conversations of a file."""
        return readers.read_runs(path, "a conversation", partial(_run, path))


def _run(path: Path, data: JsonObject) -> ImportedRun:
    metadata, labels = fields(data.get("metadata")), fields(data.get("labels"))
    key = data.get("id")
    suite = metadata.get("suite") or metadata.get("family") or path.name.split(".")[0]
    values = ((words(label), words(value)) for label, value in labels.items())
    return ImportedRun(
        origin="chat",
        sha256=digest("chat", data),
        scenario=name("chat", suite, metadata.get("scenario", key)),
        family=name("chat", suite),
        model=words(data.get("model") or metadata.get("model"), "unknown"),
        toolkit=name(suite).replace("/", "_").replace(".", "_"),
        turns=tuple(map(_turn, objects(required(data, "messages")))),
        tools=tuple(map(_definition, objects(data.get("tools")))),
        benign=metadata.get("benign") is True or labels.get("outcome") == "benign",
        task="done" if metadata.get("task") == "done" else "incapable",
        lang=words(metadata.get("lang"), "en"),
        path=words(key),
        evaluation=metadata,
        labels={label: value for label, value in values if label and value},
    )


def _turn(message: JsonObject) -> Turn:
    role, content = role_of(message), message.get("content")
    text = text_of(content)
    if role == "assistant":
        return Turn(
            role,
            text or text_of(message.get("refusal")),
            text_of(message.get("reasoning_content") or reasoning_of(content)),
            tuple(map(_requested, objects(message.get("tool_calls")))),
        )
    if role == "tool":
        return Turn(
            role,
            text,
            answers=words(message.get("tool_call_id")),
            function=words(message.get("name")),
            failed=message.get("status") == "error" or message.get("is_error") is True,
        )
    return Turn(role, text)


def _requested(call: JsonObject) -> RequestedCall:
    function = fields(required(call, "function"))
    return requested_call(call.get("id"), required(function, "name"), function.get("arguments"))


def _definition(tool: JsonObject) -> ToolDefinition:
    """Return a tool as OpenAI's format defines it, wrapped in ``function`` or not."""
    function = fields(tool.get("function", tool))
    return ToolDefinition(
        words(required(function, "name")),
        text_of(function.get("description")),
        fields(function.get("parameters")),
    )
