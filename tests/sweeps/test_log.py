"""The log of sweeps: one line a record, nothing secret in it, nothing that could forge a line."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from sandbox.errors import EnvironmentFault, InputError
from sandbox.sweeps.lease import Claim
from sandbox.sweeps.log import LOGGER, log, log_to_stderr, logging_to
from sandbox.sweeps.tables import ClaimRow
from sandbox.trace.store import Store
from tests.support.chat_server import ChatServer, failure, reply
from tests.support.cli import NEEDS_BUBBLEWRAP, document, sandbox
from tests.support.sweeps import Sweeper

FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[\w.:/@+-]+)', re.ASCII)
FILE = """
schema: 1
name: nightly
scenarios: [injection/changed-iban]
models: [scripted/safe]
repeat: 2
isolation: bubblewrap
"""


def records(text: str | Path) -> list[dict[str, str]]:
    """Return the fields of each line; every line is made of fields and nothing else."""
    found = []
    text = text.read_text("utf-8") if isinstance(text, Path) else text
    for line in text.splitlines():
        assert FIELD.sub("", line).strip(" ") == "", line
        found.append(dict(FIELD.findall(line)))
    return found


def events(text: str | Path) -> list[str]:
    """Return the events of all records."""
    return [record["event"] for record in records(text)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file for the log."""
    return tmp_path / "sweep.log"


def test_no_text_forges_a_line(file: Path) -> None:
    """Line ends, quotes, terminal sequences and directions of a hostile text stand escaped."""
    hostile = 'x\nlevel=error event=sweep.failed\x1b[2J\x7f "\\" \u202e \u2028'
    with logging_to(file, stderr=False):
        log("item.end", reason=hostile, run="a1", nothing=None)
    (record,) = records(file)
    assert (record["event"], record["level"], record["run"]) == ("item.end", "info", "a1")
    assert "nothing" not in record
    assert file.read_text("utf-8").isascii()
    assert file.read_text("utf-8").rstrip("\n").isprintable()


def test_a_long_text_is_cut(file: Path) -> None:
    """What a provider says at length does not fill the disk."""
    with logging_to(file, stderr=False):
        log("model.retry", reason="y" * 100_000)
    assert len(file.read_text("utf-8")) < 1000


def test_secrets_are_left_out(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a key of the environment nor a password in a URL is written."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-institute")
    with logging_to(file, stderr=False):
        log("sweep.failed", reason="401 for sk-of-the-institute at postgresql://ada:hidden1@db/x")
    text = file.read_text("utf-8")
    assert "institute" not in text
    assert "hidden1" not in text
    assert "[secret OPENAI_API_KEY]" in text


def test_the_level_is_the_variables(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records below the level are not written; a level that there is not is wrong input."""
    monkeypatch.setenv("SANDBOX_LOG", "warning")
    with logging_to(file, stderr=False):
        log("item.end")
        log("claim.lost", level=logging.ERROR)
    assert events(file) == ["claim.lost"]
    monkeypatch.setenv("SANDBOX_LOG", "warn")
    with pytest.raises(InputError, match="did you mean 'warning'"), logging_to(None, stderr=True):
        pass


def test_a_file_that_is_moved_is_begun_anew(file: Path) -> None:
    """As logrotate does it, while a sweep goes on."""
    with logging_to(file, stderr=False):
        log("item.end")
        file.rename(file.with_suffix(".1"))
        log("sweep.end")
    assert events(file) == ["sweep.end"]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """It is told before anything runs."""
    with (
        pytest.raises(EnvironmentFault, match="--log"),
        logging_to(tmp_path / "no" / "x", stderr=False),
    ):
        pass
    assert [type(each) for each in LOGGER.handlers] == [logging.NullHandler]


def test_a_worker_has_one_log(capsys: pytest.CaptureFixture[str]) -> None:
    """A process that hosts several workers, or a driver and a worker, writes each record once."""
    try:
        log_to_stderr()
        log_to_stderr()
        log("worker.start")
        assert events(capsys.readouterr().err) == ["worker.start"]
    finally:
        LOGGER.handlers.clear()


def test_a_claim_that_is_taken_over(store: Store, file: Path) -> None:
    """Whose it was, and for how long nothing had been heard of it."""
    Claim(store, "nightly", "s1")
    gone = {"owner": "00000000-11111111-42-4242", "beat": time.time() - 7200}
    store.execute("x", update(ClaimRow).values(**gone))
    with logging_to(file, stderr=False):
        Claim(store, "nightly", "s2")
    (record,) = records(file)
    assert (record["event"], record["sweep"], record["owner"]) == (
        "claim.taken_over",
        "s1",
        gone["owner"],
    )
    assert float(record["silent"]) >= 7200


async def test_refusals_and_retries(sweeper: Sweeper, chat_server: ChatServer, file: Path) -> None:
    """A provider that refuses is slowed, a run that fails is tried again: each is a record."""
    chat_server.does(failure(429), reply("No."))
    with logging_to(file, stderr=False):
        await sweeper.execute(sweeper.create(models=[chat_server.model()], repeat=4), 4)
        chat_server.does(failure(400), reply("No."))
        again = sweeper.create(models=[chat_server.model(attempts=1)], retries=1)
        await sweeper.execute(again, 1)
    found = records(file)
    (slowed,) = (record for record in found if record["event"] == "provider.slowed")
    assert (slowed["provider"], slowed["at_once"], slowed["most"]) == ("openai", "2", "4")
    assert "model.retry" in [record["event"] for record in found]
    (failed,) = (record for record in found if record["event"] == "item.retry")
    assert (failed["level"], failed["task"]) == ("warning", "error")
    assert failed["reason"]


@NEEDS_BUBBLEWRAP
def test_a_night_logs_to_stderr_and_to_its_file(tmp_path: Path, file: Path) -> None:
    """Start, each item's end, and the end with its figures; a second start of the night says so."""
    sweep, store = tmp_path / "nightly.yaml", tmp_path / "runs.db"
    sweep.write_text(FILE)
    words = ("sweep", str(sweep), "--night", "00:00", "--log", str(file), "--json")
    first, second = (sandbox(*words, store=store) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    lines = first.stderr.splitlines()
    assert events(first.stderr) == ["sweep.start", "item.end", "item.end", "sweep.end"]
    end = records(lines[-1])[0]
    assert (end["status"], end["planned"], end["finished"], end["failed"]) == (
        "finished",
        "2",
        "2",
        "0",
    )
    told = document(first)
    assert {record["run"] for record in records(first.stderr)[1:3]} == {
        run["id"] for run in told["runs"]
    }
    assert file.read_text("utf-8").splitlines()[:4] == lines
    assert events(file)[4:] == ["night.done"]


@NEEDS_BUBBLEWRAP
def test_who_did_not_ask_gets_no_log(tmp_path: Path) -> None:
    """On a terminal, or with --json, there is none unless the variable or the option asks for it."""
    sweep, store = tmp_path / "nightly.yaml", tmp_path / "runs.db"
    sweep.write_text(FILE)
    done = sandbox("sweep", str(sweep), "--json", store=store)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_schedule_keeps_its_log(tmp_path: Path) -> None:
    """``schedule install --log`` puts the file's whole path into what the scheduler starts."""
    sweep, out = tmp_path / "nightly.yaml", tmp_path / "out"
    sweep.write_text(FILE)
    words = ["schedule", "install", str(sweep), "--at", "02:00", "--crontab", "--write", str(out)]
    done = sandbox(*words, "--log", str(tmp_path / "night.log"))
    assert done.returncode == 0, done.stderr
    assert (
        f"--log {tmp_path / 'night.log'}"
        in (out / "agent-risk-sandbox-nightly.crontab").read_text()
    )
