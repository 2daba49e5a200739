"""What is sent to a container at its start: the guest's code and the toolkits, as code objects.

The container's command is a few lines of Python that name the interpreter's bytecode version, then
take modules from the channel. So nothing needs to be mounted or baked into an image, and a remote
engine works as well. The host compiles toolkits but never runs them.
"""

from __future__ import annotations

import importlib.util
import marshal
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.isolation.base import ContainerSpec

_GUEST = (
    "toolkit", "arguments", "codec", "patch", "manifest", "reads", "seccomp", "confine", "loop",
    "tracing", "process", "server",
)  # fmt: skip

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
from sandbox.guest.server import serve
gc.enable(); serve(p["plan"])
"""
# It reads from the buffered stdin before the guest takes the raw descriptor: the engine
# sends nothing more until the guest has said that it is ready, so nothing is left in the buffer.

COMMAND = ("python3", "-I", "-S", "-B", "-c", BOOTSTRAP)
_MARSHAL = 2  # the oldest form that holds what a plan is made of: every Python 3 reads it
MAGIC = importlib.util.MAGIC_NUMBER.hex()


def message(spec: ContainerSpec, magic: str, confine: dict[str, Any]) -> bytes:
    """Return what follows the interpreter's greeting.

    Args:
        spec: What the container is made for.
        magic: The bytecode version that the greeting named, in hex.
        confine: What the guest is to put in force itself; see ``sandbox.guest.confine.set_up``.
    """
    same = magic == MAGIC
    modules: dict[str, tuple[bool, str, bytes]] = {
        "sandbox": (True, "", _code("", "sandbox", same)),
        "sandbox.guest": (True, "", _code("", "sandbox.guest", same)),
        "toolkits": (True, "", _code("", "toolkits", same)),
    }
    for name in _GUEST:
        modules[f"sandbox.guest.{name}"] = (False, f"{name}.py", _guest(name, same))
    for toolkit in spec.toolkits:
        file = f"tools/{toolkit.name}.py"
        modules[f"toolkits.{toolkit.name}"] = (False, file, _code(toolkit.source, file, same))
    bounds = spec.bounds
    plan = {
        "tools": list(spec.tools),
        "now": spec.now,
        "lang": spec.lang,
        "confine": confine,
        "background": spec.background,
        "limits": {
            "processes": confine.get("processes", 0),
            "files": bounds.files,
            "file_bytes": bounds.file_bytes,
            "cpu_seconds": bounds.cpu_seconds,
            "memory_bytes": confine.get("memory_bytes", 0),
            "cpus": bounds.cpus,
            "traced": spec.traced,
            "command_seconds": 0.9 * spec.call_seconds,
        },
    }
    content = {
        "marshalled": same,
        "modules": modules,
        "toolkits": [f"toolkits.{toolkit.name}" for toolkit in spec.toolkits],
        "plan": plan,
    }
    raw = marshal.dumps(content, _MARSHAL)
    return b"%d\n" % len(raw) + raw


@cache
def _guest(name: str, marshalled: bool) -> bytes:
    path = Path(__file__).resolve().parent.parent / "guest" / f"{name}.py"
    return _code(path.read_text("utf-8"), f"guest/{name}.py", marshalled, optimize=2)


@cache
def _code(source: str, file: str, marshalled: bool, optimize: int = 0) -> bytes:
    if not marshalled:
        return source.encode()
    code = compile(source, file, "exec", dont_inherit=True, optimize=optimize)
    return marshal.dumps(code)
