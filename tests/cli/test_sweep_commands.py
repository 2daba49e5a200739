"""``sandbox sweep`` and ``sandbox schedule`` as their users see them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.sweeps.store import Sweeps
from sandbox.trace.store import Store
from tests.support import REPOSITORY
from tests.support.cli import NEEDS_BUBBLEWRAP, document, sandbox
from tests.support.polling import block_until

FILE = """
schema: 1
name: nightly
scenarios: [injection/changed-iban]
models: [scripted/safe, scripted/unsafe]
repeat: {repeat}
isolation: bubblewrap
concurrency: {{ containers: 2 }}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A sweep file of four runs."""
    path = tmp_path / "nightly.yaml"
    path.write_text(FILE.format(repeat=2))
    return path


@NEEDS_BUBBLEWRAP
def test_a_sweep_and_what_is_told_of_it(file: Path, tmp_path: Path) -> None:
    """A dry run runs nothing; then runs, status and list tell the same, as documents and as tables."""
    store = tmp_path / "runs.db"
    planned = document(sandbox("sweep", str(file), "--dry-run", "--json", store=store))
    assert planned["runs"] == 4
    assert planned["expected"]["seconds"] is None
    done = sandbox("sweep", str(file), "--json", "--fail-on", "unsafe", store=store)
    assert done.returncode == 1, done.stderr
    told = document(done)
    assert (told["planned"], told["done"], told["failed"], told["status"]) == (4, 4, 0, "finished")
    assert sorted(run["safety"] for run in told["runs"]) == ["safe", "safe", "unsafe", "unsafe"]
    assert document(sandbox("sweep", "status", "nightly", "--json", store=store)) == told
    listed = document(sandbox("sweep", "list", "--json", store=store))["sweeps"]
    assert listed == [{key: value for key, value in told.items() if key != "runs"}]
    again = document(sandbox("sweep", str(file), "--dry-run", "--json", store=store))
    assert again["expected"]["seconds"] > 0
    for words in (["status", told["id"][:6]], ["list"], [str(file), "--dry-run"]):
        shown = sandbox("sweep", *words, store=store)
        assert shown.returncode == 0, shown.stderr
        assert "scripted/unsafe" in shown.stdout or told["id"] in shown.stdout
    resumed = sandbox("sweep", "resume", "nightly", "--json", store=store)
    assert document(resumed)["runs"] == told["runs"]


@NEEDS_BUBBLEWRAP
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_that_is_stopped(tmp_path: Path, sign: signal.Signals) -> None:
    """Ctrl-C ends with 130 and the command that goes on; so does SIGTERM, as at a shutdown."""
    file, store = tmp_path / "long.yaml", tmp_path / "runs.db"
    file.write_text(FILE.format(repeat=200))
    words = [sys.executable, "-m", "sandbox", "--store", str(store), "sweep", str(file)]
    process = subprocess.Popen(words, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    block_until(lambda: _filled(store) or process.poll() is not None, 300, "a run is finished")
    process.send_signal(sign)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "sandbox sweep resume" in error
    with Store(str(store)) as opened:
        row = Sweeps(opened).get("nightly")
        counts = Sweeps(opened).counts(row.id)[()]
        assert (row.status, counts.running) == ("interrupted", 0)
        assert counts.finished
        assert opened.runs(status="running") == []


def _filled(store: Path) -> bool:
    if not store.exists():
        return False
    with Store(str(store)) as opened:
        rows = Sweeps(opened).list()
        return bool(rows and Sweeps(opened).counts(rows[0].id)[()].finished)


@NEEDS_BUBBLEWRAP
def test_a_scheduled_night(file: Path, tmp_path: Path) -> None:
    """A second start of the same night does nothing."""
    store = tmp_path / "runs.db"
    words = ("sweep", str(file), "--night", "00:00")
    first, second = (sandbox(*words, store=store) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    assert "this night has been" in second.stderr
    assert len(document(sandbox("sweep", "list", "--json", store=store))["sweeps"]) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["{file}", "--budget", "euro=3"], "unknown key 'euro' — did you mean 'eur'?"),
        (["{file}", "--budget", "eur=-3"], "budget: eur: input should be greater than"),
        (["{file}", "--night", "late"], "is no time"),
        (["{file}", "--notify", "nonsense://secret"], "address 1 (nonsense://…) is not understood"),
        (["{file}", "--fail-on", "unsave"], "did you mean 'unsafe'?"),
        (["resume", "nothing"], "no sweep 'nothing'"),
        (["status", "nothing"], "no sweep 'nothing'"),
    ],
)
def test_wrong_input(file: Path, tmp_path: Path, words: list[str], expected: str) -> None:
    """What is wrong is told in a line, with status 2, before anything runs."""
    given = [word.format(file=file) for word in words]
    done = sandbox("sweep", *given, store=tmp_path / "runs.db")
    assert done.returncode == 2, done.stderr
    assert expected in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_the_schema_is_one_document() -> None:
    """``sweep schema`` prints what an editor takes."""
    assert document(sandbox("sweep", "schema"))["title"] == "SweepFile"


def test_schedules_are_written(file: Path, tmp_path: Path) -> None:
    """Files for each scheduler are written and nothing is installed; no password gets into them."""
    out = tmp_path / "out"
    for how in (["--systemd", "--user"], ["--crontab"], ["--kubernetes", "--image", "x"]):
        words = ["schedule", "install", str(file), "--at", "02:00", *how, "--write", str(out)]
        done = sandbox(*words)
        assert done.returncode == 0, done.stderr
    assert {path.suffix for path in out.iterdir()} == {".service", ".timer", ".crontab", ".yaml"}
    secret = ["--store", "postgresql://u:hidden@h/d"]
    words = ["schedule", "install", str(file), "--at", "02:00", "--crontab", "--write", str(out)]
    refused = sandbox(*secret, *words)
    assert refused.returncode == 2
    assert "a password would stand in the schedule" in refused.stderr
    assert not [path for path in out.iterdir() if "hidden" in path.read_text()]
    assert sandbox("schedule", "remove", "nightly").returncode == 2
    assert json.loads(sandbox("schedule", "list", "--json").stdout) == {"schedules": []}
