"""``sandbox replay`` as a command: on a terminal, in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

from sandbox.tui import keys
from sandbox.tui.screens.compare import CompareScreen
from sandbox.tui.screens.run import RunScreen
from sandbox.tui.screens.runs import RunsScreen
from tests.support import REPOSITORY
from tests.support.cli import Finished, command
from tests.support.traces import HOSTILE, fixed

DEADLINE = 60


def piped(store: Path, *arguments: str) -> Finished:
    """Run ``sandbox replay`` with its output in no terminal."""
    return command("--store", str(store), "replay", *arguments)


def test_a_pipe_gets_text_and_does_not_load_textual(tmp_path: Path) -> None:
    """In a pipe the replay is text, without ``--text`` too; Textual is not imported for it."""
    fixed(tmp_path).close()
    words = ["-m", "sandbox", "--store", str(tmp_path / "fixed.db"), "replay", HOSTILE]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "mail.read" in done.stdout
    assert "\x1b" not in done.stdout
    assert "textual" not in loaded


def test_a_pipe_without_a_run_is_told_what_is_missing(tmp_path: Path) -> None:
    """The list of runs needs a terminal; the message names the command that lists them."""
    fixed(tmp_path).close()
    done = piped(tmp_path / "fixed.db")
    assert done.returncode == 2
    assert "sandbox runs list" in done.stderr


def test_a_terminal_gets_the_screen_and_its_own_state_back(tmp_path: Path) -> None:
    """On a terminal the list opens, ``q`` leaves it, and the status is 0."""
    fixed(tmp_path).close()
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "sandbox", "--store", str(tmp_path / "fixed.db"), "replay"]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=REPOSITORY, env=environment
    ) as process:
        os.close(theirs)
        os.set_blocking(ours, False)
        drawn, began, pressed = b"", time.monotonic(), 0.0
        while process.poll() is None and time.monotonic() - began < DEADLINE:
            try:
                drawn += os.read(ours, 65536)
            except (BlockingIOError, OSError):
                time.sleep(0.02)
            if b"3 runs" in drawn and time.monotonic() - pressed > 1:
                os.write(ours, b"q")
                pressed = time.monotonic()
        process.kill()
        assert process.returncode == 0
    os.close(ours)
    assert b"3 runs" in drawn
    assert b"\x1b[2J[bold" not in drawn


def test_every_key_is_in_the_help_and_in_the_document() -> None:
    """What a screen binds is told by its help screen and by the document."""
    document = (REPOSITORY / "docs" / "replay.md").read_text("utf-8")
    names = {
        "slash": "/",
        "right_square_bracket": "]",
        "left_square_bracket": "[",
        "plus": "+",
        "minus": "-",
        "space": "Space",
        "question_mark": "?",
        "enter": "Enter",
        "tab": "Tab",
        "escape": "Esc",
    }
    for screen, told in (
        (RunsScreen, keys.RUNS),
        (RunScreen, keys.RUN),
        (CompareScreen, keys.BESIDE),
    ):
        text = " ".join(key for key, _ in told)
        for base in screen.__mro__:
            for binding in (
                vars(base).get("BINDINGS", ()) if base.__module__.startswith("sandbox") else ()
            ):
                key = binding.key.split(",")[0]
                shown = names.get(key, key)
                assert shown in text or shown in ("?", "Esc"), (screen, key)
                assert f"`{shown}`" in document, key
