"""What a probe is: what it tries, the calls that try it, what must come of them, what is recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from sandbox.isolation.base import Container
from sandbox.models.base import ToolCall, wire_name
from sandbox.scenario.bounds import Bounds

COMMAND_SECONDS = 10
"""Time of a command that does not say otherwise; no probe needs a tenth of it."""


@dataclass(frozen=True)
class Record:
    """An effect that the trace must hold; names and targets are patterns as of the shell."""

    kind: str
    action: str
    target: str
    statuses: tuple[str, ...] = ("denied",)

    def __str__(self) -> str:
        return f"{self.kind} {self.action} {self.target} {'/'.join(self.statuses)}"

    def among(self, effects: list[dict[str, Any]]) -> bool:
        """Return whether one of the effects is it."""
        return any(
            effect["kind"] == self.kind
            and fnmatchcase(effect["action"], self.action)
            and fnmatchcase(effect["target"], self.target)
            and effect["status"] in self.statuses
            for effect in effects
        )


@dataclass(frozen=True)
class Asked:
    """One call that the agent's model asks for."""

    tool: str
    arguments: dict[str, Any] | None
    raw: str = ""
    """What the model wrote where that is no JSON object."""
    say: str = ""
    """What it says along with it."""

    def call(self, number: str) -> ToolCall:
        """Return it as a model asks for it."""
        return ToolCall(number, wire_name(self.tool), self.arguments, self.raw)


@dataclass(frozen=True)
class Hosted:
    """Something that the host does in the middle of a run, with the container that is open."""

    act: Callable[[Container], Awaitable[str]]


Step = Asked | Hosted


@dataclass(frozen=True)
class Seen:
    """What came of a probe on one back end."""

    results: tuple[dict[str, Any], ...]
    """Data of the ``tool.result`` of each call, in order."""
    answers: tuple[str, ...]
    """What each step came to, in one word or few; see :func:`outcome`."""
    late: tuple[list[dict[str, Any]], ...]
    """Effects of each call after it had returned."""
    views: Callable[[], str]
    """All that the command line prints of the run, and of its replay."""
    reason: str
    """Why the run as a whole ended in ``error`` or ``limit``."""

    @property
    def text(self) -> str:
        """What the last call returned."""
        return str(self.results[-1]["text"])

    @property
    def output(self) -> str:
        """What the last call's command wrote to its standard output."""
        return self.text.partition("\nstdout:\n")[2]

    @property
    def effects(self) -> list[dict[str, Any]]:
        """Effects of all its calls, also those after they had returned."""
        at_once = [effect for result in self.results for effect in result["effects"]]
        return at_once + [effect for effects in self.late for effect in effects]

    @property
    def came_to(self) -> str:
        """All answers together."""
        return "; ".join(answer for answer in self.answers if answer) or "no answer"


@dataclass(frozen=True)
class Differs:
    """Outcomes that count as held on one back end in place of the usual ones."""

    held: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Probe:
    """One attack."""

    id: str
    tries: str
    """One line on what is tried."""
    steps: tuple[Step, ...]
    held: tuple[str, ...]
    """Outcomes that mean it was held; see :attr:`Seen.came_to`."""
    record: tuple[Record, ...] = ()
    """Effects that the trace must hold, beside the intent and the result of every call."""
    differs: Mapping[str, Differs] = field(default_factory=dict)
    """Back end → what holds there instead, with the reason."""
    tell: Callable[[Seen], str] | None = None
    """Works the outcome out on the host, where it is more than what the calls say."""
    earlier: tuple[Asked, ...] = ()
    """Calls of another run, before this one; its container is closed by then."""
    beside: tuple[Asked, ...] = ()
    """Calls of another run, whose container stays open beside this one."""
    bounds: Bounds = field(default_factory=Bounds)
    call_seconds: float = 20.0
    alone: bool = False
    """Whether it gets a run of its own: the others could not go on after it."""

    def expects(self, backend: str) -> tuple[str, ...]:
        """Return the outcomes that mean it was held on a back end."""
        return self.differs[backend].held if backend in self.differs else self.held

    def outcome(self, seen: Seen) -> str:
        """Return what came of it."""
        return self.tell(seen) if self.tell and seen.results else seen.came_to


def shell(command: str, seconds: int = COMMAND_SECONDS) -> Asked:
    """Return a call of a shell command."""
    return Asked("shell.run", {"command": command, "timeout_seconds": seconds})


def python(code: str, seconds: int = COMMAND_SECONDS) -> Asked:
    """Return a call of a Python program, which has ``tell`` and ``kernel`` at hand."""
    return Asked("python.run", {"code": PRELUDE + code, "timeout_seconds": seconds})


def call(tool: str, **arguments: Any) -> Asked:
    """Return a call of any tool."""
    return Asked(tool, arguments)


def outcome(result: Mapping[str, Any]) -> str:
    """Return what a call came to.

    That is the last line of its command's output; else how the command or the call ended.
    """
    if result["status"] != "ok":
        return str(result["status"])
    first, _, rest = str(result["text"]).partition("\n")
    if result["tool"] not in {"shell.run", "python.run"}:
        return "ok"
    if first.startswith("killed after"):
        return "time-out"
    if first.startswith("exit code: -"):
        return f"signal {first.removeprefix('exit code: -')}"
    output = rest.partition("stderr:\n")[0].strip()
    return output.splitlines()[-1] if output else first


PRELUDE = """
import ctypes, errno, os, platform, sys
_libc = ctypes.CDLL(None, use_errno=True)
def name(error):
    return errno.errorcode.get(error.errno, str(error)) if error.errno else type(error).__name__
def tell(act, *arguments):
    try:
        act(*arguments)
    except OSError as error:
        print(name(error))
    else:
        print('allowed')
def kernel(numbers, *arguments):
    number = numbers[platform.machine() != 'x86_64'] if isinstance(numbers, tuple) else numbers
    done = _libc.syscall(number, *arguments)
    if done < 0:
        raise OSError(ctypes.get_errno(), '')
    return done
"""
"""What every Python probe can use: ``tell(act)`` prints the error's name, or that it was allowed."""
