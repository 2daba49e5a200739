"""Commands that the spawner starts: they are what the first ones were, and so is the record of them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sandbox.enums import EffectAction
from sandbox.isolation.base import CallResult
from tests.support.containers import Opener, Rig

SELF = """
import os, resource
lines = open('/proc/self/status').read().splitlines()
told = ('Uid', 'Gid', 'Groups', 'NoNewPrivs', 'Seccomp:', 'Cap', 'Sig', 'Shd', 'Umask', 'PPid')
print([line for line in lines if line.startswith(told)])
print(os.getcwd(), os.getsid(0) == os.getpgid(0), sorted(os.environ.items()))
print(sorted(int(fd) for fd in os.listdir('/proc/self/fd'))[:-1])
limits = sorted(name for name in dir(resource) if name.startswith('RLIMIT_'))
print({name: resource.getrlimit(getattr(resource, name)) for name in limits})
print(open('/proc/self/oom_score_adj').read())
"""
SPAWNERS = "grep -la _CLONE_PAREN[T] /proc/[0-9]*/cmdline | grep -v self | cut -d/ -f3"
"""Pids of processes whose command line holds the spawner's program, and of the tracers before them."""


async def spawner(rig: Rig) -> str:
    """Run commands until a spawner is there; return its pid."""
    if rig.backend.name == "gvisor":
        pytest.skip("no spawner under gVisor: every command has a tracer of its own")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        text = await rig.shell(SPAWNERS)
        if "stdout:\n" in text and (pids := text.partition("stdout:\n")[2].split()):
            for pid in pids:
                if await settled(rig, pid):
                    return pid
    pytest.fail("no spawner was started")


async def settled(rig: Rig, pid: str) -> bool:
    """Return whether a command runs under the tracer of the spawner."""
    script = f"grep TracerPid /proc/{pid}/status; grep TracerPid /proc/self/status"
    said = (await rig.shell(script)).partition("stdout:\n")[2].split()
    return len(said) == 4 and said[1] == said[3] != "0"


def names(result: CallResult) -> list[tuple[str, str, str, str]]:
    """Return the effects of a call without what differs from one time to the next."""
    return [(e["kind"], e["action"], e["target"], e["status"]) for e in result.effects]


async def ask(rig: Rig, call: str, command: str, seconds: int = 20) -> CallResult:
    """Call the shell with an id of its own."""
    arguments: dict[str, Any] = {"command": command, "timeout_seconds": seconds}
    return await rig.container.call("shell.run", arguments, agent="clerk", timeout=30.0, call=call)


async def test_spawned_command_is_confined_as_the_first(rig: Rig) -> None:
    """Ids, capabilities, filters, limits, signals, descriptors and environment are the same."""
    first = await rig.python(SELF)
    await spawner(rig)
    assert await rig.python(SELF) == first
    assert "'Uid:\\t1000\\t1000\\t1000\\t1000'" in first


async def test_spawned_command_is_recorded_as_the_first(rig: Rig) -> None:
    """Programs, reads, writes and refusals are on record, and nothing of the spawner's own."""
    script = "cat readme.txt; cat /etc/shadow; echo x > made; rm made; python3 -c 'print(1)'"
    first = await ask(rig, "first", script)
    await spawner(rig)
    later = await ask(rig, "later", script)
    assert names(later) == names(first)
    assert later.recorded == first.recorded
    assert later.late == ()


async def test_spawned_commands_deeds_are_credited_to_its_call(rig: Rig) -> None:
    """What a command leaves running is the deed of its call, whatever is started after it."""
    await spawner(rig)
    await ask(
        rig, "leaves", "(while ! test -e go; do sleep 0.05; done; touch late) >/dev/null 2>&1 &"
    )
    after = await ask(
        rig, "after", "touch go; while ! test -e late; do sleep 0.05; done; touch own"
    )
    late = [(each.call, e["target"]) for each in after.late for e in each.effects]
    assert ("leaves", "/work/late") in late
    created = [e["target"] for e in after.effects if e["action"] == EffectAction.CREATE]
    assert created == ["/work/go", "/work/own"]


async def test_agent_cannot_end_the_spawner(rig: Rig) -> None:
    """It belongs to the guest's user; the attempt is on record."""
    pid = await spawner(rig)
    result = await rig.shell_result(f"kill -9 {pid}")
    assert ("process", "signal", f"process {pid}", "denied") in names(result)
    assert await settled(rig, pid)


async def test_commands_go_on_after_a_time_out_ended_the_spawner(rig: Rig) -> None:
    """A call that is killed takes the spawner along; the next ones are served and recorded."""
    await spawner(rig)
    assert "killed after 1 s" in await rig.shell("sleep 20", seconds=1)
    result = await rig.shell_result("touch again")
    assert ("file", "create", "/work/again", "done") in names(result)
    await spawner(rig)


async def test_long_command_is_started_too(rig: Rig) -> None:
    """One that does not fit into a request to the spawner runs all the same."""
    await spawner(rig)
    text = await rig.shell("echo " + "x" * 100_000 + " | wc -c")
    assert text == "exit code: 0\nstdout:\n100001"


async def test_no_spawner_where_each_call_is_ended(opener: Opener) -> None:
    """With ``background: stop`` nothing of the guest's stays behind either."""
    rig = await opener(background="stop")
    for _ in range(4):
        text = await rig.shell(SPAWNERS)
    assert text == "exit code: 0"
