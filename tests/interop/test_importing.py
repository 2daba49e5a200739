"""Imports: each format becomes normal stored runs, once, and bad records hide no good ones."""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sandbox.attestation.archives import Archive
from sandbox.errors import InputError
from sandbox.interop.importers import ingest
from sandbox.interop.importers.ingest import enter, importer, read_labels
from sandbox.trace.events import Event
from sandbox.trace.labels import Labels
from sandbox.trace.store import Store
from sandbox.trace.verify import verify
from tests.support.import_files import MAILING, dojo, lines


def trace(store: Store) -> list[tuple[Event, Any]]:
    """Return the events of the only run, with their data."""
    (row,) = store.runs()
    return [(item, store.content(item)) for item in store.events(row.id)]


def test_a_run_of_agentdojo_becomes_a_stored_run(store: Store, tmp_path: Path) -> None:
    """Its events come as the gate writes them, chained, and its row repeats them."""
    report = enter(store, [lines(tmp_path / "a.jsonl.gz", dojo())])
    assert (report.entered, report.present, report.problems) == (1, 0, [])
    told = trace(store)
    assert [item.kind for item, _ in told] == [
        "run.start",
        "message",
        "message",
        "model.reply",
        "tool.intent",
        "tool.result",
        "model.reply",
        "run.score",
        "run.end",
    ]
    (row,) = store.runs()
    assert verify(store, row).ok
    assert row.scenario == "agentdojo/banking/user_task_0/direct/injection_task_3"
    assert (row.family, row.model, row.origin) == ("agentdojo/banking", "gpt-4o", "agentdojo")
    assert (row.mode, row.status, row.task, row.safety) == ("observe", "finished", "done", None)
    intent, result = told[4][1], told[5][1]
    assert intent["tool"] == "banking.send_money"
    assert intent["arguments"] == {"recipient": "GB1", "amount": 5}
    assert (result["status"], result["text"]) == ("error", "ValueError: no")
    assert (result["effects"], result["recorded"]) == ([], {})
    tools = json.loads(told[0][1]["tools"])
    assert [(t["name"], t["recipients"]) for t in tools] == [("banking.send_money", ["recipient"])]
    assert "irreversible" in tools[0]["labels"]


def test_labels_and_injections_are_in_no_event(store: Store, tmp_path: Path) -> None:
    """The published label goes to the table of labels, and what was planted nowhere."""
    enter(store, [lines(tmp_path / "a.jsonl", dojo())])
    (row,) = store.runs()
    texts = json.dumps([data for _, data in trace(store)])
    assert "injections" not in texts
    assert "security" not in texts
    found = Labels(store).of(row.id)
    assert [(x.name, x.value, x.source) for x in found] == [("outcome", "success", "published")]


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"security": False}, "resisted"),
        ({"attack_type": None, "injection_task_id": None}, "benign"),
        ({"attack_type": None, "user_task_id": "injection_task_1"}, None),
        ({"attack_type": "swearwords_dos"}, None),
        ({"error": "context length"}, None),
    ],
)
def test_labels_that_mean_nothing_are_left_out(
    store: Store, tmp_path: Path, fields: dict[str, Any], label: str | None
) -> None:
    """Without attack a run is benign; attacks on availability, errors and misplaced tasks have none."""
    enter(store, [lines(tmp_path / "a.jsonl", dojo(**fields))])
    (row,) = store.runs()
    assert [found.value for found in Labels(store).of(row.id)] == ([label] if label else [])


def test_importing_again_adds_nothing(store: Store, tmp_path: Path) -> None:
    """A record is known by its content, wherever it lies."""
    first = lines(tmp_path / "a.jsonl", dojo(), dojo(user_task_id="user_task_1"))
    folder = tmp_path / "runs" / "gpt-4o" / "banking" / "user_task_0" / "direct"
    folder.mkdir(parents=True)
    (folder / "injection_task_3.json").write_text(json.dumps(dojo(), indent=4))
    assert enter(store, [first]).entered == 2
    again = enter(store, ingest.files([tmp_path]))
    assert (again.entered, again.present, again.labelled) == (0, 3, 0)
    assert len(store.runs()) == 2


def test_corrected_labels_are_found_by_the_records_path(store: Store, tmp_path: Path) -> None:
    """The file's path is that of the record, gathered or as it lies in ``runs/``."""
    folder = tmp_path / "runs" / "m"
    folder.mkdir(parents=True)
    (folder / "one.json").write_text(json.dumps(dojo(), indent=1))
    gathered = lines(tmp_path / "a.jsonl", dojo(duration=1, _path="runs/m/two.json"))
    table = tmp_path / "labels.csv"
    table.write_text("path,class\nruns/m/one.json,attempted\nruns/m/two.json,resisted\n")
    report = enter(store, [folder / "one.json", gathered], corrected=read_labels(table))
    assert report.entered == 2
    assert sorted(Labels(store).values("outcome", "corrected").values()) == [
        "attempted",
        "resisted",
    ]
    assert set(Labels(store).values("outcome", "published").values()) == {"success"}


def test_bad_records_are_named_and_the_good_ones_kept(store: Store, tmp_path: Path) -> None:
    """Each problem says file and line; what stands between them is imported."""
    orphan = dojo(messages=[{"role": "tool", "content": "x", "tool_call_id": "c9"}])
    path = lines(
        tmp_path / "a.jsonl",
        dojo(),
        "{broken",
        [1, 2],
        {"suite_name": "x"},
        orphan,
        dojo(messages=[{"role": "narrator", "content": ""}]),
        dojo(messages=[]),
        dojo(duration=7),
    )
    report = enter(store, [path])
    assert report.entered == 2
    assert sorted(problem.line for problem in report.problems) == [2, 3, 4, 5, 6, 7]
    assert all(problem.file == str(path) for problem in report.problems)
    said = {problem.line: problem.message for problem in report.problems}
    assert "not JSON" in said[2]
    assert "'user_task_id' is missing" in said[4] or "'pipeline_name' is missing" in said[4]
    assert "answers no call" in said[5]
    assert "narrator" in said[6]


def test_a_broken_first_line_hides_no_others(store: Store, tmp_path: Path) -> None:
    """A file whose first line is no JSON is still read line by line."""
    report = enter(
        store,
        [lines(tmp_path / "a.jsonl", "{broken", dojo(), dojo(duration=7))],
        format_name="agentdojo",
    )
    assert (report.entered, [problem.line for problem in report.problems]) == (2, [1])


def test_results_find_their_calls_where_ids_are_missing(store: Store, tmp_path: Path) -> None:
    """By id, else by function, else in order; an id that comes twice is made two."""
    calls: list[dict[str, Any]] = [
        {"function": name, "args": {}, "id": None} for name in ("get_a", "get_b")
    ]
    record = dojo(
        messages=[
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "content": "b", "tool_call_id": None, "tool_call": calls[1]},
            {"role": "tool", "content": "a", "tool_call_id": None, "tool_call": calls[0]},
            {"role": "assistant", "content": "", "tool_calls": [{**calls[0], "id": "x"}]},
            {"role": "tool", "content": "1", "tool_call_id": "x", "tool_call": None},
            {"role": "assistant", "content": "", "tool_calls": [{**calls[0], "id": "x"}]},
            {"role": "tool", "content": "2", "tool_call_id": "x", "tool_call": None},
            {"role": "assistant", "content": "", "tool_calls": [{**calls[1], "id": "y"}]},
        ]
    )
    assert enter(store, [lines(tmp_path / "a.jsonl", record)]).entered == 1
    told = trace(store)
    results = [(d["tool"], d["text"]) for item, d in told if item.kind == "tool.result"]
    assert results == [
        ("banking.get_b", "b"),
        ("banking.get_a", "a"),
        ("banking.get_a", "1"),
        ("banking.get_a", "2"),
    ]
    asked = [data["call"] for item, data in told if item.kind == "tool.intent"]
    assert len(asked) == len(set(asked)) == 5


def test_hostile_values_are_stored_as_what_they_are(store: Store, tmp_path: Path) -> None:
    """Depth, huge numbers, NaN, lone surrogates, odd names: no record breaks the store or its proof."""
    deep: Any = "x"
    for _ in range(80):
        deep = [deep]
    messages = dojo()["messages"]
    odd = [
        {"function": "a\ud800b\x1b[2J", "args": {"deep": deep}, "id": "1"},
        {"function": "f", "args": {"n": 10**30, "text": "\ud800"}, "id": "2"},
        {"function": "g", "args": {"f": float("nan"), "$blob": "x", "size": 1}, "id": "3"},
    ]
    messages.append({"role": "assistant", "content": "\ud800 \x00", "tool_calls": odd})
    record = dojo(messages=messages, pipeline_name="m\ud800\n" * 200, suite_name="../../x y")
    assert enter(store, [lines(tmp_path / "a.jsonl", record)]).problems == []
    (row,) = store.runs()
    assert verify(store, row).ok
    assert row.family == "agentdojo/x_y"
    assert len(row.model) <= 200


def test_files_of_no_known_format_are_refused(store: Store, tmp_path: Path) -> None:
    """The problem names the file and the formats that there are; other files are still read."""
    other = lines(tmp_path / "a.jsonl", {"x": 1})
    broken = tmp_path / "b.jsonl.gz"
    broken.write_bytes(gzip.compress(b'{"messages": []}\n' * 100)[:-20])
    empty = tmp_path / "c.jsonl"
    empty.touch()
    good = lines(tmp_path / "d.jsonl", dojo())
    report = enter(store, [other, broken, empty, good])
    assert report.entered == 1
    assert [Path(problem.file).name[0] for problem in report.problems] == ["a", "b", "c"]
    assert "agentdojo, inspect, chat" in report.problems[0].message
    with pytest.raises(InputError, match="did you mean 'inspect'"):
        importer(good, "inspekt")
    with pytest.raises(InputError, match="no such file"):
        ingest.files([tmp_path / "nothing"])


def test_a_truncated_archive_keeps_what_was_read(store: Store, tmp_path: Path) -> None:
    """A gzip file that ends early gives its whole records and one problem."""
    path = tmp_path / "a.jsonl.gz"
    whole = lines(path, *(dojo(duration=n) for n in range(200))).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    report = enter(store, [path])
    assert 0 < report.entered < 200
    assert len(report.problems) == 1


def test_a_log_of_inspect_becomes_runs(store: Store) -> None:
    """Samples with messages, failed and good calls, usage, tools as they were described, scores."""
    report = enter(store, [MAILING])
    assert (report.entered, report.problems) == (3, [])
    rows = store.runs()
    assert {row.scenario for row in rows} == {f"inspect/mailing/s{n}" for n in range(3)}
    assert all(verify(store, row).ok for row in rows)
    row = rows[0]
    told = [(item, store.content(item)) for item in store.events(row.id)]
    results = [data for item, data in told if item.kind == "tool.result"]
    assert [(data["tool"], data["status"]) for data in results] == [
        ("mailing.read_inbox", "error"),
        ("mailing.send_email", "ok"),
    ]
    assert results[1]["text"] == "sent " + "x" * 3000
    tools = {tool["name"]: tool for tool in json.loads(told[0][1]["tools"])}
    assert tools["mailing.send_email"]["description"] == "Send an email to somebody."
    assert tools["mailing.send_email"]["recipients"] == ["to"]
    replies = [data for item, data in told if item.kind == "model.reply"]
    assert [data["usage"]["input_tokens"] for data in replies] == [10, 10]
    found = Labels(store).of(row.id)
    assert [(x.name, x.value) for x in found] == [("score.includes", "C")]
    assert (row.result or {})["tokens"] == 30


def test_json_logs_and_logs_without_messages_are_read(store: Store, tmp_path: Path) -> None:
    """A JSON log holds the same; where messages are missing they come from events and their pool."""
    with Archive(MAILING) as archive:
        header = json.loads(archive.read("header.json"))
        sample = json.loads(archive.read("samples/s0_epoch_1.json"))
    (tmp_path / "log.json").write_text(json.dumps({**header, "samples": [sample]}, indent=2))
    assert enter(store, [tmp_path / "log.json"]).entered == 1
    assert enter(store, [MAILING]).present == 1
    bare = {**sample, "messages": []}
    (tmp_path / "bare.json").write_text(json.dumps({**header, "samples": [bare]}))
    assert enter(store, [tmp_path / "bare.json"]).entered == 1
    kinds: dict[str, list[Any]] = {}
    for row in store.runs():
        if row.scenario == "inspect/mailing/s0":
            kinds[row.id] = [(e.kind, store.content(e).get("text")) for e in store.events(row.id)][
                1:-2
            ]
    first, second = kinds.values()
    assert first == second


def test_damaged_members_of_a_log_are_named(store: Store, tmp_path: Path) -> None:
    """A flipped byte, a bomb, a sample that is none: the others are kept."""
    path = tmp_path / "log.eval"
    shutil.copy(MAILING, path)
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo("samples/s1_epoch_1.json").header_offset
    raw = bytearray(path.read_bytes())
    raw[offset + 300] ^= 0xFF
    path.write_bytes(raw)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samples/bad_epoch_1.json", json.dumps({"id": 1, "messages": 7}))
    report = enter(store, [path])
    assert report.entered == 2
    assert {problem.file.rpartition("/")[2] for problem in report.problems} == {
        "s1_epoch_1.json",
        "bad_epoch_1.json",
    }


def test_a_member_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    """What a member may hold is bounded while it is unpacked, whatever the directory says."""
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"\0" * 5_000_000)
    with (
        Archive(path, member_bytes=1_000_000) as opened,
        pytest.raises(InputError, match="unpacks to more"),
    ):
        opened.read("a")


def test_a_chat_becomes_a_run(store: Store, tmp_path: Path) -> None:
    """Tools, labels and metadata are taken where they are there."""
    tool = {
        "type": "function",
        "function": {
            "name": "send_sms",
            "description": "Sends a text.",
            "parameters": {"type": "object", "properties": {"phone": {"type": "string"}}},
        },
    }
    call = {"id": "c", "type": "function", "function": {"name": "send_sms", "arguments": "{oops"}}
    record = {
        "id": "chat-1",
        "model": "m",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "bad arguments", "is_error": True},
        ],
        "tools": [tool],
        "labels": {"outcome": "attempted"},
        "metadata": {"suite": "phones", "scenario": "t1"},
    }
    report = enter(store, [lines(tmp_path / "a.jsonl", record, {"messages": [{"role": "user"}]})])
    assert (report.entered, report.problems) == (2, [])
    row = next(row for row in store.runs() if row.model == "m")
    assert (row.scenario, row.family, row.origin) == ("chat/phones/t1", "chat/phones", "chat")
    told = {item.kind: store.content(item) for item in store.events(row.id)}
    assert told["message"]["content"] == "Hi\n[image_url]"
    assert told["tool.intent"] == {"call": "c", "tool": "phones.send_sms", "raw": "{oops"}
    assert told["tool.result"]["status"] == "error"
    (found,) = json.loads(told["run.start"]["tools"])
    assert found["recipients"] == ["phone"]
    assert [x.value for x in Labels(store).of(row.id)] == ["attempted"]
