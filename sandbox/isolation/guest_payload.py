"""What is sent to a container at its start: the guest's code and the toolkits, as code objects.

The container's command is a few lines of Python that name the interpreter's bytecode version, then
take modules from the channel. So nothing needs to be mounted or baked into an image, and a remote
engine works as well. The host compiles toolkits but never runs them. The zygote starts in the same
way, and its guests find their own modules loaded: they are sent the toolkits alone.
"""

from __future__ import annotations

import importlib.util
import marshal
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sandbox.isolation import seccomp_program
from sandbox.isolation.base import ContainerSpec
from sandbox.isolation.confinement import Confinement

_GUEST = (
    "toolkit",
    "effects",
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
_ZYGOTE = "sandbox.isolation.zygote"
_PRELOAD = ("sandbox.guest.server", _SDK, "json", "re", "traceback")
"""What guests of a zygote find loaded: their own modules, and what most toolkits would load."""

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
gc.enable(); getattr(sys.modules[m], f)(**p["plan"])
"""
# It reads from the buffered stdin before the guest takes the raw descriptor: the engine
# sends nothing more until the guest has said that it is ready, so nothing is left in the buffer.

COMMAND = ("python3", "-I", "-S", "-B", "-c", BOOTSTRAP)
MARSHAL = 2  # the oldest form that holds what a plan is made of: every Python 3 reads it
MAGIC = importlib.util.MAGIC_NUMBER.hex()


def message(
    spec: ContainerSpec, magic: str, confinement: Confinement, *, preloaded: bool = False
) -> bytes:
    """Return what follows the interpreter's greeting.

    Args:
        spec: What the container is made for.
        magic: The bytecode version that the greeting named, in hex.
        confinement: What the guest is to confine by itself.
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
        "tools": spec.tools,
        "now": spec.now,
        "lang": spec.lang,
        "confine": {
            "filters": seccomp_program.filters(traced=spec.traced),
            "memory_bytes": confinement.memory_bytes,
            "embedded": confinement.embedded,
            "size": bounds.tmpfs_bytes,
            "inodes": bounds.tmpfs_inodes,
        },
        "background": str(spec.background),  # marshal takes no members of enums
        "spawner_source": _source("guest", "spawner_process") if confinement.spawner else "",
        "certificate": spec.network.certificate if spec.network else b"",
        "traced": spec.traced,
        "command_seconds": 0.9 * spec.call_seconds,
        "processors": confinement.processors if bounds.cpus <= 1 else None,
        "limits": {
            "RLIMIT_CORE": 0,
            "RLIMIT_NOFILE": bounds.files,
            "RLIMIT_FSIZE": bounds.file_bytes,
            "RLIMIT_CPU": bounds.cpu_seconds,
            **({"RLIMIT_NPROC": confinement.processes} if confinement.processes else {}),
            **({"RLIMIT_AS": confinement.memory_bytes} if confinement.memory_bytes else {}),
        },
    }
    toolkits = [f"toolkits.{toolkit.name}" for toolkit in spec.toolkits]
    return _pack(same, modules, toolkits, ("sandbox.guest.server", "serve"), plan)


def zygote(magic: str, plan: Mapping[str, object]) -> bytes:
    """Return what the zygote is sent at its start; its guests end in the same bootstrap.

    Args:
        magic: The bytecode version of its interpreter, in hex.
        plan: See ``sandbox.isolation.zygote.run``.
    """
    same = magic == MAGIC
    modules = _guest_modules(same)
    modules["sandbox.isolation"] = (True, "", _code("", "sandbox.isolation", same))
    modules[_ZYGOTE] = (False, "zygote.py", _module("isolation", "zygote", same))
    full = {"bootstrap": BOOTSTRAP, "preload": _PRELOAD, **plan}
    return _pack(same, modules, [], (_ZYGOTE, "run"), full)


def _pack(
    same: bool,
    modules: Modules,
    toolkits: list[str],
    start: tuple[str, str],
    plan: Mapping[str, object],
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
    guest = {
        f"sandbox.guest.{name}": (False, f"{name}.py", _module("guest", name, same))
        for name in _GUEST
    }
    return {
        **{name: (True, "", _code("", name, same)) for name in _PACKAGES},
        **guest,
        _SDK: (False, "tools.py", _module("sdk", "tools", same)),
    }


@cache
def _source(package: str, name: str) -> str:
    return (Path(__file__).resolve().parent.parent / package / f"{name}.py").read_text("utf-8")


@cache
def _module(package: str, name: str, marshalled: bool) -> bytes:
    return _code(_source(package, name), f"{package}/{name}.py", marshalled, optimize=2)


@cache
def _code(source: str, file: str, marshalled: bool, optimize: int = 0) -> bytes:
    if not marshalled:
        return source.encode()
    return marshal.dumps(compile(source, file, "exec", dont_inherit=True, optimize=optimize))
