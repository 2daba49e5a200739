"""A terminal on which hostile runs are watched live: only what the sandbox itself draws acts on it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

from sandbox.isolation.base import Backend
from tests.support.attacks.probe_runner import WORKSPACE

_DRAWN = re.compile(rb"\x1b\[\??[0-9;]*[mKAGJhl]")
"""Colours, and what a bar that is drawn anew needs: cursor up, erase, hide, show."""
_SECONDS = 60


def watched(words: list[str]) -> bytes:
    """Return all that a command writes to a terminal of its own."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        words,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        close_fds=True,
        env={**os.environ, "TERM": "xterm-256color"},
    ) as process:
        os.close(follower)
        said, deadline = b"", time.monotonic() + _SECONDS
        while time.monotonic() < deadline and select.select([leader], [], [], _SECONDS)[0]:
            try:
                said += os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
        process.wait(timeout=_SECONDS)
    os.close(leader)
    return said


def test_live_output_of_a_hostile_run(engine: Backend, tmp_path: Path) -> None:
    """Neither the live view nor the summary, list, replay passes a sequence of the agent's on."""
    sandbox = [sys.executable, "-m", "sandbox", "--store", str(tmp_path / "runs.db")]
    hostile = [*sandbox, "--workspace", str(WORKSPACE), "run", "attacks/terminal"]
    said = watched([*hostile, "--model", "scripted/safe", "--isolation", engine.name])
    for command in (["runs", "list"], ["runs", "show"], ["replay", "--text"]):
        run = _newest(sandbox) if command != ["runs", "list"] else ""
        said += watched([*sandbox, *command, *([run] if run else [])])
    assert b"ATTACK" in said
    rest = _DRAWN.sub(b"", said).replace(
        b"\r", b""
    )  # which a bar needs; pipes are looked at in the probes
    assert re.findall(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", rest) == []


def _newest(sandbox: list[str]) -> str:
    done = subprocess.run([*sandbox, "runs", "list", "--json"], capture_output=True, check=True)
    return str(json.loads(done.stdout)["runs"][0]["id"])
