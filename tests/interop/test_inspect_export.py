"""Logs for Inspect: sound by its own schema, read by itself with the same counts, and back again."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.attestation.archives import Archive
from sandbox.interop.exporters.exporter import exporter
from sandbox.interop.importers.ingest import enter
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from tests.support import REPOSITORY
from tests.support.inspect_schema import inspect_schemas

"""What ``inspect log schema`` printed; ``make bench-peers`` installs the program itself."""
PEER = REPOSITORY / ".cache" / "peers" / "bin" / "python"
READ = """
import json, sys
from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries
log = read_eval_log(sys.argv[1])
assert log.status == "success" and len(read_eval_log_sample_summaries(sys.argv[1])) == len(log.samples)
print(json.dumps({s.uuid: [
    len(s.messages), sum(len(m.tool_calls or ()) for m in s.messages if m.role == "assistant"),
    sum(e.event == "tool" for e in s.events), sum(e.event == "model" for e in s.events),
    sum(len(e.input) for e in s.events if e.event == "model"),
    {name: score.value for name, score in s.scores.items()},
] for s in log.samples}))
"""


def done(count: int) -> None:
    """Take note of progress."""


@pytest.fixture
def log(mixed: Store, tmp_path: Path) -> Path:
    """A log of mixed runs."""
    path = tmp_path / "log.eval"
    exporter("inspect")(mixed, mixed.runs(), str(path), done)
    return path


def told(store: Store, row: RunRow, *kinds: str) -> Iterator[Any]:
    """Yield the data of a run's events of some kinds."""
    for item in store.events(row.id):
        if item.kind in kinds:
            yield store.content(item)


def counts(store: Store, row: RunRow) -> list[Any]:
    """Return what Inspect must count of a run."""
    replies = list(told(store, row, "model.reply"))
    given = [data for data in told(store, row, "message") if data["role"] != "assistant"]
    results = list(told(store, row, "tool.result"))
    scores = {"task": row.task, "safety": row.safety}
    inputs, seen = 0, 0
    for item in store.events(row.id):
        inputs += seen if item.kind == "model.reply" else 0
        assistant = item.kind == "message" and store.content(item)["role"] == "assistant"
        seen += item.kind in ("message", "model.reply", "tool.result") and not assistant
    return [
        len(given) + len(replies) + len(results),
        sum(len(data["calls"]) for data in replies),
        len(list(told(store, row, "tool.intent"))),
        len(replies),
        inputs,
        {name: value for name, value in scores.items() if value},
    ]


def test_a_log_fits_the_schema_of_inspect(log: Path) -> None:
    """Header, samples and summaries are what version 0.3.285 says that they are."""
    checks = inspect_schemas()
    with Archive(log) as archive:
        header = json.loads(archive.read("header.json"))
        samples = [json.loads(archive.read(name)) for name in archive.names("samples/")]
        summaries = json.loads(archive.read("summaries.json"))
        assert "_journal/start.json" in archive.members
    assert len(samples) == len(summaries) == header["results"]["total_samples"] == 6
    problems = [
        f"{name} {list(error.absolute_path)}: {error.message[:200]}"
        for name, values in (("EvalLog", [header]), ("EvalSample", samples))
        for value in values
        for error in checks[name].iter_errors(value)
    ]
    assert problems == []


def test_verdicts_are_reports_of_sentinels(mixed: Store, log: Path) -> None:
    """Each verdict is told as an observation about its call, with monitor, score and reason."""
    with Archive(log) as archive:
        events = [
            event
            for name in archive.names("samples/")
            for event in json.loads(archive.read(name))["events"]
        ]
    seen = [event for event in events if event["event"] == "sentinel"]
    said = [data for row in mixed.runs() for data in told(mixed, row, "verdict", "monitor.error")]
    reports = [event["metadata"] for event in seen if event["kind"] == "observation"]
    assert sorted(map(repr, reports)) == sorted(map(repr, said))
    assert said


def test_a_log_comes_back_with_the_same_messages_and_calls(
    mixed: Store, log: Path, tmp_path: Path
) -> None:
    """Exported and imported, the conversation is the same: texts, calls, results, failures."""
    kinds = ("message", "model.reply", "tool.result")

    def conversation(store: Store, row: RunRow) -> list[Any]:
        found: list[Any] = []
        for data in told(store, row, *kinds):
            if data.get("role") == "assistant":
                continue
            calls = [
                (call["id"], call["name"], call.get("arguments")) for call in data.get("calls", ())
            ]
            found.append((data.get("role"), data.get("content", data.get("text")), calls))
        return found

    with Store(str(tmp_path / "other.db")) as other:
        report = enter(other, [log])
        assert (report.entered, report.problems) == (6, [])
        back = {
            next(told(other, row, "run.start"))["record"]["path"]: conversation(other, row)
            for row in other.runs()
        }
    assert back == {row.id: conversation(mixed, row) for row in mixed.runs()}


def test_a_folder_gets_one_log_for_each_family_and_model(mixed: Store, tmp_path: Path) -> None:
    """Runs that belong together are samples of one log; repetitions are epochs."""
    exporter("inspect")(mixed, mixed.runs(), str(tmp_path / "logs"), done)
    found = []
    for path in sorted((tmp_path / "logs").glob("*.eval")):
        with Archive(path) as archive:
            spec = json.loads(archive.read("header.json"))["eval"]
            found.append((spec["task"], spec["model"], len(archive.names("samples/"))))
    assert sorted(found) == [
        ("injection", "scripted/unsafe", 1),
        ("inspect/mailing", "mockllm/model", 3),
        ("oversight", "scripted/safe", 1),
        ("oversight", "scripted/unsafe", 1),
    ]


@pytest.mark.peers
def test_inspect_itself_counts_the_same(mixed: Store, log: Path, tmp_path: Path) -> None:
    """Inspect reads messages, calls, inputs of models and scores as they are in the store."""
    if not PEER.exists():
        pytest.skip("Inspect is not installed beside: make bench-peers")
    words = [str(PEER), "-c", READ, str(log)]
    environment = {**os.environ, "HOME": str(tmp_path)}
    made = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert json.loads(made.stdout) == {row.id: counts(mixed, row) for row in mixed.runs()}
