"""Records with a value of another type than its format says: what is wrong is named with file, line and key."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.errors import InputError, Problem
from sandbox.interop.importers.imported_run import ImportedRun
from sandbox.interop.importers.ingest import enter, importer
from sandbox.interop.importers.trace import trace
from sandbox.trace.store import Store
from tests.support.import_files import dojo, lines
from tests.support.json_places import WRONG, Place, places, replaced
from tests.support.strategies import VALUES

SCHEMA = {
    "type": "object",
    "properties": {
        "to": {"type": "string", "description": "Who gets it."},
        "count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "mode": {"enum": ["a"]},
        "copies": {"type": "array", "items": {"type": "string"}},
        "note": {"type": ["string", "null"]},
    },
    "required": ["to"],
}
CALL = {"name": "send", "arguments": {"to": "a", "count": 1, "copies": ["b"]}}
CHAT = {
    "id": "c",
    "model": "m",
    "metadata": {"suite": "s", "scenario": "x", "benign": True, "task": "done", "lang": "en"},
    "labels": {"outcome": "benign"},
    "tools": [
        {"type": "function", "function": {"name": "send", "parameters": SCHEMA}},
        {"name": "read", "description": "Reads.", "parameters": {}},
    ],
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "t"}]},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "h"}, {"type": "text", "text": "t"}],
            "reasoning_content": "r",
            "refusal": None,
            "tool_calls": [{"id": "c1", "function": CALL}, {"id": "c2", "function": CALL}],
        },
        {"role": "tool", "tool_call_id": "c1", "name": "send", "content": "", "is_error": True},
        {"role": "tool", "tool_call_id": "c2", "content": "ok", "status": "error"},
    ],
}
MODEL_EVENT = {
    "event": "model",
    "pending": None,
    "timestamp": "2024-01-01T00:00:00+00:00",
    "completed": "2024-01-01T00:00:01+00:00",
    "working_time": 1.0,
    "input": [],
    "input_refs": [[0, 1]],
    "tools": [{"name": "send", "description": "d", "parameters": SCHEMA}],
    "output": {
        "choices": [{"message": {"id": "2", "role": "assistant", "content": "t"}}],
        "usage": {"input_tokens": 1, "output_tokens": 2, "input_tokens_cache_read": None},
    },
}
SAMPLE = {
    "id": "s",
    "epoch": 2,
    "uuid": "u",
    "target": "t",
    "metadata": {"benign": True},
    "scores": {"task": {"value": "done"}, "other": {"value": 1}},
    "error": {"message": "m"},
    "total_time": 1.0,
    "started_at": "2024-01-01T00:00:00+00:00",
    "attachments": {"h": "long"},
    "events_data": {"messages": [{"role": "user", "content": "p"}]},
    "messages": [
        {"id": "1", "role": "user", "content": "attachment://h"},
        {
            "id": "2",
            "role": "assistant",
            "content": [{"type": "reasoning", "reasoning": "r"}, {"type": "text", "text": "t"}],
            "model": "m",
            "tool_calls": [{"id": "c1", "function": "send", "arguments": {"to": "a"}}],
        },
        {
            "id": "3",
            "role": "tool",
            "content": "",
            "tool_call_id": "c1",
            "function": "send",
            "error": {"type": "unknown", "message": "bad"},
        },
    ],
    "events": [MODEL_EVENT, {"event": "info", "output": "free"}],
}
SPEC = {"task": "t", "model": "m", "created": "2024-01-01T00:00:00+00:00"}


def log(**fields: Any) -> dict[str, Any]:
    """Return a log of Inspect with one sample."""
    return {"version": 2, "status": "success", "eval": SPEC, "samples": [{**SAMPLE, **fields}]}


RECORDS: dict[str, dict[str, Any]] = {
    "chat": CHAT,
    "agentdojo": dojo(evaluation_timestamp="2024-01-01 00:00:00", _path="a"),
    "inspect": log(),
    "inspect without messages": log(messages=[]),
}


def outcome(run: ImportedRun | Problem) -> str:
    """Return what is wrong with a record; an empty text if it can be stored."""
    if isinstance(run, Problem):
        return run.message
    try:
        trace(run, 0.0, lambda sha256: False)
    except InputError as error:
        return str(error)
    return ""


CONSEQUENCES = ("answers no call", "it has no messages")
"""What a whole record lacks if a value in it is missing."""


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_a_value_of_a_wrong_type_is_read_or_named(name: str, tmp_path: Path) -> None:
    """At whatever key it stands: the run can be stored, or the problem names line and key."""
    record = RECORDS[name]
    changes = [
        (place, value)
        for place in places(record)
        for value in WRONG
        if value or place != ("samples",)  # a log without samples has no run
    ]
    path = lines(tmp_path / "a.jsonl", *(replaced(record, *change) for change in changes))
    runs = list(importer(path, name.partition(" ")[0]).read(path))
    unnamed = []
    for line, (run, (place, value)) in enumerate(zip(runs, changes, strict=True), 1):
        message, keys = outcome(run), [str(key) for key in place if isinstance(key, str)]
        assert not isinstance(run, Problem) or (run.file, run.line) == (str(path), line)
        if message and keys[-1] not in message and not message.endswith(CONSEQUENCES):
            unnamed.append((place, value, message))
    assert unnamed == []


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("chat", ("tools", 0, "function", "parameters"), True, "parameters: must be an object"),
        ("chat", ("messages", 2, "tool_calls", 1), 7, "messages.2.tool_calls.1: must be an object"),
        ("chat", ("messages", 3), ["x"], "messages.3: must be an object, not a list"),
        ("chat", ("metadata",), "x", "metadata: must be an object, not a text"),
        (
            "agentdojo",
            ("messages", 3, "tool_call"),
            True,
            "messages.3.tool_call: must be an object",
        ),
        ("agentdojo", ("messages",), {"a": 1}, "messages: must be a list, not an object"),
        ("inspect", ("samples", 0, "total_time"), "x", "total_time: must be a number, not a text"),
        ("inspect", ("samples", 0, "scores", "task"), 1, "scores.task: must be an object"),
        ("inspect", ("eval",), 1, "eval: must be an object, not a number"),
    ],
)
def test_the_place_of_a_wrong_value(
    store: Store, tmp_path: Path, name: str, place: Place, value: object, message: str
) -> None:
    """The problem says where in the record it is, what must stand there and what does."""
    path = lines(tmp_path / "a.jsonl", replaced(RECORDS[name], place, value), RECORDS[name])
    report = enter(store, [path])
    (problem,) = report.problems
    assert (problem.file, problem.line, report.entered) == (str(path), 1, 1)
    assert message in problem.message


def test_a_wrong_value_in_a_list_of_records(store: Store, tmp_path: Path) -> None:
    """All records of one document are on one line, so the problem counts them."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([CHAT, {**CHAT, "id": "d", "tools": 1}]))
    report = enter(store, [path])
    assert report.entered == 1
    (problem,) = report.problems
    assert "record 2: not a conversation: tools: must be a list" in problem.message


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_several_wrong_values_break_nothing(data: st.DataObject) -> None:
    """Any values at any places of a record: it can be stored, or there is a problem."""
    name = data.draw(st.sampled_from(sorted(RECORDS)))
    record = RECORDS[name]
    for _ in range(3):
        record = replaced(
            record, data.draw(st.sampled_from(list(places(record)))), data.draw(VALUES)
        )
    with TemporaryDirectory() as folder:
        path = lines(Path(folder) / "a.jsonl", record)
        for run in importer(path, name.partition(" ")[0]).read(path):
            outcome(run)
