"""Keys in whole runs: what a provider repeats of them gets nowhere, and what a run starts has none."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.agents.scaffolds import resolve as scaffold
from sandbox.errors import ModelError
from sandbox.models.base import ModelRequest, Reply
from sandbox.models.cassette import RecordingModel
from sandbox.models.resolve import resolve, unbound
from sandbox.runs.run import run
from tests.support.chat_server import ChatServer, Handler, failure, reply, tool_call
from tests.support.judges import excerpt, judge, says
from tests.support.runner import Runner

KEYS = {
    name: f"secret-of-{name.lower()}-01"
    for name in (
        "OPENAI_API_KEY",
        "OPENAI_ORG_ID",
        "OPENAI_PROJECT_ID",
        "OPENAI_ORGANIZATION",
        "HOSTED_VLLM_API_KEY",
        "ANTHROPIC_API_KEY",
        "MISTRAL_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
    )
}
LAB, VALUE = "LAB_DOOR", "opens-the-door-of-the-lab"
"""A variable whose name does not tell that it holds a key."""


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """All keys are set."""
    for name, value in {**KEYS, LAB: VALUE}.items():
        monkeypatch.setenv(name, value)


def repeats(handler: Handler) -> None:
    """Answer with the key wherever an answer has a text."""
    shown = handler.headers["Authorization"]
    call = tool_call("mail_read", {"id": shown}, shown)
    first = len(handler.server.requests) == 1  # type: ignore[attr-defined]
    reply(shown, *([call] if first else []), reasoning_content=shown, finish=shown)(handler)


async def ask(name: str) -> Reply:
    """Ask a model one question."""
    request = ModelRequest("judge", 0, [{"role": "user", "content": "Good day."}], ())
    return await unbound(name).complete(request, lambda *_: None)


def on_disk(folder: Path) -> bytes:
    """Return all bytes of a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_whole_run_shows_a_server_no_key(chat_server: ChatServer, play: Runner) -> None:
    """A lab's server gets no key and no name of an account; the trace says where and which."""
    chat_server.does(reply("No."))
    result = await play(chat_server.model())
    told = str(chat_server.headers) + str(chat_server.paths)
    assert [value for value in KEYS.values() if value in told] == []
    (start,) = play.data(result.id, "run.start")
    described = start["model_described"]
    assert described["base_url"].startswith("http://127.0.0.1:")
    assert described["key"] is None


async def test_a_judge_shows_a_server_no_key(chat_server: ChatServer) -> None:
    """Judges' models are models: the same holds."""
    chat_server.does(says(0.1))
    await judge(chat_server.model(timeout=30)).judge_excerpt(excerpt(), "en")
    assert [value for value in KEYS.values() if value in str(chat_server.headers)] == []


async def test_a_repeated_key_gets_nowhere(
    chat_server: ChatServer, play: Runner, tmp_path: Path
) -> None:
    """A server that repeats the key in words, calls and reasons brings it into no trace and no cassette."""
    chat_server.does(repeats)
    name = chat_server.model(api_key_env=LAB)
    source = resolve(name)
    tape = tmp_path / "tape.jsonl"
    result = await play(lambda instance: RecordingModel(source(instance), tape))
    assert chat_server.headers[0]["authorization"] == f"Bearer {VALUE}"
    assert VALUE not in str(chat_server.requests[1])
    assert len(play.data(result.id, "model.reply")) == 2
    assert VALUE.encode() not in on_disk(tmp_path)
    assert "Bearer [secret LAB_DOOR]" in tape.read_text("utf-8")


@pytest.mark.parametrize("status", [401, 429])
async def test_a_key_in_an_error_is_taken_out(chat_server: ChatServer, status: int) -> None:
    """What a provider says of a key it does not know is told without the key, also of retries."""
    chat_server.does(failure(status, f"Incorrect API key provided: {VALUE}"))
    noted: list[Any] = []
    model = unbound(chat_server.model(api_key_env=LAB, attempts=2))
    request = ModelRequest("judge", 0, [{"role": "user", "content": "Good day."}], ())
    with pytest.raises(ModelError, match=r"\[secret LAB_DOOR\]") as caught:
        await model.complete(request, lambda *retry: noted.append(retry))
    assert len(noted) == (status == 429)
    assert VALUE not in str(caught.value) + str(noted)


async def test_a_server_that_wants_a_key_is_told_of(chat_server: ChatServer) -> None:
    """Where none was sent and one is wanted, the error says how to name one."""
    chat_server.does(failure(401, "who are you"))
    with pytest.raises(ModelError, match="api_key_env=NAME"):
        await ask(chat_server.model())


@pytest.mark.parametrize("name", ["openai/test", "hosted_vllm/test", "mistral/test"])
async def test_a_redirect_takes_no_key_along(chat_server: ChatServer, name: str) -> None:
    """A server that sends a request on elsewhere does not get the key sent there."""
    with ChatServer() as other:
        other.does(reply())
        place = other.model().partition("base_url=")[2].partition("&")[0]

        def moved(handler: Handler) -> None:
            handler.send_response(307)
            handler.send_header("Location", f"{place}/chat/completions")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        chat_server.does(moved)
        with contextlib.suppress(ModelError):
            await ask(chat_server.model(name, api_key_env=LAB, attempts=1))
        assert VALUE in str(chat_server.headers)
        assert VALUE not in str(other.headers)


DUMP = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"


@pytest.mark.parametrize("model", ["scripted/safe", "outside/mine"])
async def test_what_a_program_gets(play: Runner, tmp_path: Path, model: str) -> None:
    """A program has no keys where the run's model is ours; those of the host where it brings its own."""
    code, found = tmp_path / "dump.py", tmp_path / "environment.json"
    code.write_text(DUMP, "utf-8")
    words = shlex.join([sys.executable, str(code), str(found)])
    await run(replace(play.plan(model), scaffold=scaffold(f"program:{words}")), play.store)
    environment = json.loads(found.read_text("utf-8"))
    assert environment["SANDBOX_TASK"]
    assert environment["OPENAI_API_KEY"] != KEYS["OPENAI_API_KEY"]
    secrets = {"HOSTED_VLLM_API_KEY", "ANTHROPIC_API_KEY", "AWS_SECRET_ACCESS_KEY"}
    assert secrets & environment.keys() == (secrets if model == "outside/mine" else set())
