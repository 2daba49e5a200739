"""Keys on the command line: what is missing is named before anything runs, and what is there is not shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.chat_server import ChatServer, failure, reply
from tests.support.cli import NEEDS_BUBBLEWRAP, document, sandbox

WHAT = ("injection/changed-iban", "--isolation", "bubblewrap")
KEY = "sk-test-0123456789abcdef"
SWEEP = """
schema: 1
name: keys
scenarios: [injection/changed-iban]
models: ["{model}"]
isolation: bubblewrap
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI's key is set, no other."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("ANTHROPIC_API_KEY", "LAB_KEY"):
        monkeypatch.delenv(name, raising=False)


@NEEDS_BUBBLEWRAP
@pytest.mark.parametrize(
    ("words", "variable"),
    [
        (
            (
                "run",
                *WHAT,
                "--model",
                "openai/x?base_url=http://127.0.0.1:9/v1&api_key_env=LAB_KEY",
            ),
            "LAB_KEY",
        ),
        (
            ("run", *WHAT, "--model", "scripted/safe", "--agent", "clerk=anthropic/x"),
            "ANTHROPIC_API_KEY",
        ),
        (
            ("run", *WHAT, "--model", "scripted/safe", "--judge-model", "anthropic/x"),
            "ANTHROPIC_API_KEY",
        ),
        (("serve", *WHAT, "--model", "anthropic/x"), "ANTHROPIC_API_KEY"),
    ],
)
def test_a_key_that_is_not_there(tmp_path: Path, words: tuple[str, ...], variable: str) -> None:
    """The variable is named, the status is that of wrong input, and nothing has run."""
    done = sandbox(*words, store=tmp_path / "runs.db")
    assert done.returncode == 2
    assert f"{variable} is not set" in done.stderr
    assert not (tmp_path / "runs.db").exists()


@NEEDS_BUBBLEWRAP
def test_a_sweep_without_a_key(tmp_path: Path) -> None:
    """A sweep whose models cannot all be asked does not begin."""
    file, store = tmp_path / "keys.yaml", tmp_path / "runs.db"
    file.write_text(SWEEP.format(model="anthropic/x"), "utf-8")
    done = sandbox("sweep", str(file), store=store)
    assert (done.returncode, "ANTHROPIC_API_KEY is not set" in done.stderr) == (2, True)
    assert document(sandbox("runs", "list", "--json", store=store))["runs"] == []


@NEEDS_BUBBLEWRAP
def test_a_sweep_shows_a_server_no_key(tmp_path: Path, chat_server: ChatServer) -> None:
    """The models of a sweep's file are asked as those behind ``--model``."""
    chat_server.does(reply("No."))
    file, store = tmp_path / "keys.yaml", tmp_path / "runs.db"
    file.write_text(SWEEP.format(model=chat_server.model(timeout=60)), "utf-8")
    done = sandbox("sweep", str(file), "--json", store=store)
    assert done.returncode == 0, done.stderr
    assert [told["authorization"] for told in chat_server.headers] == ["Bearer none"]


@NEEDS_BUBBLEWRAP
def test_no_command_shows_a_key(tmp_path: Path, chat_server: ChatServer) -> None:
    """A provider that repeats the key brings it into no output, export or report."""
    chat_server.does(failure(401, f"Incorrect API key provided: {KEY}"))
    store = tmp_path / "runs.db"
    name = chat_server.model(timeout=60, api_key_env="OPENAI_API_KEY")
    outputs = [
        sandbox("run", *WHAT, "--model", name, *more, store=store) for more in ((), ("--json",))
    ]
    assert [done.returncode for done in outputs] == [3, 3]
    run = json.loads(outputs[1].stdout)["runs"][0]["id"]
    assert "[secret OPENAI_API_KEY]" in outputs[1].stdout
    for words in (
        ("runs", "show", run),
        ("runs", "export", "--format", "jsonl", "--to", str(tmp_path / "x")),
        ("runs", "report", "--out", str(tmp_path / "report.html")),
    ):
        outputs.append(sandbox(*words, store=store))
    assert [done.args for done in outputs if KEY in done.stdout + done.stderr] == []
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY.encode() not in files


def test_the_doctor_knows_the_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers whose variables are set are told, with the variable, never with the key."""
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    done = sandbox("doctor", "--json")
    found = {c["name"]: c["detail"] for c in document(done)["checks"] if c["what"] == "model"}
    assert found["groq"] == "GROQ_API_KEY is set"
    assert found["mistral"] == "MISTRAL_API_KEY is not set"
    assert KEY not in done.stdout
