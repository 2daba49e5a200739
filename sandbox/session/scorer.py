"""The process in which heavy conditions of scores are evaluated: ``python -m sandbox.session.scorer``.

What a condition goes over is the agent's: a world may hold lists that take hours. The process reads one
condition and its variables a line, as JSON, and answers each with a line. It may be ended at any time.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from sandbox.expressions import ExpressionError, parse
from sandbox.oversight.confined import environment
from sandbox.oversight.step import TEXT_FUNCTIONS
from sandbox.scenario.checks import SCORE_VARIABLES

SECONDS = 30.0
"""Time that one heavy condition may take."""
MEMORY = 2 << 30
"""Bytes of address space of the process."""


def holds(source: str, variables: Mapping[str, Any]) -> bool:
    """Return whether a condition holds, evaluated in a process of its own; one after the other.

    Args:
        source: The condition.
        variables: Those that it reads.

    Raises:
        ExpressionError: It cannot be evaluated, or not within the time and memory that it is given.
    """
    return _of(os.getpid()).holds(source, variables)


@cache
def _of(program: int) -> Scorer:
    """Return the process of this program; a fork of it gets its own."""
    made = Scorer()
    atexit.register(made.close)
    return made


class Scorer:
    """The process, as the host sees it; it is started with the first condition."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def holds(self, source: str, variables: Mapping[str, Any]) -> bool:
        """Return whether a condition holds; see :func:`holds`."""
        asked = {"source": source, "variables": dict(variables), "seconds": SECONDS}
        with self._lock:
            try:
                answer = json.loads(self._answer(json.dumps(asked).encode() + b"\n"))
            except TimeoutError:
                self.close()
                raise ExpressionError(f"not evaluated within {SECONDS:g} s: {source}") from None
            except (OSError, ValueError, RecursionError):
                self.close()
                raise ExpressionError(
                    f"not evaluated within {MEMORY >> 30} GiB: {source}"
                ) from None
            except BaseException:
                self.close()  # half an answer may be on its way
                raise
        if "failed" in answer:
            raise ExpressionError(answer["failed"])
        return bool(answer["holds"])

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _answer(self, asked: bytes) -> bytes:
        """Return the answer to a question as one line.

        Raises:
            TimeoutError: There is none in time.
            OSError: The process has ended.
        """
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "sandbox.session.scorer", str(MEMORY)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=environment(), start_new_session=True,
            )  # fmt: skip
        given, told = self._process.stdin, self._process.stdout
        assert given is not None
        assert told is not None
        given.write(asked)
        given.flush()
        until = time.monotonic() + SECONDS
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([told], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError
            part = os.read(told.fileno(), 65536)
            if not part:
                raise BrokenPipeError
            line += part
        return line


def main() -> None:
    """Answer questions until there are no more."""
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        asked = json.loads(line)
        # where the host is gone, nobody else would end what does not come back
        signal.setitimer(signal.ITIMER_REAL, 2 * asked["seconds"])
        condition = parse(asked["source"], SCORE_VARIABLES, frozenset(TEXT_FUNCTIONS))
        try:
            answer: dict[str, Any] = {"holds": condition.holds(asked["variables"], TEXT_FUNCTIONS)}
        except ExpressionError as error:
            answer = {"failed": str(error)}
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        main()
