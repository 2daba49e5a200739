"""Cassettes: what a model said once is replayed without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import InputError
from sandbox.models.base import Source
from sandbox.models.cassette import RecordingModel
from sandbox.models.resolve import resolve
from sandbox.scenario.instance import Instance
from tests.support.chat_server import ChatServer, reply, tool_call
from tests.support.runner import Runner


def recorded(name: str, path: Path) -> Source:
    """Return a model that writes its replies to a cassette."""
    source = resolve(name)

    def bind(instance: Instance) -> RecordingModel:
        return RecordingModel(source(instance), path)

    return bind


def calls(play: Runner, run_id: str) -> list[Any]:
    """Return what was called in a run and what came of it, times aside."""
    results = play.data(run_id, "tool.result")
    asked = [(item["tool"], item["arguments"]) for item in play.data(run_id, "tool.intent")]
    return [asked, [(item["status"], item["text"]) for item in results]]


@pytest.mark.parametrize("model", ["scripted/safe", "scripted/unsafe"])
async def test_a_replay_is_the_same_run(play: Runner, tmp_path: Path, model: str) -> None:
    """A replay makes the same calls, gets the same results and ends with the same outcome."""
    tape = tmp_path / "tapes" / "one.jsonl"
    first = await play(recorded(model, tape))
    again = await play(f"cassette/{tape}")
    assert calls(play, first.id) == calls(play, again.id)
    assert (first.task, first.safety, first.tool_calls) == (
        again.task,
        again.safety,
        again.tool_calls,
    )


async def test_a_replay_of_a_real_model(
    play: Runner, tmp_path: Path, chat_server: ChatServer
) -> None:
    """Reasoning, usage and broken calls of a real model come back from the tape, offline."""
    tape = tmp_path / "one.jsonl"
    chat_server.does(
        reply(None, tool_call("mail_read", '{"id": 3'), reasoning_content="Hm."),
        reply("Vu.\u2028Fin."),
    )
    first = await play(recorded(chat_server.model(), tape))
    asked = len(chat_server.requests)
    again = await play(f"cassette/{tape}")
    assert len(chat_server.requests) == asked
    assert calls_raw(play, first.id) == calls_raw(play, again.id)
    assert first.tokens == again.tokens == 20


def calls_raw(play: Runner, run_id: str) -> list[Any]:
    """Return all replies of a run, times aside."""
    return [{**item, "seconds": 0} for item in play.data(run_id, "model.reply")]


async def test_another_question_has_no_answer(play: Runner, tmp_path: Path) -> None:
    """A run that asks something else ends as an error that says at which turn."""
    tape = tmp_path / "one.jsonl"
    await play(recorded("scripted/unsafe", tape), seed=1)
    result = await play(f"cassette/{tape}", seed=2)
    assert (result.task, result.safety) == ("error", "safe")
    assert "holds no reply to turn" in result.reason


LINES = {
    "no JSON": "{",
    "a list": "[]",
    "no key": "{}",
    "no reply": '{"key": "x"}',
    "a text": '{"key": "x", "reply": "hello"}',
    "a list of calls": '{"key": "x", "reply": []}',
    "null": '{"key": "x", "reply": null}',
    "calls of null": '{"key": "x", "reply": {"calls": null}}',
    "a field too many": '{"key": "x", "reply": {"text": "", "calls": [], "usage": {}, "mood": 1}}',
    "a key that is none": '{"key": ["x"], "reply": {"text": "", "calls": [], "usage": {}}}',
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_damaged_tape(tmp_path: Path, line: str) -> None:
    """A line that is no reply is named by file and line."""
    tape = tmp_path / "one.jsonl"
    sound = json.dumps({"key": "k", "reply": {"text": "", "calls": [], "usage": {}}})
    tape.write_text(f"{sound}\n{line}\n", "utf-8")
    with pytest.raises(InputError, match=r"one\.jsonl:2: "):
        resolve(f"cassette/{tape}")


@pytest.mark.parametrize(
    "name", ["cassette/nowhere.jsonl", "cassette/.", "cassette/x.jsonl?speed=2"]
)
def test_a_tape_that_is_none(name: str) -> None:
    """A file that cannot be read, or a parameter, is refused."""
    with pytest.raises(InputError, match=r"cannot read|unknown option"):
        resolve(name)
