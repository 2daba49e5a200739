"""The guest's loop: MCP's JSON-RPC messages, one a line, over the container's stdin and stdout.

Methods: ``tools/call`` as MCP defines it, and the engine's own ``sandbox/load``, ``sandbox/snapshot`` and
``sandbox/settle``. The channel's descriptors are private to this module and closed on exec: nothing
that a tool or a command prints can become a frame.
"""

from __future__ import annotations

import marshal
import os
import stat
import sys
import time
from binascii import a2b_base64

from sandbox.guest import arguments, audit, codec, hardening
from sandbox.guest.effects import effect, printable
from sandbox.guest.file_open_audit import FileOpenAudit
from sandbox.guest.file_snapshot import FileSnapshot
from sandbox.guest.json_patch import diff
from sandbox.guest.loop import READABLE, PollLoop
from sandbox.guest.process import Commands, reap
from sandbox.guest.seccomp import Denials
from sandbox.guest.toolkit import HOME, ToolError, World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

    from sandbox.guest.messages import CallRecords, GuestEffect, Records
    from sandbox.guest.relay import Relay

    Message = dict[str, object]
    Sections = dict[str, object]
    Outcome = tuple[str, str, str | None]
    """Text, status and fault of a call."""

RESULT_LIMIT = 1024 * 1024
"""Characters of one tool result that are handed out; the rest is cut with a note."""
ROOTS = (HOME, "/tmp")


class MethodError(Exception):
    """A request that cannot be served; becomes a JSON-RPC error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Guest:
    """One world and the tools that act on it."""

    def __init__(
        self,
        control: int,
        out: int,
        on_close: Callable[[], NoReturn],
        *,
        tools: Sequence[Mapping[str, Any]],
        now: str,
        lang: str,
        confine: Mapping[str, Any],
        background: str,
        certificate: bytes,
        **commands: Any,
    ) -> None:
        """Load tools, confine this process, and look at what its commands can do.

        Args:
            control: Where the engine's messages come from.
            out: Where the guest's go to.
            on_close: Called when the engine has hung up.
            tools: Name and schema of each that may be called.
            now: The world's date and time.
            lang: Language of the run.
            confine: See :func:`sandbox.guest.hardening.set_up`.
            background: Whether to ``keep`` or to ``stop`` what a call leaves running.
            certificate: Of the network's authority, PEM; empty if there is no network.
            commands: See :class:`sandbox.guest.process.Commands`.
        """
        self._relay: Relay | None = None
        self.requests: list[Message | None] = []
        """What was asked and is not yet answered; None in place of what is no message."""
        self.loop = PollLoop(control, self._take, on_close)
        self._tools: dict[str, tuple[Callable[..., object], arguments.Schema]] = {}
        for spec in tools:
            toolkit, function = spec["name"].split(".", 1)
            module = sys.modules[f"toolkits.{toolkit}"]
            self._tools[spec["name"]] = getattr(module, function), spec["parameters"]
        self._sections: Sections = {}
        self._before: dict[str, bytes] = {}
        self._ends_all = background == "stop"
        # a spawner would be ended after each call as well
        self._commands = Commands(self.loop, **commands, may_spawn=not self._ends_all)
        self._world = World(
            self._sections, now=now, lang=lang, runner=self._commands, remember=self._remember
        )
        self._files = FileSnapshot(ROOTS)
        self._opens = FileOpenAudit(ROOTS)
        listeners = self._commands.listeners(certificate)
        self.audit, listener = hardening.set_up(**confine)
        program = confine["filters"][self.audit["machine"]]
        self._denials = Denials(listener, program["eperm"], self._commands.caller)
        if listener >= 0:
            self.loop.watch(listener, READABLE, self._denials.serve)
        self.audit["agent"] = audit.observe(self._commands.start, self.loop, program["trials"])
        self.audit["notices"] = [denial["number"] for denial in self._denials.drain()[0]]
        if listeners:
            self._relay = listeners.relay(self.loop, lambda message: _send(out, message))
        self.methods: dict[str, Callable[..., object]] = {
            "tools/call": self._call,
            "sandbox/load": self._load,
            "sandbox/snapshot": self._snapshot,
            "sandbox/settle": self._settle,
        }

    def _take(self, line: bytes) -> None:
        message = _message(line)
        if self._relay and message and message["method"] == "sandbox/network":
            self._relay.take(message["params"])  # type: ignore[arg-type]  # from the engine
        else:
            self.requests.append(message)

    def next_request(self) -> Message | None:
        """Return the next message of the engine, once there is one."""
        while not self.requests:
            self.loop.turn()
        return self.requests.pop(0)

    def idle(self) -> None:
        """Do what need not keep a caller waiting."""
        self._commands.prepare()

    def _load(self, sections: Sections, files: dict[str, str], hashes: dict[str, str]) -> Message:
        self._sections.update(sections)
        for name, text in files.items():
            path, data = self._world.path(name), a2b_base64(text)
            with hardening.as_agent():
                handle = _open_below(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    if data.startswith(b"#!"):
                        os.fchmod(handle, 0o755)
        self._files.begin({self._world.path(name): hashes[name] for name in hashes})
        return {}

    def _snapshot(self, limit: int) -> Message:
        files = {}
        for path in sorted(self._files.scan()):
            if not path.startswith(HOME + "/"):
                continue
            try:
                with hardening.as_agent():
                    data = _read_regular(path, limit)
            except (MethodError, OSError):
                continue
            limit -= len(data)
            files[printable(path[len(HOME) + 1 :])] = data.decode("utf-8", "replace")
        return {"sections": self._sections, "files": files}

    def _call(
        self, name: str, _meta: Mapping[str, str], arguments: Mapping[str, object] | None = None
    ) -> Message:
        if name not in self._tools:
            raise MethodError(-32602, f"unknown tool: {name}")
        started = time.perf_counter()
        self._commands.call, self._commands.lost = _meta["call"], ""
        self._world.agent = _meta["agent"]
        outcome = self._perform(*self._tools[name], arguments or {})
        if self._ends_all:
            self._commands.end_all()
        effects, dropped, fault = self._effects()
        records = self._records()
        if lost := records["lost"]:
            fault = "what the call did could not be recorded", "fault", lost
        text, status, why = fault or outcome
        return {
            "content": [{"type": "text", "text": text}],
            "isError": status != "ok",
            "_meta": {
                "status": status,
                "fault": why,
                "effects": effects,
                "dropped": dropped,
                **records,
                "seconds": round(time.perf_counter() - started, 6),
            },
        }

    def _records(self) -> Records:
        denials, dropped = self._denials.drain()
        return {
            "logs": self._commands.drain(),
            "denials": denials,
            "denials_dropped": dropped,
            "lost": self._commands.lost,
        }

    def _settle(self) -> CallRecords:
        """End what the calls left running, and return what it did since the last call."""
        self._commands.call = ""
        self._commands.end_all()
        effects, dropped, _ = self._effects()
        return {"effects": effects, "dropped": dropped, **self._records()}

    def _perform(
        self,
        function: Callable[..., object],
        schema: arguments.Schema,
        values: Mapping[str, object],
    ) -> Outcome:
        if problems := arguments.problems(schema, values):
            return "invalid arguments: " + "; ".join(problems), "invalid", None
        try:
            with hardening.as_agent(), self._opens:
                value = function(self._world, **values)
            text = value if isinstance(value, str) else _json(value)
        except ToolError as error:
            return _cut(str(error)), "error", None
        # a toolkit's own fault must not end the guest
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return _failure(error)
        return _cut(text), "ok", None

    def _remember(self, section: str, value: Any) -> None:
        if section not in self._before:
            self._before[section] = marshal.dumps(value)

    def _effects(self) -> tuple[list[GuestEffect], int, Outcome | None]:
        """Return what changed, how much of it was dropped, and how the world was spoiled, if it was."""
        effects, fault = [], None
        for section, packed in self._before.items():
            before = marshal.loads(packed)  # noqa: S302 - this process's own, made a moment ago
            try:
                patch = diff(before, self._sections[section], f"/{section}")
                codec.dumps(patch)
            except Exception as error:  # noqa: BLE001 - the tool left what is no JSON data
                self._sections[section] = before
                fault = _failure(error)
            else:
                if patch:
                    effects.append(effect("world", "change", section, "world", patch=patch))
        self._before.clear()
        files, dropped = self._files.look()
        reap()
        return [*effects, *self._opens.drain(self._files.entries), *files], dropped, fault


def _json(value: Any) -> str:
    """Return a tool's value as JSON that people read: accents stay as they are."""
    import json

    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _cut(text: str) -> str:
    if len(text) <= RESULT_LIMIT:
        return text
    return text[:RESULT_LIMIT] + f"\n[… {len(text) - RESULT_LIMIT} characters left out …]"


def _failure(error: BaseException) -> tuple[str, str, str]:
    import traceback

    fault = "".join(traceback.format_exception(error)[-3:])
    return _cut(f"the tool failed: {type(error).__name__}: {error}"), "fault", _cut(fault)


def _make_folder(name: str, at: int) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=at)
    except FileExistsError:
        return


def _open_below(path: str, flags: int) -> int:
    """Open a regular file below the agent's folder; no link on the way is followed.

    Folders on the way are made where the file is to be made.
    """
    if not path.startswith(HOME + "/"):
        raise MethodError(-32001, f"{path} is not below {HOME}")
    *folders, name = path[len(HOME) + 1 :].split("/")
    at = os.open(HOME, os.O_PATH | os.O_DIRECTORY)
    try:
        for folder in folders:
            if flags & os.O_CREAT:
                _make_folder(folder, at)
            above, at = at, os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(above)
        handle = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666, dir_fd=at)
    except OSError as error:
        raise MethodError(-32001, f"{path}: {os.strerror(error.errno or 0)}") from error
    finally:
        os.close(at)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise MethodError(-32001, f"{path} is not a regular file")
    return handle


def _read_regular(path: str, limit: int) -> bytes:
    with os.fdopen(_open_below(path, os.O_RDONLY), "rb") as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise MethodError(-32001, f"larger than {limit} bytes")
        return file.read(limit)


def serve(**plan: Any) -> None:
    """Serve until the engine closes the channel; then end every process of the container.

    Args:
        plan: See :class:`Guest`.
    """
    control, out = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)

    def exit_now() -> NoReturn:
        os._exit(0)

    try:
        guest = Guest(control, out, exit_now, **plan)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from serving is the answer
        _send(out, {"jsonrpc": "2.0", "id": 0, "error": _error(-32000, error)})
        return
    _send(out, {"jsonrpc": "2.0", "id": 0, "result": guest.audit})
    while True:
        reply = _answer(guest, guest.next_request())
        if reply is not None:
            _send(out, reply)
        guest.idle()


def _error(code: int, error: Exception) -> Message:
    return {"code": code, "message": f"{type(error).__name__}: {error}"}


def _message(line: bytes) -> Message | None:
    try:
        message: Message = codec.loads(line.decode())
        return message if isinstance(message["method"], str) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _answer(guest: Guest, request: Message | None) -> Message | None:
    if request is None:
        return {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "parse error"}}
    if "id" not in request:
        return None
    reply: Message = {"jsonrpc": "2.0", "id": request["id"]}
    try:
        method = guest.methods.get(str(request["method"]))
        if method is None:
            raise MethodError(-32601, f"unknown method: {request['method']}")
        reply["result"] = method(**request.get("params", {}))  # type: ignore[arg-type]
    except MethodError as error:
        reply["error"] = {"code": error.code, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - reported to the engine, which fails the run
        reply["error"] = _error(-32603, error)
    return reply


def _send(out: int, message: Message) -> None:
    view = memoryview(codec.dumps(message).encode() + b"\n")
    while view:
        view = view[os.write(out, view) :]
