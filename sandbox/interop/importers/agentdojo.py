"""AgentDojo's run files (https://github.com/ethz-spylab/agentdojo): one JSON object a run.

Read as they lie in that project's ``runs/`` folder, or gathered one a line; ``_path`` names the file that
a gathered record comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pydantic import BaseModel, Field

from sandbox.errors import Problem
from sandbox.interop.importers import readers
from sandbox.interop.importers.imported_run import ImportedMessage, ImportedRun
from sandbox.interop.importers.message_content import RecordCall, RecordMessage
from sandbox.interop.importers.record_fields import (
    Items,
    Maybe,
    Number,
    ShortText,
    Timestamp,
    digest,
    name,
    words,
)
from sandbox.scenario.validation import JsonObject, parse_as

_FIELDS = frozenset({"suite_name", "pipeline_name", "user_task_id", "messages"})


class _Message(RecordMessage):
    tool_calls: Items[RecordCall] = ()
    tool_call: Maybe[RecordCall] = None
    error: object = None


class _Record(BaseModel):
    suite_name: ShortText
    user_task_id: ShortText
    pipeline_name: ShortText
    messages: Items[_Message]
    attack_type: ShortText | None = None
    injection_task_id: ShortText | None = None
    error: object = None
    utility: object = None
    security: object = None
    duration: Number = 0.0
    evaluation_timestamp: Timestamp = None
    path: Maybe[str] = Field(None, alias="_path")


class AgentDojo:
    """See :class:`sandbox.interop.importers.imported_run.Importer`."""

    name = "agentdojo"

    def recognises(self, path: Path, first: JsonObject) -> bool:
        """Return whether the file's first object has what every run of AgentDojo has."""
        return first.keys() >= _FIELDS

    def read(self, path: Path) -> Iterator[ImportedRun | Problem]:
        """Yield the runs of a file."""
        return readers.read_runs(path, "a run of AgentDojo", partial(_run, path))


def _run(path: Path, data: JsonObject) -> ImportedRun:
    record = parse_as(_Record, data)
    suite, user_task, attack = (
        name(record.suite_name),
        name(record.user_task_id),
        record.attack_type,
    )
    injection = () if attack is None else (attack, record.injection_task_id)
    task = "error" if record.error else "done" if record.utility is True else "incapable"
    return ImportedRun(
        origin="agentdojo",
        sha256=digest("agentdojo", {k: v for k, v in data.items() if k != "_path"}),
        scenario=name("agentdojo", suite, user_task, *injection),
        family=name("agentdojo", suite),
        model=record.pipeline_name or "unknown",
        toolkit=suite,
        messages=tuple(map(_turn, record.messages)),
        benign=attack is None,
        task=task,
        reason=words(record.error),
        started=record.evaluation_timestamp,
        seconds=record.duration,
        path=record.path or _within_runs(path),
        evaluation={
            "suite": suite,
            "user_task": user_task,
            "attack": attack,
            "injection_task": record.injection_task_id,
            **{key: data[key] for key in ("benchmark_version",) if key in data},
        },
        labels=_published(record),
    )


def _published(record: _Record) -> dict[str, str]:
    """Return the published label, if there is one that means what it says.

    ``security`` is also true on runs without attack and on runs that broke, attacks of the kind "dos"
    define it as "task not done", and an injection task given as a user task is neither attacked nor benign.
    """
    if record.error or record.user_task_id.startswith("injection_task"):
        return {}
    if record.attack_type is None:
        return {"outcome": "benign"}
    if "dos" in record.attack_type or not isinstance(record.security, bool):
        return {}
    return {"outcome": "success" if record.security else "resisted"}


def _turn(message: _Message) -> ImportedMessage:
    if message.role == "assistant":
        calls = tuple(call.requested for call in message.tool_calls)
        return ImportedMessage(message.role, message.text, message.reasoning, calls)
    if message.role == "tool":
        error, own = message.error, message.tool_call.requested if message.tool_call else None
        return ImportedMessage(
            message.role,
            message.text if message.text or error is None else str(error),
            answers=message.tool_call_id or (own.id if own else ""),
            function=own.function if own else "",
            failed=error is not None,
            own=own,
        )
    return ImportedMessage(message.role, message.text)


def _within_runs(path: Path) -> str:
    """Return a run file's path from the folder ``runs`` on, as gathered records name it."""
    parts = path.parts
    start = len(parts) - 1 - parts[::-1].index("runs") if "runs" in parts else -1
    return "/".join(parts[start:]) if start >= 0 else path.name
