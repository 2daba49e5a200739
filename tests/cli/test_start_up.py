"""What commands load: those that read the store do not pay for what executes runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import REPOSITORY
from tests.support.traces import HOSTILE, fixed

HEAVY = (
    "sandbox.runs.run_plan",
    "sandbox.gate",
    "sandbox.monitors",
    "sandbox.models",
    "sandbox.isolation.base",
    "textual",
    "langgraph",
    "scipy",
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A store with a few runs."""
    fixed(tmp_path).close()
    return tmp_path / "fixed.db"


def loaded(*words: str) -> set[str]:
    """Return the modules that a program loads."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}


@pytest.mark.parametrize("words", [("list",), ("show", HOSTILE), ("verify", HOSTILE)])
def test_reading_commands_load_nothing_that_executes_runs(
    database: Path, words: tuple[str, ...]
) -> None:
    """Lists, single runs and proofs come in half a second because they load the store and no more."""
    found = loaded("-m", "sandbox", "--store", str(database), "runs", *words)
    assert "sandbox.trace.store" in found
    assert [name for name in found if name.startswith(HEAVY)] == []


def test_opening_the_replay_loads_no_monitors(database: Path) -> None:
    """Origins of arguments are followed once a call is looked at; until then their modules stay away."""
    code = (
        "import asyncio, sys\nfrom sandbox.tui.app import ReplayApp\nfrom sandbox.trace.store import Store\n"
        "async def main():\n"
        f"    async with ReplayApp(Store({str(database)!r}), {HOSTILE!r}).run_test() as pilot:\n"
        "        await pilot.pause()\nasyncio.run(main())"
    )
    found = loaded("-c", code)
    assert "sandbox.tui.screens.run" in found
    assert [name for name in found if name.startswith("sandbox.monitors")] == []
