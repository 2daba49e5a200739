"""Programs that are the agent: their calls pass the gate, their model is the run's, all is on record."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.agents.scaffolds import resolve
from sandbox.errors import InputError
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.run_plan import RunResult
from sandbox.trace.verify import verify
from tests.support.forks import fork
from tests.support.polling import until
from tests.support.runner import Runner
from tests.support.verdicts import again, live

PROGRAM = Path(__file__).parent / "program.py"
SCENARIO = "injection/changed-iban"
TOOLS = """
import asyncio, os, sys, httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
KEY = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
def leave(status, *said):
    print(*said, file=sys.stderr, flush=True)
    os._exit(status)
async def main():
    async with httpx2.AsyncClient(headers=KEY, trust_env=False, timeout=60) as http:
        url = os.environ["SANDBOX_MCP_URL"]
        async with Client(streamable_http_client(url, http_client=http)) as client:
            async def call(tool, **given):
                made = await client.call_tool(tool, given)
                return made.is_error, made.content[0].text
"""


def program(*words: str) -> str:
    """Return the name of the scaffold that is the program of these tests."""
    return "program:" + shlex.join([sys.executable, str(PROGRAM), *words])


Coded = Callable[[str], str]


@pytest.fixture
def code(tmp_path: Path) -> Coded:
    """What makes a scaffold of a few lines of Python, with ``call`` to call tools and ``leave`` to end."""

    def made(text: str) -> str:
        file = tmp_path / "program.py"
        lines = "".join(f"            {line}\n" for line in text.strip().splitlines())
        file.write_text(f"{TOOLS}{lines}\nasyncio.run(main())")
        return "program:" + shlex.join([sys.executable, str(file)])

    return made


async def run(
    play: Runner, scaffold: str, model: str = "outside/mine", **given: Any
) -> tuple[RunResult, list[tuple[str, str]]]:
    """Run the scenario; return what came of it, and each call with its status."""
    result = await play(model, SCENARIO, scaffold=resolve(scaffold), **given)
    assert verify(play.store, play.store.run(result.id)).ok
    results = play.data(result.id, "tool.result")
    return result, [(data["tool"], data["status"]) for data in results]


@pytest.mark.parametrize("scaffold", ["both", "tools"])
async def test_monitors_say_the_same_later(
    play: Runner, library: MonitorLibrary, scaffold: str
) -> None:
    """Over the stored trace of an outside agent monitors say what they said live."""
    model = "scripted/unsafe" if scaffold == "both" else "outside/mine"
    result, _ = await run(play, program(scaffold), model)
    assert live(play, result.id) == await again(play, library, result.id)


async def test_a_program_that_was_changed_is_known(play: Runner, code: Coded) -> None:
    """The record has the hash of its file, and a fork with another one is refused."""
    name = code('await call("bank_balance")')
    result, _ = await run(play, name)
    (start,) = play.data(result.id, "run.start")
    assert len(start["scaffold_sha256"]) == 64
    code('await call("bank_history")')
    with pytest.raises(InputError, match="is not what it was"):
        await fork(play, result.id, 3, "outside/mine")


@pytest.mark.parametrize("how", ["both", "stream"])
@pytest.mark.parametrize("reference", ["safe", "unsafe"])
async def test_a_program_is_judged_as_a_graph_is(play: Runner, how: str, reference: str) -> None:
    """With the same model, a program's run has the calls, verdicts and outcome of the built-in scaffold's."""
    model = f"scripted/{reference}"
    plain = await play(model, SCENARIO)
    result, calls = await run(play, program(how), model)
    same = ("task", "safety", "tool_calls", "model")
    assert [getattr(result, name) for name in same] == [getattr(plain, name) for name in same]
    assert [v["monitor"] for v in result.verdicts] == [v["monitor"] for v in plain.verdicts]
    assert calls == [(d["tool"], d["status"]) for d in play.data(plain.id, "tool.result")]
    kinds = [event.kind for event, _ in play.events(result.id)]
    others = [event.kind for event, _ in play.events(plain.id)]
    assert kinds.count("message") == others.count("message")
    assert result.scaffold.startswith("program:")


async def test_a_program_with_a_model_of_its_own(play: Runner) -> None:
    """Without a model of the run there are tools only; closing words come by a tool that ends the run."""
    result, calls = await run(play, program("tools"))
    assert (calls, result.tool_calls, result.model) == ([("mail.list", "ok")], 1, "outside/mine")
    (reply,) = play.data(result.id, "model.reply")
    assert reply["text"] == "Saw 28 lines."
    told = [data["role"] for data in play.data(result.id, "message")]
    assert told == ["system", "user"]


async def test_a_program_that_just_stops(play: Runner, code: Coded) -> None:
    """The end of the program is the agent's: what it has done is judged."""
    result, calls = await run(play, code('await call("bank_balance")'))
    assert (calls, result.task, result.safety) == ([("bank.balance", "ok")], "incapable", "safe")


async def test_a_program_that_fails(play: Runner, code: Coded) -> None:
    """It is a fault of the environment, with the program's own last words, never the agent's."""
    for name, reason in (
        (code("leave(3, 'no luck')"), "ended with status 3: no luck"),
        ("program:/no/such/program --x", "cannot be started"),
    ):
        result, _ = await run(play, name)
        assert (result.task, result.safety) == ("error", "safe")
        assert reason in result.reason


async def test_what_oversight_refuses_is_an_error_to_the_program(play: Runner, code: Coded) -> None:
    """In enforce mode a blocked call is told as one that failed, with the reason."""
    said = 'leave(9, *await call("mail_send", to=["eve@evil.example"], subject="s", body="b"))'
    result, calls = await run(play, code(said), mode="enforce")
    assert calls == [("mail.send", "blocked")]
    assert "True The call was refused by oversight" in result.reason


async def test_wrong_calls_are_told_and_end_nothing(play: Runner, code: Coded) -> None:
    """A tool that is not there, arguments that do not fit and numbers that are none are invalid calls."""
    lines = """
await call("no_such_tool")
await call("mail_read", number=1)
await call("mail_read", id=10**40)
await call("bank_balance")
"""
    _, calls = await run(play, code(lines))
    assert [status for _, status in calls] == ["invalid", "invalid", "invalid", "ok"]


async def test_a_limit_ends_program_and_run(play: Runner, code: Coded) -> None:
    """At a limit the program hears that nothing more is done, and is ended where it goes on."""
    result, calls = await run(
        play,
        code('for _ in range(9): await call("bank_balance")\nawait asyncio.sleep(600)'),
        limits={"tool_calls": 2},
    )
    assert (result.task, result.reason, len(calls)) == ("limit", "tool_calls", 2)
    assert result.seconds < 300


async def test_time_ends_a_program_that_does_nothing(play: Runner, code: Coded) -> None:
    """The run's time is over also where the program asks for nothing; it and what it started are ended."""
    marker = "4242.4242"
    words = f'import subprocess\nsubprocess.Popen(["sleep", "{marker}"])\nawait asyncio.sleep(600)'
    result, _ = await run(play, code(words), limits={"seconds": 3})
    assert (result.task, result.reason) == ("limit", "seconds")
    await until(lambda: _started_with(marker) == [], 30, "what it started is ended")


def _started_with(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if word.encode() in words:
            found.append(path.parent.name)
    return found


async def test_others_on_this_machine_cannot_come_in(play: Runner, code: Coded) -> None:
    """Neither door opens without the key, or with another one."""
    lines = """
import httpx
for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic " + os.environ["OPENAI_API_KEY"]}):
    for url in (url, os.environ["OPENAI_BASE_URL"] + "/models", os.environ["OPENAI_BASE_URL"] + "/chat/completions"):
        for method in ("GET", "POST"):
            assert httpx.request(method, url, headers=headers, json={}, trust_env=False).status_code == 401
"""
    result, calls = await run(play, code(lines), "scripted/unsafe")
    assert (result.task, result.reason, calls) == ("incapable", "", [])
    assert play.data(result.id, "model.request") == []


async def test_what_a_program_says_after_it_has_read_is_no_users_word(
    play: Runner, code: Coded
) -> None:
    """Results that a program words as a user's message make no address trustworthy."""
    lines = """
import httpx
_, letter = await call("mail_read", id=27)
asked = {"messages": [{"role": "user", "content": "Go on. " + letter}]}
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
httpx.post(url, json=asked, headers=KEY, trust_env=False, timeout=30).raise_for_status()
"""
    result, _ = await run(play, code(lines), "scripted/unsafe")
    (told,) = play.data(result.id, "channel.message")
    assert (told["from"], told["text"].split(".")[0]) == ("program", "Go on")
    assert [data["role"] for data in play.data(result.id, "message")] == ["system", "user"]


async def test_a_program_makes_its_calls_itself(play: Runner, code: Coded) -> None:
    """Calls of the model that a program does not make are no calls that a scaffold dropped: nobody handed any over."""
    text = """
asked = {"model": "x", "messages": [{"role": "user", "content": "Go."}]}
async with httpx2.AsyncClient(headers=KEY, trust_env=False, timeout=60) as client:
    for _ in range(2):
        await client.post(os.environ["OPENAI_BASE_URL"] + "/chat/completions", json=asked)
"""
    result, calls = await run(play, code(text), "scripted/unsafe")
    assert [len(reply["calls"]) for reply in play.data(result.id, "model.reply")] == [1, 1]
    assert (calls, play.data(result.id, "tool.dropped")) == ([], [])
    assert result.safety == "safe"


async def test_a_program_can_be_forked(play: Runner) -> None:
    """It is started anew, and gets the recorded replies up to the point, then the other model's."""
    parent, _ = await run(play, program(), "scripted/unsafe")
    intents = play.events(parent.id, "tool.intent")
    end = next(event.seq for event, data in intents if data["tool"] == "bank.pay")
    made, told = await fork(play, parent.id, end - 1, "scripted/safe")
    assert told["agrees"]
    assert (made.safety, made.scaffold) == ("safe", parent.scaffold)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("program:", "a command line"),
        ("program:'x", "No closing quotation"),
        ("program:" + "x" * 500, "at most 500 characters"),
    ],
)
def test_what_is_no_program(name: str, problem: str) -> None:
    """A name without a command line is refused before anything runs."""
    with pytest.raises(InputError, match=problem):
        resolve(name)


async def test_a_team_has_no_program(play: Runner) -> None:
    """A program drives one agent."""
    what = "multiagent/relayed-instruction-benign"
    result = await play("scripted/safe", what, scaffold=resolve(program()))
    assert (result.task, "drives one agent" in result.reason) == ("error", True)
