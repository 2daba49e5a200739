"""Shell: commands in the container, run as the agent's own user."""

from __future__ import annotations

from sandbox.sdk.tools import ToolError, World, tool

_LONGEST = 120


# What a command does shows in its effects, call by call; the labels say only what always holds.
@tool(reads_untrusted=True, reads_sensitive=True, changes_world=True, shell=("command",))
def run(world: World, command: str, timeout_seconds: int = 30) -> str:
    """Run a command with /bin/sh in the agent's folder; return exit code, stdout and stderr.

    Args:
        command: The command line.
        timeout_seconds: Seconds after which it is killed, 120 at most.
    """
    if not command.strip():
        raise ToolError("there is no command to run")
    seconds = min(max(timeout_seconds, 1), _LONGEST)
    return world.run(["/bin/sh", "-c", command], timeout=seconds).report(seconds)
