"""The process in which monitors run that are not the library's own: ``python -m sandbox.monitors.monitor_worker``.

It repeats what is done with the contexts of the runs that it is asked about, so that a question carries what
is new and not the whole history. Messages are JSON, each behind its length in four bytes. What it answers
is checked by the host: the process belongs to the monitors that it runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sandbox.cel import ExpressionError, Macros, parse
from sandbox.detectors.call import WORDS, Call, Result
from sandbox.errors import SandboxError, internal
from sandbox.monitors.library import functions
from sandbox.monitors.monitor_messages import (
    CallData,
    ContextMessage,
    JournalEntry,
    MonitorAnswer,
    ResultData,
    ScoreQuestion,
    StepQuestion,
)
from sandbox.monitors.python_monitor import Finding, MonitorFunction
from sandbox.monitors.rules import RuleMonitor
from sandbox.monitors.run_context import RunContext, RunInfo
from sandbox.monitors.step import (
    TEXT_FUNCTIONS,
    Step,
    canary_effects,
    record_execution,
)
from sandbox.scenario.canaries import CanaryValue
from sandbox.scenario.checks import SCORE_VARIABLES
from sandbox.scenario.schema import Rule
from sandbox.scenario.toolkits import Tool
from sandbox.trace.events import canonical

LENGTH = struct.Struct(">I")


class RunReplica:
    """One run, repeated."""

    def __init__(self, message: ContextMessage) -> None:
        self._tools: dict[str, Tool] = {}
        canaries = {
            name: CanaryValue(**{**item, "marks": tuple(item["marks"])})
            for name, item in message["canaries"].items()
        }
        plan = tuple(map(self._call, message["plan"]))
        labels = {name: tuple(of) for name, of in message["labels"].items()}
        self._context = RunContext(
            RunInfo(
                message["lang"], message["scope"], canaries, labels, plan, message["final_agent"]
            )
        )
        self._steps: dict[int, Step] = {}

    def repeat(self, entry: JournalEntry) -> None:
        """Do what was done with the context."""
        what, *rest = entry
        if what == "event":
            self._context.add_event(*rest)
        elif what == "step":
            position, call = rest
            self._steps[position] = Step(self._call(call), self._context, position)
        elif what == "execute":
            record_execution(self._steps[rest[0]])
        elif what == "result":
            position, result, late = rest
            canary_effects(self._steps[position], _result(result), late=late)

    def step(self, position: int, result: ResultData | None) -> Step:
        """Return a step as it is to be judged."""
        step = self._steps[position]
        return step if result is None else step.with_result(_result(result))

    def _call(self, data: CallData) -> Call:
        if "words" in data:
            return Call(WORDS[data["words"]], data["arguments"], data["agent"])
        if "definition" in data:
            tool = Tool.from_data(data["definition"])
            self._tools[tool.name] = tool
        tool = self._tools[data["tool"]]
        return Call(tool, data["arguments"], data["agent"], data["original"])


class MonitorWorker:
    """Answers the host's questions, one after the other."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._runs: dict[str, RunReplica] = {}
        self._functions: dict[str, dict[str, MonitorFunction]] = {}
        self._faults: dict[str, Exception] = {}
        self._rules: dict[str, RuleMonitor] = {}

    def serve(self) -> None:
        """Answer until the host closes the channel."""
        with self._channel.makefile("rb") as stream:
            while head := stream.read(LENGTH.size):
                self._take(json.loads(stream.read(*LENGTH.unpack(head))))

    def _take(self, message: ContextMessage | StepQuestion | ScoreQuestion) -> None:
        match message["what"]:
            case "ask":
                self._ask(message)
            case "score":
                self._answer(partial(_score, message), message["seconds"], own_code=True)
            case what:
                try:
                    self._follow(what, message["run"], message)
                except MemoryError:
                    raise
                except Exception as error:  # noqa: BLE001 - told when the run is asked about
                    self._faults.setdefault(message["run"], error)

    def _follow(self, what: str, run: str, message: ContextMessage) -> None:
        """Do what was done with the context of a run."""
        if what == "open":
            self._runs[run] = RunReplica(message)
        elif what == "close":
            self._runs.pop(run, None)
            self._faults.pop(run, None)
        elif run not in self._faults:
            for entry in message["entries"]:
                self._runs[run].repeat(entry)

    def _ask(self, message: StepQuestion) -> None:
        """Ask one monitor; the second answer is what it says, the first that it is being asked."""
        own_code = True
        try:
            step = self._step(message)
            own_code = "rule" in message
            judge = self._judge(message)
        except BaseException as error:  # noqa: BLE001 - a module may do anything when it is loaded
            self._say(_failure(error, own_code=own_code))
            return
        self._answer(partial(judge, step), message["seconds"], own_code=own_code)

    def _step(self, message: StepQuestion) -> Step:
        """Return what is to be judged; if its run could not be repeated, raise why."""
        if fault := self._faults.get(message["run"]):
            raise fault
        return self._runs[message["run"]].step(message["position"], message["result"])

    def _answer(
        self, judge: Callable[[], MonitorAnswer], seconds: float, *, own_code: bool
    ) -> None:
        """Say what comes of a question, and whose fault it is if nothing does."""
        self._say({"asking": True})
        # Where the host is gone, nobody else would end a monitor that does not come back.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 2 * seconds + 5)
        try:
            answer = judge()
        except BaseException as error:  # noqa: BLE001 - even sys.exit is only its answer
            answer = _failure(error, own_code=own_code)
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            self._say(answer)
        except (TypeError, ValueError) as error:
            self._say(_failure(error, own_code=own_code))

    def _judge(self, message: StepQuestion) -> Callable[[Step], MonitorAnswer]:
        name = message["monitor"]
        if "rule" in message:
            definition = canonical([message["rule"], message["macros"]])  # scenarios share names
            if definition not in self._rules:
                self._rules[definition] = RuleMonitor(
                    name, Rule.model_validate(message["rule"]), _macros(message["macros"])
                )
            rule = self._rules[definition]
            return lambda step: {"holds": rule.holds(step)}
        family, _, key = name.partition(".")
        path = message["path"]
        if path not in self._functions:
            self._functions[path] = functions(family, Path(path))
        function = self._functions[path][key]
        return lambda step: _finding_answer(function(step))

    def _say(self, answer: MonitorAnswer) -> None:
        data = json.dumps(answer).encode()
        self._channel.sendall(LENGTH.pack(len(data)) + data)


def _score(question: ScoreQuestion) -> MonitorAnswer:
    """Return whether a condition of a score holds."""
    macros = _macros(question["macros"])
    condition = parse(question["source"], SCORE_VARIABLES, frozenset(TEXT_FUNCTIONS), macros)
    try:
        return {"holds": condition.holds(question["variables"], TEXT_FUNCTIONS)}
    except ExpressionError as error:
        return {"refused": str(error)}


def _macros(pairs: Macros) -> Macros:
    return tuple((key, source) for key, source in pairs)


def _finding_answer(finding: Finding | None) -> MonitorAnswer:
    if finding is None:
        return {"finding": None}
    fields = {"reason": finding.reason, "score": finding.score, "verdict": finding.verdict}
    return {"finding": fields}


def _result(data: ResultData) -> Result:
    return Result(data["text"], data["status"], tuple(data["effects"]))


def _failure(error: BaseException, *, own_code: bool) -> MonitorAnswer:
    """Return how a question failed: by a fault of the sandbox itself, by the monitor, or by its input."""
    if own_code and not isinstance(error, SandboxError | MemoryError | RecursionError):
        return {"internal": internal(error)[:2000]}
    text = f"{type(error).__name__}: {error}"[:2000]
    return {"failed": text, "memory": isinstance(error, MemoryError)}


def main() -> None:
    """Serve the channel whose descriptor is the first argument, with the memory of the second."""
    descriptor, memory = map(int, sys.argv[1:3])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        os.nice(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the host's to act upon
    with socket.socket(fileno=descriptor) as channel:
        os.set_inheritable(descriptor, False)
        MonitorWorker(channel).serve()


if __name__ == "__main__":
    main()
