"""What is sent to a container at its start: the guest's code and the toolkits, as code objects.

The container's command is a few lines of Python that name the interpreter's bytecode version, then
take modules from the channel. So nothing needs to be mounted or baked into an image, and a remote
engine works as well. The host compiles toolkits but never runs them. The launcher starts in the same
way, and its guests find their own modules loaded: they are sent the toolkits alone.
"""

from __future__ import annotations

import importlib.util
import marshal
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.isolation import seccomp_program
from sandbox.isolation.base import ContainerSpec

_GUEST = (
    "toolkit",
    "arguments",
    "codec",
    "json_patch",
    "file_snapshot",
    "file_open_audit",
    "seccomp",
    "hardening",
    "loop",
    "tracing",
    "command",
    "process",
    "spawner_client",
    "relay",
    "audit",
    "server",
)
_PACKAGES = ("sandbox", "sandbox.guest", "sandbox.sdk")
_SDK = "sandbox.sdk.tools"
"""What toolkits import."""
_LAUNCHING = "sandbox.isolation.zygote"
_PRELOAD = ("sandbox.guest.server", _SDK, "json", "re", "traceback")
"""What guests of a launcher find loaded: their own modules, and what most toolkits would load."""

Modules = dict[str, tuple[bool, str, bytes]]
"""Name → whether it is a package, file name, code or source."""

BOOTSTRAP = """
import sys, marshal, gc
gc.disable()
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER
i, o = sys.stdin.buffer, sys.stdout.buffer
o.write(MAGIC_NUMBER.hex().encode() + b"\\n"); o.flush()
p = marshal.loads(i.read(int(i.readline())))
w = p["modules"]
class F:
    def find_spec(n, path=None, target=None):
        return ModuleSpec(n, F, is_package=w[n][0]) if n in w else None
    def create_module(s): return None
    def exec_module(m):
        c = w[m.__name__][2]
        c = marshal.loads(c) if p["marshalled"] else compile(c, w[m.__name__][1], "exec")
        exec(c, m.__dict__)
sys.meta_path.insert(0, F)
for n in p["toolkits"]: __import__(n)
m, f = p["start"]
__import__(m)
gc.enable(); getattr(sys.modules[m], f)(p["plan"])
"""
# It reads from the buffered stdin before the guest takes the raw descriptor: the engine
# sends nothing more until the guest has said that it is ready, so nothing is left in the buffer.

COMMAND = ("python3", "-I", "-S", "-B", "-c", BOOTSTRAP)
MARSHAL = 2  # the oldest form that holds what a plan is made of: every Python 3 reads it
MAGIC = importlib.util.MAGIC_NUMBER.hex()


def message(
    spec: ContainerSpec, magic: str, confine: dict[str, Any], *, preloaded: bool = False
) -> bytes:
    """Return what follows the interpreter's greeting.

    Args:
        spec: What the container is made for.
        magic: The bytecode version that the greeting named, in hex.
        confine: What the guest is to put in force itself, see ``sandbox.guest.hardening.set_up``; and
            ``spawner``, whether it may have one, and ``processors``, where commands may run if not
            where the guest does.
        preloaded: Whether the guest's own modules are there already.
    """
    same = magic == MAGIC
    modules = {} if preloaded else _guest_modules(same)
    modules["toolkits"] = (True, "", _code("", "toolkits", same))
    for toolkit in spec.toolkits:
        file = f"tools/{toolkit.name}.py"
        modules[f"toolkits.{toolkit.name}"] = (False, file, _code(toolkit.source, file, same))
    bounds = spec.bounds
    plan = {
        "tools": list(spec.tools),
        "now": spec.now,
        "lang": spec.lang,
        "confine": {**confine, "filters": seccomp_program.filters(traced=spec.traced)},
        "background": str(spec.background),  # marshal takes no members of enums
        "spawning": _source("guest", "spawner_process") if confine.get("spawner", True) else "",
        "certificate": spec.network.certificate if spec.network else b"",
        "limits": {
            "processes": confine.get("processes", 0),
            "files": bounds.files,
            "file_bytes": bounds.file_bytes,
            "cpu_seconds": bounds.cpu_seconds,
            "memory_bytes": confine.get("memory_bytes", 0),
            "cpus": bounds.cpus,
            "processors": confine.get("processors", []),
            "traced": spec.traced,
            "command_seconds": 0.9 * spec.call_seconds,
        },
    }
    toolkits = [f"toolkits.{toolkit.name}" for toolkit in spec.toolkits]
    return _packed(same, modules, toolkits, ("sandbox.guest.server", "serve"), plan)


def launcher(magic: str, plan: dict[str, Any]) -> bytes:
    """Return what the launcher is sent at its start; its guests end in the same bootstrap.

    Args:
        magic: The bytecode version of its interpreter, in hex.
        plan: See ``sandbox.isolation.zygote.run``.
    """
    same = magic == MAGIC
    modules = _guest_modules(same)
    modules["sandbox.isolation"] = (True, "", _code("", "sandbox.isolation", same))
    name = _LAUNCHING.rpartition(".")[2]
    modules[_LAUNCHING] = (False, f"{name}.py", _module("isolation", name, same))
    full = {"bootstrap": BOOTSTRAP, "preload": _PRELOAD, **plan}
    return _packed(same, modules, [], (_LAUNCHING, "run"), full)


def _packed(
    same: bool, modules: Modules, toolkits: list[str], start: tuple[str, str], plan: dict[str, Any]
) -> bytes:
    content = {
        "marshalled": same,
        "modules": modules,
        "toolkits": toolkits,
        "start": start,
        "plan": plan,
    }
    raw = marshal.dumps(content, MARSHAL)
    return b"%d\n" % len(raw) + raw


def _guest_modules(same: bool) -> Modules:
    modules: Modules = {name: (True, "", _code("", name, same)) for name in _PACKAGES}
    for name in _GUEST:
        modules[f"sandbox.guest.{name}"] = (False, f"{name}.py", _module("guest", name, same))
    modules[_SDK] = (False, "tools.py", _module("sdk", "tools", same))
    return modules


@cache
def _source(package: str, name: str) -> str:
    path = Path(__file__).resolve().parent.parent / package / f"{name}.py"
    return path.read_text("utf-8")


@cache
def _module(package: str, name: str, marshalled: bool) -> bytes:
    return _code(_source(package, name), f"{package}/{name}.py", marshalled, optimize=2)


@cache
def _code(source: str, file: str, marshalled: bool, optimize: int = 0) -> bytes:
    if not marshalled:
        return source.encode()
    code = compile(source, file, "exec", dont_inherit=True, optimize=optimize)
    return marshal.dumps(code)
