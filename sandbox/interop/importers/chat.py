"""Plain conversations in OpenAI's chat format, one JSON object a line.

``{"messages": […], "tools": […]?, "id"?, "model"?, "labels"?, "metadata"?}``
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sandbox.errors import Problem
from sandbox.interop.importers import readers
from sandbox.interop.importers.imported_run import Given, ImportedRun, Turn

_ROLES = {"system": "system", "developer": "system", "user": "user"}


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
        for record in readers.records(path):
            if isinstance(record, Problem):
                yield record
                continue
            try:
                yield replace(_run(record.data, path), line=record.line)
            except readers.UNUSABLE as error:
                said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
                yield Problem(str(path), record.line, f"not a conversation: {said}")


def _run(data: dict[str, Any], path: Path) -> ImportedRun:
    turns = tuple(_turn(message) for message in data["messages"])
    if not turns:
        raise ValueError("it has no messages")
    metadata = data.get("metadata") or {}
    labels = data.get("labels") or {}
    if not isinstance(labels, Mapping) or not isinstance(metadata, Mapping):
        raise TypeError("labels and metadata must be objects")
    key = data.get("id")
    suite = metadata.get("suite") or metadata.get("family") or path.name.split(".")[0]
    return ImportedRun(
        origin="chat",
        sha256=readers.digest("chat", data),
        scenario=readers.name("chat", suite, metadata.get("scenario", key)),
        family=readers.name("chat", suite),
        model=readers.words(data.get("model") or metadata.get("model"), "unknown"),
        toolkit=readers.name(suite).replace("/", "_").replace(".", "_"),
        turns=turns,
        tools=tuple(map(given, data.get("tools") or ())),
        benign=metadata.get("benign") is True or labels.get("outcome") == "benign",
        task="done" if metadata.get("task") == "done" else "incapable",
        lang=readers.words(metadata.get("lang"), "en"),
        path=readers.words(key),
        evaluation=dict(metadata),
        labels={
            readers.words(label): readers.words(value)
            for label, value in labels.items()
            if readers.words(label) and readers.words(value)
        },
    )


def _turn(message: Mapping[str, Any]) -> Turn:
    role, content = message["role"], message.get("content")
    text = readers.text_of(content)
    if role == "assistant":
        said = message.get("reasoning_content") or readers.reasoning_of(content)
        calls = message.get("tool_calls") or ()
        return Turn(
            "assistant",
            text or readers.text_of(message.get("refusal")),
            readers.text_of(said),
            tuple(
                readers.asked(
                    call.get("id"), call["function"]["name"], call["function"].get("arguments")
                )
                for call in calls
            ),
        )
    if role == "tool":
        return Turn(
            "tool",
            text,
            answers=readers.words(message.get("tool_call_id")),
            function=readers.words(message.get("name")),
            failed=message.get("status") == "error" or message.get("is_error") is True,
        )
    if role not in _ROLES:
        raise ValueError(f"there is no role {role!r}")
    return Turn(_ROLES[role], text)


def given(tool: Mapping[str, Any]) -> Given:
    """Return a tool as OpenAI's format defines it, wrapped in ``function`` or not."""
    inner = tool.get("function", tool)
    return Given(
        readers.words(inner["name"]),
        readers.text_of(inner.get("description")),
        inner.get("parameters") or {},
    )
