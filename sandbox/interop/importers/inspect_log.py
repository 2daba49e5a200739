"""Inspect's logs (https://inspect.aisi.org.uk): ``.eval`` archives and ``.json`` files, read by ourselves.

An archive holds ``header.json`` (or, where the evaluation did not end, ``_journal/start.json``) and one
``samples/….json`` for each sample. Long texts stand as ``attachment://HASH`` beside a table of them, and
the messages that model events were given in a pool, by ranges (``events_data``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sandbox.attestation.archives import Archive
from sandbox.errors import InputError, Problem
from sandbox.interop.importers import readers
from sandbox.interop.importers.imported_run import Asked, Given, ImportedRun, Turn

_ATTACHMENT = "attachment://"
_DONE = ("C", "c", "done", "pass", "correct", True, 1, 1.0)
_ROLES = {"system": "system", "developer": "system", "user": "user"}


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
        spec = _object(archive, header).get("eval", {})
        samples = [n for n in archive.names("samples/") if n.endswith(".json")]
        for number, name in enumerate(samples, 1):
            where = f"{path}:{name}"
            try:
                found = _run(spec, _object(archive, name))
            except InputError as error:
                yield Problem(where, 0, str(error).removeprefix(f"{path}: "))
            except readers.UNUSABLE as error:
                yield Problem(where, 0, f"not a sample of Inspect: {_said(error)}")
            else:
                yield replace(found, line=number)


def _object(archive: Archive, name: str) -> dict[str, Any]:
    try:
        data = readers.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{archive.path}: {name} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"{archive.path}: {name} holds no object")
    return data


def _document(path: Path) -> Iterator[ImportedRun | Problem]:
    for record in readers.records(path):
        if isinstance(record, Problem):
            yield record
            continue
        spec = record.data.get("eval")
        if not isinstance(spec, dict):
            yield Problem(str(path), record.line, "no log of Inspect: it has no eval")
            continue
        for number, sample in enumerate(record.data.get("samples") or (), 1):
            try:
                yield replace(_run(spec, sample), line=number)
            except readers.UNUSABLE as error:
                said = f"sample {number} is not one of Inspect: {_said(error)}"
                yield Problem(str(path), record.line, said)


def _said(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _run(spec: Mapping[str, Any], sample: dict[str, Any]) -> ImportedRun:
    resolved = _Resolved(sample)
    messages = resolved.messages()
    replies = resolved.replies()
    turns = tuple(_turn(message, replies.get(str(message.get("id")))) for message in messages)
    if not turns:
        raise ValueError("it has no messages")
    task = readers.name(spec.get("task") or "task")
    key, epoch = sample["id"], sample.get("epoch", 1)
    metadata = sample.get("metadata") or {}
    scores = sample.get("scores") or {}
    error = sample.get("error")
    return ImportedRun(
        origin="inspect",
        sha256=readers.digest("inspect", spec.get("task"), spec.get("model"), sample),
        scenario=readers.name("inspect", task, key, *([] if epoch == 1 else [f"epoch_{epoch}"])),
        family=readers.name("inspect", task),
        model=readers.words(spec.get("model"), "unknown"),
        toolkit=task.rpartition("/")[2].replace(".", "_"),
        turns=turns,
        tools=resolved.tools(),
        benign=isinstance(metadata, Mapping) and metadata.get("benign") is True,
        task="error" if error else _task(scores),
        reason=readers.words(error.get("message") if isinstance(error, Mapping) else error),
        started=_time(sample.get("started_at") or spec.get("created")),
        seconds=float(sample.get("total_time") or 0.0),
        path=readers.words(sample.get("uuid") or key),
        evaluation={
            "suite": task,
            "user_task": str(key),
            "epoch": epoch,
            "target": sample.get("target"),
            "metadata": metadata,
        },
        labels={
            f"score.{readers.words(name)}": _value(score.get("value"))
            for name, score in scores.items()
            if score.get("value") not in (None, "")
        },
    )


class _Resolved:
    """A sample with its attachments and its pool of messages in place."""

    def __init__(self, sample: Mapping[str, Any]) -> None:
        self._sample = sample
        self._attachments = sample.get("attachments") or {}
        self._models = [
            event
            for event in sample.get("events") or ()
            if event.get("event") == "model" and not event.get("pending")
        ]

    def messages(self) -> list[dict[str, Any]]:
        """Return the conversation: as the sample has it, else what the last model event was given."""
        if self._sample.get("messages"):
            return list(self.whole(self._sample["messages"]))
        for event in reversed(self._models):
            choices = (event.get("output") or {}).get("choices") or ()
            return list(self.whole([*self._inputs(event), *(c["message"] for c in choices[:1])]))
        return []

    def _inputs(self, event: Mapping[str, Any]) -> list[Any]:
        references = event.get("input_refs")
        if not references:
            return list(event.get("input") or ())
        pool = (self._sample.get("events_data") or {})["messages"]
        return [message for start, end in references for message in pool[start:end]]

    def replies(self) -> dict[str, dict[str, Any]]:
        """Return message id → the model event that gave it."""
        found: dict[str, dict[str, Any]] = {}
        for event in self._models:
            for choice in (event.get("output") or {}).get("choices") or ():
                found[str(choice["message"].get("id"))] = event
        return found

    def tools(self) -> tuple[Given, ...]:
        """Return the tools that models were offered, each as it was first described."""
        found: dict[str, Given] = {}
        for event in self._models:
            for tool in event.get("tools") or ():
                if tool["name"] not in found:
                    told = self.whole(tool)
                    found[tool["name"]] = Given(
                        readers.words(told["name"]),
                        readers.text_of(told.get("description")),
                        _schema(told.get("parameters")),
                    )
        return tuple(found.values())

    def whole(self, value: Any) -> Any:
        """Return data with every attachment in place."""
        if isinstance(value, str):
            if value.startswith(_ATTACHMENT):
                return self._attachments.get(value.removeprefix(_ATTACHMENT), value)
            return value
        if isinstance(value, dict):
            return {key: self.whole(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.whole(item) for item in value]
        return value


def _schema(parameters: Any) -> dict[str, Any]:
    """Return a JSON Schema without the empty fields that Inspect writes."""
    if not isinstance(parameters, Mapping):
        return {}
    return dict(_without_nothing(parameters))


def _without_nothing(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value


def _turn(message: Mapping[str, Any], event: Mapping[str, Any] | None) -> Turn:
    role, content = message["role"], message.get("content")
    text = readers.text_of(content)
    if role == "assistant":
        calls = tuple(_asked(call) for call in message.get("tool_calls") or ())
        event = event or {}
        return Turn(
            "assistant",
            text,
            readers.reasoning_of(content),
            calls,
            usage=_usage((event.get("output") or {}).get("usage")),
            model=readers.words(message.get("model")),
            seconds=float(event.get("working_time") or 0.0),
            at=_time(event.get("completed") or event.get("timestamp")),
        )
    if role == "tool":
        error = message.get("error")
        return Turn(
            "tool",
            text if text or not error else readers.text_of(error.get("message")),
            answers=readers.words(message.get("tool_call_id")),
            function=readers.words(message.get("function")),
            failed=bool(error),
        )
    if role not in _ROLES:
        raise ValueError(f"there is no role {role!r}")
    return Turn(_ROLES[role], text)


def _asked(call: Mapping[str, Any]) -> Asked:
    return readers.asked(call.get("id"), call["function"], call.get("arguments"))


def _usage(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    if not usage:
        return {}
    cached = ("input_tokens", "input_tokens_cache_read", "input_tokens_cache_write")
    return {
        "input_tokens": sum(int(usage.get(name) or 0) for name in cached),
        "output_tokens": int(usage.get("output_tokens") or 0),
    }


def _task(scores: Mapping[str, Any]) -> str:
    named = scores.get("task") or next(iter(scores.values()), None) or {}
    value = named.get("value")
    if isinstance(value, str) and value in ("done", "refused", "incapable", "limit", "error"):
        return value
    return "done" if not isinstance(value, (dict, list)) and value in _DONE else "incapable"


def _value(value: Any) -> str:
    return readers.words(value if isinstance(value, str) else json.dumps(value))


def _time(stamp: Any) -> float | None:
    try:
        found = datetime.fromisoformat(str(stamp))
    except ValueError:
        return None
    return found.timestamp()
