"""Monitors that may do anything, in a process of their own: they can neither hold up the host nor fill it.

One process serves all runs of this one, from the first question on. It has a limit on its memory, a time for
each answer, no descriptor but its channel and nothing of the environment but what finds programs and
libraries. Whatever becomes of it, the host goes on: it is ended, made anew, and told again what was done with
the contexts that it is asked about.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache, partial
from typing import Any, cast
from weakref import WeakKeyDictionary, finalize

from sandbox.cel import Macros
from sandbox.cel_cost import Variables
from sandbox.detectors.call import WORDS, Call, Result
from sandbox.errors import InternalError, SandboxError
from sandbox.monitors.monitor_messages import (
    CallData,
    ContextMessage,
    JournalEntry,
    MonitorAnswer,
    MonitorData,
    Question,
    ScoreQuestion,
    StepQuestion,
    result_data,
)
from sandbox.monitors.run_context import RunContext
from sandbox.monitors.step import Step

MONITOR_SECONDS = 5.0
"""Time that one monitor may take for one step."""
MEMORY = 1 << 30
"""Bytes of address space of the process."""
START_SECONDS = 60.0
"""Time until the process is there, knows the run and has loaded the monitor."""
_LENGTH = 4
_ANSWER_LIMIT = 1 << 20
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV")
"""Variables that the process gets; keys of model providers are none of its business."""


class MonitorFailure(SandboxError):
    """A monitor came to no answer: its error, its end, or the end of its time."""


class MonitorTimeout(MonitorFailure):
    """It did not answer in time."""


class _ProcessEnded(Exception):
    """The process is not there any more."""


class MonitorProcess:
    """The process, as the host sees it; questions are asked one after the other."""

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._histories: WeakKeyDictionary[RunContext, _SentHistory] = WeakKeyDictionary()
        self._closed_runs: list[str] = []
        self._number = 0
        self._program = os.getpid()

    def ask(self, step: Step, monitor: MonitorData, seconds: float) -> MonitorAnswer:
        """Return what a monitor answers.

        Args:
            step: What it is asked about.
            monitor: ``monitor``, its name; ``path``, its file; or ``rule``, its definition.
            seconds: What it is given; time to start and to catch up is not counted.

        Raises:
            MonitorFailure: It failed, ended its process, or did not answer in time.
        """
        return self._with_retry(partial(self._ask_once, step, monitor, seconds))

    def evaluate(
        self, source: str, variables: Variables, macros: Macros, seconds: float
    ) -> MonitorAnswer:
        """Return whether a condition of a score holds, as ``holds``, or why that cannot be said, as ``refused``.

        Args:
            source: The condition.
            variables: Those that it reads.
            macros: Those of its scenario.
            seconds: What it is given; time to start is not counted.

        Raises:
            MonitorFailure: It ended its process, or was not evaluated in time.
        """
        values = dict(variables)
        question = ScoreQuestion(
            what="score", source=source, variables=values, macros=macros, seconds=seconds
        )
        return self._with_retry(partial(self._exchange, question, seconds))

    def _with_retry(self, ask: Callable[[], MonitorAnswer]) -> MonitorAnswer:
        """Ask, one question after the other; and once more, anew, where the process was gone."""
        with self._lock:
            try:
                try:
                    return ask()
                except _ProcessEnded:  # it may have ended since the last question
                    self.close()
                    return ask()
            except _ProcessEnded as error:
                self.close()
                raise MonitorFailure(f"its process ended before it was asked: {error}") from error
            except MonitorFailure:
                raise
            except BaseException:
                self.close()  # half a question or answer may be in the channel
                raise

    def close(self) -> None:
        """End the process, and all that it started; the next question starts another one."""
        process, self._process = self._process, None
        channel, self._channel = self._channel, None
        self._histories = WeakKeyDictionary()
        self._closed_runs.clear()
        if channel is not None:
            channel.close()
        if process is not None and os.getpid() == self._program:  # a fork's end is not its owner's
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _ask_once(self, step: Step, monitor: MonitorData, seconds: float) -> MonitorAnswer:
        self._catch_up(step.context)
        run = self._histories[step.context].name
        result = result_data(step.result) if step.result else None
        question: StepQuestion = {
            **monitor,
            "what": "ask",
            "run": run,
            "position": step.position,
            "result": result,
            "seconds": seconds,
        }
        return self._exchange(question, seconds)

    def _exchange(self, question: Question, seconds: float) -> MonitorAnswer:
        if self._process is None:
            self._start()
        self._send(question)
        _check(self._answer(START_SECONDS))
        try:
            answer = self._answer(seconds)
        except _ProcessEnded:
            self.close()
            raise MonitorFailure("its process ended: by itself, killed, or out of memory") from None
        if answer.get("memory"):
            self.close()  # what filled it may still be there
        if "internal" in answer and "path" in question:  # a function's failure is its own
            raise MonitorFailure("an answer of the wrong kind")
        _check(answer)
        return answer

    def _answer(self, seconds: float) -> MonitorAnswer:
        """Return the next answer; where there is none in time, or none that is sound, end the process."""
        try:
            return self._receive(seconds)
        except TimeoutError:
            self.close()
            raise MonitorTimeout(f"no answer within {seconds:g} s") from None
        except MonitorFailure:
            self.close()
            raise

    def _catch_up(self, context: RunContext) -> None:
        """Tell the process what was done with a context since it was last asked about it."""
        if self._process is None:
            self._start()
        while self._closed_runs:
            self._send({"what": "close", "run": self._closed_runs.pop()})
        sent = self._histories.get(context)
        if sent is None:
            self._number += 1
            sent = self._histories[context] = _SentHistory(f"run{self._number}")
            finalize(context, self._closed_runs.append, sent.name).atexit = False
            info = context.info
            canaries = {
                name: {**asdict(item), "parts": dict(item.parts)}
                for name, item in info.canary_values.items()
            }
            self._send(
                {
                    "what": "open",
                    "run": sent.name,
                    "lang": info.lang,
                    "scope": dict(info.scope),
                    "canaries": canaries,
                    "plan": [sent.call(call) for call in info.expected_calls],
                    "labels": {name: list(of) for name, of in info.labels.items()},
                    "final_agent": info.final_agent,
                }
            )
        new = context.journal[sent.entries :]
        if new:
            self._send(
                {"what": "repeat", "run": sent.name, "entries": [sent.entry(item) for item in new]}
            )
            sent.entries += len(new)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(item for item in sys.path if item)
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "sandbox.monitors.monitor_worker",
                    str(theirs.fileno()),
                    str(self._memory),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise MonitorFailure(f"its process cannot be started: {error}") from error
        finally:
            theirs.close()
        self._channel = ours

    def _send(self, message: ContextMessage | Question) -> None:
        assert self._channel is not None
        data = json.dumps(message, default=_plain).encode()
        self._channel.settimeout(START_SECONDS)
        try:
            self._channel.sendall(len(data).to_bytes(_LENGTH, "big") + data)
        except OSError as error:
            raise _ProcessEnded(str(error)) from error

    def _receive(self, seconds: float) -> MonitorAnswer:
        """Return the next answer.

        Raises:
            TimeoutError: It did not come in time.
            MonitorFailure: It is none that this program understands.
        """
        until = time.monotonic() + seconds
        size = int.from_bytes(self._exactly(_LENGTH, until), "big")
        if size > _ANSWER_LIMIT:
            raise MonitorFailure(f"an answer of {size} bytes")
        try:
            answer = json.loads(self._exactly(size, until))
        except ValueError as error:
            raise MonitorFailure("an answer that is no JSON") from error
        if not isinstance(answer, dict):
            raise MonitorFailure("an answer of the wrong kind")
        return cast("MonitorAnswer", answer)

    def _exactly(self, size: int, until: float) -> bytes:
        assert self._channel is not None
        parts = bytearray()
        while len(parts) < size:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._channel.settimeout(left)
            try:
                part = self._channel.recv(size - len(parts))
            except TimeoutError:
                raise
            except OSError as error:
                raise _ProcessEnded(str(error)) from error
            if not part:
                raise _ProcessEnded("the channel was closed")
            parts += part
        return bytes(parts)


class _SentHistory:
    """What the process knows of a context."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entries = 0
        self._tools: set[str] = set()

    def entry(self, entry: JournalEntry) -> JournalEntry:
        """Return an entry of the journal as JSON data."""
        return tuple(
            self.call(item)
            if isinstance(item, Call)
            else result_data(item)
            if isinstance(item, Result)
            else item
            for item in entry
        )

    def call(self, call: Call) -> CallData:
        """Return a call as JSON data; the definition of a tool goes with its first one."""
        tool = call.tool
        data: CallData = {
            "tool": tool.name,
            "arguments": dict(call.arguments),
            "agent": call.agent,
            "original": call.original,
        }
        if words := [stage for stage, word in WORDS.items() if word == tool]:
            data["words"] = words[0]
        elif tool.name not in self._tools:
            self._tools.add(tool.name)
            data["definition"] = tool.as_data()
        return data


def shared_process() -> MonitorProcess:
    """Return the process of this program; it is ended with it. A fork of the program gets its own."""
    return _of(os.getpid())


@cache
def _of(program: int) -> MonitorProcess:
    made = MonitorProcess()
    atexit.register(made.close)
    return made


def _check(answer: MonitorAnswer) -> None:
    """Raise how a question failed, if it did: by a fault of the sandbox itself, or by the monitor."""
    if "internal" in answer:
        raise InternalError(str(answer["internal"])[:2000])
    if "failed" in answer:
        raise MonitorFailure(str(answer["failed"])[:2000])


def _plain(value: Any) -> Any:
    """Return what stands for a value that is no JSON: mappings that are no dicts."""
    return dict(value) if isinstance(value, Mapping) else str(value)
