"""The launcher: one for each process, gone with it, and nothing of it in a guest but memory."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from sandbox.errors import IsolationError
from sandbox.isolation import bubblewrap, uid_map, zygote_client
from sandbox.isolation.bubblewrap import Bubblewrap, BubblewrapContainer
from sandbox.isolation.cgroup import Joining
from sandbox.isolation.process_identity import Owner
from tests.support import REPOSITORY
from tests.support.containers import Rig, spec
from tests.support.polling import until

_FORKED = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[1])
from sandbox.isolation.bubblewrap import Bubblewrap
from tests.support.containers import Rig, spec

async def work(name):
    backend = Bubblewrap()
    rig = Rig(backend, await backend.open(spec(run_id=name)))
    said = await rig.shell("echo works")
    await rig.container.close()
    return said.endswith("works")

assert asyncio.run(work("parent"))
child = os.fork()
if child == 0:
    os._exit(0 if asyncio.run(work("child")) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert asyncio.run(work("again"))
"""


@pytest.fixture
def backend() -> Bubblewrap:
    """Bubblewrap; missing, it is a skip on a laptop and a failure in CI."""
    found = Bubblewrap()
    if reason := found.unavailable():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return found


@pytest.fixture
async def container(backend: Bubblewrap) -> AsyncIterator[BubblewrapContainer]:
    """One open container."""
    opened = await backend.open(spec())
    yield opened
    await opened.close()


@pytest.fixture
async def second(backend: Bubblewrap) -> AsyncIterator[BubblewrapContainer]:
    """Another one, opened while the first is open."""
    opened = await backend.open(spec(run_id="second"))
    yield opened
    await opened.close()


@pytest.fixture
def rig(backend: Bubblewrap, container: BubblewrapContainer) -> Rig:
    """Short ways to ask it."""
    return Rig(backend, container)


def _guest(container: BubblewrapContainer) -> int:
    """Return the guest's pid as this process sees it."""
    text = Path(f"/proc/self/fdinfo/{container._guest.handle}").read_text()
    return int(text.partition("\nPid:\t")[2].split("\n")[0])


def _ended(pid: int) -> bool:
    """Return whether a process is gone, or waits for nothing but to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _launcher() -> int:
    running = zygote_client._shared.launcher
    assert running is not None
    return running.pid


async def test_one_launcher_serves_all_containers(backend: Bubblewrap) -> None:
    """Containers at once and in a row come from the same launcher, and all of them work."""
    before = _launcher()
    rigs = [
        Rig(backend, opened)
        for opened in await asyncio.gather(*(backend.open(spec(run_id=f"n{n}")) for n in range(12)))
    ]
    said = await asyncio.gather(*(rig.shell(f"echo {n}") for n, rig in enumerate(rigs)))
    await asyncio.gather(*(rig.container.close() for rig in rigs))
    assert [words.split("\n")[-1] for words in said] == [str(n) for n in range(12)]
    assert _launcher() == before


def test_event_loops_in_threads_share_it(backend: Bubblewrap) -> None:
    """Loops one after the other and side by side get answers to their own requests."""
    said: list[str] = []

    async def work() -> None:
        opened = await backend.open(spec(run_id=f"t{threading.get_ident()}"))
        said.append(await Rig(backend, opened).shell("echo works"))
        await opened.close()

    threads = [threading.Thread(target=lambda: asyncio.run(work())) for _ in range(3)]
    for thread in threads:
        thread.start()
    asyncio.run(work())
    for thread in threads:
        thread.join()
    asyncio.run(work())
    assert said == ["exit code: 0\nstdout:\nworks"] * 5


def test_a_fork_of_the_process_has_its_own(backend: Bubblewrap) -> None:
    """A fork makes its own launcher, and its end leaves the parent's alone."""
    done = subprocess.run(
        [sys.executable, "-c", _FORKED, str(REPOSITORY)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


async def test_its_death_ends_containers_and_the_next_start_makes_another(
    backend: Bubblewrap, rig: Rig, container: BubblewrapContainer
) -> None:
    """Killing the launcher ends every guest, also one that is busy; later starts work."""
    guest, before = _guest(container), _launcher()
    busy = asyncio.create_task(rig.call("probe.wait", seconds=100))
    await asyncio.sleep(0)
    os.kill(before, signal.SIGKILL)
    with pytest.raises(IsolationError):
        await busy
    await until(lambda: _ended(guest), 10, "the guest is gone")
    opened = await backend.open(spec(run_id="next"))
    said = await Rig(backend, opened).shell("echo works")
    await opened.close()
    assert said.endswith("works")
    assert _launcher() != before


async def test_its_death_in_mid_start_is_an_error_of_that_start(backend: Bubblewrap) -> None:
    """A start whose launcher dies fails with a typed error, or came through before."""
    for wait in (0.0, 0.001, 0.003, 0.01):
        backend.unavailable()
        opening = asyncio.create_task(backend.open(spec(run_id="cutoff")))
        await asyncio.sleep(wait)
        killed = _launcher()
        os.kill(killed, signal.SIGKILL)
        await until(partial(_ended, killed), 5, "dead")
        (result,) = await asyncio.gather(opening, return_exceptions=True)
        if isinstance(result, BubblewrapContainer):
            await result.close()
        else:
            assert isinstance(result, IsolationError)
        (again,) = await asyncio.gather(backend.open(spec(run_id="after")), return_exceptions=True)
        assert isinstance(again, BubblewrapContainer)
        await again.close()


async def test_the_reason_of_bubblewrap_reaches_the_caller(backend: Bubblewrap) -> None:
    """What bubblewrap says when it cannot build a container is the text of the error."""
    program = bubblewrap._program()
    broken = dataclasses.replace(
        program, bubblewrap=(*program.bubblewrap, "--ro-bind", "/is/not/there", "/x")
    )
    own = zygote_client.ZygoteClient(broken)
    try:
        with own.ask(uid_map.request(Joining())) as wire:
            wire.settimeout(10)
            os.close(zygote_client.answer(wire))
            assert wire.recv(500).startswith(b"!bwrap: Can't find source path /is/not/there")
    finally:
        own.close()


@pytest.mark.parametrize(
    "joining",
    [
        Joining(procs=("/proc/no/such/cgroup.procs",)),
        Joining(tasks=("/proc/no/such/tasks",)),
    ],
)
async def test_a_cgroup_that_is_not_there_is_an_error(
    backend: Bubblewrap, joining: Joining
) -> None:
    """A container that would be without its bounds is not made."""
    with zygote_client.ask(bubblewrap._program(), uid_map.request(joining)) as wire:
        wire.settimeout(10)
        with pytest.raises(IsolationError, match="/proc/no/such/"):
            zygote_client.answer(wire)
        assert wire.recv(1) == b""


async def test_a_guest_that_cannot_join_its_cgroup_does_not_serve(backend: Bubblewrap) -> None:
    """Where the kernel does not take a guest in, it ends and says why."""
    asked = uid_map.request(Joining(tasks=("/dev/full",)))
    with zygote_client.ask(bubblewrap._program(), asked) as wire:
        wire.settimeout(10)
        os.close(zygote_client.answer(wire))
        assert b"No space left" in wire.recv(500)


async def test_a_guest_holds_its_channel_and_nothing_else(
    container: BubblewrapContainer, second: BubblewrapContainer
) -> None:
    """No socket of the launcher, no pidfd, no namespace and no file of the host is open in it.

    What is neither its channel nor nothing is the listener of its filter.
    """
    for each in (container, second):
        text = (await each.call("probe.descriptors", {}, agent="clerk", timeout=9)).text
        found = json.loads(text)
        assert set(found) == {"/dev/null", "socket", "anon_inode"}
        assert found.count("anon_inode") == 1
        assert found.count("socket") == 2  # its channel, once to read and once to write


def test_the_launcher_holds_no_channel(
    container: BubblewrapContainer, second: BubblewrapContainer
) -> None:
    """It keeps no end of a channel: that closes when guest or owner hangs up."""
    if os.geteuid() != 0:
        pytest.skip("only root may look at the descriptors of a process that changed its uid")
    folder = Path(f"/proc/{_launcher()}/fd")
    kinds = [str(link.readlink()).split(":")[0] for link in folder.iterdir()]
    assert kinds.count("socket") == 1  # its own, for requests
    assert set(kinds) == {"/dev/null", "anon_inode", "socket"}


def test_nothing_of_the_host_is_in_a_guest(container: BubblewrapContainer) -> None:
    """Its environment is empty, its folders are the container's, and its namespaces its own."""
    if os.geteuid() != 0:
        pytest.skip("only root may look into a process that cannot be dumped")
    place = Path(f"/proc/{_guest(container)}")
    assert (place / "environ").read_bytes() == b""
    assert not (place / "root").samefile("/")
    assert (place / "cwd").samefile(place / "root")
    for name in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
        assert (place / "ns" / name).readlink() != Path(f"/proc/self/ns/{name}").readlink()


def test_an_owner_of_any_name_is_known() -> None:
    """A process may call itself anything: a pid that is another process's now is none of ours."""
    code = "import ctypes,sys; ctypes.CDLL(None).prctl(15, b'\\xff\\xfe', 0, 0, 0); print(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert dataclasses.replace(Owner.current(), pid=process.pid).gone()
        process.kill()
