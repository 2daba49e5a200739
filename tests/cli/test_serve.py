"""``sandbox serve``: an agent from elsewhere comes in, acts, and its run is judged."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.support import REPOSITORY
from tests.support.cli import NEEDS_BUBBLEWRAP, document, sandbox
from tests.support.polling import until

WORDS = ("serve", "injection/changed-iban", "--isolation", "bubblewrap")


def text(made: Any) -> str:
    """Return what a call gave."""
    return str(made.content[0].text)


class Served:
    """The command while it waits, and what it says."""

    def __init__(self, store: Path, *words: str) -> None:
        command = [sys.executable, "-m", "sandbox", "--store", str(store), *WORDS, "--json", *words]
        self.process = subprocess.Popen(
            command, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        watchdog = threading.Timer(120, self.process.kill)
        watchdog.daemon = True
        watchdog.start()
        assert self.process.stdout is not None
        self.address: dict[str, str] = json.loads(self.process.stdout.readline())["serving"]

    def ended(self) -> dict[str, Any]:
        """Return the run, once the command has ended well."""
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        run: dict[str, Any] = json.loads(out)["run"]
        return run


@NEEDS_BUBBLEWRAP
async def test_an_agent_comes_in_over_http(tmp_path: Path) -> None:
    """It finds task, tools and model; the tool finish ends the run."""
    served = Served(tmp_path / "runs.db", "--lang", "fr")
    address = served.address
    assert address["task"].startswith("Marc nous a transféré")
    headers = {"Authorization": f"Bearer {address['key']}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False) as http,
        Client(streamable_http_client(address["tools"], http_client=http)) as client,
    ):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {"mail_read", "bank_pay", "finish"} <= tools.keys()
        assert str(tools["mail_read"].description).startswith("Lit un message")
        hints = tools["bank_pay"].annotations
        assert hints is not None
        assert hints.destructive_hint
        prompt = await client.get_prompt("task")
        assert getattr(prompt.messages[0].content, "text", "") == address["task"]
        assert "27" in text(await client.call_tool("mail_search", {"query": "Lumen"}))
        await client.call_tool("finish", {"text": "Je ne peux pas régler cette facture."})
    run = served.ended()
    assert (run["task"], run["safety"], run["tool_calls"]) == ("refused", "safe", 1)


@NEEDS_BUBBLEWRAP
async def test_an_agent_comes_in_over_a_pipe(tmp_path: Path) -> None:
    """Who starts the command with --stdio has the tools; closing the pipe ends and judges the run."""
    store = tmp_path / "runs.db"
    command = ["-m", "sandbox", "--store", str(store), *WORDS, "--stdio"]
    started = StdioServerParameters(command=sys.executable, args=command, cwd=REPOSITORY)
    with (tmp_path / "err").open("w") as err:
        async with Client(stdio_client(started, errlog=err)) as client:
            assert "Lumen" in text(await client.call_tool("mail_read", {"id": 27}))
    await until(lambda: _only_run(store)["status"] == "finished", 60, "the run is finished")
    run = _only_run(store)
    assert (run["task"], run["safety"]) == ("incapable", "safe")


def _only_run(store: Path) -> dict[str, Any]:
    (run,) = document(sandbox("runs", "list", "--json", store=store))["runs"]
    return run  # type: ignore[no-any-return]


@NEEDS_BUBBLEWRAP
@pytest.mark.parametrize(
    ("words", "calls", "outcome"),
    [
        ((), ("finish",), ("incapable", "")),
        (("--limit", "tool_calls=1"), ("bank_balance", "bank_balance"), ("limit", "tool_calls")),
    ],
    ids=["by the agent", "by a limit"],
)
def test_a_run_ends_though_the_pipe_stays_open(
    tmp_path: Path, words: tuple[str, ...], calls: tuple[str, ...], outcome: tuple[str, str]
) -> None:
    """The answer to the last call gets out, what is no message is passed over, and the command ends."""
    store = tmp_path / "runs.db"
    command = [sys.executable, "-m", "sandbox", "--store", str(store), *WORDS, "--stdio", *words]
    with subprocess.Popen(
        command, cwd=REPOSITORY, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        who = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        }
        asked: list[Any] = [
            {"id": 0, "method": "initialize", "params": who},
            {"method": "notifications/initialized"},
        ]
        for number, tool in enumerate(calls, start=1):
            given = {"name": tool, "arguments": {"text": "Done."} if tool == "finish" else {}}
            asked.append({"id": number, "method": "tools/call", "params": given})
        for message in asked:
            process.stdin.write("no message\n" + json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            process.stdin.flush()
            while message.get("id") is not None:
                answer = json.loads(process.stdout.readline())
                if answer.get("id") == message["id"]:
                    break
        assert "result" in answer
        assert process.wait(30) == 0
    (run,) = document(sandbox("runs", "list", "--json", store=store))["runs"]
    assert (run["task"], run["reason"]) == outcome


@NEEDS_BUBBLEWRAP
def test_ctrl_c_ends_and_judges(tmp_path: Path) -> None:
    """A person at the terminal ends the visit; that is no interruption."""
    served = Served(tmp_path / "runs.db")
    served.process.send_signal(signal.SIGINT)
    run = served.ended()
    assert (run["task"], run["safety"]) == ("incapable", "safe")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("multiagent/relayed-instruction",), "has several agents"),
        (("injection",), "name one scenario"),
        (("injection/changed-iban", "--lang", "all"), "name one scenario and one language"),
        (("injection/changed-iban", "--stdio", "--port", "1"), "take one"),
        (("injection/changed-iban", "--stdio", "-m", "scripted/safe"), "serves tools only"),
    ],
)
def test_what_cannot_be_served(words: tuple[str, ...], problem: str) -> None:
    """Each is one error with status 2, before anything is started."""
    done = sandbox("serve", *words, "--isolation", "bubblewrap")
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """The run ends in an error of the environment that names the port."""
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = sandbox(*WORDS, "--port", port, "--json", store=tmp_path / "runs.db")
    assert done.returncode == 3
    assert f"port {port} cannot be had" in document(done)["run"]["reason"]
