"""Inspect's logs (https://inspect.aisi.org.uk): ``.eval`` archives and ``.json`` files, read by ourselves.

An archive holds ``header.json`` (or, if the evaluation did not end, ``_journal/start.json``) and one
``samples/….json`` for each sample. Long texts stand as ``attachment://HASH`` beside a table of them, and
the messages that model events were given in a pool, by ranges (``events_data``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Discriminator, Strict, Tag

from sandbox.attestation.archives import Archive
from sandbox.errors import InputError, Problem
from sandbox.interop.importers import readers
from sandbox.interop.importers.imported_run import ImportedMessage, ImportedRun, ToolDefinition
from sandbox.interop.importers.message_content import RecordCall, RecordMessage, Text
from sandbox.interop.importers.record_fields import (
    Fields,
    Items,
    Maybe,
    Number,
    Object,
    ShortText,
    Timestamp,
    digest,
    name,
    words,
)
from sandbox.scenario.validation import JsonObject, parse_as

_ATTACHMENT = "attachment://"
_DONE = ("C", "c", "done", "pass", "correct", True, 1, 1.0)
_TASKS = ("done", "refused", "incapable", "limit", "error")
_MOST_MESSAGES = 100_000
"""Of one conversation; ranges of a small pool can name any number."""
_Index = Annotated[int, Strict()]


class _Error(BaseModel):
    message: Text = ""


class _Message(RecordMessage):
    id: ShortText = ""
    model: ShortText = ""
    tool_calls: Items[RecordCall] = ()
    function: ShortText = ""
    error: Maybe[_Error] = None


class _Choice(BaseModel):
    message: _Message


class _Usage(BaseModel):
    input_tokens: Number = 0.0
    input_tokens_cache_read: Number = 0.0
    input_tokens_cache_write: Number = 0.0
    output_tokens: Number = 0.0

    @property
    def tokens(self) -> dict[str, float]:
        read = self.input_tokens + self.input_tokens_cache_read + self.input_tokens_cache_write
        return {"input_tokens": int(read), "output_tokens": int(self.output_tokens)}


class _Output(BaseModel):
    choices: Items[_Choice] = ()
    usage: Maybe[_Usage] = None


def _without_nulls(value: object) -> object:
    """Return a JSON Schema without the empty fields that Inspect writes."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


class _Tool(BaseModel):
    name: ShortText
    description: Text = ""
    parameters: Annotated[Object, BeforeValidator(_without_nulls)] = {}


class _ModelEvent(BaseModel):
    input: object = None
    input_refs: Items[tuple[_Index, _Index]] = ()
    output: Maybe[_Output] = None
    tools: Items[_Tool] = ()
    working_time: Number = 0.0
    completed: Timestamp = None
    timestamp: Timestamp = None

    @property
    def choices(self) -> tuple[_Choice, ...]:
        return self.output.choices if self.output else ()


def _kind(event: object) -> str:
    is_reply = (
        isinstance(event, dict) and event.get("event") == "model" and not event.get("pending")
    )
    return "model" if is_reply else "other"


_Event = Annotated[
    Annotated[_ModelEvent, Tag("model")] | Annotated[Object, Tag("other")], Discriminator(_kind)
]


class _Score(BaseModel):
    value: object = None


class _Pool(BaseModel):
    messages: Items[object] = ()


class _Sample(BaseModel):
    id: ShortText
    epoch: object = 1
    uuid: ShortText = ""
    target: object = None
    metadata: object = None
    scores: Fields[_Score] = {}
    error: object = None
    total_time: Number = 0.0
    started_at: Timestamp = None
    messages: Items[_Message] = ()
    events: Items[_Event] = ()
    events_data: Maybe[_Pool] = None


class _Spec(BaseModel):
    task: object = None
    model: object = None
    created: Timestamp = None


class _Log(BaseModel):
    eval: _Spec
    samples: Items[object] = ()


class _Attached(BaseModel):
    attachments: Object = {}


class InspectLog:
    """See :class:`sandbox.interop.importers.imported_run.Importer`."""

    name = "inspect"

    def recognises(self, path: Path, first: JsonObject) -> bool:
        """Return whether it is an archive with samples or a header, or a JSON log."""
        return path.suffix == ".eval" or first.keys() >= {"version", "eval", "status"}

    def read(self, path: Path) -> Iterator[ImportedRun | Problem]:
        """Yield the samples of a log."""
        packed = False
        with suppress(OSError), path.open("rb") as file:
            packed = file.read(4) == b"PK\x03\x04"
        yield from _archive(path) if packed else _document(path)


def _archive(path: Path) -> Iterator[ImportedRun | Problem]:
    with Archive(path) as archive:
        header = next(
            (n for n in ("header.json", "_journal/start.json") if n in archive.members), ""
        )
        if not header:
            raise InputError(f"{path}: no log of Inspect: it has neither header nor journal")
        try:
            spec = parse_as(_Log, readers.loads(archive.read(header))).eval
        except readers.UNUSABLE as error:
            raise InputError(f"{path}: {header}: {error}") from error
        samples = [name for name in archive.names("samples/") if name.endswith(".json")]
        for line, member in enumerate(samples, 1):
            where = f"{path}:{member}"
            try:
                yield replace(_run(spec, readers.loads(archive.read(member))), line=line)
            except InputError as error:
                yield Problem(where, 0, str(error).removeprefix(f"{path}: "))
            except readers.UNUSABLE as error:
                yield Problem(where, 0, f"not a sample of Inspect: {error}")


def _document(path: Path) -> Iterator[ImportedRun | Problem]:
    for record in readers.records(path):
        if isinstance(record, Problem):
            yield record
            continue
        try:
            log = parse_as(_Log, record.data)
        except ValueError as error:
            yield Problem(str(path), record.line, f"not a log of Inspect: {error}")
            continue
        for number, sample in enumerate(log.samples):
            try:
                yield replace(_run(log.eval, sample), line=number + 1)
            except readers.UNUSABLE as error:
                reason = f"not a log of Inspect: samples.{number}: {error}"
                yield Problem(str(path), record.line, reason)


def _run(spec: _Spec, data: object) -> ImportedRun:
    sample = parse_as(_Sample, _with_attachments(data, parse_as(_Attached, data).attachments))
    models = [event for event in sample.events if isinstance(event, _ModelEvent)]
    replies = {choice.message.id: event for event in models for choice in event.choices}
    task, error, metadata = name(spec.task or "task"), sample.error, sample.metadata
    epoch = () if sample.epoch == 1 else (f"epoch_{sample.epoch}",)
    return ImportedRun(
        origin="inspect",
        sha256=digest("inspect", spec.task, spec.model, data),
        scenario=name("inspect", task, sample.id, *epoch),
        family=name("inspect", task),
        model=words(spec.model, "unknown"),
        toolkit=task.rpartition("/")[2].replace(".", "_"),
        messages=tuple(
            _turn(m, replies.get(m.id, _ModelEvent())) for m in _messages(sample, models)
        ),
        tools=_tools(models),
        benign=isinstance(metadata, dict) and metadata.get("benign") is True,
        task="error" if error else _task(sample.scores),
        reason=words(error.get("message") if isinstance(error, dict) else error),
        started=sample.started_at or spec.created,
        seconds=sample.total_time,
        path=sample.uuid or sample.id,
        evaluation={
            "suite": task,
            "user_task": sample.id,
            "epoch": sample.epoch,
            "target": sample.target,
            "metadata": metadata or {},
        },
        labels={
            f"score.{words(label)}": words(value if isinstance(value, str) else json.dumps(value))
            for label, value in ((label, score.value) for label, score in sample.scores.items())
            if value not in (None, "")
        },
    )


def _with_attachments(value: object, attachments: JsonObject) -> object:
    """Return data with every attachment in place."""
    if isinstance(value, str) and value.startswith(_ATTACHMENT):
        return attachments.get(value.removeprefix(_ATTACHMENT), value)
    if isinstance(value, dict):
        return {key: _with_attachments(item, attachments) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_attachments(item, attachments) for item in value]
    return value


def _messages(sample: _Sample, models: list[_ModelEvent]) -> tuple[_Message, ...]:
    """Return the conversation: as the sample has it, else what the last model event was given."""
    if sample.messages or not models:
        return sample.messages
    event, pool = models[-1], sample.events_data.messages if sample.events_data else ()
    if not event.input_refs:
        messages = parse_as(tuple[_Message, ...], event.input or (), "events.input")
    else:
        shown = (message for start, end in event.input_refs for message in pool[start:end])
        pooled = list(islice(shown, _MOST_MESSAGES + 1))
        if len(pooled) > _MOST_MESSAGES:
            raise ValueError(f"events.input_refs: more than {_MOST_MESSAGES} messages")
        messages = parse_as(tuple[_Message, ...], pooled, "events_data.messages")
    return (*messages, *(choice.message for choice in event.choices[:1]))


def _tools(models: list[_ModelEvent]) -> tuple[ToolDefinition, ...]:
    """Return the tools that models were offered, each as it was first described."""
    tools: dict[str, ToolDefinition] = {}
    for tool in (tool for event in models for tool in event.tools):
        tools.setdefault(tool.name, ToolDefinition(tool.name, tool.description, tool.parameters))
    return tuple(tools.values())


def _turn(message: _Message, event: _ModelEvent) -> ImportedMessage:
    if message.role == "assistant":
        usage = event.output.usage if event.output else None
        return ImportedMessage(
            message.role,
            message.text,
            message.reasoning,
            tuple(call.requested for call in message.tool_calls),
            usage=usage.tokens if usage else {},
            model=message.model,
            seconds=event.working_time,
            at=event.completed or event.timestamp,
        )
    if message.role == "tool":
        return ImportedMessage(
            message.role,
            message.text or (message.error.message if message.error else ""),
            answers=message.tool_call_id,
            function=message.function,
            failed=message.error is not None,
        )
    return ImportedMessage(message.role, message.text)


def _task(scores: dict[str, _Score]) -> str:
    value = scores.get("task", next(iter(scores.values()), _Score())).value
    if isinstance(value, str) and value in _TASKS:
        return value
    return "done" if not isinstance(value, (dict, list)) and value in _DONE else "incapable"
