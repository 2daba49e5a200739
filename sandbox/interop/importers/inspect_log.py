"""Inspect's logs (https://inspect.aisi.org.uk): ``.eval`` archives and ``.json`` files, read by ourselves.

An archive holds ``header.json`` (or, if the evaluation did not end, ``_journal/start.json``) and one
``samples/….json`` for each sample. Long texts stand as ``attachment://HASH`` beside a table of them, and
the messages that model events were given in a pool, by ranges (``events_data``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sandbox.attestation.archives import Archive
from sandbox.errors import InputError, Problem
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
    number,
    objects,
    required,
    timestamp,
    words,
)
from sandbox.scenario.validation import JsonObject, parsed

_ATTACHMENT = "attachment://"
_DONE = ("C", "c", "done", "pass", "correct", True, 1, 1.0)
_TASKS = ("done", "refused", "incapable", "limit", "error")
_READ_TOKENS = ("input_tokens", "input_tokens_cache_read", "input_tokens_cache_write")


class InspectLog:
    """See :class:`sandbox.interop.importers.imported_run.Importer`."""

    name = "inspect"

    def recognises(self, path: Path) -> bool:
        """Return whether it is an archive with samples or a header, or a JSON log."""
        if path.suffix == ".eval":
            return True
        first = readers.head(path)
        return first is not None and first.keys() >= {"version", "eval", "status"}

    def read(self, path: Path) -> Iterator[ImportedRun | Problem]:
        """Yield the samples of a log."""
        with path.open("rb") as file:
            packed = file.read(4) == b"PK\x03\x04"
        yield from _archive(path) if packed else _document(path)


def _archive(path: Path) -> Iterator[ImportedRun | Problem]:
    with Archive(path) as archive:
        header = next(
            (name for name in ("header.json", "_journal/start.json") if name in archive.members), ""
        )
        if not header:
            raise InputError(f"{path}: no log of Inspect: it has neither header nor journal")
        spec = _object(archive, header).get("eval")
        samples = [n for n in archive.names("samples/") if n.endswith(".json")]
        for line, member in enumerate(samples, 1):
            where = f"{path}:{member}"
            try:
                yield replace(_run(fields(spec), _object(archive, member)), line=line)
            except InputError as error:
                yield Problem(where, 0, str(error).removeprefix(f"{path}: "))
            except readers.UNUSABLE as error:
                yield Problem(where, 0, f"not a sample of Inspect: {error}")


def _object(archive: Archive, member: str) -> JsonObject:
    try:
        return parsed(JsonObject, readers.loads(archive.read(member)))
    except readers.UNUSABLE as error:
        raise InputError(f"{archive.path}: {member} is no JSON object: {error}") from error


def _document(path: Path) -> Iterator[ImportedRun | Problem]:
    for record in readers.records(path):
        if isinstance(record, Problem):
            yield record
            continue
        spec, samples = record.data.get("eval"), record.data.get("samples")
        if not isinstance(spec, dict) or not isinstance(samples, list | None):
            yield Problem(str(path), record.line, "no log of Inspect: it has no eval or no samples")
            continue
        for line, sample in enumerate(samples or (), 1):
            try:
                yield replace(_run(spec, fields(sample)), line=line)
            except readers.UNUSABLE as error:
                reason = f"sample {line} is not one of Inspect: {error}"
                yield Problem(str(path), record.line, reason)


def _run(spec: JsonObject, sample: JsonObject) -> ImportedRun:
    resolved = _ResolvedSample(sample)
    replies = resolved.replies()
    key, epoch = required(sample, "id"), sample.get("epoch", 1)
    task, error, metadata = (
        name(spec.get("task") or "task"),
        sample.get("error"),
        sample.get("metadata"),
    )
    scores = {
        label: fields(score).get("value") for label, score in fields(sample.get("scores")).items()
    }
    return ImportedRun(
        origin="inspect",
        sha256=digest("inspect", spec.get("task"), spec.get("model"), sample),
        scenario=name("inspect", task, key, *([] if epoch == 1 else [f"epoch_{epoch}"])),
        family=name("inspect", task),
        model=words(spec.get("model"), "unknown"),
        toolkit=task.rpartition("/")[2].replace(".", "_"),
        turns=tuple(
            _turn(message, replies.get(str(message.get("id")), {}))
            for message in resolved.messages()
        ),
        tools=resolved.tools(),
        benign=isinstance(metadata, dict) and metadata.get("benign") is True,
        task="error" if error else _task(scores),
        reason=words(error.get("message") if isinstance(error, dict) else error),
        started=timestamp(sample.get("started_at") or spec.get("created")),
        seconds=number(sample.get("total_time")),
        path=words(sample.get("uuid") or key),
        evaluation={
            "suite": task,
            "user_task": str(key),
            "epoch": epoch,
            "target": sample.get("target"),
            "metadata": metadata or {},
        },
        labels={
            f"score.{words(label)}": words(value if isinstance(value, str) else json.dumps(value))
            for label, value in scores.items()
            if value not in (None, "")
        },
    )


class _ResolvedSample:
    """A sample with its attachments and its pool of messages in place."""

    def __init__(self, sample: JsonObject) -> None:
        self._sample = sample
        self._attachments = fields(sample.get("attachments"))
        self._models = [
            event
            for event in objects(sample.get("events"))
            if event.get("event") == "model" and not event.get("pending")
        ]

    def messages(self) -> list[JsonObject]:
        """Return the conversation: as the sample has it, else what the last model event was given."""
        messages = self._sample.get("messages")
        if not messages and self._models:
            event = self._models[-1]
            choices = _choices(event)[:1]
            messages = [*self._inputs(event), *(required(choice, "message") for choice in choices)]
        return objects(self._whole(messages))

    def _inputs(self, event: JsonObject) -> list[JsonObject]:
        references = parsed(list[tuple[int, int]], event.get("input_refs") or [])
        if not references:
            return objects(event.get("input"))
        pool = objects(fields(self._sample.get("events_data")).get("messages"))
        return [message for start, end in references for message in pool[start:end]]

    def replies(self) -> dict[str, JsonObject]:
        """Return message id → the model event that gave it."""
        return {
            str(fields(required(choice, "message")).get("id")): event
            for event in self._models
            for choice in _choices(event)
        }

    def tools(self) -> tuple[ToolDefinition, ...]:
        """Return the tools that models were offered, each as it was first described."""
        tools: dict[str, ToolDefinition] = {}
        for event in self._models:
            for tool in objects(event.get("tools")):
                function = words(required(tool, "name"))
                if function not in tools:
                    whole = fields(self._whole(tool))
                    description = text_of(whole.get("description"))
                    schema = _without_nulls(whole.get("parameters"))
                    parameters = schema if isinstance(schema, dict) else {}
                    tools[function] = ToolDefinition(function, description, parameters)
        return tuple(tools.values())

    def _whole(self, value: object) -> object:
        """Return data with every attachment in place."""
        if isinstance(value, str) and value.startswith(_ATTACHMENT):
            return self._attachments.get(value.removeprefix(_ATTACHMENT), value)
        if isinstance(value, dict):
            return {key: self._whole(item) for key, item in value.items()}
        return [self._whole(item) for item in value] if isinstance(value, list) else value


def _choices(event: JsonObject) -> list[JsonObject]:
    return objects(fields(event.get("output")).get("choices"))


def _without_nulls(value: object) -> object:
    """Return a JSON Schema without the empty fields that Inspect writes."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _turn(message: JsonObject, event: JsonObject) -> Turn:
    role, content = role_of(message), message.get("content")
    text = text_of(content)
    if role == "assistant":
        return Turn(
            role,
            text,
            reasoning_of(content),
            tuple(map(_requested, objects(message.get("tool_calls")))),
            usage=_usage(fields(fields(event.get("output")).get("usage"))),
            model=words(message.get("model")),
            seconds=number(event.get("working_time")),
            at=timestamp(event.get("completed") or event.get("timestamp")),
        )
    if role == "tool":
        error = fields(message.get("error"))
        return Turn(
            role,
            text if text or not error else text_of(error.get("message")),
            answers=words(message.get("tool_call_id")),
            function=words(message.get("function")),
            failed=bool(error),
        )
    return Turn(role, text)


def _requested(call: JsonObject) -> RequestedCall:
    return requested_call(call.get("id"), required(call, "function"), call.get("arguments"))


def _usage(usage: JsonObject) -> dict[str, int]:
    if not usage:
        return {}
    return {
        "input_tokens": sum(int(number(usage.get(name))) for name in _READ_TOKENS),
        "output_tokens": int(number(usage.get("output_tokens"))),
    }


def _task(scores: JsonObject) -> str:
    value = scores.get("task", next(iter(scores.values()), None))
    if isinstance(value, str) and value in _TASKS:
        return value
    return "done" if not isinstance(value, (dict, list)) and value in _DONE else "incapable"
