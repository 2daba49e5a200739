"""kill -9 at random moments: nothing that was finished is lost or repeated."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from sandbox.isolation.base import Backend
from sandbox.runs.recovery import mark_interrupted
from sandbox.sweeps.store import Sweeps
from sandbox.trace.store import Store
from sandbox.trace.verify import verify_all
from tests.support import REPOSITORY
from tests.support.polling import block_until

FILE = """
schema: 1
name: deaths
scenarios: [{scenarios}]
models: [scripted/safe, scripted/unsafe, "scripted/mixed?p=0.3"]
repeat: {repeat}
isolation: bubblewrap
concurrency: {{ containers: 4 }}
"""


def command(store: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start the command line in a process of its own."""
    program = [sys.executable, "-m", "sandbox", "--store", str(store), "sweep", *words, "--json"]
    return subprocess.Popen(
        program, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def finished(store: Path) -> int:
    """Return how many items are filled, as another connection sees it."""
    if not store.exists():
        return 0
    connection = sqlite3.connect(store, timeout=30)
    try:
        query = "SELECT COUNT(*) FROM sweep_item WHERE status = 'finished'"
        return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # its tables are not made yet
    finally:
        connection.close()


def kill_at(process: subprocess.Popen[bytes], store: Path, count: int, dice: random.Random) -> None:
    """Kill a sweep a moment after so many items are filled."""

    def reached() -> bool:
        assert process.poll() is None, "the sweep ended before it was killed"
        return finished(store) >= count

    block_until(reached, 600, f"{count} items are filled")
    time.sleep(dice.random() * 0.2)  # anywhere in the life of a run
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)


def check(folder: Path, scenarios: str, repeat: int, planned: int, kills: int) -> None:
    """Kill a sweep several times, go on each time, and look at what is there."""
    dice = random.Random(f"{scenarios}{repeat}")  # noqa: S311 - moments, not keys
    store, file = folder / "runs.db", folder / "sweep.yaml"
    file.write_text(FILE.format(scenarios=scenarios, repeat=repeat))
    words: tuple[str, ...] = (str(file),)
    for count in sorted(dice.sample(range(1, int(planned * 0.8)), kills)):
        kill_at(command(store, *words), store, count, dice)
        words = ("resume", "deaths")
    assert command(store, *words).wait(1200) == 0
    with Store(str(store)) as opened:
        sweeps = Sweeps(opened)
        row = sweeps.get("deaths")
        items = list(sweeps.items(row.id))
        assert mark_interrupted(opened) == []
        assert (row.status, len(items)) == ("finished", planned)
        assert {item.status for item in items} == {"finished"}
        runs = opened.runs()
        ended = Counter(run.status for run in runs)
        assert ended["finished"] == planned == len({item.run for item in items})
        assert {run.id for run in runs if run.status == "finished"} == {i.run for i in items}
        assert ended["interrupted"] == sum(item.attempts - 1 for item in items) > 0
        assert all(found.ok for found in verify_all(opened, runs))


def test_killed_and_gone_on_with(backend: Backend, tmp_path: Path) -> None:
    """After two kills every item is filled by exactly one finished run, and each trace verifies."""
    check(tmp_path, "injection/changed-iban", 8, 24, 2)


@pytest.mark.load
def test_two_thousand_runs_five_kills(backend: Backend, tmp_path: Path) -> None:
    """2,000 runs and more, killed five times: no run is lost or repeated."""
    names = ("injection/changed-iban", "leakage/wrong-audience")
    scenarios = ", ".join(name + end for name in names for end in ("", "-benign"))
    check(tmp_path, scenarios, 167, 2004, 5)
