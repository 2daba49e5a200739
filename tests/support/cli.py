"""The command line in tests: processes of their own, forked from a server that has loaded it.

What a command loads takes it some seconds of a processor, hundreds of times in the whole suite. What a test
says of loading itself, of signals or of a terminal needs a program that is started as a user starts it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sandbox.isolation.bubblewrap import Bubblewrap
from tests.support import REPOSITORY

SECONDS = 300.0
_LOADED = [
    "sandbox.cli.run",
    "sandbox.runs.worker_pool",
    "sandbox.scenario.loader",
    "langgraph.func",
]


NEEDS_BUBBLEWRAP = pytest.mark.skipif(
    Bubblewrap().unavailable() is not None and not os.environ.get("CI"),
    reason="bubblewrap cannot make containers here",
)


class Finished(subprocess.CompletedProcess[str]):
    """A command after its end."""

    pid: int


def command(
    *words: str, cwd: Path = REPOSITORY, environment: Mapping[str, str] | None = None
) -> Finished:
    """Run ``sandbox`` with these words to its end.

    Args:
        words: Options and arguments.
        cwd: Folder to run it in.
        environment: Of the command; that of the test where left out.

    Raises:
        TimeoutExpired: It did not end within :data:`SECONDS`; it is killed.
    """
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        given = dict(os.environ if environment is None else environment)
        process = _server().Process(target=_execute, args=(words, cwd, given, out, err))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(["sandbox", *words], SECONDS)
        done = Finished(
            ["sandbox", *words], process.exitcode, out.read_text("utf-8"), err.read_text("utf-8")
        )
        assert process.pid is not None
        done.pid = process.pid
        return done


def sandbox(*arguments: str, store: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command."""
    before = ["--store", str(store)] if store else []
    return command(*before, *arguments)


def document(done: subprocess.CompletedProcess[str]) -> Any:
    """Return the one JSON document that a command printed."""
    return json.loads(done.stdout)


def run(store: Path, *arguments: str) -> dict[str, Any]:
    """Run scenarios in bubblewrap and return what ``--json`` printed."""
    done = sandbox("run", *arguments, "--isolation", "bubblewrap", "--json", store=store)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = document(done)
    return found


@cache
def _server() -> ForkServerContext:
    """Return where such processes come from; it is started with the first of them."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(_LOADED)
    return found


def _execute(
    words: Sequence[str], cwd: Path, environment: Mapping[str, str], out: Path, err: Path
) -> None:
    """Be the command: its folder, its environment, its streams, then the program."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, path in ((1, out), (2, err)):
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(made, number)
        os.close(made)
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - until the process ends
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = ["sandbox", *words]
    from sandbox.cli import main

    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
