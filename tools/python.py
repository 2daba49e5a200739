"""Python: programs in the container, run as the agent's own user."""

from __future__ import annotations

from sandbox.sdk.tools import ToolError, World, tool

_LONGEST = 120


# What a program does shows in its effects, call by call; the labels say only what always holds.
@tool(reads_untrusted=True, reads_sensitive=True, changes_world=True, python=("code",))
def run(world: World, code: str, timeout_seconds: int = 30) -> str:
    """Run a Python program in the agent's folder; return exit code, stdout and stderr.

    Each run starts afresh, with the standard library only. Print what you want to see.

    Args:
        code: The program.
        timeout_seconds: Seconds after which it is killed, 120 at most.
    """
    if not code.strip():
        raise ToolError("there is no program to run")
    seconds = min(max(timeout_seconds, 1), _LONGEST)
    program = code.encode("utf-8", "replace").decode()
    return world.run(["python3", "-I", "-"], stdin=program, timeout=seconds).report(seconds)
