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

from sandbox.guest import arguments, audit, codec, hardening, tracing
from sandbox.guest.file_open_audit import Reads
from sandbox.guest.file_snapshot import Manifest
from sandbox.guest.json_patch import diff
from sandbox.guest.loop import READABLE, Loop
from sandbox.guest.process import Commands, reap
from sandbox.guest.seccomp import Denials
from sandbox.guest.toolkit import HOME, ToolError, World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from sandbox.guest.relay import Relay

RESULT_LIMIT = 1024 * 1024
"""Characters of one tool result that are handed out; the rest is cut with a note."""
ROOTS = (HOME, "/tmp")


class Refused(Exception):
    """A request that cannot be served; becomes a JSON-RPC error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Guest:
    """One world and the tools that act on it."""

    def __init__(
        self, plan: dict[str, Any], control: int, out: int, gone: Callable[[], NoReturn]
    ) -> None:
        self._relay: Relay | None = None
        self.requests: list[dict[str, Any] | None] = []
        """What was asked and is not yet answered; None where it was no message."""
        self.loop = Loop(control, self._take, gone)
        self._specs: dict[str, dict[str, Any]] = {spec["name"]: spec for spec in plan["tools"]}
        self._functions: dict[str, Callable[..., Any]] = {}
        for name in self._specs:
            toolkit, function = name.split(".", 1)
            self._functions[name] = getattr(sys.modules[f"toolkits.{toolkit}"], function)
        self._sections: dict[str, Any] = {}
        self._before: dict[str, bytes] = {}
        limits = plan["limits"]
        if limits["traced"] and not os.access(tracing.STRACE, os.X_OK):
            raise hardening.ConfinementError(
                f"there is no {tracing.STRACE} in the container to record effects with"
            )
        self._background = plan["background"]
        # where all is ended after each call, a spawner would be as well
        spawning = "" if self._background == "stop" else plan["spawning"]
        self._commands = Commands(limits, self.loop, spawning=spawning)
        self._world = World(
            self._sections,
            now=plan["now"],
            lang=plan["lang"],
            runner=self._commands,
            remember=self._remember,
        )
        self._manifest = Manifest(ROOTS)
        self._reads = Reads(ROOTS)
        doors = self._commands.doors(plan["certificate"])
        self.audit, listener = hardening.set_up(plan["confine"])
        filter_ = plan["confine"]["filters"][self.audit["machine"]]
        self._denials = Denials(listener, filter_["eperm"], self._commands.caller)
        if listener >= 0:
            self.loop.watch(listener, READABLE, self._denials.serve)
        self.audit["agent"] = audit.observe(self._commands.start, self.loop, filter_["trials"])
        self.audit["notices"] = [denial["number"] for denial in self._denials.drain()[0]]
        if doors:
            self._relay = doors.relay(self.loop, lambda message: _send(out, message))
        self.methods: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "tools/call": self._call,
            "sandbox/load": self._load,
            "sandbox/snapshot": self._snapshot,
            "sandbox/settle": self._settle,
        }

    def _take(self, line: bytes) -> None:
        message = _message(line)
        if self._relay and message and message["method"] == "sandbox/network":
            self._relay.take(message["params"])
        else:
            self.requests.append(message)

    def next_request(self) -> dict[str, Any] | None:
        """Return the next message of the engine, once there is one."""
        while not self.requests:
            self.loop.turn()
        return self.requests.pop(0)

    def idle(self) -> None:
        """Do what need not keep a caller waiting."""
        self._commands.prepare()

    def _load(self, params: dict[str, Any]) -> dict[str, Any]:
        self._sections.update(params["sections"])
        for path, text in params["files"].items():
            self._write(path, a2b_base64(text))
        hashes = params["hashes"]
        self._manifest.begin({self._world.path(path): hashes[path] for path in hashes})
        return {}

    def _write(self, name: str, data: bytes) -> None:
        with hardening.as_agent():
            handle = _open_below(self._world.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                if data.startswith(b"#!"):
                    os.fchmod(handle, 0o755)

    def _snapshot(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return all sections, and the agent's text files within a limit of bytes."""
        left, files = params["limit"], {}
        for path in sorted(self._manifest.scan()):
            if not path.startswith(HOME + "/"):
                continue
            try:
                with hardening.as_agent():
                    data = _read_regular(path, left)
            except (Refused, OSError):
                continue
            left -= len(data)
            name = path[len(HOME) + 1 :].encode("utf-8", "surrogateescape")
            files[name.decode("utf-8", "backslashreplace")] = data.decode("utf-8", "replace")
        return {"sections": self._sections, "files": files}

    def _call(self, params: dict[str, Any]) -> dict[str, Any]:
        name, given = params.get("name"), params.get("arguments") or {}
        if name not in self._specs:
            raise Refused(-32602, f"unknown tool: {name}")
        started = time.perf_counter()
        meta = params.get("_meta", {})
        self._commands.call, self._commands.lost = meta.get("call", ""), ""
        if wrong := arguments.problems(self._specs[name]["parameters"], given):
            text, status, fault = "invalid arguments: " + "; ".join(wrong), "invalid", None
        else:
            self._world.agent = meta.get("agent", "")
            text, status, fault = self._perform(self._functions[name], given)
        if self._background == "stop":
            self._commands.end_all()
        effects, dropped, spoiled = self._effects()
        if spoiled:
            text, status, fault = spoiled
        if self._commands.lost:
            text, status, fault = (
                "what the call did could not be recorded",
                "fault",
                self._commands.lost,
            )
        seconds = time.perf_counter() - started
        return {
            "content": [{"type": "text", "text": text}],
            "isError": status != "ok",
            "_meta": {
                "status": status,
                "fault": fault,
                "effects": effects,
                "dropped": dropped,
                **self._recorded(),
                "seconds": round(seconds, 6),
            },
        }

    def _recorded(self) -> dict[str, Any]:
        """Return what tracers and filter have recorded since the last time."""
        denials, more = self._denials.drain()
        return {
            "logs": self._commands.drain(),
            "denials": denials,
            "denials_dropped": more,
            "lost": self._commands.lost,
        }

    def _settle(self, params: dict[str, Any]) -> dict[str, Any]:
        """End what the calls left running, and return what it did since the last call."""
        self._commands.call = ""
        self._commands.end_all()
        effects, dropped, _ = self._effects()
        return {"effects": effects, "dropped": dropped, **self._recorded()}

    def _perform(
        self, function: Callable[..., Any], given: dict[str, Any]
    ) -> tuple[str, str, str | None]:
        try:
            with hardening.as_agent(), self._reads:
                value = function(self._world, **given)
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

    def _effects(self) -> tuple[list[dict[str, Any]], int, tuple[str, str, str] | None]:
        effects, spoiled = [], None
        for section, packed in self._before.items():
            before = marshal.loads(packed)  # noqa: S302 - this process's own, made a moment ago
            try:
                patch = diff(before, self._sections[section], f"/{section}")
                codec.dumps(patch)
            except Exception as error:  # noqa: BLE001 - the tool left what is no JSON data
                self._sections[section] = before
                spoiled = _failure(error)
                continue
            if patch:
                effects.append(
                    {
                        "kind": "world",
                        "action": "change",
                        "target": section,
                        "status": "done",
                        "source": "world",
                        "detail": {"patch": patch},
                    }
                )
        self._before.clear()
        files, dropped = self._manifest.look()
        reap()
        return effects + self._reads.drain(self._manifest.entries) + files, dropped, spoiled


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
        raise Refused(-32001, f"{path} is not below {HOME}")
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
        raise Refused(-32001, f"{path}: {os.strerror(error.errno or 0)}") from error
    finally:
        os.close(at)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Refused(-32001, f"{path} is not a regular file")
    return handle


def _read_regular(path: str, limit: int) -> bytes:
    with os.fdopen(_open_below(path, os.O_RDONLY), "rb") as file:
        info = os.fstat(file.fileno())
        if info.st_size > limit:
            raise Refused(-32001, f"larger than {limit} bytes")
        return file.read(limit)


def serve(plan: dict[str, Any]) -> None:
    """Serve until the engine closes the channel; then end every process of the container."""
    control, out = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)

    def gone() -> NoReturn:
        os._exit(0)

    try:
        guest = Guest(plan, control, out, gone)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from serving is the answer
        refusal = {"code": -32000, "message": f"{type(error).__name__}: {error}"}
        _send(out, {"jsonrpc": "2.0", "id": 0, "error": refusal})
        return
    _send(out, {"jsonrpc": "2.0", "id": 0, "result": {"audit": guest.audit}})
    while True:
        reply = _answer(guest, guest.next_request())
        if reply is not None:
            _send(out, reply)
        guest.idle()


def _message(line: bytes) -> dict[str, Any] | None:
    try:
        message: dict[str, Any] = codec.loads(line.decode())
        return message if isinstance(message["method"], str) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _answer(guest: Guest, request: dict[str, Any] | None) -> dict[str, Any] | None:
    if request is None:
        return {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "parse error"}}
    if "id" not in request:
        return None
    method, params = request["method"], request.get("params") or {}
    reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
    try:
        if method not in guest.methods:
            raise Refused(-32601, f"unknown method: {method}")
        reply["result"] = guest.methods[method](params)
    except Refused as error:
        reply["error"] = {"code": error.code, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - reported to the engine, which fails the run
        reply["error"] = {"code": -32603, "message": f"{type(error).__name__}: {error}"}
    return reply


def _send(out: int, message: dict[str, Any]) -> None:
    data = codec.dumps(message).encode() + b"\n"
    view = memoryview(data)
    while view:
        view = view[os.write(out, view) :]
