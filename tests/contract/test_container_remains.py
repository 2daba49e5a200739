"""Remains: what is left when a container closes, and when its owner is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from sandbox.errors import GuestTimeout
from sandbox.isolation import cgroup
from sandbox.isolation.base import Backend
from sandbox.isolation.docker import LABEL, Docker
from tests.support import REPOSITORY
from tests.support.containers import RUN, Opener, Rig
from tests.support.polling import until

MARK = str(9_000_000 + os.getpid())
"""Seconds that this process's commands sleep, which tells them from others'."""
_OWNER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from tests.support.containers import BACKENDS, spec

async def main():
    container = await BACKENDS[sys.argv[2]]().open(spec(run_id=sys.argv[3]))
    watch = "(until [ -e /tmp/busy ]; do sleep 0.01; done; exec setsid sleep $1) >/dev/null 2>&1 &".replace("$1", sys.argv[5])
    await container.call("shell.run", {"command": watch}, agent="clerk", timeout=60)
    tool, arguments = {
        "command": ("shell.run", {"command": f"touch /tmp/busy; sleep {sys.argv[5]}", "timeout_seconds": 100}),
        "tool": ("probe.wait", {"seconds": 900}),
    }[sys.argv[4]]
    print("ready", flush=True)
    await container.call(tool, arguments, agent="clerk", timeout=800)

asyncio.run(main())
"""


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _left(backend: Backend, run: str) -> list[str]:
    """Return what is left of a run: containers, cgroups, and processes by what they were started for."""
    found = [str(p) for p in cgroup.leftovers() if p.name.endswith(f"-{run}")]
    if isinstance(backend, Docker):
        listed = backend._client.api.containers(all=True, filters={"label": f"{LABEL}.run={run}"})
        found += [item["Id"] for item in listed]
    return found


def _processes(marks: tuple[str, ...]) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        if any(mark in words for mark in marks):
            found.append(" ".join(words))
    return found


def _descendants(of: int) -> set[int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found = {of}
    before: set[int] = set()
    while found != before:
        before = set(found)
        found |= {pid for pid, parent in parents.items() if parent in found}
    return found - {of}


async def test_close_leaves_nothing(rig: Rig) -> None:
    """After close, container, cgroup and every process are gone, background processes included."""
    await rig.shell(f"setsid sleep {MARK}.1 & (sleep {MARK}.2 &); echo")
    await rig.container.close()
    await until(lambda: not _left(rig.backend, RUN), 10, "containers and cgroups are gone")
    await until(lambda: not _processes((f"{MARK}.1", f"{MARK}.2")), 10, "processes are gone")


async def test_time_out_leaves_nothing(rig: Rig) -> None:
    """A container that was closed for a time-out leaves nothing either."""
    await rig.shell(f"setsid sleep {MARK}.3 & echo")
    with pytest.raises(GuestTimeout):
        await rig.call("probe.wait", timeout=0.2, seconds=100)
    await until(lambda: not _left(rig.backend, RUN), 10, "containers and cgroups are gone")
    await until(lambda: not _processes((f"{MARK}.3",)), 10, "processes are gone")


async def test_cancelled_opening_leaves_nothing(backend: Backend, opener: Opener) -> None:
    """A container whose opening is cut off at any moment leaves nothing."""
    for wait in (0.001, 0.03, 0.1, 0.25):
        task = asyncio.ensure_future(opener(run_id=f"{RUN}cut"))
        await asyncio.sleep(wait)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if task.cancelled() is False and task.exception() is None:
            await task.result().container.close()
    await until(lambda: not _left(backend, f"{RUN}cut"), 15, "containers and cgroups are gone")


async def test_descriptors_and_threads_do_not_grow(opener: Opener) -> None:
    """Opening and closing containers leaves no descriptor behind in this process."""
    for _ in range(7):  # the docker package's pool of connections fills up first
        await (await opener()).container.close()
    before = _descriptors()
    for _ in range(3):
        await (await opener()).container.close()
    await asyncio.sleep(0)
    assert _descriptors() <= before + 1


@pytest.mark.parametrize("doing", ["command", "tool"])
async def test_killed_owner_leaves_nothing(backend: Backend, doing: str) -> None:
    """After kill -9 of the owner, all is gone by itself, or with the next reap."""
    run, mark = f"{RUN}{doing}", f"{MARK}.4"
    owner = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _OWNER,
        str(REPOSITORY),
        backend.name,
        run,
        doing,
        mark,
        stdout=asyncio.subprocess.PIPE,
    )
    assert owner.stdout
    assert await asyncio.wait_for(owner.stdout.readline(), 60) == b"ready\n"
    if backend.name != "gvisor":  # the host does not see its processes: killed at any moment
        await until(lambda: bool(_processes((mark,))), 30, "the call is under way")
    family = _descendants(owner.pid)
    owner.send_signal(signal.SIGKILL)
    await owner.communicate()
    try:
        # a Docker engine cannot know that its guest is stuck in a tool: that is left to reap
        if backend.name != "docker" or doing != "tool":
            await until(lambda: not _processes((mark,)), 30, "processes are gone without reap")
        await until(
            lambda: not [p for p in family if Path(f"/proc/{p}").exists()],
            30,
            "its children are gone",
        )
    finally:
        backend.reap()
    await until(lambda: not _left(backend, run), 30, "containers and cgroups are gone")


async def test_reap_spares_the_living(rig: Rig) -> None:
    """What belongs to a living process is left alone."""
    rig.backend.reap()
    assert (await rig.call("probe.look")).status == "ok"
