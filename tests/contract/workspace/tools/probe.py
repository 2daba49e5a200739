"""Probe: tools that behave badly in every way that a container must bear."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sandbox.sdk.tools import ToolError, World, tool

WORLD = {"notes": {"type": "object", "default": {"kept": [], "count": 0}}}


@tool(changes_world=True)
def note(world: World, text: str) -> str:
    """Keep a text in the world and count it."""
    world["notes"]["kept"].append(text)
    world["notes"]["count"] += 1
    return f"kept {text}"


@tool()
def look(world: World, section: str = "notes") -> dict[str, str]:
    """Return a section of the world, its clock, its language and who asks."""
    return {"section": world[section], "now": world.now, "lang": world.lang, "agent": world.agent}


@tool()
def refuse(world: World) -> str:
    """Refuse."""
    raise ToolError("not today")


@tool()
def crash(world: World, how: str) -> object:
    """Break in one of several ways, having changed the world before."""
    world["notes"]["count"] += 1
    if how == "raise":
        raise ValueError("broken on purpose")
    if how == "exit":
        raise SystemExit(3)
    if how == "return":
        return {"not JSON": object()}
    if how == "recursion":
        return crash(world, how)
    if how == "nan":
        return {"number": float("nan")}
    os._exit(1)


@tool(changes_world=True)
def spoil(world: World, how: str) -> str:
    """Put into the world what is no JSON data."""
    world["notes"]["kept"] = {
        "object": object(),
        "bytes": b"\xff",
        "infinity": float("inf"),
        "surrogate": "\ud800",
    }[how]
    return "spoiled"


@tool()
def wait(world: World, seconds: float) -> str:
    """Keep the guest itself busy, and say so in a file."""
    Path("/tmp/busy").touch()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "waited"


@tool()
def fill(world: World, size: int) -> int:
    """Take memory of the guest itself, in MiB."""
    return len(b"\1" * (size * 1024 * 1024))


@tool()
def text(world: World, size: int) -> str:
    """Return a text of a size."""
    return "x" * size


@tool()
def complain(world: World, size: int) -> str:
    """Refuse in a text of a size."""
    raise ToolError("x" * size)


@tool()
def say(world: World, words: str) -> str:
    """Print words in every way that a tool can without looking for the channel."""
    print(words, flush=True)  # noqa: T201 - that it leads nowhere is what is tried
    for descriptor in (0, 1, 2):
        os.write(descriptor, words.encode() + b"\n")
    return "said"


@tool()
def forge(world: World, line: str) -> str:
    """Write a line to every open descriptor: the channel is among them."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, line.encode() + b"\n")
        except OSError:
            continue
    return "forged"


@tool()
def environment(world: World) -> dict[str, str]:
    """Return the guest's own environment."""
    return dict(os.environ)


@tool()
def kill_tracer(world: World) -> int:
    """Have the tracer of a command killed while the command runs, as no agent could."""
    if os.fork() == 0:
        os.seteuid(0)
        while "sleep\n" not in (names := _names()).values():
            time.sleep(0.01)
        for pid, name in names.items():
            if name == "strace\n":
                os.kill(pid, 9)
        os._exit(0)
    return world.run(["sh", "-c", "sleep 1; echo done"]).exit_code


def _names() -> dict[int, str]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            found[int(path.parent.name)] = path.read_text()
        except OSError:  # it has ended meanwhile
            continue
    return found


@tool()
def descriptors(world: World) -> list[str]:
    """Return what the guest's descriptors lead to."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(link.readlink()).split(":")[0])
        except FileNotFoundError:  # that of the listing itself
            continue
    return found
